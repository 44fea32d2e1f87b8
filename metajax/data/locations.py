"""Where sets of arrays lie on disk."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from metajax.core import ConfigError, local_path


def data_root(data_dir: str | Path | None) -> str | None:
    """Return ``data_dir`` as TFDS takes it, ``~`` expanded; None stays None.

    Raises:
      ConfigError: it is not a local path, or there is none and no home folder for TFDS' own.
    """
    if data_dir is not None:
        path = local_path(data_dir, "data_dir")
        if path.exists() and not path.is_dir():
            raise ConfigError("data_dir", str(path), "a folder")
        return str(path)
    if "TFDS_DATA_DIR" not in os.environ:
        try:
            Path.home()
        except RuntimeError as error:
            raise ConfigError("data_dir", None, f"a folder, or TFDS_DATA_DIR ({error})") from error
    return None


def find_set(name: str, data_dir: str | Path | None) -> Any:
    """Return the set's read-only TFDS builder, from its files alone; None where there are none."""
    from tensorflow_datasets.core import read_only_builder
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    if not re.fullmatch(r"\w+(/[\w.-]+)?(:\d+\.\d+\.\d+)?", name):
        raise ConfigError("name", name, "a set's name, as in mnist or emnist/letters")
    try:
        return read_only_builder.builder_from_files(name, data_dir=data_root(data_dir))
    except DatasetNotFoundError:
        return None


def set_path(name: str, data_dir: str | Path | None = None) -> Path | None:
    """Return the folder that holds the set's records, or None where it is not on disk.

    Args:
      name: of the set.
      data_dir: folder of the data sets.
    """
    builder = find_set(name, data_dir)
    return None if builder is None else Path(builder.data_dir)


def names_on_disk(data_dir: str | Path | None) -> list[str]:
    """Return the names of all sets in a data folder."""
    from tensorflow_datasets.core.utils import file_utils

    names = []
    for root in map(Path, file_utils.list_data_dirs(data_root(data_dir))):
        # name/version/ or name/config/version/; a half-written version is called incomplete.*
        for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json"):
            for path in root.glob(pattern):
                if re.fullmatch(r"\d+\.\d+\.\d+", path.parent.name):
                    names.append(path.parent.parent.relative_to(root).as_posix())
    return names
