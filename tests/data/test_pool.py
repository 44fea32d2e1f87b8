import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

import metajax.data as data
from metajax.core import ConfigError
from metajax.data.pool import level_statistics


@pytest.fixture(scope="module")
def pool(digits):
    return data.device_pool(digits)


def test_a_pool_holds_the_set_sorted_by_class(pool, digits):
    images, starts = np.asarray(pool.images), np.asarray(pool.class_starts)
    assert starts[0] == 0 and starts[-1] == len(digits.labels) and len(starts) == 11
    assert pool.num_features == 64
    for label in range(10):
        of_class = slice(starts[label], starts[label + 1])
        assert np.all(np.asarray(pool.labels)[of_class] == label)
        np.testing.assert_array_equal(images[of_class], digits.images[digits.labels == label])


@pytest.mark.parametrize("size", [None, (4, 4), (5, 7)])
def test_statistics_are_those_of_the_resized_images(digits, size):
    pool = data.device_pool(digits, size=size)
    scaled = np.asarray(pool.images).astype(np.float64) / 255
    assert float(pool.mean) == pytest.approx(scaled.mean(), rel=1e-6)
    assert float(pool.std) == pytest.approx(scaled.std(), rel=1e-6)
    normalised = np.asarray(pool.normalise(pool.images), np.float64)
    levels = np.asarray(pool.levels(pool.images))
    np.testing.assert_array_equal(levels.reshape(len(levels), -1), normalised)
    assert normalised.mean() == pytest.approx(0, abs=1e-5)
    assert normalised.std() == pytest.approx(1, abs=1e-5)


def test_statistics_are_exact_over_more_pixels_than_are_counted_at_once():
    images = np.random.default_rng(0).integers(0, 200, 2**24 + 12_345, dtype=np.uint8)
    mean, std = level_statistics(images)
    assert mean == pytest.approx((images / 255.0).mean(), rel=1e-12)
    assert std == pytest.approx((images / 255.0).std(), rel=1e-12)


def test_normalising_is_flatten_scale_shift_divide():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
    got = data.normalise(jnp.asarray(images), 0.25, 0.5)
    expected = (images.reshape(2, 3, 60) / 255.0 - 0.25) / 0.5
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_sampling_is_uniform_over_the_images(pool):
    """Pearson's chi-square over the 1,442 images; a skewed sampler fails it by far."""
    numbered = pool.__class__(
        **{**vars(pool), "labels": jnp.arange(pool.images.shape[0], dtype=jnp.int32)}
    )
    _, drawn = numbered.examples(jax.random.key(0), 50 * pool.images.shape[0])
    assert chisquare(np.bincount(drawn, minlength=pool.images.shape[0])).pvalue > 1e-3


def test_examples_come_with_their_own_labels(pool, digits):
    inputs, labels = pool.examples(jax.random.key(1), 200)
    assert inputs.shape == (200, 64) and inputs.dtype == jnp.float32
    rows = {(i.tobytes(), int(y)) for i, y in zip(digits.images, digits.labels, strict=True)}
    levels = np.rint((np.asarray(inputs) * float(pool.std) + float(pool.mean)) * 255)
    for image, label in zip(levels.astype(np.uint8), np.asarray(labels), strict=True):
        assert (image.tobytes(), int(label)) in rows


def test_examples_of_a_class_are_images_of_that_class(pool, digits):
    classes = jnp.tile(jnp.arange(10, dtype=jnp.int32), 30)
    inputs = pool.examples_of(jax.random.key(2), classes)
    levels = np.rint((np.asarray(inputs) * float(pool.std) + float(pool.mean)) * 255)
    of_class = [{image.tobytes() for image in digits.images[digits.labels == c]} for c in range(10)]
    images = [image.tobytes() for image in levels.astype(np.uint8)]
    for image, label in zip(images, np.asarray(classes), strict=True):
        assert image in of_class[label]
    assert len(set(images)) > 150  # not the same image of a class again and again


def test_every_image_of_a_class_is_drawn_first_and_last_included(pool):
    starts = np.asarray(pool.class_starts)
    numbered = pool.__class__(
        **{
            **vars(pool),
            "images": jnp.arange(pool.images.shape[0], dtype=jnp.uint32)
            .view(jnp.uint8)
            .reshape(-1, 1, 1, 4),
            "mean": jnp.float32(0),
            "std": jnp.float32(1),
        }
    )
    drawn = numbered.examples_of(jax.random.key(3), jnp.full(20_000, 9, jnp.int32))
    levels = np.rint(np.asarray(drawn) * 255).astype(np.uint8)
    indices = levels.view(np.uint32).reshape(-1) - starts[9]
    counts = np.bincount(indices, minlength=starts[10] - starts[9])
    assert len(counts) == starts[10] - starts[9] and chisquare(counts).pvalue > 1e-3


def test_a_pool_is_an_argument_of_a_compiled_vmapped_function(pool, digits):
    traces = []

    @jax.jit
    def sample(pool, keys):
        traces.append(1)
        return jax.vmap(lambda key: pool.examples(key, 5))(keys)

    keys = jax.random.split(jax.random.key(0), 4)
    inputs, labels = sample(pool, keys)
    alone = pool.examples(keys[2], 5)
    assert inputs.shape == (4, 5, 64) and labels.shape == (4, 5)
    np.testing.assert_allclose(inputs[2], alone[0], atol=1e-6)
    np.testing.assert_array_equal(labels[2], alone[1])
    assert not np.array_equal(labels[0], labels[1])
    # another pool of the same shape is another argument, not another program
    brighter = digits._replace(images=255 - digits.images)
    sample(data.device_pool(brighter), keys)
    assert len(traces) == 1
    assert jax.make_jaxpr(sample)(pool, keys).consts == []


def test_size_and_channels(digits):
    pool = data.device_pool(digits, size=(4, 4), channels=3)
    assert pool.images.shape == (1442, 4, 4, 3) and pool.num_features == 48
    grey = data.device_pool(digits, size=(4, 4))
    np.testing.assert_array_equal(pool.images[..., 1], grey.images[..., 0])


def test_a_pool_too_large_is_refused_before_anything_is_moved(digits, monkeypatch):
    num_bytes = 1442 * 32 * 32 * 3
    monkeypatch.setattr(jnp, "asarray", lambda *args: pytest.fail("transferred"))
    with pytest.raises(ConfigError) as error:
        data.device_pool(digits, size=(32, 32), channels=3, max_bytes=num_bytes - 1)
    message = str(error.value)
    assert f"{num_bytes:,} bytes" in message and f"{num_bytes - 1:,} bytes" in message
    assert "host_batches" in message
    monkeypatch.undo()
    data.device_pool(digits, size=(8, 8), max_bytes=1442 * 64)


def test_the_default_limit_is_half_of_the_devices_free_memory(digits, monkeypatch):
    import metajax.data.pool as pool_module

    class Device:
        def memory_stats(self):
            return {"bytes_limit": 1_000_000, "bytes_in_use": 900_000}

    monkeypatch.setattr(pool_module, "_default_device", Device)
    with pytest.raises(ConfigError, match="50,000 bytes"):
        data.device_pool(digits)


def test_a_class_without_images_is_refused(digits):
    with pytest.raises(ConfigError, match="2 of 12 hold none: 10, 11"):
        data.device_pool(digits._replace(num_classes=12))


def test_images_that_do_not_vary_are_refused(digits):
    with pytest.raises(ConfigError, match="vary"):
        data.device_pool(digits._replace(images=np.full_like(digits.images, 7)))


def test_the_noise_pool_has_one_image_per_label():
    make = jax.jit(lambda key: data.noise_pool(key, 10, (20, 20), 3))
    pool = make(jax.random.key(0))
    levels = np.asarray(pool.images)
    assert levels.shape == (10, 20, 20, 3) and np.asarray(pool.labels).tolist() == list(range(10))
    assert chisquare(np.bincount(levels.reshape(-1), minlength=256)).pvalue > 1e-3
    inputs, labels = pool.examples(jax.random.key(1), 100)
    for label in range(10):
        same = np.asarray(inputs)[np.asarray(labels) == label]
        assert len(same) > 1 and np.all(same == same[0])
    assert float(jnp.abs(pool.normalise(pool.images).mean())) < 1e-5
    assert not np.array_equal(make(jax.random.key(1)).images, levels)
