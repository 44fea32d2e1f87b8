"""Zoos that are prepared for pruning: which networks are prepared, and by what."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, Task
from metajax.hypernet import graph_metanetwork
from metajax.learners import (
    MetanetworkSettings,
    PruningZoo,
    Sparsity,
    metanetwork_preparation,
    sparse_preparation,
)
from metajax.nn import mlp
from metajax.units import mlp_units

DRAW = np.random.default_rng(0)
NETWORK, FEATURES, MEASURED, OTHERS = mlp((3,), 2), 4, 2, 3
NUM = MEASURED + OTHERS
UNITS = mlp_units(jax.eval_shape(NETWORK.init, jax.random.key(0), jnp.zeros((1, FEATURES))))
QUERY = Examples(
    jnp.asarray(DRAW.standard_normal((NUM, 5, FEATURES)), jnp.float32),
    jnp.asarray(DRAW.integers(0, 2, (NUM, 5)), jnp.int32),
)
TASK = jax.tree.map(lambda leaf: leaf[None], Task(jnp.arange(NUM, dtype=jnp.int32), QUERY))
BATCH = jax.tree.map(lambda leaf: leaf[None], TASK)
ZOO = PruningZoo(NETWORK, UNITS, MEASURED, OTHERS, 2, lambda steps: optax.sgd(0.1))


def trained(preparation, steps):
    """The parameters after each step."""
    algorithm = preparation.algorithm
    update = jax.jit(algorithm.update)
    state = jax.jit(algorithm.init)(jax.random.key(0), TASK)
    found = [algorithm.params(state)]
    for step in range(steps):
        state, _ = update(state, BATCH, jax.random.key(step))
        found.append(algorithm.params(state))
    return found


def kernels(networks):
    return np.asarray(networks["Dense_0"]["kernel"])


def test_without_a_penalty_the_first_networks_are_trained_on_as_those_of_the_zoo():
    plain = sparse_preparation(ZOO, 2, strength=0.0)
    found = trained(plain, 4)
    zoo = kernels(found[2].networks[0]["networks"])
    assert (
        plain.change is None
        and zoo.shape[0] == NUM
        and plain.plain_steps == 2
        and plain.settle_steps == 0
    )
    longer = trained(sparse_preparation(ZOO._replace(steps=4), 1), 4)[4]
    wanted = kernels(longer.networks[0]["networks"])[:MEASURED]
    np.testing.assert_allclose(kernels(plain.prepared(found[4])), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(kernels(found[4].networks[0]["networks"]), zoo)
    for params, ready in (
        (found[2], zoo[:MEASURED]),
        (found[4], kernels(plain.prepared(found[4]))),
    ):
        np.testing.assert_array_equal(kernels(plain.ready(params)), ready)
        np.testing.assert_array_equal(kernels(plain.unprepared(params)), zoo[:MEASURED])
    hard = sparse_preparation(ZOO, 2, strength=0.5, sparsity=Sparsity(squared=True))
    pulled = kernels(hard.prepared(trained(hard, 4)[4]))
    assert np.linalg.norm(pulled) < np.linalg.norm(wanted)


SETTINGS = MetanetworkSettings(channels=2, rounds=1, change=0.3)


def test_a_metanetwork_changes_the_measured_networks():
    changing = metanetwork_preparation(ZOO, 2, SETTINGS, settle_steps=7)
    params = jax.jit(lambda key: changing.algorithm.params(changing.algorithm.init(key, TASK)))(
        jax.random.key(0)
    )
    zoo, own = params.networks
    net = graph_metanetwork(UNITS, width=2, rounds=1, ratio=0.3)
    second = jax.tree.map(lambda leaf: leaf[1], zoo["networks"])
    prepared = kernels(jax.jit(changing.prepared)(params))
    wanted = jax.jit(net.apply)(own["metanet"], second)["Dense_0"]["kernel"]
    np.testing.assert_allclose(prepared[1], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(
        jax.jit(changing.change)(params, second)["Dense_0"]["kernel"], wanted
    )
    assert len(prepared) == MEASURED and len(kernels(own["networks"])) == OTHERS
    assert changing.settle_steps == changing.plain_steps == 7


@pytest.mark.slow
def test_a_metanetwork_learns_from_the_others():
    found = trained(metanetwork_preparation(ZOO, 2, SETTINGS), 4)
    zoo, own = found[4].networks
    np.testing.assert_array_equal(kernels(own["networks"]), kernels(zoo["networks"])[MEASURED:])
    before = found[2].networks[1]["metanet"]
    pairs = zip(*map(jax.tree.leaves, (before, own["metanet"])), strict=True)
    assert any(np.any(one != other) for one, other in pairs)


def test_a_zoo_without_a_step_is_rejected():
    with pytest.raises(ConfigError, match="steps"):
        sparse_preparation(ZOO._replace(steps=0), 2)
