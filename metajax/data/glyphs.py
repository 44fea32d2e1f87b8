"""Printed characters as images: the glyphs of matplotlib's fonts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from metajax.core import ConfigError, check_sizes

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-BoldOblique", "-Oblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-BoldOblique", "-Oblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-BoldItalic", "-Italic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "BolIta", "Italic")),
    *("cmb10", "cmr10", "cmss10", "cmtt10"),
)
"""Upright and slanted fonts that matplotlib has: DejaVu, STIX and Computer Modern."""
POINTS = 48
"""Size at which glyphs are drawn, pixels."""
MOST_TURN = 10.0
"""How far a glyph is turned at most, degrees to either side."""
MOST_SLANT = 0.15
"""How far it is slanted at most, to either side: columns a row."""
LEAST_SCALE = 0.85
"""Smallest height and width, over the image's."""


def glyph_images(
    characters: str, size: int, variants: int, seed: int = 0
) -> UInt8[np.ndarray, "fonts characters variants size size"]:
    """Draw characters in each of :data:`FONTS`, bright on dark, as handwritten digits are stored.

    A variant is turned, slanted, and scaled in height and width at random. Then the glyph fills the
    height of the image up to that scale, and its own share of the width, in the middle.

    Args:
      characters: one for each class.
      size: height and width, pixels.
      variants: of each character in each font.
      seed: of the variants.

    Returns:
      Levels from 0 to 255.

    Raises:
      ConfigError: a size is below 1, there is no character, or a font is not in matplotlib.

    Examples:
      >>> from metajax.data import glyph_images
      >>> glyph_images("07", size=8, variants=3).shape
      (20, 2, 3, 8, 8)
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    check_sizes(size=size, variants=variants)
    if not characters:
        raise ConfigError("characters", characters, "one character or more")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    draw = np.random.default_rng(seed)
    found = np.zeros((len(FONTS), len(characters), variants, size, size), np.uint8)
    side = 2 * POINTS
    for i, name in enumerate(FONTS):
        path = folder / f"{name}.ttf"
        if not path.is_file():
            raise ConfigError("fonts", name, "a font that matplotlib has")
        font = ImageFont.truetype(str(path), POINTS)
        for j, character in enumerate(characters):
            whole = Image.new("L", (side, side))
            middle = side // 2, side // 2
            ImageDraw.Draw(whole).text(middle, character, fill=255, font=font, anchor="mm")
            for k in range(variants):
                turn = np.deg2rad(draw.uniform(-MOST_TURN, MOST_TURN))
                slant = draw.uniform(-MOST_SLANT, MOST_SLANT)
                across, along = draw.uniform(LEAST_SCALE, 1, 2)
                cos, sin = np.cos(turn), np.sin(turn)
                matrix = np.array([[cos, -sin + slant], [sin, cos]])
                center = np.full(2, side / 2)
                shift = center - matrix @ center
                rows = (*matrix[0], shift[0], *matrix[1], shift[1])
                moved = whole.transform(
                    (side, side), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR
                )
                box = moved.getbbox() or (0, 0, side, side)
                height = max(round(along * size), 1)
                share = (box[2] - box[0]) / (box[3] - box[1])
                width = min(max(round(across * size * share), 1), size)
                small = np.asarray(moved.crop(box).resize((width, height), Image.Resampling.BOX))
                top, left = (size - height) // 2, (size - width) // 2
                found[i, j, k, top : top + height, left : left + width] = small
    return found
