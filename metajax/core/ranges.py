"""Ranges of settings, declared in their annotations and checked in one place."""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import jax

from metajax.core.errors import ConfigError, one_of
from metajax.core.relations import Relation, Rule

MOST = 2**31 - 1
"""Largest whole number of a setting whose range has no end of its own: what an int32 holds."""


class Range(NamedTuple):
    """The numbers that a setting takes; stands in its annotation: ``Annotated[int, Range(1)]``.

    Attributes:
      low: the lowest; None: no lowest.
      high: the highest; None: the highest that is finite, of whole numbers ``MOST``.
      above: what all are above.
      below: what all are below.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether a number is in the range; NaN never is."""
        return (
            abs(value) <= sys.float_info.max  # compares whole numbers of any size, too
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def words(self, kind: type) -> str:
        """Return what is expected, for an error: ``a whole number of 1 or more``."""
        whole = kind is int
        number = "a whole number" if whole else "a finite number"
        if self.low is not None and self.high is not None:
            return f"{number}, {self.low:,} to {self.high:,}"
        if self.low is not None and self.below is not None:
            return f"{number}, at least {self.low} and below {self.below}"
        if self.above is not None and self.high is not None:
            return f"{number} above {self.above}, at most {self.high}"
        if self.above is not None:
            return f"{number} above {self.above}"
        return f"{number} of {self.low} or more" + (", below 2**31" if whole else "")


class _Traced:
    """Marks a setting that may be a traced array: runs that differ in it share one program."""

    def __repr__(self) -> str:
        return "TRACED"


TRACED = _Traced()
"""Stands in an annotation: the setting may be a traced scalar, so runs that differ in it alone can
be one compiled program."""

Count = Annotated[int, Range(1)]
"""A whole number of 1 or more."""
Several = Annotated[int, Range(2)]
"""A whole number of 2 or more."""
Number = Annotated[int, Range(0)]
"""A whole number of 0 or more."""
Seed = Annotated[int, Range(0, 2**32 - 1)]
"""What a key is made from."""
Positive = Annotated[float, Range(above=0), TRACED]
"""A finite number above 0, which may be traced."""
NonNegative = Annotated[float, Range(0), TRACED]
"""A finite number of 0 or more, which may be traced."""
Fraction = Annotated[float, Range(0, 1), TRACED]
"""A number from 0 to 1, which may be traced."""
ProperFraction = Annotated[float, Range(above=0, below=1)]
"""A part of the whole, above 0 and below 1; unlike a ``Fraction`` it is never traced."""
Decay = Annotated[float, Range(0, below=1), TRACED]
"""A number of at least 0 and below 1, which may be traced."""

_WORDS = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}


def marks(hint: Any) -> tuple[Any, ...]:
    """Return the annotations of a type, or of an optional type without None."""
    if typing.get_origin(hint) is Annotated:
        return hint.__metadata__
    some = [part for part in _alternatives(hint) if part is not type(None)]
    return marks(some[0]) if some and some[0] is not hint else ()


def is_traced(hint: Any) -> bool:
    """Return whether a setting of this type may be a traced array.

    Args:
      hint: a type, annotated or not.
    """
    return TRACED in marks(hint)


def plain(hint: Any) -> Any:
    """Return a type without its annotations, those of its parts included.

    Args:
      hint: a type, annotated or not.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return plain(parts[0])
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(plain(part) for part in parts)]  # noqa: UP007
    if origin is tuple:
        kinds: Any = tuple(part if part is Ellipsis else plain(part) for part in parts)
        return tuple[kinds]
    return hint


def _alternatives(hint: Any) -> tuple[Any, ...]:
    origin = typing.get_origin(hint)
    return typing.get_args(hint) if origin in (typing.Union, types.UnionType) else ()


def check_value(name: str, hint: Any, value: Any) -> None:
    """Check a setting's value against its annotated type.

    Args:
      name: of the setting, for the error.
      hint: its type: a number, text, a truth value, a ``Literal``, a tuple of these, optional or
        annotated with a :class:`Range`, a tuple also with a :class:`Rule`.
      value: what was given. Of a setting that may be traced, any JAX array passes.

    Raises:
      ConfigError: the value is of another type, or out of range.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated and typing.get_origin(parts[0]) is tuple:
        check_value(name, parts[0], value)
        for rule in marks(hint):
            if isinstance(rule, Rule) and not rule.holds(value):
                raise ConfigError(name, value, rule.words)
        return
    if some := [part for part in _alternatives(hint) if part is not type(None)]:
        if value is not None:
            check_value(name, some[0], value)
        return
    if is_traced(hint) and isinstance(value, jax.Array):
        return
    if origin is Literal:
        if not all(isinstance(part, str) for part in parts):
            if value not in parts:
                raise ConfigError(name, value, f"one of {', '.join(map(str, parts))}")
        else:
            one_of(name, value, parts)
    elif origin is tuple:
        if not isinstance(value, tuple):
            raise ConfigError(name, value, "a tuple")
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(value):
            raise ConfigError(name, value, f"{len(kinds)} values")
        for kind, one in zip(kinds, value, strict=True):
            check_value(name, kind, one)
    else:
        kind = plain(hint)
        accepted = {float: (int, float), int: (int,)}.get(kind, (kind,))
        if not isinstance(value, accepted) or isinstance(value, bool) is not (kind is bool):
            raise ConfigError(name, value, _WORDS[kind])
        limits = [mark for mark in marks(hint) if isinstance(mark, Range)]
        if kind is int:
            limits = [it if it.high is not None else it._replace(high=MOST) for it in limits]
        for limit in limits:
            if not limit.holds(value):
                given = next(mark for mark in marks(hint) if isinstance(mark, Range))
                raise ConfigError(name, value, given.words(kind))


def check_values(hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check every value against the type of its name, and then against the others.

    Args:
      hints: by name, the annotated type (:func:`check_value`), with any :class:`Relation`.
      values: by name, the value.

    Raises:
      ConfigError: one is of another type, out of range, or not in its relation to another.
    """
    for name, value in values.items():
        check_value(name, hints[name], value)
    for name, value in values.items():
        related = [mark for mark in marks(hints[name]) if isinstance(mark, Relation)]
        for relation in related:
            other = values[relation.other]
            members = value if isinstance(value, tuple) else (value,)
            if None in (value, other) or all(relation.holds(one, other) for one in members):
                continue
            raise relation.error(name, value, other)
