"""A person's files: the examples to learn from, and the queries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metajax.core import ConfigError, local_path
from metajax.data import BadDataError, Frame, code_frame, read_frame, read_labeled_folder
from metajax.using.queries import ImageForm, RowForm, check_form

FIELD = "DATA"
"""What errors call the file or folder of the command line."""


class Given(NamedTuple):
    """What a file or folder holds.

    Attributes:
      support: inputs, and labels or targets.
      queries: inputs that are asked for.
      names: of the queries: a file's name, a line of a table, or a number.
    """

    support: tuple[np.ndarray, Any]
    queries: np.ndarray
    names: list[str]


def named_target(frame: Frame, target: str | None) -> str:
    """Return the target that was named.

    Args:
      frame: the table.
      target: the name of a column, or None.

    Raises:
      ConfigError: none was.
    """
    if target is None:
        raise ConfigError("--target", target, "the column to predict: " + ", ".join(frame.names))
    return target


def check_no_target(target: str | None, what: str) -> None:
    """Raise where a column is named of data that are no table.

    Args:
      target: as it was named.
      what: the data, in words.

    Raises:
      ConfigError: it is.
    """
    if target is not None:
        raise ConfigError("--target", target, f"none, for {what}")


def read_arrays(
    path: str | os.PathLike, *needed: str, optional: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Read arrays by name from an ``.npz`` file.

    Args:
      path: of the file.
      *needed: names of arrays that it has to hold.
      optional: names of arrays that it may hold too.

    Returns:
      The arrays by name.

    Raises:
      ConfigError: it cannot be read, lacks one that is needed, or holds another.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    # zipfile, numpy and zlib each raise their own of a damaged file
    except Exception as error:
        raise ConfigError(FIELD, str(path), f"an .npz file of arrays ({error})") from error
    known = (*needed, *optional)
    lacking = [name for name in needed if name not in arrays]
    others = [name for name in arrays if name not in known]
    if lacking or others:
        more = f", and maybe {', '.join(optional)}" if optional else ""
        expected = f"{', '.join(needed)}{more}"
        raise ConfigError(f"arrays of {FIELD}", list(arrays), expected)
    return arrays


def read_queries(path: str | os.PathLike, target: str | None, *more: str) -> dict[str, np.ndarray]:
    """Read images ``queries`` from an ``.npz`` file, for a network that learns of no examples.

    Args:
      path: of the file.
      target: a column, which such a file does not have.
      *more: names of other arrays that it has to hold.

    Returns:
      The arrays by name.

    Raises:
      ConfigError: the file is another, or holds something else.
    """
    path = local_path(path, FIELD)
    if target is not None or path.suffix.lower() != ".npz":
        others = "".join(f"a `{name}` and of " for name in more)
        expected = f"an .npz file of {others}images `queries`, and no --target"
        raise ConfigError(FIELD, str(path), expected)
    return read_arrays(path, *more, "queries")


def numbered(queries: Any) -> list[str]:
    """Return names of queries that have none: their numbers, from 0.

    Args:
      queries: as many as there are.
    """
    return [str(number) for number in range(len(queries))]


def read_classes(
    path: str | os.PathLike, form: ImageForm | RowForm, target: str | None = None
) -> Given:
    """Read labeled and unlabeled images or rows.

    An ``.npz`` file holds ``inputs``, ``labels`` and ``queries``. A ``.csv`` file holds a table
    whose rows without a ``target`` are predicted. A folder holds a folder of images for each class;
    the images directly in it are predicted.

    Args:
      path: file or folder.
      form: what images of a folder are brought to, and whether rows are read.
      target: the column of classes, of a table.

    Returns:
      What it holds.

    Raises:
      ConfigError: the file or folder holds something else, or nothing is asked.
    """
    path = local_path(path, FIELD)
    check_form(form)
    kind = path.suffix.lower()
    if kind == ".csv" and isinstance(form, ImageForm) and not form.sequence:
        raise ConfigError(FIELD, str(path), "a folder of images, or an .npz file of images")
    if kind != ".csv":
        check_no_target(target, "images or arrays")
    if path.is_dir():
        if isinstance(form, RowForm):
            raise ConfigError(FIELD, str(path), "a .npz or .csv file of rows")
        return _from_folder(path, form.image)
    if kind == ".npz":
        arrays = read_arrays(path, "inputs", "labels", "queries")
        queries = arrays["queries"]
        return Given((arrays["inputs"], arrays["labels"]), queries, numbered(queries))
    if kind != ".csv":
        raise ConfigError(FIELD, str(path), "a .npz or .csv file, or a folder of images")
    frame = read_frame(path)
    table = code_frame(frame, named_target(frame, target))
    known = table.labels >= 0
    if known.all():
        raise ConfigError("--target", target, "a column that is empty in the rows to predict")
    names = [f"line {number + 2}" for number in np.flatnonzero(~known)]  # of the file
    labels = np.array(table.classes)[table.labels[known]]
    return Given((table.inputs[known], labels), table.inputs[~known], names)


def _from_folder(path: Path, image: tuple[int, int, int]) -> Given:
    try:
        found = read_labeled_folder(path, image[:2], image[2])
    except BadDataError as error:
        raise ConfigError(FIELD, str(path), f"a folder of images a class ({error})") from error
    if not found.names:
        raise ConfigError(FIELD, str(path), "images directly in it too, to predict")
    return Given((found.images, np.array(found.labels)), found.others, found.names)
