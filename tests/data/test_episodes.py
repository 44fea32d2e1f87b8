"""Episodes: what a task may hold, how often, and that none repeats an image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import (
    ImageSet,
    crop_and_flip,
    device_pool,
    episode_tasks,
    rotated_classes,
    split_classes,
)

SIZES = (5, 9, 7, 6)


def image_set():
    """Every image names itself: its first pixel counts it, its second is its class."""
    labels = np.repeat(np.arange(4), SIZES).astype(np.int32)
    images = np.zeros((len(labels), 3, 3, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(len(labels))
    images[:, 0, 1, 0] = labels
    return ImageSet(images, labels, 4, "numbered", "train")


def draws(num, **options):
    tasks = episode_tasks(device_pool(image_set()), **options)
    drawn = jax.jit(jax.vmap(tasks))(jax.random.split(jax.random.key(0), num))
    levels = jax.tree.map(
        lambda x: np.rint((np.asarray(x) * tasks.pool.std + tasks.pool.mean) * 255).astype(int),
        (drawn.support.inputs, drawn.query.inputs),
    )
    return drawn, *levels


def test_no_image_twice_in_a_task_and_every_label_is_one_class():
    drawn, support, query = draws(200, ways=3, shots=2, queries=3)
    assert support.shape == (200, 6, 3, 3, 1) and query.shape == (200, 9, 3, 3, 1)
    images = np.concatenate([support, query], 1)
    labels = np.concatenate([drawn.support.targets, drawn.query.targets], 1)
    for task in range(200):
        assert len(set(images[task, :, 0, 0, 0])) == 15
        pairs = set(zip(labels[task], images[task, :, 0, 1, 0], strict=True))
        assert len(pairs) == 3 and {label for label, _ in pairs} == {0, 1, 2}
    np.testing.assert_array_equal(labels[0, :6], [0, 1, 2, 0, 1, 2])


def test_every_class_and_image_is_as_likely_as_another():
    """Counts within 5 standard deviations: classes 3 of 4, an image 5 of its class's size."""
    num = 2000
    _, support, query = draws(num, ways=3, shots=2, queries=3)
    images = np.concatenate([support, query], 1)[:, :, 0, 0, 0]
    counts = np.bincount(images.reshape(-1), minlength=sum(SIZES))
    expected = num * 0.75 * 5 / np.repeat(SIZES, SIZES)
    assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_noise_strikes_the_support_alone():
    """40% replaced by one of 3 classes: 40% * 2/3 are wrong; 5 standard deviations."""
    drawn, _, _ = draws(500, ways=3, shots=2, queries=3, label_noise=0.4)
    right = np.tile(np.arange(3), 2)
    wrong = np.mean(np.asarray(drawn.support.targets) != right)
    assert abs(wrong - 0.4 * 2 / 3) < 5 * np.sqrt(0.27 * 0.73 / 3000)
    np.testing.assert_array_equal(drawn.query.targets, np.tile(np.tile(np.arange(3), 3), (500, 1)))


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("ways", {"ways": 5}),
        ("ways", {"ways": 1}),
        ("shots", {"shots": 0}),
        ("shots \\+ queries", {"queries": 4}),
        ("label_noise", {"label_noise": 1.5}),
    ],
)
def test_impossible_episodes_are_refused(field, options):
    with pytest.raises(ConfigError, match=field):
        episode_tasks(device_pool(image_set()), **{"ways": 3, "shots": 2, "queries": 3, **options})


def test_classes_are_dealt_apart():
    first, second = split_classes(image_set(), (2, 1), seed=3)
    classes = [set(part.images[:, 0, 1, 0]) for part in (first, second)]
    assert [len(c) for c in classes] == [2, 1] and not classes[0] & classes[1]
    assert split_classes(image_set(), (2, 1), seed=3)[0].labels.tolist() == first.labels.tolist()
    with pytest.raises(ConfigError, match="sizes"):
        split_classes(image_set(), (3, 2))


def test_turned_images_are_new_classes():
    turned = rotated_classes(image_set())
    assert turned.num_classes == 16 and len(turned.images) == 4 * sum(SIZES)
    one = turned.images[turned.labels == 4 + 2][0]
    np.testing.assert_array_equal(one, np.rot90(image_set().images[image_set().labels == 2][0]))
    with pytest.raises(ConfigError, match="square"):
        rotated_classes(image_set()._replace(images=np.zeros((27, 3, 2, 1), np.uint8)))


def test_crops_are_shifts_and_flips_are_mirrors():
    """Every output is one of the shifted or mirrored inputs, and all of them occur."""
    image = np.arange(1.0, 10.0, dtype=np.float32).reshape(3, 3, 1)
    out = np.asarray(crop_and_flip(jnp.tile(image, (400, 1, 1, 1)), jax.random.key(0), crop=1))
    padded = np.pad(image, [(1, 1), (1, 1), (0, 0)])
    shifts = [padded[i : i + 3, j : j + 3] for i in range(3) for j in range(3)]
    possible = {x.tobytes() for x in shifts} | {x[:, ::-1].tobytes() for x in shifts}
    assert {x.tobytes() for x in out} == possible
    still = crop_and_flip(jnp.tile(image, (4, 1, 1, 1)), jax.random.key(0), crop=0, flip=False)
    np.testing.assert_array_equal(still, np.tile(image, (4, 1, 1, 1)))
