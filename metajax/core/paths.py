"""Paths that a person gives."""

from __future__ import annotations

import os
import re
from pathlib import Path

from metajax.core.errors import ConfigError

# two letters or more: one is a drive. pathlib has made one slash of two where it was used before
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)(?=[^/]|$)")


def split_scheme(path: str | os.PathLike) -> tuple[str, str] | None:
    """Tell a store's path from a local one.

    Args:
      path: a path as it was given; one slash after the colon counts as two, which pathlib makes of
        them.

    Returns:
      ``("gs", "bucket/run")`` of ``gs://bucket/run``; None of a local path.
    """
    text = os.fspath(path)
    if match := _SCHEME.match(text):
        return match[1], text[match.end() :]
    scheme, mark, rest = text.partition("://")
    return (scheme, f"/{rest}") if mark else None


def local_path(value: str | os.PathLike, field: str) -> Path:
    """Return a local path with ``~`` expanded.

    Args:
      value: the path as it was given.
      field: what names it in errors.

    Raises:
      ConfigError: it has a scheme, as ``gs://``, or ``~`` where the user has no home folder.
    """
    text = os.fspath(value)
    if (split := split_scheme(text)) is not None:
        text = "://".join(split)
        raise ConfigError(field, text, "a local path; only a run's workdir can be in a store")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(field, text, f"a path without ~ ({error})") from error
