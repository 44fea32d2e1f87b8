"""Networks made of smaller ones in training: they compute the same, with the optimizer or not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples
from metajax.learners import candidate_mlps, growing_mlp, in_growing_stages, predict_in_use
from metajax.units import Deepen, Widen, direct_moves

DRAW = np.random.default_rng(0)
INPUTS = jnp.asarray(DRAW.normal(size=(2, 8, 5)), jnp.float32)
TASK = Examples(INPUTS, jnp.asarray(DRAW.integers(3, size=(2, 8)), jnp.int32))


def adam(updates):
    return optax.adam(0.01)


def still(updates):
    """Moments, and a rate at which nothing moves."""
    return optax.adam(1e-12)


def run(stages, steps):
    """The states of all steps."""
    algorithm = in_growing_stages(stages)
    update = jax.jit(algorithm.update)
    found = [jax.jit(algorithm.init)(jax.random.key(0), TASK)]
    for _ in range(steps):
        tasks = jax.tree.map(lambda leaf: leaf[None], TASK)
        found.append(update(found[-1], tasks, jax.random.key(1))[0])
    return algorithm, found


@pytest.mark.parametrize("split", ["random", "equal"])
def test_a_network_that_grows_computes_the_same_and_its_moments_grow_along(split):
    moves = [[Deepen(0)], [Widen((4, 6)), Deepen(1)]]
    stages = growing_mlp([2], 3, moves, (1, 1, 1), still, updates=(2, 1, 1), split=split)
    algorithm, found = run(stages, 3)
    expected = stages[0].predict(algorithm.params(found[1]).networks[0], INPUTS[0])
    for state in found[2:]:
        outputs = predict_in_use(stages, algorithm.params(state), INPUTS[0])
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
    widths = [layer["bias"].shape[0] for layer in algorithm.params(found[3]).networks[2].values()]
    assert widths == [4, 6, 6, 3]
    # two updates of the first stage, and one of each other one
    assert int(optax.tree.get(found[3].stages[2].opt_state, "count")) == 4


def test_the_optimizer_is_made_for_the_updates_of_all_stages():
    totals = []

    def make_optimizer(updates):
        totals.append(updates)
        return optax.adam(0.01)

    growing_mlp([2], 3, [direct_moves([2], [4, 4])], (3, 5), make_optimizer, updates=(2, 1))
    candidate_mlps([[2], [4]], 3, (3, 5), make_optimizer, updates=(2, 1))
    assert totals == [11, 6, 5]


def test_candidates_start_from_the_first_network_and_their_optimizers_again():
    sizes = [(2,), (2, 2), (4,)]
    moves = [direct_moves(sizes[0], size) for size in sizes[1:]]
    stages = candidate_mlps(sizes, 3, (2, 1, 1), still, moves=moves)
    algorithm, found = run(stages, 4)
    networks = algorithm.params(found[4]).networks
    expected = stages[0].predict(networks[0], INPUTS[0])
    for stage, params in zip(stages[1:], networks[1:], strict=True):
        outputs = stage.predict(params, INPUTS[0])
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
    counts = [int(optax.tree.get(state.opt_state, "count")) for state in found[4].stages]
    assert counts == [2, 1, 1]


def test_candidates_from_scratch_do_not_depend_on_each_other():
    """The second one is the network that it is as the only one in its place."""
    pair = candidate_mlps([(2,), (4,)], 3, (1, 2), adam)
    other = candidate_mlps([(3,), (4,)], 3, (1, 2), adam)
    for one, two in zip(
        *(
            jax.tree.leaves(algorithm.params(found[3]).networks[1])
            for algorithm, found in (run(pair, 3), run(other, 3))
        ),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: growing_mlp([2], 3, [[]], (1, 1, 1), adam), "steps"),
        (lambda: growing_mlp([2], 3, [[]], (1, 1), adam, updates=(1,)), "updates"),
        (lambda: growing_mlp([2], 3, [[Widen((1,))]], (1, 1), adam), "widths"),
        (lambda: candidate_mlps([[2]], 3, (1, 1), adam), "steps"),
        (lambda: candidate_mlps([[2]], 3, (1,), adam, updates=(1, 1)), "updates"),
        (lambda: candidate_mlps([[2]], 3, (1,), adam, moves=[[]]), "moves"),
    ],
)
def test_stages_that_do_not_fit_are_rejected(make, field):
    with pytest.raises(ConfigError) as raised:
        make()
    assert raised.value.field == field
