"""Where files lie: local paths, and folders of a store such as ``gs://bucket/run``.

A store is reached through etils' ``epath``. It has objects in place of files: each is written
whole or not at all, none can be appended to, and there are no locks and no moves of folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from metajax.core import ConfigError, local_path, split_scheme
from metajax.train.errors import WorkdirError

STORES = {"gs": "gcsfs", "s3": "s3fs", "az": "adlfs"}
"""Schemes that a run's folder may have, and the package that reaches each."""


def is_remote(path: str | os.PathLike) -> bool:
    """Return whether a path lies in a store.

    Args:
      path: one of :func:`as_path`.

    Returns:
      True for ``gs://`` and the like, False for local paths.
    """
    return "://" in os.fspath(path)


def as_path(value: str | os.PathLike, field: str = "workdir") -> Any:
    """Return a path that can be used: a local one with ``~`` expanded, or one of a store.

    Args:
      value: a local path, or ``gs://``, ``s3://`` or ``az://`` with bucket and folder.
      field: what names it in errors.

    Returns:
      A ``pathlib.Path``, or an ``epath.Path`` that has been reached once.

    Raises:
      ConfigError: another scheme, no bucket, a store whose package is not installed, or ``~``
        where the user has no home folder.
      WorkdirError: the store cannot be reached.
    """
    split = split_scheme(value)
    if split is None:
        return local_path(value, field)
    scheme, rest = split
    text = f"{scheme}://{rest}"
    if scheme not in STORES or rest.startswith("/"):
        schemes = ", ".join(f"{name}://" for name in STORES)
        raise ConfigError(field, text, f"a local path, or BUCKET/FOLDER of a store: {schemes}")
    if not rest:
        raise ConfigError(field, text, f"{scheme}://BUCKET/FOLDER")
    from etils import epath

    path = epath.Path(f"{scheme}://{rest}")
    try:
        path.exists()
    except (ImportError, NotImplementedError) as error:
        raise ConfigError(
            field,
            text,
            f"a local path, or what reaches {scheme}:// installed: pip install {STORES[scheme]} "
            f"({error})",
        ) from error
    except Exception as error:  # each store's client has errors of its own
        raise WorkdirError(
            f"{field} {text} cannot be reached ({type(error).__name__}: {error}). Check the name "
            "of the bucket, the network and your credentials."
        ) from error
    return path


def write_whole(path: Any, content: bytes) -> None:
    """Write a file so that ``path`` always holds a whole one, the old or the new.

    Args:
      path: a path of :func:`as_path`; its folder is there.
      content: all of the file.

    Raises:
      OSError: it cannot be written.
    """
    if is_remote(path):
        try:
            path.write_bytes(content)
        except Exception as error:  # each store's client has errors of its own
            raise OSError(f"{path}: {type(error).__name__}: {error}") from error
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def files_below(folder: Any) -> Iterator[Any]:
    """Every file of a folder and of the folders in it."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from files_below(entry)
        else:
            yield entry


def copy_file(source: Any, target: Any) -> None:
    """Copy a file between a store and this machine, or within one of them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as old, target.open("wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)


def copy_folder(source: Any, target: Any) -> None:
    """Copy every file of a store's folder to another folder there."""
    for file in list(files_below(source)):
        copy_file(file, target / str(file).removeprefix(f"{source}/"))


def move_entry(source: Any, target: Any) -> None:
    """Move a file or a folder within this machine, or within a store, which copies it for that."""
    if not is_remote(source):
        os.replace(source, target)
        return
    if not source.is_dir():
        copy_file(source, target)
        source.unlink(missing_ok=True)
        return
    copy_folder(source, target)
    source.rmtree(missing_ok=True)


def check_writable(folder: Any, field: str) -> None:
    """Reject a folder for results that cannot be written, before they are computed.

    A file is written there and removed again, as are the folders made for it.

    Args:
      folder: a path of :func:`as_path`, there or not.
      field: what names it in errors.

    Raises:
      ConfigError: it is a file, or nothing can be written in it.
    """
    if is_remote(folder):
        return  # reached already; its permissions show with the first file
    missing = [at for at in (folder, *folder.parents) if not os.path.lexists(at)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(field, str(folder), f"a folder that can be written ({error})") from error
    finally:
        for made in missing:
            with contextlib.suppress(OSError):  # not made, or in use by another by now
                made.rmdir()
