"""Weights by their coordinates: any width by one program, and nothing beyond the width."""

import jax
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import implicit, shared_implicit
from metajax.nn import mlp
from metajax.units import keep_first, mlp_units

INPUTS = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
NETWORK = mlp((4, 8, 4), 3)


def start(key):
    return NETWORK.init(key, INPUTS)


UNITS = mlp_units(jax.eval_shape(start, jax.random.key(0)))
HYPERNET = implicit(start, UNITS, ["h1"], hidden=8, depth=2, noise=0.5)


@pytest.fixture(scope="module")
def params():
    return jax.jit(lambda key: HYPERNET.init(key, {"h1": 8}))(jax.random.key(0))


@pytest.fixture(scope="module")
def made():
    return jax.jit(lambda params, width: HYPERNET.apply(params, {"h1": width}))


def test_one_program_makes_every_width_and_zeros_beyond_it(params, made):
    full = made(params, 8)
    assert jax.tree.structure(full) == jax.tree.structure(start(jax.random.key(0)))
    for width in (1, 5, 8):
        found = made(params, width)
        assert not np.any(found["Dense_1"]["kernel"][:, width:])
        assert not np.any(found["Dense_2"]["kernel"][width:])
        assert np.all(found["Dense_1"]["kernel"][:, :width] != 0)
        np.testing.assert_array_equal(found["Dense_0"]["kernel"], full["Dense_0"]["kernel"])
    assert made._cache_size() == 1


def test_without_a_key_the_same_width_gives_the_same_weights_and_with_one_it_moves(params, made):
    once, again = made(params, 5), made(params, 5)
    np.testing.assert_array_equal(once["Dense_2"]["kernel"], again["Dense_2"]["kernel"])
    noisy = jax.jit(lambda key: HYPERNET.apply(params, {"h1": 5}, key))
    drawn = [noisy(jax.random.key(seed))["Dense_2"]["kernel"] for seed in (0, 1, 0)]
    assert np.any(drawn[0] != drawn[1]) and np.array_equal(drawn[0], drawn[2])
    assert not np.any(drawn[0][5:])


def test_units_at_the_same_share_of_the_width_weigh_the_same_over_the_fan_in(params, made):
    """The middle unit of three, and the only one, are both at one half."""
    layers = params["made"]["Dense_2/kernel"]
    # a function that does not read the size itself
    kernel = layers["in"]["kernel"].at[-1].set(0)
    plain = {
        **params["made"],
        "Dense_2/kernel": {**layers, "in": {**layers["in"], "kernel": kernel}},
    }
    plain = {**params, "made": plain}
    third = made(plain, 1)["Dense_2"]["kernel"][0]
    np.testing.assert_allclose(
        made(plain, 3)["Dense_2"]["kernel"][1] * 3, third, rtol=1e-4, atol=1e-5
    )


def test_units_that_share_an_axis_with_others_are_rejected():
    for names in (["h7"], ["h0", "nothing"]):
        with pytest.raises(ConfigError) as raised:
            implicit(start, UNITS, names)
        assert raised.value.field == "names"


def test_fewer_octaves_read_fewer_waves_of_the_units_that_vary_alone(params):
    few = implicit(start, UNITS, ["h1"], hidden=8, depth=2, octaves=2)
    layers = jax.eval_shape(few.init, jax.random.key(0), {"h1": 8})["made"]
    full = params["made"]
    for path, units in (("Dense_1/kernel", 8), ("Dense_2/kernel", 8), ("Dense_1/bias", 8)):
        fewer = len(full[path]["in"]["kernel"]) - len(layers[path]["in"]["kernel"])
        assert fewer == 2 * (np.log2(2 * units) - 2)
    with pytest.raises(ConfigError) as raised:
        implicit(start, UNITS, ["h1"], octaves=0)
    assert raised.value.field == "octaves"


def test_shared_weights_start_as_the_first_units_and_the_function_corrects_them():
    hypernet = shared_implicit(start, UNITS, ["h1"], hidden=4, depth=1)
    params = hypernet.init(jax.random.key(0), {"h1": 8})
    apply = jax.jit(lambda params, width: hypernet.apply(params, {"h1": width}))
    first = keep_first(params["shared"], UNITS, {"h1": 5})
    jax.tree.map(np.testing.assert_array_equal, apply(params, 5), first)
    # the bias's function starts at zero: behind a factor of zero it would stay there
    assert {name: float(gain) for name, gain in params["gains"].items()} == {
        "Dense_1/bias": 1.0,
        "Dense_1/kernel": 0.0,
        "Dense_2/kernel": 0.0,
    }
    moved = {**params, "gains": {name: gain + 1 for name, gain in params["gains"].items()}}
    found = apply(moved, 5)
    assert np.all(found["Dense_1"]["kernel"][:, :5] != first["Dense_1"]["kernel"][:, :5])
    assert not np.any(found["Dense_1"]["kernel"][:, 5:])
    assert not np.any(found["Dense_2"]["kernel"][5:])
    np.testing.assert_array_equal(found["Dense_0"]["kernel"], first["Dense_0"]["kernel"])
    assert apply._cache_size() == 1
