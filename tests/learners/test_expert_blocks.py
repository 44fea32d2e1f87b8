"""Feed-forward blocks as experts: what they start from, their baseline, and many devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from metajax.core import ConfigError, Examples, enable_x64
from metajax.learners import (
    apply_experts,
    feed_forward_blocks,
    smoothed_labels,
    tuned_experts,
    upcycle_blocks,
)

KEY = jax.random.key(3)
NETWORK = feed_forward_blocks(4, 8, 2, 3)
GRID = [(copies, parts) for copies in (1, 2, 4) for parts in (1, 2, 4)]
SOME = [(1, 4), (2, 2), (4, 1), (4, 4)]


def drawn(dtype=jnp.float32):
    """Trained networks have no biases of 0."""
    draw = np.random.default_rng(0)
    inputs = jnp.asarray(draw.normal(size=(16, 5)), dtype)
    shapes = jax.eval_shape(NETWORK.init, KEY, jnp.zeros((1, 5), jnp.float32))
    params = jax.tree.map(lambda leaf: jnp.asarray(draw.normal(size=leaf.shape), dtype), shapes)
    return params, Examples(inputs, jnp.asarray(draw.integers(3, size=16), jnp.int32))


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_network_starts_as_it_was_for_every_number_of_copies_and_parts(wide):
    """Relative to its largest logit; an independent row for each expert changes it."""
    grid = GRID if wide else SOME
    with enable_x64(wide):
        params, task = drawn(jnp.float64 if wide else jnp.float32)

        @jax.jit
        def run(params, inputs):
            made = [upcycle_blocks(params, *each, KEY) for each in grid]
            found = [
                apply_experts(one, inputs, parts)[0]
                for one, (_, parts) in zip(made, grid, strict=True)
            ]
            random = apply_experts(upcycle_blocks(params, 4, 2, KEY, "random"), inputs, 2)[0]
            return NETWORK.apply(params, inputs), found, random

        usual, found, random = jax.tree.map(np.asarray, run(params, task.inputs))
    largest = np.max(np.abs(usual))
    for logits in found:
        assert logits.dtype == (np.float64 if wide else np.float32)
        assert np.max(np.abs(logits - usual)) <= (1e-12 if wide else 1e-5) * largest
    assert np.max(np.abs(random - usual)) > 0.1 * largest


def test_one_expert_of_one_part_is_the_dense_network_trained_as_it_is():
    """The loss, up to the constant of even use, and its gradients."""
    params, task = drawn()
    tuned, dense = tuned_experts(NETWORK, 1, 1, balance=0.5), smoothed_labels(NETWORK)

    @jax.jit
    def run(params):
        def loss(params):
            return tuned.loss(upcycle_blocks(params, 1, 1, KEY), task, KEY)[0]

        return [
            jax.value_and_grad(each)(params)
            for each in (loss, lambda params: dense.loss(params, task, KEY)[0])
        ]

    (value, slopes), (expected, others) = run(params)
    assert float(value) == pytest.approx(float(expected) + 0.5, rel=1e-5)
    for one, other in zip(jax.tree.leaves(slopes), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_network_with_its_experts_over_devices_is_that_on_one():
    """Outputs and gradients; an expert a device, the routers and all else on each."""
    params, task = drawn()
    learner = tuned_experts(NETWORK, 4, 2)
    experts = jax.jit(upcycle_blocks, static_argnums=(1, 2))(params, 4, 2, KEY)
    mesh = jax.make_mesh((8,), ("experts",), axis_types=(AxisType.Auto,))
    everywhere, spread = (NamedSharding(mesh, PartitionSpec(*spec)) for spec in ((), ("experts",)))
    places = jax.tree.map(lambda leaf: everywhere, experts)
    for name, block in experts["blocks"].items():
        for layer in ("up", "down"):
            places["blocks"][name][layer] = jax.tree.map(lambda leaf: spread, block[layer])

    def run(params, task):
        return jax.value_and_grad(lambda params: learner.loss(params, task, KEY)[0])(params)

    expected = jax.jit(run)(experts, task)
    compiled = jax.jit(run).lower(jax.device_put(experts, places), jax.device_put(task, everywhere))
    found = compiled.compile()(jax.device_put(experts, places), jax.device_put(task, everywhere))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    kernel = found[1]["blocks"]["block0"]["up"]["kernel"]
    assert {piece.data.shape for piece in kernel.addressable_shards} == {(1, 4, 4)}


def test_blocks_keep_their_order_where_there_are_more_than_ten():
    network = feed_forward_blocks(2, 2, 12, 2)
    inputs = jnp.ones((1, 2))
    params = jax.eval_shape(network.init, KEY, inputs)
    draw = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(draw.normal(size=leaf.shape)), params)
    backwards = {**params, "blocks": dict(reversed(params["blocks"].items()))}
    np.testing.assert_array_equal(network.apply(backwards, inputs), network.apply(params, inputs))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: feed_forward_blocks(4, 0, 2, 3), "hidden"),
        (lambda: upcycle_blocks({}, 2, 2, KEY, "none"), "router"),
        (lambda: upcycle_blocks(drawn()[0], 2, 3, KEY), "parts"),
    ],
)
def test_what_does_not_fit_is_rejected(call, field):
    with pytest.raises(ConfigError) as raised:
        call()
    assert raised.value.field == field
