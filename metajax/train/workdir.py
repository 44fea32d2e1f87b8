"""A run's folder: one run each, one live process each."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metajax.core import ConfigError
from metajax.train import leases
from metajax.train.errors import WorkdirError
from metajax.train.metrics import to_json
from metajax.train.paths import as_path, is_remote, move_entry, write_whole

log = logging.getLogger("metajax")

PREVIOUS = "previous"
"""Folder within a workdir that holds the runs that were there before."""

IN_USE = "workdir {} is in use by a live run; wait for it or name another workdir"


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON so that ``path`` always holds a whole file, the old or the new.

    Arrays are lists, and numbers that are not finite are null.

    Args:
      path: of the file.
      value: arrays, numbers, and containers of them.
    """
    write_whole(path, (to_json(value, indent=2) + "\n").encode())


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return one line per field in which two nested dicts of JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for name in sorted({*old, *new}):
            at = f"{path}.{name}" if path else name
            if name not in old or name not in new:
                where = "there" if name in old else "here"
                lines.append(f"{at} stands only {where}")
            else:
                lines += differences(old[name], new[name], at)
        return lines
    return [] if old == new else [f"{path} is {old!r} there and {new!r} here"]


def _as_json(config: dict[str, Any]) -> dict[str, Any]:
    """The config as JSON will return it: tuples are lists.

    Raises:
      ConfigError: it holds what JSON cannot.
    """
    try:
        return json.loads(to_json(config))
    except TypeError as error:
        raise ConfigError("config", config, f"JSON values ({error})") from error


def _without(config: Any, names: Sequence[str]) -> Any:
    """A copy of a nested dict without the values at these dotted paths."""
    left = copy.deepcopy(config)
    for name in names:
        *outer, last = name.split(".")
        at = left
        for step in outer:
            at = at.get(step, {}) if isinstance(at, dict) else {}
        if isinstance(at, dict):
            at.pop(last, None)
    return left


def start_over(workdir: Path, config: dict[str, Any]) -> Path:
    """Move the run in ``workdir``, which this process holds, aside, for one of ``config``.

    Returns:
      Where it is now: ``workdir/previous/N``, with the next number.

    Raises:
      WorkdirError: it cannot be moved.
    """
    try:
        target = _move_aside(workdir)
        write_json(workdir / "config.json", _as_json(config))
    except OSError as error:
        raise WorkdirError(f"workdir {workdir} cannot be started over: {error}") from error
    log.warning("the run that was in %s is now in %s", workdir, target)
    return target


def _move_aside(workdir: Path) -> Path:
    previous = workdir / PREVIOUS
    # a store has no folder before something is in it
    there = [entry.name for entry in previous.iterdir()] if previous.is_dir() else []
    number = max((int(name) for name in there if name.isdecimal()), default=-1) + 1
    target = previous / str(number)
    target.mkdir(parents=True)
    entries = [
        entry
        for entry in workdir.iterdir()
        if entry.name not in (".lock", PREVIOUS) and not entry.name.startswith(leases.PREFIX)
    ]
    # killed halfway, what is left is either the old run's or that of a run which has not begun
    order = {"checkpoints": 0, "config.json": 2}
    for entry in sorted(entries, key=lambda path: order.get(path.name, 1)):
        move_entry(entry, target / entry.name)
    return target


def _check(
    path: Path,
    config: dict[str, Any],
    may_change: Sequence[str],
    *,
    whole: bool = True,
    restart: bool = False,
) -> bool:
    """Reject a folder that is not free for a run of ``config``, without touching it.

    Values that are only in the folder's own count where ``config`` is ``whole``; those at the
    dotted paths ``may_change`` never count. Returns whether the run there has to make room, which
    ``restart`` allows.
    """
    config_path = path / "config.json"
    try:
        entries = [entry.name for entry in path.iterdir()] if path.is_dir() else []
        is_file = path.exists() and not path.is_dir()
        content = config_path.read_bytes() if "config.json" in entries else None
    except Exception as error:  # another user's; each store's client has errors of its own
        raise WorkdirError(f"workdir {path} cannot be read: {error}") from error
    if is_file:
        raise WorkdirError(f"workdir {path} is a file; name a folder")
    if content is not None:
        try:
            old = json.loads(content)
        except ValueError as error:
            raise WorkdirError(f"{config_path} is not readable as JSON: {error}") from error
        if not whole and isinstance(old, dict):
            old = {name: value for name, value in old.items() if name in config}
        lines = differences(_without(old, may_change), _without(config, may_change))
        if lines and restart:
            return True
        if lines:
            raise WorkdirError(
                f"workdir {path} belongs to a run of another config:\n  "
                + "\n  ".join(lines)
                + "\nName another workdir, repeat that run's settings to resume it, or start over "
                f'with on_changed="restart" (--on-changed restart), which moves it to {PREVIOUS}/.'
            )
    elif any(
        # what a run killed while it wrote its config.json leaves behind
        name not in (".lock", PREVIOUS) and not name.startswith((".config.json.", leases.PREFIX))
        for name in entries
    ):
        raise WorkdirError(
            f"workdir {path} is not empty and holds no config.json: not a run's folder. "
            "Name a new folder."
        )
    return False


def in_use(workdir: str | os.PathLike) -> bool:
    """Return whether a live process holds ``workdir``.

    Args:
      workdir: any folder.

    Returns:
      True while another process, or this one, holds its lock.

    Raises:
      WorkdirError: its lock cannot be opened.
    """
    path = as_path(workdir)
    if is_remote(path):
        return leases.holder(path) is not None
    try:
        lock = (path / ".lock").open("ab")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise WorkdirError(f"workdir {path} cannot be written: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def check_workdir(
    workdir: str | os.PathLike,
    config: dict[str, Any],
    may_change: Sequence[str] = (),
    *,
    restart: bool = False,
) -> None:
    """Reject what :func:`open_workdir` will reject, before time is spent on preparing a run.

    Args:
      workdir: where the run will be; nothing is made or changed there.
      config: JSON values, all or some of those that will identify the run.
      may_change: dotted paths in it that need not be the same.
      restart: whether a run of another config will make room.

    Raises as :func:`open_workdir`; of a run of another config, for the values given.

    Raises:
      ConfigError: as :func:`open_workdir`.
      WorkdirError: as :func:`open_workdir`.
    """
    path = as_path(workdir)
    _check(path, _as_json(config), may_change, whole=False, restart=restart)
    if is_remote(path):
        if said := leases.holder(path):
            raise WorkdirError(said)
        return
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise WorkdirError(f"workdir {path} cannot be written: {there} does not allow it")
    if (path / ".lock").exists() and in_use(path):
        raise WorkdirError(IN_USE.format(path))


@contextlib.contextmanager
def open_workdir(
    workdir: str | os.PathLike,
    config: dict[str, Any],
    may_change: Sequence[str] = (),
    *,
    restart: bool = False,
) -> Iterator[Path]:
    """Hold ``workdir`` for one run of ``config`` (JSON values); created where it is missing.

    A run of another config is rejected, except for the values at the dotted paths ``may_change``,
    of which :func:`renew_config` writes down the new ones. With ``restart`` it is moved to
    ``workdir/previous/`` instead.

    Args:
      workdir: of the run.
      config: what ``config.json`` is to hold.
      may_change: dotted paths of values that may differ.
      restart: move another run aside.

    Returns:
      Nothing: it is a context manager, whose value is the path.

    Raises:
      ConfigError: ``config`` holds what JSON cannot, or the workdir is of a store that is not
        supported or whose package is not installed.
      WorkdirError: a live process holds it, it belongs to a run of another config, it holds
        files of something else, or it cannot be read or written. It is left untouched then.
    """
    path = as_path(workdir)
    config = _as_json(config)
    _check(path, config, may_change, restart=restart)
    with leases.held(path) if is_remote(path) else _locked(path):
        # again: another run may have come and gone since
        if _check(path, config, may_change, restart=restart):
            start_over(path, config)
        if not (path / "config.json").exists():
            write_json(path / "config.json", config)
        yield path


def renew_config(workdir: Path, config: dict[str, Any]) -> None:
    """Write ``config`` into a workdir that is held, where some of its values have changed.

    Args:
      workdir: that is held.
      config: the new values.
    """
    path = workdir / "config.json"
    old = json.loads(path.read_bytes())
    if (new := {**old, **_as_json(config)}) != old:
        write_json(path, new)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a local folder."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / ".lock").open("ab")
    except OSError as error:
        raise WorkdirError(f"workdir {path} cannot be written: {error}") from error
    with lock:
        try:
            # the kernel drops this lock when the process ends, however it ends
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise WorkdirError(IN_USE.format(path)) from error
        yield
