"""Wider and deeper networks compute what they did; optimizers resume in them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import drawn, make_cases, make_graph, make_transformer, some_slow
from flax import linen as nn
from flax import nnx

from metajax.core import ConfigError, enable_x64, prepare_optimizer
from metajax.nn import from_equinox, from_linen, from_nnx, mlp
from metajax.units import (
    Axis,
    deepen,
    deepen_state,
    graph_units,
    mask_units,
    mlp_units,
    reads,
    slice_units,
    transformer_units,
    unit_sizes,
    widen,
    widen_state,
)

KEY = jax.random.key(3)
CASES = make_cases()
WIDER = {
    "mlp": {"h0": 13, "h1": 7},
    "conv": {"c0": 5, "c1": 9},
    "transformer": {"width": 16, "heads0": 3, "ffn0": 32},
    "graph": {"state0": 7, "state1": 7, "message0": 5, "readout": 7},
}


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", some_slow(CASES, "mlp", "graph"))
def test_a_wider_network_has_the_same_function(name, wide):
    """Copies and shares of every group of units at once; by both splits in float64."""
    case, sizes, splits = CASES[name], WIDER[name], ("random", "equal")[: 1 + wide]

    @jax.jit
    def run(params, inputs, key):
        usual = case.make().apply(params, *inputs)
        grown = [widen(params, case.units, sizes, key, split) for split in splits]
        return usual, grown, [case.make(**sizes).apply(other, *inputs) for other in grown]

    with enable_x64(wide):
        params, inputs = cast((case.params, case.inputs), wide)
        usual, grown, outputs = run(params, inputs, KEY)
        for other, output in zip(grown, outputs, strict=True):
            assert unit_sizes(other, case.units) == unit_sizes(params, case.units) | sizes
            assert output.dtype == (jnp.float64 if wide else jnp.float32)
            np.testing.assert_allclose(output, usual, rtol=0, atol=closeness(usual, wide))


def cast(tree, wide):
    """Floats in float64, where it is on."""
    dtype = jnp.float64 if wide else jnp.float32
    return jax.tree.map(
        lambda x: jnp.asarray(x, dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree
    )


def closeness(outputs, wide):
    """What the largest output makes of 1e-5 in float32 and 1e-12 in float64."""
    return (1e-12 if wide else 1e-5) * np.max(np.abs(outputs))


DEEPER = {
    "mlp": (("Dense_1", "Dense_0"), functools.partial(mlp, [6, 6, 5, 5], 3)),
    "transformer": (
        ("blocks_0",),
        functools.partial(make_transformer, layers=2),
    ),
    "graph": (
        (
            "encoder/layer_0",
            "round_0/message/layer_0",
            "round_0/update/layer_0",
            "readout/layer_0",
            "round_0",
        ),
        functools.partial(make_graph, layers=2, rounds=2),
    ),
}


@pytest.mark.parametrize("wide", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DEEPER)
def test_a_deeper_network_has_the_same_function(name, wide):
    """Its parameters and units are those of the library's deeper network; its layers all learn."""
    case, (places, make) = CASES[name], DEEPER[name]
    deeper = make()
    made = {}

    @jax.jit
    def run(params, inputs):
        deep, units = params, case.units
        for after in places:
            deep, units = deepen(deep, units, after, None if name == "transformer" else jax.nn.relu)
        made["units"] = units
        gradient = jax.grad(lambda p: jnp.sum(jnp.sin(deeper.apply(p, *inputs))))(deep)
        return case.make().apply(params, *inputs), deep, deeper.apply(deep, *inputs), gradient

    with enable_x64(wide):
        params, inputs = cast((case.params, case.inputs), wide)
        usual, deep, output, gradient = run(params, inputs)
        np.testing.assert_allclose(output, usual, rtol=0, atol=closeness(usual, wide))
    expected = jax.eval_shape(deeper.init, KEY, *case.inputs)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a.shape, b.shape), deep, expected)
    named = NAMED[name](expected)
    assert sorted(unit_sizes(deep, made["units"]).values()) == sorted(
        unit_sizes(expected, named).values()
    )
    still = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)
        if np.max(np.abs(leaf)) == 0
    ]
    # behind weights that are still zero nothing learns in the first step
    silent = {"transformer": "['blocks_1']", "graph": "['round_1']['message']"}.get(name)
    assert all(silent and path.startswith(silent) for path in still), still


NAMED = {"mlp": mlp_units, "transformer": lambda p: transformer_units(p, 2), "graph": graph_units}


def test_a_convolution_is_deepened_by_the_identity_of_its_middle_pixel():
    """Pixels that are no square, and kernels with outputs first, as Equinox has them."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 6, 3)), jnp.float32)
    first, last = nn.Conv(4, (3, 5)), nn.Dense(2)

    def apply(params, x):
        for number in range(len(params) - 1):
            x = nn.relu(first.apply({"params": params[f"conv_{number}"]}, x))
        return last.apply({"params": params["head"]}, x)

    params = drawn(
        {
            "conv_0": {"kernel": jnp.ones((3, 5, 3, 4)), "bias": jnp.ones(4)},
            "head": {"kernel": jnp.ones((4, 2)), "bias": jnp.ones(2)},
        }
    )
    units = {
        "conv_0": {"kernel": (None, None, None, "c"), "bias": ("c",)},
        "head": {"kernel": (reads("c"), None), "bias": None},
    }

    @jax.jit
    def run(params, x):
        deep, named = deepen(params, units, "conv_0", nn.relu)
        deeper, _ = deepen(deep, named, "conv_1", nn.relu)
        return [apply(p, x) for p in (params, deep, deeper)]

    usual, deep, deeper = run(params, x)
    np.testing.assert_allclose(deep, usual, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(deeper, usual, rtol=1e-6, atol=1e-6)
    turned = {"conv_0": np.ones((4, 3, 3, 5), np.float32), "head": np.ones((2, 4))}
    named = {"conv_0": ("c", None, None, None), "head": (None, reads("c"))}
    new, named = deepen(turned, named, "conv_0", nn.relu)
    assert named["conv_1"] == ("c'", reads("c"), None, None)
    expected = np.zeros((4, 4, 3, 5))
    expected[range(4), range(4), 1, 2] = 1
    np.testing.assert_array_equal(new["conv_1"], expected)


def prepared(rate):
    return prepare_optimizer(optax.adam(rate), has_function=False)


def test_equal_copies_stay_equal_and_random_ones_part():
    """By Adam, whose steps do not depend on a gradient's scale: the rank of the activations."""
    inputs, optimizer = np.random.default_rng(0).normal(size=(64, 4)), prepared(1e-2)
    inputs = jnp.asarray(inputs, jnp.float32)
    network = mlp([12], 2)
    params = drawn(jax.eval_shape(mlp([4], 2).init, KEY, inputs))
    units = mlp_units(params)
    targets = jnp.asarray(np.sin(3 * inputs[:, :2]))

    def run(params, split):
        wide = widen(params, units, {"h0": 12}, KEY, split)
        state = widen_state(optimizer.init(params), params, units, {"h0": 12}, KEY)

        def step(carry, _):
            wide, state = carry
            gradient = jax.grad(
                lambda params: jnp.mean((network.apply(params, inputs) - targets) ** 2)
            )(wide)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(wide, updates), state), None

        (trained, _), _ = jax.lax.scan(step, (wide, state), length=150)
        return wide, trained

    def rank(params):
        layer = params["Dense_0"]
        hidden = np.maximum(inputs @ layer["kernel"] + layer["bias"][None], 0)
        return np.linalg.matrix_rank(hidden, rtol=1e-4)

    both = jax.jit(lambda params: [run(params, split) for split in ("equal", "random")])(params)
    ranks = [[rank(each) for each in found] for found in both]
    assert ranks[0] == [4, 4]
    assert ranks[1][0] == 4 and ranks[1][1] > 8


def test_an_optimizer_resumes_in_the_grown_network():
    """Moments belong to their units and layers, and counts stay."""
    optimizer, units, sizes = prepared(0.1), CASES["mlp"].units, WIDER["mlp"]

    @jax.jit
    def run(params):
        _, state = optimizer.update(params, optimizer.init(params))  # moments tell units apart
        return (
            state,
            widen_state(state, params, units, sizes, KEY),
            deepen_state(state, params, units, "Dense_0"),
            widen(params, units, sizes, KEY),
            deepen(params, units, "Dense_0", jax.nn.relu)[0],
        )

    state, wide, deep, wider, deeper = run(CASES["mlp"].params)
    for new, expected in ((wide, wider), (deep, deeper)):
        made = jax.eval_shape(optimizer.init, expected)
        same = jax.tree.map(lambda a, b: a.shape == b.shape, new, made)
        assert all(jax.tree.leaves(same))
    assert wide[0].count == deep[0].count == state[0].count == 1
    old, new = (np.asarray(state[0].mu["Dense_0"]["kernel"]) for state in (state, wide))
    np.testing.assert_array_equal(new[:, :6], old)
    assert set(map(tuple, new.T)) == set(map(tuple, old.T))
    assert not np.any(deep[0].nu["Dense_1"]["kernel"])
    np.testing.assert_array_equal(deep[0].nu["Dense_2"]["kernel"], state[0].nu["Dense_1"]["kernel"])


class Linen(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(2, name="last")(nn.tanh(nn.Dense(self.width, name="first")(x)))


class NNX(nnx.Module):
    def __init__(self, width, *, rngs):
        self.first, self.last = nnx.Linear(4, width, rngs=rngs), nnx.Linear(width, 2, rngs=rngs)

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(x)))


def equinox(width):
    eqx = pytest.importorskip("equinox")
    network = from_equinox(lambda key: eqx.nn.MLP(4, 2, width, 1, jnp.tanh, key=key))
    return network._replace(apply=jax.vmap(network.apply, (None, 0)))


FIRST = {"kernel": (None, "h"), "bias": ("h",)}
HAND = {"first": FIRST, "last": {"kernel": (reads("h"), None), "bias": (None,)}}
TURNED = {
    "0": {"weight": ("h", None), "bias": ("h",)},
    "1": {"weight": (None, reads("h")), "bias": None},
}


@pytest.mark.parametrize(
    ("make", "units"),
    [
        pytest.param(lambda width: from_linen(Linen(width)), HAND, marks=pytest.mark.slow),
        (functools.partial(from_nnx, NNX), HAND),
        pytest.param(equinox, {"layers": TURNED}, marks=pytest.mark.slow),
    ],
    ids=["linen", "nnx", "equinox"],
)
def test_networks_of_other_libraries_have_units_by_hand(make, units):
    """Wider, and then the first three units as sliced and as masked."""
    narrow, wide = make(5), make(9)
    inputs = CASES["mlp"].inputs[0]
    params = drawn(jax.eval_shape(narrow.init, KEY, inputs))

    @jax.jit
    def run(params, inputs):
        grown = widen(params, units, {"h": 9}, KEY)
        masked = mask_units(params, units, {"h": jnp.arange(5) < 3})
        return (
            narrow.apply(params, inputs),
            wide.apply(grown, inputs),
            narrow.apply(masked, inputs),
            make(3).apply(slice_units(params, units, {"h": 3}), inputs),
        )

    usual, grown, masked, sliced = run(params, inputs)
    np.testing.assert_allclose(grown, usual, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sliced, masked, rtol=1e-5, atol=1e-5)
    assert np.max(np.abs(masked - usual)) > 0.01


def grow(name, *args):
    return deepen(CASES[name].params, CASES[name].units, *args)


def normalized():
    units = {"a_0": ("h",), "b": (Axis("h", "normalizes"),), "c": (reads("h"),)}
    return deepen({name: jnp.ones(2) for name in units}, units, "a_0", jax.nn.relu)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grow("mlp", "Dense_0", jnp.tanh), "activation = 'tanh'"),
        (lambda: grow("mlp", "Dense_0", jax.nn.leaky_relu), "such as jax.nn.relu"),
        (lambda: grow("mlp", "Dense_0"), "activation = None"),
        (lambda: grow("mlp", "Dense_2", jax.nn.relu), "one input and one output"),
        (lambda: grow("mlp", "Dense_3", jax.nn.relu), "after = 'Dense_3'"),
        (lambda: grow("graph", "encoder", jax.nn.relu), "ends in a number"),
        (lambda: grow("conv", "conv_0", jax.nn.relu), "outputs are not normalized"),
        (lambda: grow("graph", "round_0", jax.nn.mish), "activation = 'mish'"),
        (normalized, "kernels from its inputs to h"),
        (
            lambda: widen(*CASES["mlp"][1:3], {"h0": 5}, KEY),
            "size of h0 = 5: expected 6 or more",
        ),
        (
            lambda: widen(*CASES["transformer"][1:3], {"width": 12}, KEY),
            "a multiple of 8",
        ),
        (lambda: widen(*CASES["mlp"][1:3], {"h9": 5}, KEY), "sizes = 'h9'"),
        (lambda: widen(*CASES["mlp"][1:3], {}, KEY, "halves"), "split = 'halves'"),
    ],
)
def test_what_would_change_the_function_is_rejected_by_name(call, words):
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)


@pytest.mark.parametrize("shape", [(2, 3, 3, 3), (3, 3, 3, 3)])
def test_even_kernels_have_no_middle(shape):
    units = {"conv_0": (None, None, None, "c"), "head": (reads("c"),)}
    params = {"conv_0": jnp.ones(shape), "head": jnp.ones(3)}
    if shape[0] % 2:
        deepen(params, units, "conv_0", jax.nn.relu)
    else:
        with pytest.raises(ConfigError, match="odd number of pixels"):
            deepen(params, units, "conv_0", jax.nn.relu)
