"""Parts that are trained apart: what a hybrid is, and what no part sees of another."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, digest, gradient
from metajax.learners import (
    assembled,
    each_apart,
    hybrid_layers,
    in_growing_stages,
    incubating_parts,
    incubation,
    predict_in_use,
)
from metajax.nn import layer_stack

PARTS, SIZE, WIDTH = 3, 2, 4
INPUTS = jax.random.normal(jax.random.key(0), (8, 5))
TASK = Examples(INPUTS, jnp.arange(8, dtype=jnp.int32) % 3)
RULE = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.1))


def stack(depth, residual=True):
    return layer_stack(depth, WIDTH, 3, residual)


def test_a_hybrid_has_a_part_in_the_place_of_a_layer():
    meta, part = {"a": jnp.array([1, 2, 3])}, {"a": jnp.array([10, 11])}
    found = [hybrid_layers(meta, part, jnp.int32(at))["a"].tolist() for at in range(3)]
    assert found == [[10, 11, 2, 3], [1, 10, 11, 3], [1, 2, 10, 11]]
    parts = {"a": jnp.array([[1, 2], [3, 4]])}
    assert assembled({"layers": None, "head": 5}, parts)["layers"]["a"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("residual", [True, False])
def test_a_part_that_is_the_own_layer_and_identities_changes_nothing(residual):
    network = stack(PARTS, residual)
    meta = network.init(jax.random.key(3), INPUTS)
    expected = network.apply(meta, INPUTS)
    unit = jnp.zeros((WIDTH, WIDTH)) if residual else jnp.eye(WIDTH)
    identity = {"kernel": unit, "bias": jnp.zeros(WIDTH)}
    for at in range(PARTS):
        own = jax.tree.map(lambda leaf, at=at: leaf[at], meta["layers"])
        part = jax.tree.map(lambda *leaves: jnp.stack(leaves), own, identity)
        layers = hybrid_layers(meta["layers"], part, jnp.int32(at))
        np.testing.assert_array_equal(
            network.apply({**meta, "layers": layers}, INPUTS), expected, strict=True
        )


def test_the_shallow_network_keeps_its_bits_and_the_parts_are_handed_on():
    stages = incubation(stack, PARTS, SIZE, (2, 2, 2), lambda steps: RULE)
    algorithm = in_growing_stages(stages)
    task = jax.tree.map(lambda leaf: leaf[None], TASK)
    tasks = jax.tree.map(lambda leaf: leaf[None], task)
    found = [jax.jit(algorithm.init)(jax.random.key(1), task)]
    update = jax.jit(algorithm.update)
    for _ in range(6):
        found.append(update(found[-1], tasks, jax.random.key(2))[0])
    states = [algorithm.params(each).networks for each in found]
    shallow = digest(states[2][0])
    assert digest(states[1][0]) != shallow
    assert all(digest(networks[0]) == shallow for networks in states[2:])
    for networks in states[3:]:
        assert digest(networks[1]["meta"]) == shallow
    parts = [digest(networks[1]["parts"]) for networks in states]
    assert parts[2] != parts[3] != parts[4] and parts[4] == parts[5] == parts[6]
    # with the last stage's first step still to come, the assembled network is that of the parts
    joined = assembled(states[4][1]["meta"], states[4][1]["parts"])
    outputs = predict_in_use(stages, algorithm.params(found[4]), INPUTS)
    np.testing.assert_allclose(outputs, stack(PARTS * SIZE).apply(joined, INPUTS), rtol=1e-5)
    moved = jax.tree.map(lambda one, other: jnp.max(jnp.abs(one - other)), states[5][2], joined)
    assert 0 < max(map(float, jax.tree.leaves(moved))) < 0.11  # one step of Adam 0.1


def test_no_part_sees_another_one():
    """Whatever the first part is, the others end in the same bits, and each learns its own hybrid.

    The optimizer clips by the norm of all gradients, so it would join parts that it saw together.
    """
    learner = incubating_parts(stack, PARTS, SIZE)
    rules = {"meta": optax.set_to_zero(), "parts": each_apart(RULE)}
    algorithm = gradient(learner, optax.partition(rules, {name: name for name in rules}))
    state, update = algorithm.init(jax.random.key(4), TASK), jax.jit(algorithm.update)
    tasks = jax.tree.map(lambda leaf: leaf[None], TASK)

    def trained_from(parts):
        now = state._replace(params={**state.params, "parts": parts})
        for _ in range(3):
            now, metrics = update(now, tasks, jax.random.key(0))
        assert digest(now.params["meta"]) == digest(state.params["meta"])
        return now.params["parts"], float(metrics["loss"])

    parts = state.params["parts"]
    changed = jax.tree.map(lambda leaf: leaf.at[0].multiply(2.0), parts)
    (before, loss), (after, other_loss) = trained_from(parts), trained_from(changed)
    assert loss < float(learner.loss(state.params, TASK, jax.random.key(0))[0])
    assert loss != other_loss
    for index in range(PARTS):
        one, same = (
            digest(jax.tree.map(lambda leaf, i=index: leaf[i], each)) for each in (before, after)
        )
        assert (one == same) == (index > 0)


def test_an_incubation_that_does_not_fit_is_rejected():
    rule = optax.sgd(0.1)
    for wrong, field in (
        ((1, 2, (1, 1, 1)), "number"),
        ((2, 2, (1, 1)), "steps"),
        ((2, 2, (1, 1, 1, 1)), "steps"),
    ):
        with pytest.raises(ConfigError) as raised:
            incubation(stack, *wrong, lambda steps: rule)
        assert raised.value.field == field
