"""Supernets: sub-networks as masks and extracted, and mixtures that are plain sharing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import drawn, make_cases, make_mlp, make_transformer, some_slow

from metajax.core import ConfigError
from metajax.units import (
    all_architectures,
    architecture_code,
    architecture_masks,
    fair_architectures,
    mask_units,
    random_code,
    sample_architecture,
    sandwich,
    slice_units,
    supernet,
)

KEY = jax.random.key(5)
SPACE = {"h0": (6, 2, 4), "h1": (3, 5), "activation": ("relu", "tanh")}
CASES = make_cases()


def test_the_space_is_drawn_evenly_and_in_full():
    """The sandwich begins with the ends, whatever the order of the options."""

    @jax.jit
    def draw(key):
        keys = jax.random.split(key, 600)
        many = jax.vmap(lambda key: sample_architecture(key, SPACE))(keys)
        return many, sandwich(key, SPACE, 4), fair_architectures(key, SPACE)

    many, ends, fair = draw(KEY)
    for name, options in SPACE.items():
        counts = np.bincount(many[name], minlength=len(options))
        # five standard deviations of a count
        assert np.abs(counts - 600 / len(options)).max() < 5 * (600 * 0.25) ** 0.5
        assert np.bincount(fair[name]).tolist() == [6 // len(options)] * len(options)
    assert ends["h0"][:2].tolist() == [1, 0] and ends["h1"][:2].tolist() == [0, 1]
    assert ends["activation"].shape == (4,)
    found = all_architectures(SPACE)
    assert len(set(zip(*(row.tolist() for row in found.values()), strict=True))) == 12


def test_code_and_masks_are_what_was_chosen():
    architecture = {"h0": jnp.array(1), "h1": jnp.array(0), "activation": jnp.array(1)}
    code = architecture_code(architecture, SPACE)
    np.testing.assert_allclose(code, [2 / 6, 3 / 5, 0, 1], rtol=1e-6)
    masks = architecture_masks(architecture, SPACE, {"h0": 6, "h1": 7})
    assert masks["h0"].tolist() == [True] * 2 + [False] * 4
    assert masks["h1"].tolist() == [True] * 3 + [False] * 4


@pytest.mark.parametrize("by", some_slow(["layer", "neuron"], "layer"))
def test_one_expert_and_equal_experts_are_plain_sharing(by):
    """Bit for bit the one, to rounding the other; other experts are not. One program for all."""
    case, times = CASES["mlp"], []
    space = {name: SPACE[name] for name in ("h0", "h1")}
    inputs = case.inputs[0]
    one, two = (supernet(case.make(), case.units, space, experts=n, by=by) for n in (1, 2))
    params = [drawn(jax.eval_shape(net.init, KEY, inputs)) for net in (one, two)]
    plain = jax.tree.map(lambda leaf: leaf[0], params[0]["experts"])
    equal = params[1] | {"experts": jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), plain)}

    @jax.jit
    def run(params, equal, plain, architecture):
        times.append(1)
        masks = architecture_masks(architecture, space, {"h0": 6, "h1": 5})
        return (
            mask_units(plain, case.units, masks),
            one.masked(params[0], architecture),
            two.masked(equal, architecture),
            two.masked(params[1], architecture),
        )

    for key in jax.random.split(KEY, 3):
        architecture = sample_architecture(key, space)
        shared, alone, twice, mixed = run(params, equal, plain, architecture)
        jax.tree.map(np.testing.assert_array_equal, alone, shared)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), twice, shared)
        apart = jax.tree.map(lambda a, b: np.max(np.abs(a - b)), mixed, shared)
        assert min(jax.tree.leaves(apart)) > 1e-3
    assert len(times) == 1


@pytest.mark.parametrize("by", some_slow(["layer", "neuron"], "layer"))
def test_an_extracted_network_computes_what_the_masked_one_does(by):
    """And each neuron has its own weights of experts, for its bias as for its kernel."""
    case = CASES["mlp"]
    space = {"h0": (2, 6), "h1": (3, 5)}
    net = supernet(case.make(), case.units, space, experts=3, by=by, hidden=4)
    params = drawn(jax.eval_shape(net.init, KEY, case.inputs[0]))
    # experts that are 0, 1 and 2 everywhere show the weights themselves
    levels = jax.tree.map(
        lambda leaf: (
            np.ones_like(leaf) * np.arange(3.0, dtype=np.float32).reshape(3, *[1] * (leaf.ndim - 1))
        ),
        params["experts"],
    )

    @jax.jit
    def run(params, levels):
        architecture = {"h0": 0, "h1": 1}
        masked, small = net.masked(params, architecture), net.extract(params, architecture)
        return (
            case.make().apply(masked, *case.inputs),
            make_mlp(h0=2, h1=5).apply(small, *case.inputs),
            net.masked({**params, "experts": levels}, {"h0": 1, "h1": 1})["Dense_1"],
        )

    masked, small, layer = run(params, levels)
    np.testing.assert_allclose(small, masked, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(layer["kernel"], np.tile(layer["bias"], (6, 1)), rtol=1e-6)
    assert len(np.unique(np.round(layer["bias"], 5))) == (1 if by == "layer" else 5)


@pytest.mark.parametrize("by", some_slow(["layer", "neuron"], "neuron"))
def test_slicing_commutes_with_mixing(by):
    """What is extracted is a sum of the experts' own slices, by the weights that the router gives.

    Experts that are 0 and 1 everywhere show the second one's weights.
    """
    case, space = CASES["mlp"], {"h0": (2, 6), "h1": (3, 5)}
    net = supernet(case.make(), case.units, space, experts=2, by=by, hidden=4)
    params = drawn(jax.eval_shape(net.init, KEY, case.inputs[0]))
    levels = jax.tree.map(
        lambda leaf: np.stack([np.zeros(leaf.shape[1:]), np.ones(leaf.shape[1:])]).astype("f"),
        params["experts"],
    )

    @jax.jit
    def run(params, levels):
        at = {"h0": 0, "h1": 0}
        one, other = (jax.tree.map(lambda leaf, i=i: leaf[i], params["experts"]) for i in (0, 1))
        slices = [slice_units(expert, case.units, {"h0": 2, "h1": 3}) for expert in (one, other)]
        return net.extract(params, at), net.extract({**params, "experts": levels}, at), slices

    mixed, gates, slices = run(params, levels)
    expected = jax.tree.map(lambda gate, a, b: (1 - gate) * a + gate * b, gates, *slices)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), mixed, expected
    )
    assert 0.01 < float(gates["Dense_1"]["bias"][0]) < 0.99


def test_random_codes_are_the_architectures_own():
    """A router that reads them learns each architecture by heart; alike ones share nothing."""

    @jax.jit
    def codes(many):
        return jax.vmap(lambda one: random_code(one, SPACE, 1, 3))(many)

    found = np.asarray(codes(all_architectures(SPACE)))
    np.testing.assert_array_equal(found, codes(all_architectures(SPACE)))
    assert found.shape == (12, 3) and len(np.unique(found)) == 36
    case, space = CASES["mlp"], {"h0": (2, 6)}
    for code, numbers in ((architecture_code, 1), (lambda one, of: random_code(one, of, 1), 8)):
        net = supernet(case.make(), case.units, space, experts=2, hidden=4, code=code)
        shapes = jax.eval_shape(net.init, KEY, case.inputs[0])
        assert shapes["router"]["Dense_0"]["kernel"].shape == (numbers, 4)


@pytest.mark.slow
def test_heads_of_attention_are_chosen_too():
    case = CASES["transformer"]
    space, architecture = {"heads0": (1, 2), "ffn0": (8, 16)}, {"heads0": 0, "ffn0": 0}
    net = supernet(case.make(), case.units, space, experts=2, by="neuron", hidden=4)
    params = drawn(jax.eval_shape(net.init, KEY, *case.inputs))

    @jax.jit
    def run(params):
        small = net.extract(params, architecture)
        return (
            make_transformer(heads0=1, ffn0=8).apply(small, *case.inputs),
            case.make().apply(net.masked(params, architecture), *case.inputs),
        )

    small, masked = run(params)
    np.testing.assert_allclose(small, masked, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sample_architecture(KEY, {}), "one choice or more"),
        (lambda: sample_architecture(KEY, {"h0": (1, "a")}), "space, h0"),
        (lambda: sample_architecture(KEY, {"h0": (0, 1)}), "numbers of 1 or more"),
        (lambda: sandwich(KEY, SPACE, 1), "num = 1"),
        (lambda: architecture_masks({"h9": 0}, {"h9": (1, 2)}, {"h0": 3}), "space, h9"),
        (lambda: supernet(make_mlp(), CASES["mlp"].units, SPACE, experts=0), "experts = 0"),
        (lambda: supernet(make_mlp(), CASES["mlp"].units, SPACE, by="row"), "by = 'row'"),
    ],
)
def test_what_is_no_space_is_rejected(call, words):
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)
