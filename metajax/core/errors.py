"""Errors that a person can act on."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator

LONGEST = 200
"""Characters of a value that an error shows."""


class MetajaxError(Exception):
    """Base of the errors that metajax raises on purpose; the command line prints them plainly."""


class ConfigError(MetajaxError, ValueError):
    """A setting is rejected; the error names the field, the value and what was expected."""

    def __init__(self, field: str, value: object, expected: str):
        super().__init__(f"{field} = {shown(value)}: expected {expected}")
        self.field, self.value, self.expected = field, value, expected


class MissingExtraError(MetajaxError, ImportError):
    """An optional dependency is not installed: names what needs it and the extra that brings it."""

    def __init__(self, needed_by: str, package: str, extra: str):
        super().__init__(
            f"{needed_by} needs {package}, which cannot be imported here: "
            f"pip install 'metajax[{extra}]'"
        )
        self.needed_by, self.package, self.extra = needed_by, package, extra


@contextlib.contextmanager
def needs_extra(needed_by: str, package: str, extra: str) -> Iterator[None]:
    """Re-raise a failed import inside the block as an error that names the extra to install.

    Args:
      needed_by: what the user asked for, as the message begins.
      package: the optional dependency.
      extra: the extra of metajax that brings it.

    Returns:
      Nothing: it is a context manager.

    Raises:
      MissingExtraError: an import inside the block failed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(needed_by, package, extra) from error


def check_sizes(**sizes: int | None) -> None:
    """Raise where a size is below 1.

    Args:
      **sizes: by the name of their argument; None: not given.

    Raises:
      ConfigError: one is below 1; the error names it.
    """
    for field, size in sizes.items():
        if size is not None and size < 1:
            raise ConfigError(field, size, "a whole number of 1 or more")


def shown(value: object) -> str:
    """Return a value as an error shows it: where it is long, how it begins.

    Args:
      value: anything with a ``repr``.

    Returns:
      At most ``LONGEST`` characters of its ``repr``, and how many there are.
    """
    text = repr(value)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(text):,} characters)"


def one_of(field: str, value: str, valid: Iterable[str]) -> str:
    """Return ``value`` if it is among ``valid``; otherwise reject it, with the nearest valid name.

    Args:
      field: the name that an error gives ``value``.
      value: what was asked for.
      valid: all names there are.

    Raises:
      ConfigError: ``value`` is not valid.

    Examples:
      >>> from metajax.core import one_of
      >>> one_of("method", "leapfrog", ("dopri8", "leapfrog"))
      'leapfrog'
      >>> one_of("method", "leapfog", ("dopri8", "leapfrog"))
      Traceback (most recent call last):
          ...
      metajax.core.errors.ConfigError: method = 'leapfog': expected ...
    """
    names = sorted(valid)
    if value in names:
        return value
    near = difflib.get_close_matches(value, names, 1, 0.5) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(field, value, f"one of {', '.join(names) or '(none)'}{hint}")
