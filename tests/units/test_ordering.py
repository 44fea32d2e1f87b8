"""A smooth order of units: never a longer path, the shortest one where that is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import mlp
from metajax.units import mlp_units, path_length, permute_units, smooth_path, unit_rows

ordered = jax.jit(smooth_path)
DRAW = np.random.default_rng(0)


def test_points_of_a_line_come_in_its_order():
    for _ in range(5):
        places = DRAW.permutation(9).astype(np.float32)
        found = places[np.asarray(ordered(places[:, None] ** 2))]
        assert (np.diff(found) > 0).all() or (np.diff(found) < 0).all()


def test_the_path_is_never_longer_and_no_exchange_makes_it_shorter():
    for scale in (1.0, 1e-6, 1e6):
        rows = (scale * DRAW.standard_normal((9, 4))).astype(np.float32)
        order = np.asarray(ordered(rows))
        np.testing.assert_array_equal(np.sort(order), np.arange(9))
        length = float(path_length(rows, order))
        assert length <= float(path_length(rows, np.arange(9)))
        for first in range(9):
            for last in range(first + 1, 9):
                other = np.concatenate(
                    [order[:first], order[first : last + 1][::-1], order[last + 1 :]]
                )
                assert float(path_length(rows, other)) >= length * (1 - 1e-4)


def test_units_in_a_smooth_order_are_the_same_function_with_less_variation():
    inputs = DRAW.standard_normal((5, 6)).astype(np.float32)
    network = mlp((4, 9, 4), 3)
    params = network.init(jax.random.key(0), inputs)
    units = mlp_units(params)
    rows = unit_rows(params, units, "h1")
    assert rows.shape == (9, 4 + 4 + 1)
    moved = permute_units(params, units, {"h1": ordered(rows)})
    np.testing.assert_allclose(
        network.apply(moved, inputs), network.apply(params, inputs), rtol=1e-4, atol=1e-5
    )
    places = jnp.arange(9)
    assert path_length(unit_rows(moved, units, "h1"), places) < path_length(rows, places)


def test_a_single_row_has_no_order():
    with pytest.raises(ConfigError):
        smooth_path(jnp.zeros((1, 3)))
