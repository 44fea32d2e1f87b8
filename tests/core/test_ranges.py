"""Ranges declared in annotations: what passes, and what an error says of the rest."""

import jax
import jax.numpy as jnp
import pytest

from metajax.core import ConfigError, Count, Number, Positive, check_value, check_values

HINTS = {"width": Count, "layers": Count, "steps": Count, "rate": Positive, "clip": Positive | None}
BAD = {"width": 0, "layers": 3, "steps": 2**31, "rate": float("nan"), "clip": None}


def test_sizes_and_rates_are_checked_by_name():
    check_values(HINTS, {name: BAD[name] for name in ("layers", "clip")})
    check_value("width", Number, BAD["width"])
    check_value("layers", Positive, BAD["layers"])
    for name in ("width", "steps"):
        with pytest.raises(ConfigError, match=f"{name} = .*whole number"):
            check_value(name, Count, BAD[name])
    for name in ("width", "rate"):
        with pytest.raises(ConfigError, match=f"{name} = .*above 0"):
            check_value(name, Positive, BAD[name])


def test_each_part_of_a_tuple_is_checked():
    check_value("depths", tuple[Count, ...], (2, 2))
    for value in ((2, 0), [2, 2], 2):
        with pytest.raises(ConfigError, match="depths = "):
            check_value("depths", tuple[Count, ...], value)
    with pytest.raises(ConfigError, match=r"classes = .*3 values"):
        check_value("classes", tuple[Count, Count, Count], (1, 2))


def test_what_is_traced_passes_where_the_type_says_so():
    @jax.jit
    def check(value):
        check_value("rate", Positive, value)
        with pytest.raises(ConfigError, match=r"width = .*whole number"):
            check_value("width", Count, value)
        return value

    assert check(jnp.float32(-1)) == -1
