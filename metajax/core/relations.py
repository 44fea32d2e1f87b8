"""How settings depend on each other, declared in their annotations, as their ranges are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from metajax.core.errors import ConfigError


class Relation(NamedTuple):
    """What a setting has to be to another one of the same config.

    It stands in the annotation: ``Annotated[Count, at_most("width")]``. Every member of a tuple
    has to be so. It says nothing where one of the two is None.

    Attributes:
      other: the other setting, by name.
      holds: ``holds(value, of_other)``.
      words: ``words(value, of_other)``, what is expected, for an error.
    """

    other: str
    holds: Callable[[Any, Any], bool]
    words: Callable[[Any, Any], str]

    def error(self, name: str, value: Any, other: Any) -> ConfigError:
        """Return the error of a setting that is not as it has to be.

        Args:
          name: of the setting.
          value: its value.
          other: the value of the other setting.
        """
        return ConfigError(name, value, self.words(value, other))


def at_most(other: str) -> Relation:
    """Return the relation of a setting that is at most another one.

    Args:
      other: the other setting, by name.
    """

    def words(value: Any, most: Any) -> str:
        each = "each " if isinstance(value, tuple) else ""
        return f"{each}at most {other} = {most}"

    return Relation(other, lambda value, most: value <= most, words)


def below(other: str) -> Relation:
    """Return the relation of a whole number that is below another one.

    Args:
      other: the other setting, by name.
    """
    return Relation(
        other,
        lambda value, limit: value < limit,
        lambda value, limit: f"0 to {limit - 1}, fewer than {other}",
    )


def above(other: str) -> Relation:
    """Return the relation of a setting that is above another one.

    Args:
      other: the other setting, by name.
    """
    return Relation(
        other,
        lambda value, limit: value > limit,
        lambda value, limit: f"above {other} = {limit}",
    )


def multiple_of(other: str) -> Relation:
    """Return the relation of a whole number that another one divides.

    Args:
      other: the other setting, by name.
    """
    return Relation(
        other,
        lambda value, divisor: value % divisor == 0,
        lambda value, divisor: f"a multiple of {other} = {divisor}",
    )


def divisor_of(other: str) -> Relation:
    """Return the relation of a whole number that divides another one.

    Args:
      other: the other setting, by name.
    """
    return Relation(
        other,
        lambda value, whole: whole % value == 0,
        lambda value, whole: (
            f"a divisor of {other} = {whole}, e.g. {nearest_divisor(value, whole)}"
        ),
    )


def nearest_divisor(value: int, whole: int) -> int:
    """Return the divisor of a whole number that is nearest to ``value``, the lesser of two.

    Args:
      value: 1 or more.
      whole: 1 or more.

    Examples:
      >>> from metajax.core import nearest_divisor
      >>> nearest_divisor(5, 64), nearest_divisor(7, 12)
      (4, 6)
    """
    small = [one for one in range(1, int(whole**0.5) + 1) if whole % one == 0]
    return min([*small, *(whole // one for one in small)], key=lambda one: (abs(one - value), one))


class Rule(NamedTuple):
    """What the members of a tuple have to be together; stands in the tuple's annotation.

    Attributes:
      holds: ``holds(values)``.
      words: what is expected, for an error.
    """

    holds: Callable[[Any], bool]
    words: str


SOME = Rule(bool, "one value or more")
"""No empty tuple."""
DISTINCT = Rule(lambda values: len(set(values)) == len(values), "each value once")
"""No value twice."""
ASCENDING = Rule(
    lambda values: bool(values) and list(values) == sorted(set(values)),
    "one number or more, ascending",
)
"""At least one number, each greater than the one before."""
