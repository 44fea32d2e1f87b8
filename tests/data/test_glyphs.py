"""Printed characters: what they look like, and that they are the same each time."""

import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import glyph_images
from metajax.data.glyphs import FONTS


def test_glyphs_are_bright_on_dark_and_the_same_for_a_seed():
    found = glyph_images("01", 8, 3)
    assert found.shape == (len(FONTS), 2, 3, 8, 8) and found.dtype == np.uint8
    assert 0.1 < found.mean() / 255 < 0.5 and found.max() > 200
    np.testing.assert_array_equal(glyph_images("01", 8, 3), found)
    assert np.any(glyph_images("01", 8, 3, seed=1) != found)
    flat = found.reshape(-1, 64)
    assert len(np.unique(flat, axis=0)) > 0.9 * len(flat)


def test_characters_look_alike_over_fonts():
    """The nearest mean of other fonts tells digits apart."""
    found = glyph_images("0123456789", 8, 3).astype(float)
    means = found[::2].mean(axis=(0, 2)).reshape(10, -1)
    rows = found[1::2].reshape(-1, 10, 3, 64)
    apart = np.sum((rows[..., None, :] - means) ** 2, axis=-1)
    right = np.argmin(apart, axis=-1) == np.arange(10)[None, :, None]
    assert right.mean() > 0.7


def test_nothing_to_draw_is_rejected():
    with pytest.raises(ConfigError, match="characters"):
        glyph_images("", 8, 1)
    with pytest.raises(ConfigError, match="size"):
        glyph_images("0", 0, 1)
