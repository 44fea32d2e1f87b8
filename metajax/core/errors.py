"""Errors that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 200
"""Characters of a value that an error shows."""


class MetajaxError(Exception):
    """Base of the errors that metajax raises on purpose; the command line prints them plainly."""


class ConfigError(MetajaxError, ValueError):
    """A setting is refused: names the field, the value and what was expected."""

    def __init__(self, field: str, value: object, expected: str):
        super().__init__(f"{field} = {shown(value)}: expected {expected}")
        self.field, self.value, self.expected = field, value, expected


def shown(value: object) -> str:
    """The value as an error shows it: where it is long, how it begins."""
    text = repr(value)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(text):,} characters)"


def one_of(field: str, value: str, valid: Iterable[str]) -> str:
    """Return ``value`` if it is among ``valid``; otherwise refuse it, with the nearest valid name.

    Raises:
      ConfigError: ``value`` is not valid.
    """
    names = sorted(valid)
    if value in names:
        return value
    near = difflib.get_close_matches(value, names, 1, 0.5) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ConfigError(field, value, f"one of {', '.join(names) or '(none)'}{hint}")
