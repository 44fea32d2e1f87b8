"""Attention within windows of a grid, as a Swin Transformer has it."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


class Windows(NamedTuple):
    """How a grid is cut into windows, axis by axis (rows, columns).

    Attributes:
      grid: cells.
      window: cells of a window.
      shift: cells by which the windows lie further down and right, around the edges.
      padded: cells once there are whole windows.
    """

    grid: tuple[int, int]
    window: tuple[int, int]
    shift: tuple[int, int]
    padded: tuple[int, int]


def windows_of(height: int, width: int, window: int, *, shifted: bool) -> Windows:
    """Cut a grid into windows of ``window`` cells a side, or of the grid's side if that is less.

    With ``shifted``, they lie half a window further along every axis that has more than one.
    """
    grid = (height, width)
    sides = (min(window, height), min(window, width))
    padded = (-(-height // sides[0]) * sides[0], -(-width // sides[1]) * sides[1])
    rows, columns = (
        side // 2 if shifted and side < size else 0 for side, size in zip(sides, grid, strict=True)
    )
    return Windows(grid, sides, (rows, columns), padded)


def to_windows(
    x: Float[Array, "n h w channels"], windows: Windows
) -> Float[Array, "n windows tokens channels"]:
    """Pad with zeros, roll by the shift and cut; windows and tokens in rows, as they lie."""
    n, *_, channels = x.shape
    (h, w), (rows, columns) = windows.padded, windows.window
    x = jnp.pad(x, [(0, 0), (0, h - x.shape[1]), (0, w - x.shape[2]), (0, 0)])
    x = jnp.roll(x, (-windows.shift[0], -windows.shift[1]), (1, 2))
    x = x.reshape(n, h // rows, rows, w // columns, columns, channels)
    return jnp.swapaxes(x, 2, 3).reshape(n, -1, rows * columns, channels)


def from_windows(
    x: Float[Array, "n windows tokens channels"], windows: Windows
) -> Float[Array, "n h w channels"]:
    """Undo :func:`to_windows`."""
    n, *_, channels = x.shape
    (h, w), (rows, columns) = windows.padded, windows.window
    x = x.reshape(n, h // rows, w // columns, rows, columns, channels)
    x = jnp.swapaxes(x, 2, 3).reshape(n, h, w, channels)
    x = jnp.roll(x, windows.shift, (1, 2))
    return x[:, : windows.grid[0], : windows.grid[1]]


def window_mask(windows: Windows) -> Bool[np.ndarray, "windows tokens tokens"] | None:
    """Return which tokens of a window may see which, or None where all may.

    Those that the shift has brought together from opposite edges do not see each other, and nobody
    sees padding but padding itself (whose softmax would be empty otherwise).
    """
    if windows.shift == (0, 0) and windows.padded == windows.grid:
        return None
    kinds = []
    for size, padded, shift in zip(windows.grid, windows.padded, windows.shift, strict=True):
        origin = (np.arange(padded) + shift) % padded
        kinds.append(np.where(origin >= size, 2, origin < shift))
    rows, columns = np.meshgrid(*kinds, indexing="ij")
    kind = np.where((rows == 2) | (columns == 2), 4, 2 * rows + columns)
    (h, w), (high, wide) = windows.padded, windows.window
    kind = kind.reshape(h // high, high, w // wide, wide).swapaxes(1, 2).reshape(-1, high * wide)
    return kind[:, :, None] == kind[:, None, :]


def relative_positions(windows: Windows, window: int) -> Int[np.ndarray, "tokens tokens"]:
    """Return where a table of ``(2 * window - 1) ** 2`` entries holds each pair's difference.

    Row ``i``, column ``j``: what is added to the score of query ``i`` and key ``j``.
    """
    cells = np.stack(np.meshgrid(*map(np.arange, windows.window), indexing="ij"), -1).reshape(-1, 2)
    difference = cells[:, None] - cells[None] + window - 1
    return difference[..., 0] * (2 * window - 1) + difference[..., 1]
