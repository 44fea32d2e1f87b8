import numpy as np
import pytest

import metajax.data as data
from metajax.core import ConfigError

SHAPE = {"tasks_per_step": 2, "examples_per_task": (3, 5), "seed": 1}


def test_elements_have_the_shape_asked_for(digits_dir):
    batches = data.host_batches("digits", data_dir=digits_dir, size=(4, 4), channels=3, **SHAPE)
    batch = next(iter(batches))
    assert batch["images"].shape == (2, 3, 5, 4, 4, 3) and batch["images"].dtype == np.uint8
    assert batch["labels"].shape == (2, 3, 5) and batch["labels"].dtype == np.int32


def _flat(batches, num):
    images, labels = [], []
    for batch, _ in zip(batches, range(num), strict=False):
        images.append(batch["images"].reshape(-1, *batch["images"].shape[-3:]))
        labels.append(batch["labels"].reshape(-1))
    return np.concatenate(images), np.concatenate(labels)


def test_an_epoch_is_the_split_and_the_next_is_shuffled_anew(digits_dir, same_examples):
    test = data.load_images("digits", "test[:350]", digits_dir)
    batches = data.host_batches(
        "digits", "test[:350]", tasks_per_step=7, examples_per_task=(10,), data_dir=digits_dir
    )
    images, labels = _flat(batches, 10)  # two epochs of 350
    for epoch in (slice(0, 350), slice(350, 700)):
        assert same_examples(test, images[epoch], labels[epoch])
    assert not np.array_equal(images[:350], images[350:])
    other = data.host_batches(
        "digits",
        "test[:350]",
        tasks_per_step=7,
        examples_per_task=(10,),
        data_dir=digits_dir,
        seed=5,
    )
    assert not np.array_equal(_flat(other, 5)[0], images[:350])


def test_a_saved_state_continues_bit_for_bit(digits_dir):
    # 30 examples a step of 355: the continuation crosses the end of an epoch
    batches = data.host_batches("digits", "test", data_dir=digits_dir, **SHAPE)
    iterator = iter(batches)
    for _ in range(9):
        next(iterator)
    state = iterator.get_state()
    ahead = [next(iterator) for _ in range(6)]
    again = iter(data.host_batches("digits", "test", data_dir=digits_dir, **SHAPE))
    next(again)
    again.set_state(state)
    for expected in ahead:
        got = next(again)
        np.testing.assert_array_equal(got["images"], expected["images"])
        np.testing.assert_array_equal(got["labels"], expected["labels"])


def _close(iterator):
    if hasattr(iterator, "close"):  # Grain 0.2.12 has none
        iterator.close()


@pytest.mark.slow
def test_batches_do_not_depend_on_the_number_of_workers(digits_dir):
    alone = iter(data.host_batches("digits", data_dir=digits_dir, **SHAPE))
    iterator = iter(data.host_batches("digits", data_dir=digits_dir, workers=2, **SHAPE))
    for _ in range(5):
        np.testing.assert_array_equal(next(iterator)["images"], next(alone)["images"])
    state = iterator.get_state()
    _close(iterator)
    again = iter(data.host_batches("digits", data_dir=digits_dir, workers=2, **SHAPE))
    again.set_state(state)
    np.testing.assert_array_equal(next(again)["images"], next(alone)["images"])
    _close(again)


def test_a_set_in_memory_and_a_source_of_ones_own(digits, digits_dir):
    from_name = next(iter(data.host_batches("digits", data_dir=digits_dir, **SHAPE)))
    opened = data.open_set("digits", "train", digits_dir)
    for source in (digits, opened):
        batch = next(iter(data.host_batches(source, **SHAPE)))
        np.testing.assert_array_equal(batch["images"], from_name["images"])
        np.testing.assert_array_equal(batch["labels"], from_name["labels"])


def test_statistics_are_the_pools(digits, digits_dir):
    pool = data.device_pool(digits, size=(4, 4))
    mean, std = data.pool_statistics("digits", size=(4, 4), data_dir=digits_dir)
    assert (mean, std) == pytest.approx((float(pool.mean), float(pool.std)), rel=1e-6)
    sampled = data.pool_statistics("digits", size=(4, 4), data_dir=digits_dir, num_examples=400)
    assert sampled != (mean, std)
    assert sampled == pytest.approx((mean, std), rel=0.05)


@pytest.mark.parametrize(
    "setting",
    [
        {"tasks_per_step": 0},
        {"examples_per_task": ()},
        {"examples_per_task": (3, 0)},
        {"workers": -1},
        {"channels": 2},
        {"split": "trian"},
    ],
    ids=str,
)
def test_bad_settings_are_refused_before_any_batch(digits_dir, setting):
    with pytest.raises(ConfigError):
        data.host_batches("digits", data_dir=digits_dir, **{**SHAPE, **setting})


def test_a_missing_set_says_how_to_get_it(tmp_path):
    with pytest.raises(data.MissingDataError, match="metajax data prepare mnist"):
        data.host_batches("mnist", data_dir=tmp_path, **SHAPE)
