"""Relations between settings, declared in annotations: what passes, and what an error says."""

from typing import Annotated

import pytest

from metajax.core import (
    ASCENDING,
    DISTINCT,
    SOME,
    ConfigError,
    Count,
    above,
    at_most,
    below,
    check_value,
    check_values,
    divisor_of,
    multiple_of,
    nearest_divisor,
)

HINTS = {
    "width": Count | None,
    "steps": Count,
    "small": Annotated[Count, at_most("width")],
    "large": Annotated[Count, above("width")],
    "widths": Annotated[tuple[Count, ...], at_most("width")],
    "optional": Annotated[Count, at_most("width")] | None,
    "warm": Annotated[Count, below("steps")],
    "batch": Annotated[Count, multiple_of("width")],
    "every": Annotated[Count, divisor_of("steps")],
}
GOOD = {
    "width": 6,
    "steps": 12,
    "small": 6,
    "large": 7,
    "widths": (1, 6),
    "optional": None,
    "warm": 11,
    "batch": 18,
    "every": 4,
}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("small", 7, "at most width = 6"),
        ("large", 6, "above width = 6"),
        ("widths", (1, 7), "each at most width = 6"),
        ("optional", 7, "at most width = 6"),
        ("warm", 12, "0 to 11, fewer than steps"),
        ("batch", 9, "a multiple of width = 6"),
        ("every", 5, "a divisor of steps = 12, e.g. 4"),
    ],
)
def test_a_setting_out_of_its_relation_is_rejected_by_name(field, value, expected):
    check_values(HINTS, GOOD)
    with pytest.raises(ConfigError) as raised:
        check_values(HINTS, {**GOOD, field: value})
    assert raised.value.field == field
    assert str(raised.value).endswith(f"expected {expected}")


def test_there_is_no_relation_to_what_is_none():
    check_values(HINTS, {**GOOD, "width": None, "small": 100, "widths": (100,), "batch": 1})


def test_every_value_is_checked_before_relations_are():
    with pytest.raises(ConfigError, match="width = 0"):
        check_values(HINTS, {**GOOD, "width": 0})


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (SOME, [(1,), (2, 2)], [()]),
        (DISTINCT, [(), (2, 1)], [(2, 1, 2)]),
        (ASCENDING, [(1,), (1, 3)], [(), (3, 1), (1, 1)]),
    ],
)
def test_rules_hold_for_a_tuple_as_a_whole(rule, good, bad):
    hint = Annotated[tuple[Count, ...], rule]
    for values in good:
        check_value("sizes", hint, values)
    for values in bad:
        with pytest.raises(ConfigError, match=rule.words):
            check_value("sizes", hint, values)
    with pytest.raises(ConfigError, match="whole number"):
        check_value("sizes", hint, (0,))


def test_the_nearest_divisor_is_one_and_no_other_is_nearer():
    for whole in range(1, 40):
        divisors = [one for one in range(1, whole + 1) if whole % one == 0]
        for value in range(1, 50):
            found = nearest_divisor(value, whole)
            assert found in divisors
            assert abs(found - value) == min(abs(one - value) for one in divisors)
