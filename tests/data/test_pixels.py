import io

import numpy as np
import pytest
from PIL import Image

from metajax.core import ConfigError
from metajax.data.pixels import decode_image, resize_images

RNG = np.random.default_rng(0)


def test_shrinking_by_whole_numbers_is_the_rounded_block_mean():
    images = RNG.integers(0, 256, (5, 28, 42, 1), dtype=np.uint8)
    blocks = images.reshape(5, 14, 2, 14, 3).astype(np.float64).mean(axis=(2, 4))
    resized = resize_images(images, (14, 14))
    assert resized.dtype == np.uint8
    assert np.abs(resized[..., 0] - blocks).max() <= 0.5


@pytest.mark.parametrize("size", [(14, 14), (9, 13), (32, 32), (28, 56)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_constant_image_stays_constant(size, channels, level):
    images = np.full((2, 28, 28, channels), level, np.uint8)
    resized = resize_images(images, size)
    assert resized.shape == (2, *size, channels)
    assert np.unique(resized).tolist() == [level]


def test_shrinking_by_any_factor_is_antialiased():
    stripes = np.zeros((1, 30, 30, 1), np.uint8)
    stripes[:, :, ::2] = 255  # sampled without a filter these would come out as 0 or 255
    inner = resize_images(stripes, (13, 13))[0, :, 1:-1]
    assert inner.min() > 64 and inner.max() < 191


def test_grey_and_colour():
    grey = RNG.integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    colour = resize_images(grey, (4, 4), channels=3)
    assert colour.shape == (3, 4, 4, 3)
    np.testing.assert_array_equal(colour, np.repeat(resize_images(grey, (4, 4)), 3, axis=-1))
    # a grey image survives the way to colour and back
    np.testing.assert_array_equal(resize_images(resize_images(grey, None, 3), None, 1), grey)
    red = np.zeros((1, 2, 2, 3), np.uint8)
    red[..., 0] = 200
    assert np.unique(resize_images(red, None, 1)).tolist() == [60]  # .299 * 200 = 59.8


def test_images_of_differing_sizes_need_a_size():
    images = [np.zeros((4, 4, 1), np.uint8), np.zeros((6, 8, 1), np.uint8)]
    assert resize_images(images, (2, 2)).shape == (2, 2, 2, 1)
    with pytest.raises(ConfigError, match="differ"):
        resize_images(images)


@pytest.mark.parametrize(
    "arguments", [((0, 4), None), ((4,), None), ((4, 4), 2), (None, 4)], ids=str
)
def test_bad_settings_are_refused(arguments):
    with pytest.raises(ConfigError):
        resize_images(np.zeros((1, 8, 8, 1), np.uint8), *arguments)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_any_mode_are_decoded(mode, channels):
    white = Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode)
    buffer = io.BytesIO()
    white.save(buffer, format="jpeg" if mode == "CMYK" else "png")
    pixels = decode_image(buffer.getvalue(), channels)
    assert pixels.shape == (4, 6, channels) and pixels.min() >= 254
