"""Columns of numbers from a CSV file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError
from metajax.systems.using.frame import read_frame


def read_columns(path: Path, names: tuple[str, ...] = ()) -> dict[str, Float[np.ndarray, " rows"]]:
    """Read a CSV file of numbers, NaN where a cell is empty.

    Args:
      path: of the file; its first line names the columns.
      names: the columns that it must have, and no others; of no names, any.

    Raises:
      ConfigError: it cannot be read, has other columns, or a cell is no number.
    """
    if path.suffix.lower() != ".csv":
        raise ConfigError("DATA", str(path), "a .csv or .npz file")
    frame = read_frame(path)
    if names and set(names) != set(frame.names):
        raise ConfigError("columns of DATA", ", ".join(frame.names), ", ".join(names))
    columns = {}
    for name, cells in zip(frame.names, zip(*frame.cells, strict=True), strict=True):
        try:
            columns[name] = np.array([np.nan if cell is None else float(cell) for cell in cells])
        except ValueError as error:
            raise ConfigError(f"column {name} of DATA", str(error), "numbers") from error
    return columns
