"""The causal Transformer: its cache, causality, derivatives, batching and dtypes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from metajax.core import ConfigError, SequenceNetwork, enable_x64
from metajax.nn.attention import causal_attention
from metajax.nn.merged import merge_vmapped_rows
from metajax.nn.transformer import causal_transformer

FEATURES, OUTPUTS, LENGTH = 7, 5, 9
SIZES = {
    "num_outputs": OUTPUTS,
    "width": 24,
    "layers": 2,
    "heads": 3,
    "key_size": 16,
    "max_length": LENGTH,
}


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@functools.cache
def make():
    net = causal_transformer(**SIZES)
    params = jax.jit(net.init)(jax.random.key(0), np.zeros((LENGTH, FEATURES), np.float32))
    net = SequenceNetwork(*map(jax.jit, net))
    # biases start at zero and scales at one, where a wrong use of them would not show
    leaves, treedef = jax.tree.flatten(params)
    draw = np.random.default_rng(1).standard_normal
    leaves = [x + jnp.asarray(0.1 * draw(x.shape), jnp.float32) for x in leaves]
    return net, jax.tree.unflatten(treedef, leaves)


def tokens_of(*shape, seed=2):
    draw = np.random.default_rng(seed).standard_normal
    return jnp.asarray(draw((*shape, FEATURES)), jnp.float32)


def reference(params, x):
    """The network of one sequence in plain numpy, float64."""
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    x = np.asarray(x, np.float64)
    heads, size = SIZES["heads"], SIZES["key_size"]

    def dense(x, p):
        return x @ p["kernel"] + p["bias"]

    def norm(x, p):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * p["scale"] + p["bias"]

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    x = dense(x, p["embed"]) + p["positions"][: len(x)]
    for i in range(SIZES["layers"]):
        b = p[f"blocks_{i}"]
        qkv = dense(norm(x, b["norm1"]), b["qkv"]).reshape(len(x), 3, heads, size)
        found = np.zeros((len(x), heads, size))
        for h in range(heads):
            for t in range(len(x)):
                scores = qkv[: t + 1, 1, h] @ qkv[t, 0, h] / np.sqrt(size)
                weights = np.exp(scores - scores.max())
                found[t, h] = weights / weights.sum() @ qkv[: t + 1, 2, h]
        x = x + dense(found.reshape(len(x), -1), b["out"])
        x = x + dense(gelu(dense(norm(x, b["norm2"]), b["up"])), b["down"])
    return dense(norm(x, p["norm"]), p["head"])


def test_outputs_are_those_of_a_loop_over_positions_in_float64():
    net, params = make()
    x = tokens_of(LENGTH)
    np.testing.assert_allclose(net.apply(params, x), reference(params, x), atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "prefix"),
    [
        ((), 0),
        ((3,), 4),
        ((2, 3), LENGTH - 1),
        # every batch and every prefix stands above
        *[
            pytest.param(batch, prefix, marks=pytest.mark.slow)
            for batch, prefix in [
                ((), 4),
                ((), LENGTH - 1),
                ((3,), 0),
                ((3,), LENGTH - 1),
                ((2, 3), 0),
                ((2, 3), 4),
            ]
        ],
    ],
)
def test_cached_decoding_equals_the_dense_pass_at_every_position(batch, prefix):
    net, params = make()
    x = tokens_of(*batch, LENGTH)
    dense = net.apply(params, x)
    assert dense.shape == (*batch, LENGTH, OUTPUTS)
    cache = net.prefill(params, x[..., :prefix, :])
    for i in range(prefix, LENGTH):
        outputs, cache = net.decode(params, cache, x[..., i, :])
        np.testing.assert_allclose(outputs, dense[..., i, :], atol=1e-5)
    assert int(cache.position) == LENGTH


def test_one_program_decodes_at_every_position():
    net, params = make()
    cache = net.prefill(params, tokens_of(3))
    decode = jax.jit(lambda *args: net.decode(*args))
    for i in range(3):
        _, cache = decode(params, cache, tokens_of(seed=i))
    assert decode._cache_size() == 1


def test_decoding_past_a_full_cache_gives_nan():
    net, params = make()
    cache = net.prefill(params, tokens_of(LENGTH))
    assert jnp.all(jnp.isnan(net.decode(params, cache, tokens_of())[0]))


def test_prefill_and_decode_map_over_a_batch():
    net, params = make()
    x = tokens_of(3, LENGTH)
    cache = jax.vmap(net.prefill, (None, 0))(params, x[:, :4])
    outputs, _ = jax.vmap(net.decode, (None, 0, 0))(params, cache, x[:, 4])
    np.testing.assert_allclose(outputs, net.apply(params, x)[:, 4], atol=1e-5)


@pytest.mark.parametrize("changed", [0, 4, LENGTH - 1])
def test_a_token_changes_no_bit_of_the_outputs_before_it(changed):
    net, params = make()
    x = tokens_of(2, LENGTH)
    before, after = net.apply(params, x), net.apply(params, x.at[:, changed].add(3.0))
    assert np.array_equal(before[:, :changed], after[:, :changed])
    assert not np.any(np.isclose(before[:, changed:], after[:, changed:], atol=1e-6).all(-1))


def test_attention_over_several_spans_and_groups_equals_one_softmax():
    n, time, heads, size = 3, 300, 4, 4
    qkv = jax.random.normal(jax.random.key(0), (n, time, 3, heads, size))

    def plain(qkv):
        q, k, v = jnp.moveaxis(qkv, 2, 0)
        return jax.nn.dot_product_attention(q, k, v, is_causal=True)

    def value_and_grad(function):
        weights = jax.random.normal(jax.random.key(1), (n, time, heads, size))
        return jax.jit(jax.value_and_grad(lambda x: jnp.sum(weights * function(x))))(qkv)

    ours, theirs = value_and_grad(causal_attention), value_and_grad(plain)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-4)
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-4)


def test_gradients_agree_with_finite_differences_in_float64():
    with enable_x64(True):
        net = causal_transformer(
            num_outputs=2, width=4, layers=1, heads=2, key_size=3, mlp_ratio=2, max_length=3
        )
        x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 3)))
        params = jax.jit(net.init)(jax.random.key(0), x)
        params = jax.tree.map(lambda p: p.astype(jnp.float64), params)

        def loss(params, x):
            return jnp.mean(jnp.square(net.apply(params, x)))

        check_grads(jax.jit(loss), (params, x), 2, modes=["rev"], eps=1e-5, atol=1e-6, rtol=1e-6)


@pytest.mark.slow
def test_vmapped_tasks_equal_looped_tasks_with_their_gradients():
    net, params = make()
    x = tokens_of(3, 2, LENGTH)
    target = jax.random.normal(jax.random.key(3), (3, 2, LENGTH, OUTPUTS))

    def loss(params, x, target):
        return jnp.mean(jnp.square(net.apply(params, x) - target))

    def mapped(params):
        return jnp.mean(jax.vmap(loss, (None, 0, 0))(params, x, target))

    def looped(params):
        return sum(loss(params, x[i], target[i]) for i in range(3)) / 3.0

    compare = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(compare, jax.grad(mapped)(params), jax.grad(looped)(params))
    per_task = jax.vmap(jax.grad(loss), (None, 0, 0))(params, x, target)
    jax.tree.map(
        compare, jax.tree.map(lambda g: g[1], per_task), jax.grad(loss)(params, x[1], target[1])
    )
    # one set of parameters per task, as in a population of runs
    population = jax.tree.map(lambda p: jnp.stack([p, 2.0 * p, 3.0 * p]), params)
    outputs = jax.jit(jax.vmap(net.apply))(population, x)
    doubled = jax.tree.map(lambda p: 2.0 * p, params)
    compare(outputs[1], net.apply(doubled, x[1]), atol=1e-4)


def test_vmap_over_tasks_hands_the_network_one_bigger_batch():
    shapes = []

    def network(params, rows):
        shapes.append(rows.shape)
        return jnp.tanh(rows @ params)

    merged = merge_vmapped_rows(network)
    params, x = jnp.ones((4, 5)), jnp.ones((3, 2, 4))
    jax.grad(lambda p: jnp.sum(jax.vmap(merged, (None, 0))(p, x)))(params)
    assert shapes[-1] == (6, 4)
    shapes.clear()
    jax.vmap(merged)(jnp.ones((3, 4, 5)), x)
    assert set(shapes) == {(2, 4)}


def test_parameters_are_a_plain_nested_dict():
    _, params = make()

    def check(tree):
        assert type(tree) is dict or isinstance(tree, jax.Array)
        for value in tree.values() if type(tree) is dict else ():
            check(value)

    check(params)


def test_bfloat16_is_close_to_float32():
    net, params = make()
    x = tokens_of(2, LENGTH)
    half, half_x = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, x))
    outputs = net.apply(half, half_x)
    assert outputs.dtype == jnp.bfloat16
    exact = net.apply(params, x)
    np.testing.assert_allclose(outputs.astype(jnp.float32), exact, atol=0.1)
    cache = net.prefill(half, half_x[:, :3])
    decoded, cache = net.decode(half, cache, half_x[:, 3])
    assert {leaf.dtype for leaf in cache.keys + cache.values} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_allclose(decoded.astype(jnp.float32), exact[:, 3], atol=0.1)
    grad = jax.grad(lambda p: jnp.sum(net.apply(p, half_x)).astype(jnp.float32))
    grads = jax.jit(grad)(half)
    assert all(g.dtype == jnp.bfloat16 and jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("field", [*SIZES, "mlp_ratio"])
def test_sizes_below_one_are_refused(field):
    with pytest.raises(ConfigError, match=field):
        causal_transformer(**{**SIZES, field: 0})


def test_a_sequence_longer_than_max_length_is_refused():
    net, params = make()
    for function in (net.apply, net.prefill):
        with pytest.raises(ConfigError, match="max_length"):
            function(params, tokens_of(LENGTH + 1))
