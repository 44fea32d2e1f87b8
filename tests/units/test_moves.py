"""Networks that grow move by move: what they compute, and where moves lead."""

import jax
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.nn import mlp
from metajax.units import Deepen, Widen, direct_moves, grow_mlp, random_moves, widths_after

START, GOAL = (3,), (8, 8, 8)


@pytest.mark.parametrize("split", ["random", "equal"])
def test_a_network_computes_the_same_after_all_moves(split):
    inputs = jax.random.normal(jax.random.key(0), (20, 5))
    small, large = mlp(START, 4), mlp(GOAL, 4)
    params, optimizer = small.init(jax.random.key(1), inputs), optax.adam(1e-3)
    fresh = optimizer.init(large.init(jax.random.key(3), inputs))
    moves = random_moves(START, GOAL, 0)
    assert any(isinstance(move, Deepen) for move in moves)
    with enable_x64(True):
        wide, inputs = jax.tree.map(lambda leaf: leaf.astype(np.float64), (params, inputs))
        grown, state = grow_mlp(wide, optimizer.init(wide), moves, jax.random.key(2), split)
        before, after = small.apply(wide, inputs), large.apply(grown, inputs)
        assert after.dtype == np.float64
        np.testing.assert_allclose(after, before, rtol=1e-12, atol=1e-12)
    assert jax.tree.map(np.shape, state) == jax.tree.map(np.shape, fresh)


def test_random_moves_lead_to_the_goal_and_differ():
    found = [random_moves(START, GOAL, seed) for seed in range(20)]
    assert {widths_after(START, moves) for moves in found} == {GOAL}
    assert len({tuple(moves) for moves in found}) > 1
    for moves in found:
        widths = START
        for move in moves:
            before, widths = widths, widths_after(widths, [move])
            more = len(widths) > len(before)
            assert more or sum(widths) > sum(before)
            assert all(width <= most for width, most in zip(widths, GOAL, strict=False))
    assert random_moves(GOAL, GOAL, 0) == []


@pytest.mark.parametrize("goal", [(4,), (8,), (4, 8, 16)])
def test_direct_moves_lead_to_the_goal_all_units_at_once(goal):
    moves = direct_moves((4,), goal)
    assert widths_after((4,), moves) == goal
    assert moves[-1] == Widen(goal) and len(moves) == len(goal)


def test_a_layer_is_not_copied_where_it_would_be_too_wide():
    """As wide as the first layer will be, it cannot become the second or the third."""
    for seed in range(20):
        moves = random_moves((4,), (16, 4, 8), seed)
        assert widths_after((4,), moves) == (16, 4, 8)


@pytest.mark.parametrize(
    ("function", "field"),
    [
        (lambda: widths_after((3,), [Deepen(1)]), "after"),
        (lambda: widths_after((3,), [Widen((2,))]), "widths"),
        (lambda: widths_after((3,), [Widen((4, 4))]), "widths"),
        (lambda: direct_moves((4, 4), (4,)), "widths"),
        (lambda: direct_moves((4,), (4, 2)), "widths"),
        (lambda: random_moves((), (4,), 0), "start"),
        (lambda: random_moves((4, 4), (4,), 0), "start"),
        (lambda: random_moves((5,), (4, 8), 0), "start"),
    ],
)
def test_moves_that_fit_no_network_are_rejected(function, field):
    with pytest.raises(ConfigError) as raised:
        function()
    assert raised.value.field == field
