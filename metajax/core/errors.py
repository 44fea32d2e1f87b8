"""Errors that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MetajaxError(Exception):
    """Base of the errors that metajax raises on purpose; the command line prints them plainly."""


class ConfigError(MetajaxError, ValueError):
    """A setting is refused: names the field, the value and what was expected."""

    def __init__(self, field: str, value: object, expected: str):
        super().__init__(f"{field} = {value!r}: expected {expected}")
        self.field, self.value, self.expected = field, value, expected


def one_of(field: str, value: str, valid: Iterable[str]) -> str:
    """Return ``value`` if it is among ``valid``; otherwise refuse it, with the nearest valid name.

    Raises:
      ConfigError: ``value`` is not valid.
    """
    names = sorted(valid)
    if value in names:
        return value
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(field, value, f"one of {', '.join(names) or '(none)'}{hint}")
