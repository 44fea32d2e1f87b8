"""Preparation for pruning: networks apart from each other, and masked training as sliced one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, Task, cross_entropy
from metajax.hypernet import graph_metanetwork
from metajax.learners import Sparsity, pruning_metanetwork, sparse_networks, train_masked
from metajax.nn import mlp
from metajax.units import group_penalty, mask_units, mlp_units, prune_units

DRAW = np.random.default_rng(0)
NUM, IMAGES, FEATURES = 3, 5, 4
NETWORK = mlp((4, 3), 2)
PARAMS = jax.tree.map(
    lambda leaf: DRAW.standard_normal((NUM, *leaf.shape)).astype(np.float32),
    jax.eval_shape(NETWORK.init, jax.random.key(0), jnp.zeros((1, FEATURES))),
)
UNITS = mlp_units(jax.tree.map(lambda leaf: leaf[0], PARAMS))
INPUTS = DRAW.standard_normal((NUM, IMAGES, FEATURES)).astype(np.float32)
TARGETS = DRAW.integers(0, 2, (NUM, IMAGES)).astype(np.int32)
TASK = Task(np.arange(NUM, dtype=np.int32), Examples(INPUTS, TARGETS))


def network(index):
    return jax.tree.map(lambda leaf: leaf[index], PARAMS)


def test_each_network_descends_its_own_loss_and_penalty():
    learner = sparse_networks(NETWORK, UNITS, 2, strength=0.3, sparsity=Sparsity(4.0))

    def alone(params, inputs, targets):
        error = cross_entropy(NETWORK.apply(params, inputs), targets)
        return error + 0.3 * group_penalty(params, UNITS, 4.0)

    @jax.jit
    def slopes(params):
        two = {"networks": jax.tree.map(lambda leaf: leaf[:2], params)}
        together, metrics = jax.grad(learner.loss, has_aux=True)(two, TASK, jax.random.key(0))
        lone = [jax.grad(alone)(network(i), INPUTS[i], TARGETS[i]) for i in range(2)]
        return together["networks"], lone, metrics

    together, lone, metrics = slopes(PARAMS)
    for index in range(2):
        jax.tree.map(
            lambda many, one, at=index: np.testing.assert_allclose(
                many[at], one, rtol=1e-5, atol=1e-6
            ),
            together,
            lone[index],
        )
    assert metrics["penalty"] > 0
    with pytest.raises(ConfigError, match="num"):
        sparse_networks(NETWORK, UNITS, 0)


def test_networks_have_their_own_starts():
    shapes = sparse_networks(NETWORK, UNITS, NUM)
    found = jax.jit(shapes.init)(jax.random.key(0), TASK)["networks"]["Dense_0"]["kernel"]
    assert found.shape == (NUM, FEATURES, 4)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_training_under_masks_is_that_of_the_small_network():
    """Adam with a schedule, from the same images: the weights that are kept, and zeros."""
    masks = {"h0": np.array([True, False, True, True]), "h1": np.array([False, True, True])}
    params, examples = network(0), Examples(INPUTS[0], TARGETS[0])
    optimizer = optax.adam(optax.linear_schedule(0.1, 0.0, 8))

    def draw(key):
        some = jax.random.randint(key, (3,), 0, IMAGES)
        return Examples(jnp.asarray(examples.inputs)[some], jnp.asarray(examples.targets)[some])

    @jax.jit
    def both(params, small):
        def trained(model, params, kept):
            return train_masked(model, params, kept, draw, optimizer, jax.random.key(1), 6)

        ones = jax.tree.map(jnp.ones_like, params)
        kept = mask_units(ones, UNITS, {name: jnp.asarray(mask) for name, mask in masks.items()})
        few = jax.tree.map(jnp.ones_like, small)
        return trained(NETWORK, params, kept), trained(mlp((3, 2), 2), small, few)

    small = prune_units(params, UNITS, masks)
    masked, sliced = both(params, small)
    found = prune_units(masked, UNITS, masks)
    for one, other, before in zip(*map(jax.tree.leaves, (found, sliced, small)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert np.abs(other - before).max() > 0.05
    assert not np.any(masked["Dense_0"]["kernel"][:, 1])
    assert not np.any(masked["Dense_2"]["kernel"][0])


def test_a_metanetwork_learns_from_networks_that_stay():
    """Its loss is the cross-entropy alone; the sparsity enters by the gradient."""
    metanet = graph_metanetwork(UNITS, width=2, rounds=1, ratio=0.3)
    shapes = jax.eval_shape(metanet.init, jax.random.key(0), network(0))
    draw = np.random.default_rng(3).standard_normal
    meta = jax.tree.map(lambda leaf: draw(leaf.shape).astype(np.float32), shapes)
    params = {"metanet": meta, "networks": PARAMS}

    @jax.jit
    @jax.vmap
    def found(strength):
        learner = pruning_metanetwork(NETWORK, metanet, UNITS, NUM, at_once=1, strength=strength)
        return jax.value_and_grad(learner.loss, has_aux=True)(params, TASK, jax.random.key(0))

    (losses, metrics), slopes = found(jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(losses, metrics["cross_entropy"], rtol=1e-5)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    for slope in jax.tree.leaves(slopes["networks"]):
        assert not np.any(slope)
    change = slopes["metanet"]["edge_change"]["kernel"]
    assert np.abs(change[0] - change[1]).max() > 1e-3
    with pytest.raises(ConfigError, match="at_once"):
        pruning_metanetwork(NETWORK, metanet, UNITS, NUM, at_once=0)
