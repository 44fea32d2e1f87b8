"""Properties of the recurrent sequence networks, and float64 references for both recurrences."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from metajax.core import ConfigError, SequenceNetwork
from metajax.nn import lstm, outer_product_lstm

TIME, FEATURES, OUTPUTS, WIDTH = 7, 5, 3, 6

NETWORKS = {
    "lstm": lstm(num_outputs=OUTPUTS, width=WIDTH, layers=2),
    "outer_product_lstm": outer_product_lstm(num_outputs=OUTPUTS, width=WIDTH, heads=2),
}


class Made(NamedTuple):
    """A network, its compiled functions, tokens of two sequences, and what it makes of them."""

    network: SequenceNetwork
    init: Callable
    apply: Callable
    prefill: Callable
    decode: Callable
    params: Any
    tokens: np.ndarray
    dense: jax.Array


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys(), scope="module")
def made(request):
    network = request.param
    draw = np.random.default_rng(0)
    tokens = draw.normal(size=(2, TIME, FEATURES)).astype(np.float32)
    init = jax.jit(network.init)
    params = init(jax.random.key(0), tokens)
    # Away from the special values that they are initialised to.
    params = jax.tree.map(
        lambda p: p + 0.3 * draw.normal(size=p.shape).astype(np.float32), jax.device_get(params)
    )
    apply, prefill, decode = map(jax.jit, (network.apply, network.prefill, network.decode))
    return Made(network, init, apply, prefill, decode, params, tokens, apply(params, tokens))


def _close(a, b, tolerance=1e-5):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance), a, b
    )


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _lstm_reference(params, tokens):
    """One sequence, one step and one unit at a time, in float64."""
    layer = 0
    x = tokens
    while f"layers_{layer}" in params:
        p = params[f"layers_{layer}"]
        width = p["recurrent"].shape[0]
        h, c, hidden = np.zeros(width), np.zeros(width), []
        for token in x:
            z = token @ p["input"]["kernel"] + h @ p["recurrent"] + p["input"]["bias"]
            new_h, new_c = np.zeros(width), np.zeros(width)
            for u in range(width):
                i, f, g, o = z[u], z[width + u], z[2 * width + u], z[3 * width + u]
                new_c[u] = _sigmoid(f) * c[u] + _sigmoid(i) * np.tanh(g)
                new_h[u] = _sigmoid(o) * np.tanh(new_c[u])
            h, c = new_h, new_c
            hidden.append(h)
        x, layer = np.stack(hidden), layer + 1
    return x @ params["head"]["kernel"] + params["head"]["bias"]


def _outer_product_reference(params, tokens, width):
    """One sequence, one step, one head and one entry of the matrix at a time, in float64."""
    p = params["layers_0"]
    heads = p["recurrent"].shape[0] // width
    scale = np.log1p(np.exp(p["key_scale"]))
    h, c, hidden = np.zeros(heads * width), np.zeros((heads, width, width)), []
    for token in tokens:
        z = token @ p["input"]["kernel"] + h @ p["recurrent"] + p["input"]["bias"]
        new_h, new_c = np.zeros_like(h), np.zeros_like(c)
        for n in range(heads):
            parts = z[n * 8 * width : (n + 1) * 8 * width].reshape(8, width)
            ai, af, ag, bi, bf, bg, q, o = parts
            for r in range(width):
                for s in range(width):
                    gate_i = _sigmoid(scale * np.tanh(ai[r]) * np.tanh(bi[s]))
                    gate_f = _sigmoid(scale * np.tanh(af[r]) * np.tanh(bf[s]) + 1)
                    written = scale * np.tanh(ag[r]) * np.tanh(bg[s])
                    new_c[n, r, s] = gate_f * c[n, r, s] + gate_i * written
            for s in range(width):
                read = sum(new_c[n, r, s] * q[r] for r in range(width))
                new_h[n * width + s] = _sigmoid(o[s]) * np.tanh(read)
        h, c = new_h, new_c
        hidden.append(h)
    return np.stack(hidden) @ params["head"]["kernel"] + params["head"]["bias"]


def test_dense_pass_equals_a_float64_reference(made):
    wide = jax.tree.map(lambda p: np.asarray(p, np.float64), made.params)
    sequences = np.asarray(made.tokens, np.float64)
    if "key_scale" in made.params["layers_0"]:
        expected = [_outer_product_reference(wide, x, WIDTH) for x in sequences]
    else:
        expected = [_lstm_reference(wide, x) for x in sequences]
    np.testing.assert_allclose(made.dense, np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("prefix", [0, 3, TIME])
def test_prefill_then_decode_equals_the_dense_pass(made, prefix):
    state = made.prefill(made.params, made.tokens[:, :prefix])
    start = jax.eval_shape(lambda: state)
    for t in range(prefix, TIME):
        outputs, state = made.decode(made.params, state, made.tokens[:, t])
        np.testing.assert_allclose(outputs, made.dense[:, t], atol=1e-5)
        assert jax.eval_shape(lambda state=state: state) == start
    _close(state, made.prefill(made.params, made.tokens))


def test_any_number_of_batch_axes(made):
    """One sequence alone, and two batch axes, give what one batch axis gives."""

    @jax.jit
    def everything(params, tokens):
        state = made.network.prefill(params, tokens)
        return (
            made.network.apply(params, tokens),
            state,
            made.network.decode(params, state, tokens[..., 0, :]),
        )

    expected = everything(made.params, made.tokens)
    for index in (0, None):
        reshaped = jax.tree.map(lambda x, index=index: x[index], expected)
        _close(everything(made.params, made.tokens[index]), reshaped)


@pytest.mark.parametrize("changed", [0, 3, TIME - 1])
def test_outputs_depend_on_the_past_and_the_present_alone(made, changed):
    moved = made.tokens.copy()
    moved[:, changed] += 1
    difference = np.abs(made.apply(made.params, moved) - np.asarray(made.dense)).max((0, 2))
    assert (difference[:changed] == 0).all()
    assert (difference[changed:] > 0).all()


def test_mapped_over_tasks_equals_one_task_at_a_time(made):
    def loss(params, tokens):
        return jnp.sum(made.network.apply(params, tokens) ** 2)

    tasks = np.stack([made.tokens, made.tokens[::-1] * 2, made.tokens - 1])
    mapped = jax.jit(jax.vmap(jax.value_and_grad(loss), (None, 0)))(made.params, tasks)
    single = jax.jit(jax.value_and_grad(loss))
    looped = [single(made.params, tokens) for tokens in tasks]
    _close(mapped, jax.tree.map(lambda *leaves: np.stack(leaves), *looped), 1e-4)
    assert all(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(mapped))


def test_gradients_agree_with_finite_differences_in_both_modes(made):
    loss = jax.jit(lambda params: jnp.mean(jnp.sin(made.network.apply(params, made.tokens))))
    check_grads(loss, (made.params,), order=1, modes=("fwd", "rev"), rtol=2e-2, atol=2e-3)


def test_bfloat16_params_give_bfloat16_outputs_near_the_float32_ones(made):
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), made.params)

    @jax.jit
    def everything(params, tokens):
        outputs, backward = jax.vjp(lambda p: made.network.apply(p, tokens), params)
        return outputs, made.network.prefill(params, tokens), backward(jnp.ones_like(outputs))

    outputs, states, (grads,) = everything(half, made.tokens)  # float32 tokens are cast
    assert outputs.dtype == jnp.bfloat16
    np.testing.assert_allclose(outputs.astype(np.float32), made.dense, atol=0.15)
    for state in states:
        assert state.cell.dtype == jnp.float32
        assert state.hidden.dtype == jnp.bfloat16
    for gradient in jax.tree.leaves(grads):
        assert gradient.dtype == jnp.bfloat16
        assert np.isfinite(gradient.astype(np.float32)).all()


def test_initialisation_depends_on_the_key_alone(made):
    first = made.init(jax.random.key(0), made.tokens)
    assert jax.tree.structure(first) == jax.tree.structure(made.params)
    _close(first, made.init(jax.random.key(0), made.tokens + 1), 0)
    other = made.init(jax.random.key(1), made.tokens)
    assert not np.array_equal(first["head"]["kernel"], other["head"]["kernel"])


def test_lstm_starts_remembering_with_orthogonal_gates():
    init = jax.jit(lstm(num_outputs=2, width=4).init)
    params = init(jax.random.key(0), np.zeros((1, 3), np.float32))["layers_0"]
    np.testing.assert_array_equal(params["input"]["bias"], np.repeat([0.0, 1.0, 0.0, 0.0], 4))
    for gate in np.split(np.asarray(params["recurrent"]), 4, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize(("make", "power"), [(lstm, 1), (outer_product_lstm, 2)])
def test_state_grows_with_the_width_and_not_with_the_sequence(make, power):
    def cell_size(width, time):
        network, tokens = make(num_outputs=2, width=width), jnp.zeros((time, 3))
        params = jax.eval_shape(network.init, jax.random.key(0), tokens)
        (state,) = jax.eval_shape(network.prefill, params, tokens)
        assert state.hidden.size == width
        return state.cell.size

    assert cell_size(8, 2) == cell_size(8, 5) == 8**power
    assert cell_size(16, 2) == 16**power


def test_decode_compiles_once_and_no_array_is_baked_in(made):
    traces = 0

    @jax.jit
    def decode(params, state, token):
        nonlocal traces
        traces += 1
        return made.network.decode(params, state, token)

    state = made.prefill(made.params, made.tokens)
    for t in range(3):
        _, state = decode(made.params, state, made.tokens[:, t])
    assert traces == 1
    assert jax.make_jaxpr(made.network.apply)(made.params, made.tokens).consts == []


@pytest.mark.parametrize("field", ["num_outputs", "width", "layers", "heads"])
def test_a_size_below_one_is_refused(field):
    make = lstm if field == "layers" else outer_product_lstm
    with pytest.raises(ConfigError, match=field):
        make(**{"num_outputs": 2, "width": 2, field: 0})
