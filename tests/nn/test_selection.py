"""Columns that are chosen one by one: which, and in which order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.nn import orthogonal_least_squares

DRAW = np.random.default_rng(0).standard_normal
choose_columns = jax.jit(orthogonal_least_squares, static_argnums=2)


def test_of_orthogonal_columns_the_largest_shares_come_first():
    columns, _ = np.linalg.qr(DRAW((12, 8)))
    shares = np.array([0.0, 3.0, 0.0, -5.0, 0.5, 0.0, 0.0, 0.0])
    # lengths of columns do not matter
    design = (columns * np.logspace(-2, 2, 8)).astype(np.float32)
    targets = (columns @ shares).astype(np.float32)
    found = choose_columns(jnp.asarray(design), jnp.asarray(targets), 3)
    np.testing.assert_array_equal(found, [3, 1, 4])


def test_each_choice_leaves_least_of_all_that_could_be_made():
    """Against all least-squares problems solved one by one, with a column given before."""
    with enable_x64(True):
        design, targets, given = DRAW((20, 9)), DRAW(20), DRAW((20, 1))
        design[:, 4] = design[:, 2] + 1e-3 * DRAW(20)  # nearly equal: one of them is useful
        expected: list[int] = []
        for _ in range(6):

            def left(column, chosen=tuple(expected)):
                used = np.concatenate([given, design[:, [*chosen, column]]], 1)
                return np.linalg.norm(used @ np.linalg.lstsq(used, targets)[0] - targets)

            expected.append(min(set(range(9)) - set(expected), key=left))
        choose = jax.jit(lambda d, t, g: orthogonal_least_squares(d, t, 6, given=g))
        np.testing.assert_array_equal(choose(design, targets, given), expected)
        # mapped: the same, and every problem for itself
        both = jax.vmap(choose, (0, 0, None))(
            np.stack([design, design[:, ::-1]]), np.stack([targets, targets]), given
        )
        np.testing.assert_array_equal(both, [expected, [8 - place for place in expected]])


def test_no_column_is_chosen_twice_where_nothing_is_left():
    design = jnp.tile(jnp.eye(4, 2), (1, 3))
    found = choose_columns(design, jnp.asarray([1.0, 2.0, 0.0, 0.0]), 6)
    assert sorted(found.tolist()) == list(range(6))
    assert found.tolist()[0] % 2 == 1 and found.tolist()[1] % 2 == 0
    for num in (0, 7):
        with pytest.raises(ConfigError, match="num"):
            orthogonal_least_squares(design, jnp.ones(4), num)
