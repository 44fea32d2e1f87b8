"""Experts and routes: the layer that they are made of, gathered rows, and many devices."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import array, drawn, make_cases
from flax import linen as nn
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from metajax.core import ConfigError, enable_x64
from metajax.nn import mlp
from metajax.units import (
    balance_loss,
    compact_experts,
    domain_masks,
    expert_ffn,
    mask_units,
    mix_experts,
    mlp_units,
    top_k_gates,
    upcycle,
)

KEY = jax.random.key(4)
WIDTH, HIDDEN = 6, 8
LAYER = drawn(
    {
        "up": {"kernel": jnp.ones((WIDTH, HIDDEN)), "bias": jnp.ones(HIDDEN)},
        "down": {"kernel": jnp.ones((HIDDEN, WIDTH)), "bias": jnp.ones(WIDTH)},
    }
)
ROWS = array(16, WIDTH)


def ffn(layer, x):
    hidden = (x @ layer["up"]["kernel"] + layer["up"]["bias"][None]).clip(0)
    return hidden @ layer["down"]["kernel"] + layer["down"]["bias"][None]


def loop(experts, x, weights):
    """Every expert by itself, by NumPy."""
    experts, x, weights = jax.tree.map(np.asarray, (experts, x, weights))
    up, down = experts["up"], experts["down"]
    total = 0
    for e, row in enumerate(weights.T):
        hidden = np.maximum(x @ up["kernel"][e] + up["bias"][e][None], 0)
        total = total + row[:, None] * (hidden @ down["kernel"][e] + down["bias"][e][None])
    return total


def test_gates_are_a_softmax_over_the_chosen():
    logits = array(5, 7)
    gates = np.asarray(jax.jit(top_k_gates, static_argnums=1)(logits, 3, 2.0))
    for row, found in zip(np.asarray(logits), gates, strict=True):
        expected = np.exp(row) * (row >= np.sort(row)[-3])
        np.testing.assert_allclose(found, 2 * expected / expected.sum(), rtol=1e-5)


def test_balance_is_one_for_even_use_and_counts_experts():
    """It falls along its gradient, which moves probability to experts that are used less."""
    even = np.eye(4, dtype=np.float32)[np.arange(8) % 4]
    one = np.eye(4, dtype=np.float32)[np.full(8, 2)]
    loss = jax.jit(balance_loss)
    np.testing.assert_allclose(loss(np.full_like(one, 0.25), even), 1, rtol=1e-6)
    np.testing.assert_allclose(loss(one, 3 * one), 4, rtol=1e-6)

    @jax.jit
    @jax.grad
    def slope(logits):
        return balance_loss(jax.nn.softmax(logits), one)

    gradient = np.asarray(slope(array(8, 4)))
    assert (gradient[:, 2] > 0).all() and (np.delete(gradient, 2, axis=1) < 0).all()


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_layer_split_into_experts_is_the_layer(wide):
    """Copies 1 to 4, parts 1 to 4, for rows of zeros too; an ordinary router changes it."""
    dtype, bound = (jnp.float64, 1e-12) if wide else (jnp.float32, 1e-5)
    with enable_x64(wide):
        layer, x = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (LAYER, ROWS))
        x = x.at[0].set(0)

        @jax.jit
        def run(layer, x, key):
            outputs = []
            for copies, parts in ((1, 1), (1, 4), (2, 2), (4, 1), (4, 4)):
                experts = upcycle(layer, copies, parts, key)
                weights = top_k_gates(x @ experts["router"]["kernel"], parts, total=parts)
                outputs.append(expert_ffn(experts, x, weights))
            other = jax.random.normal(key, (WIDTH, 16), dtype)
            weights = top_k_gates(x @ other, 4, total=4)
            return ffn(layer, x), outputs, expert_ffn(experts, x, weights)

        usual, outputs, routed = run(layer, x, KEY)
    bound *= np.max(np.abs(usual))
    for output in outputs:
        assert output.dtype == dtype
        np.testing.assert_allclose(output, usual, rtol=0, atol=bound)
    assert np.max(np.abs(routed - usual)) > 0.1


def test_networks_with_experts_in_their_layers_are_the_networks():
    """The feed-forward part of a Transformer in the middle of it, and a network of one layer."""
    case = make_cases()["transformer"]
    block = case.params["blocks_0"]
    read = {}

    def replace(call, args, kwargs, context):
        if context.module.name == "up":
            read["x"] = args[0]
        if context.module.name != "down" or "x" not in read:
            return call(*args, **kwargs)
        experts = upcycle({"up": block["up"], "down": block["down"]}, 3, 2, KEY)
        weights = top_k_gates(read["x"] @ experts["router"]["kernel"], 2, total=2)
        return expert_ffn(experts, read["x"], weights, jax.nn.gelu)

    usual = jax.jit(case.make().apply)(case.params, *case.inputs)
    with nn.intercept_methods(replace):
        output = jax.jit(case.make().apply)(case.params, *case.inputs)
    assert read
    np.testing.assert_allclose(output, usual, rtol=0, atol=1e-5 * np.max(np.abs(usual)))


EXPERTS = drawn(jax.tree.map(lambda leaf: jnp.ones((8, *leaf.shape)), LAYER))
WEIGHTS = np.asarray(top_k_gates(array(16, 8), 2))


def test_gathered_rows_are_the_dense_sum():
    """And its derivatives, where every expert has room; mapped over tasks."""
    most = int(np.max(np.sum(WEIGHTS != 0, axis=0)))

    def run(capacity, experts, x, weights):
        def value(experts, weights):
            return jnp.sum(jnp.sin(expert_ffn(experts, x, weights, capacity=capacity)))

        output = expert_ffn(experts, x, weights, capacity=capacity)
        return output, jax.grad(value, (0, 1))(experts, weights)

    experts, x, weights = EXPERTS, jnp.stack([ROWS, ROWS[::-1]]), jnp.stack([WEIGHTS, WEIGHTS])
    both = [
        jax.jit(jax.vmap(functools.partial(run, capacity), (None, 0, 0)))(experts, x, weights)
        for capacity in (None, most)
    ]
    (dense, (of_experts, of_weights)), (gathered, (too, weights_too)) = both
    np.testing.assert_allclose(dense[0], loop(EXPERTS, ROWS, WEIGHTS), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gathered, dense, rtol=1e-4, atol=1e-5)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), too, of_experts
    )
    # a row that an expert did not gather has no derivative in its weight of 0
    used = np.asarray(weights) != 0
    weights_too, of_weights = np.asarray(weights_too)[used], np.asarray(of_weights)[used]
    np.testing.assert_allclose(weights_too, of_weights, rtol=1e-4, atol=1e-4)


def test_rows_beyond_the_capacity_are_dropped():
    """One row each: the one that the expert weighs most."""
    output = jax.jit(functools.partial(expert_ffn, capacity=1))(EXPERTS, ROWS, WEIGHTS)
    kept = np.where(WEIGHTS.max(axis=0, keepdims=True) > WEIGHTS, 0, WEIGHTS)
    np.testing.assert_allclose(output, loop(EXPERTS, ROWS, kept), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "function",
    [expert_ffn, functools.partial(expert_ffn, capacity=8), functools.partial(mix_experts, ffn)],
    ids=["dense", "gathered", "whole networks"],
)
def test_experts_on_many_devices_are_those_on_one(function):
    """One expert a device: parameters stay where they are, and a sum over the devices follows."""
    mesh = jax.make_mesh((8,), ("experts",), axis_types=(AxisType.Auto,))
    spread, along = (
        NamedSharding(mesh, PartitionSpec(*spec)) for spec in (("experts",), (None, "experts"))
    )
    given = (
        jax.device_put(EXPERTS, spread),
        jax.device_put(ROWS, NamedSharding(mesh, PartitionSpec())),
        jax.device_put(WEIGHTS, along),
    )
    compiled = jax.jit(function).lower(*given).compile()
    expected = loop(EXPERTS, ROWS, WEIGHTS)
    np.testing.assert_allclose(compiled(*given), expected, rtol=1e-4, atol=1e-5)
    text = compiled.as_text()
    assert "all-reduce" in text and "all-to-all" not in text
    # weights, at most, are gathered: XLA:CPU finds the largest ones on every device
    assert set(re.findall(r"= (\S+)\{\S+ all-gather\(", text)) <= {"f32[8,16]"}


def test_domains_share_what_all_of_them_use():
    activity = np.abs(np.random.default_rng(0).normal(size=(3, 10)))
    found = domain_masks(jnp.asarray(activity), 6)
    for row, mask in zip(activity, np.asarray(found.masks), strict=True):
        assert set(np.flatnonzero(mask)) == set(np.argsort(row)[-6:])
    np.testing.assert_array_equal(found.shared, np.all(found.masks, axis=0))
    assert not np.any(found.own & found.shared[None])


def test_compact_experts_are_the_masked_network_and_routes_do_not_see_it():
    """Whole networks by a route made from the inputs alone, on one device and on eight."""
    network, small = mlp([10, 8], 2), mlp([6, 4], 2)
    inputs = array(12, 5)
    params = drawn(jax.eval_shape(network.init, KEY, inputs))
    units, router = mlp_units(params), array(5, 8)
    masks = {
        name: domain_masks(jnp.abs(array(8, size)), kept).masks
        for name, size, kept in (("h0", 10, 6), ("h1", 8, 4))
    }

    def route(router, inputs):
        return top_k_gates(inputs @ router, 1)

    @jax.jit
    def run(params, masks, inputs, router):
        def masked(masks):
            return network.apply(mask_units(params, units, masks), inputs)

        experts = {
            name: {key: jnp.stack([leaf] * 8) for key, leaf in layer.items()}
            for name, layer in params.items()
        }
        weights = route(router, inputs)
        compact = compact_experts(params, units, masks, {"h0": 6, "h1": 4})
        return (
            jnp.einsum("eno,ne->no", jax.vmap(masked)(masks), weights),
            mix_experts(small.apply, compact, inputs, weights),
            mix_experts(network.apply, experts, inputs, weights),
            network.apply(params, inputs),
        )

    masked, compact, alike, whole = run(params, masks, inputs, router)
    np.testing.assert_allclose(compact, masked, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(alike, whole, rtol=1e-5, atol=1e-5)
    assert np.max(np.abs(masked - whole)) > 0.1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: top_k_gates(jnp.ones((2, 3)), 4), "k = 4: expected 1 to 3"),
        (lambda: upcycle(LAYER, 0, 1, KEY), "copies = 0"),
        (lambda: upcycle(LAYER, 1, 3, KEY), "parts = 3: expected a number that divides the 8"),
        (lambda: expert_ffn(EXPERTS, ROWS, WEIGHTS, capacity=17), "capacity = 17"),
        (lambda: domain_masks(jnp.ones((2, 3)), 4), "size = 4"),
        (
            lambda: compact_experts({}, {}, {"h0": jnp.ones((2, 3), bool)}, {"h1": 2}),
            "sizes = 'h0'",
        ),
    ],
)
def test_impossible_numbers_are_rejected(call, words):
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)
