"""Properties of the recurrent sequence networks, and float64 references for both recurrences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import lstm, outer_product_lstm

TIME, FEATURES, OUTPUTS, WIDTH = 7, 5, 3, 6

NETWORKS = {
    "lstm": lambda: lstm(num_outputs=OUTPUTS, width=WIDTH),
    "lstm of 2 layers": lambda: lstm(num_outputs=OUTPUTS, width=WIDTH, layers=2),
    "outer product": lambda: outer_product_lstm(num_outputs=OUTPUTS, width=WIDTH),
    "outer product of 2 heads": lambda: outer_product_lstm(
        num_outputs=OUTPUTS, width=WIDTH, heads=2
    ),
}


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def network(request):
    return request.param()


def _made(network, batch=(2,)):
    """Tokens, and parameters away from the special values that they are initialised to."""
    tokens = jax.random.normal(jax.random.key(1), (*batch, TIME, FEATURES))
    params = network.init(jax.random.key(0), tokens)
    keys = jax.random.split(jax.random.key(2), len(jax.tree.leaves(params)))
    keys = jax.tree.unflatten(jax.tree.structure(params), list(keys))
    noise = jax.tree.map(lambda k, p: 0.3 * jax.random.normal(k, p.shape), keys, params)
    return tokens, jax.tree.map(jnp.add, params, noise)


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


def test_dense_pass_equals_a_float64_reference(network):
    tokens, params = _made(network)
    wide = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    sequences = np.asarray(tokens, np.float64)
    if "key_scale" in params["layers_0"]:
        expected = [_outer_product_reference(wide, x, WIDTH) for x in sequences]
    else:
        expected = [_lstm_reference(wide, x) for x in sequences]
    np.testing.assert_allclose(network.apply(params, tokens), np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("prefix", [0, 3, TIME])
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_prefill_then_decode_equals_the_dense_pass(network, prefix, batch):
    tokens, params = _made(network, batch)
    dense = network.apply(params, tokens)
    assert dense.shape == (*batch, TIME, OUTPUTS)
    state = network.prefill(params, tokens[..., :prefix, :])
    structure = jax.tree.map(lambda x: (x.shape, x.dtype), state)
    decode = jax.jit(network.decode)
    for t in range(prefix, TIME):
        outputs, state = decode(params, state, tokens[..., t, :])
        np.testing.assert_allclose(outputs, dense[..., t, :], atol=1e-5)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == structure
    whole = network.prefill(params, tokens)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), state, whole)


@pytest.mark.parametrize("changed", [0, 3, TIME - 1])
def test_outputs_depend_on_the_past_and_the_present_alone(network, changed):
    tokens, params = _made(network)
    moved = tokens.at[:, changed].add(1.0)
    difference = jnp.abs(network.apply(params, moved) - network.apply(params, tokens)).max((0, 2))
    assert (difference[:changed] == 0).all()
    assert (difference[changed:] > 0).all()


def test_mapped_over_tasks_equals_one_task_at_a_time(network):
    tokens, params = _made(network, (3, 2))

    def loss(params, tokens):
        return jnp.sum(network.apply(params, tokens) ** 2)

    mapped = jax.jit(jax.vmap(jax.value_and_grad(loss), (None, 0)))(params, tokens)
    looped = [jax.value_and_grad(loss)(params, x) for x in tokens]
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves), *looped)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), mapped, looped
    )


def test_every_parameter_gets_a_gradient_that_finite_differences_agree_with(network):
    tokens, params = _made(network)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda p: p.astype(jnp.float64), params)
        tokens = tokens.astype(jnp.float64)
        loss = jax.jit(lambda p: jnp.sum(jnp.sin(network.apply(p, tokens))))
        grads = jax.grad(loss)(params)
        assert all(bool(jnp.any(g != 0)) for g in jax.tree.leaves(grads))
        step = jax.tree.map(lambda g: 1e-6 * jnp.sign(g), grads)
        up = loss(jax.tree.map(jnp.add, params, step))
        down = loss(jax.tree.map(jnp.subtract, params, step))
        expected = 2e-6 * sum(float(jnp.abs(g).sum()) for g in jax.tree.leaves(grads))
        np.testing.assert_allclose(up - down, expected, rtol=1e-6)


def test_bfloat16_params_give_bfloat16_outputs_near_the_float32_ones(network):
    tokens, params = _made(network)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    outputs = network.apply(half, tokens)  # float32 tokens are cast
    assert outputs.dtype == jnp.bfloat16
    np.testing.assert_array_equal(outputs, network.apply(half, tokens.astype(jnp.bfloat16)))
    np.testing.assert_allclose(
        outputs.astype(jnp.float32), network.apply(params, tokens), atol=0.15
    )
    for state in network.prefill(half, tokens):
        assert state.cell.dtype == jnp.float32
        assert state.hidden.dtype == jnp.bfloat16
    grads = jax.grad(lambda p: jnp.sum(network.apply(p, tokens).astype(jnp.float32)))(half)
    assert all(g.dtype == jnp.bfloat16 for g in jax.tree.leaves(grads))
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(grads))


def test_initialisation(network):
    tokens = jnp.zeros((2, TIME, FEATURES))
    params = network.init(jax.random.key(0), tokens)
    longer = network.init(jax.random.key(0), jnp.ones((TIME + 2, FEATURES)))
    jax.tree.map(np.testing.assert_array_equal, params, longer)
    other = network.init(jax.random.key(1), tokens)
    assert not jnp.array_equal(params["head"]["kernel"], other["head"]["kernel"])


def test_lstm_starts_remembering_with_orthogonal_gates():
    params = lstm(num_outputs=2, width=4).init(jax.random.key(0), jnp.zeros((1, 3)))["layers_0"]
    np.testing.assert_array_equal(params["input"]["bias"], np.repeat([0.0, 1.0, 0.0, 0.0], 4))
    for gate in jnp.split(params["recurrent"], 4, axis=1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize(("make", "power"), [(lstm, 1), (outer_product_lstm, 2)])
def test_state_grows_with_the_width_and_not_with_the_sequence(make, power):
    def cell_size(width, time):
        network = make(num_outputs=2, width=width)
        tokens = jnp.zeros((time, 3))
        params = network.init(jax.random.key(0), tokens)
        (state,) = network.prefill(params, tokens)
        assert state.hidden.size == width
        return state.cell.size

    assert cell_size(8, 2) == cell_size(8, 5) == 8**power
    assert cell_size(16, 2) == 16**power


def test_decode_compiles_once_and_no_array_is_baked_in(network):
    tokens, params = _made(network)
    state = network.prefill(params, tokens)
    traces = 0

    @jax.jit
    def decode(params, state, token):
        nonlocal traces
        traces += 1
        return network.decode(params, state, token)

    for t in range(3):
        _, state = decode(params, state, tokens[:, t])
    assert traces == 1
    assert jax.make_jaxpr(network.apply)(params, tokens).consts == []


@pytest.mark.parametrize("field", ["num_outputs", "width", "layers", "heads"])
def test_a_size_below_one_is_refused(field):
    make = lstm if field == "layers" else outer_product_lstm
    with pytest.raises(ConfigError, match=field):
        make(**{"num_outputs": 2, "width": 2, field: 0})
