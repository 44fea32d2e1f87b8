"""HyPINO's rivals on its encoder: images of solutions, through refinement and the benchmarks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdes
from metajax.core import ConfigError
from metajax.physics.pde import nodes
from metajax.systems.hypino import (
    evaluate,
    make_network,
    make_target,
    refine,
)
from metajax.systems.hypino.report import title

pytestmark = pytest.mark.usefixtures("quick_compile")

KEY = jax.random.key(0)
TINY = dataclasses.replace(pdes.CONFIG, target_width=2)
DECODERS = ("unet", "pino")


def config(decoder, **changes):
    return dataclasses.replace(TINY, decoder=decoder, **changes)


@functools.cache
def made(decoder):
    """A network, its start, parameters none of which is zero, and a problem."""
    network, task = make_network(config(decoder)), pdes.quadratics(KEY)
    start = jax.jit(network.init)(KEY, task.support)
    draw = np.random.default_rng(0).standard_normal
    params = jax.tree.map(lambda p: p + 0.1 * draw(p.shape).astype(p.dtype), start)
    return network._replace(apply=jax.jit(network.apply)), start, params, task


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_solution_takes_the_values_of_the_image_at_the_nodes(decoder):
    network, _, params, task = made(decoder)
    image = network.apply(params, task.support)
    assert image.shape == (8, 8) and image.dtype == jnp.float32
    found = make_target(config(decoder)).apply(image, nodes(8))
    np.testing.assert_allclose(found[..., 0], image, atol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_encoder_is_that_of_the_hypernetwork(decoder):
    """The same parameters from the same key."""
    ours, theirs = made(decoder)[1], made("weights")[1]
    assert set(ours) == {"embedding", "encoder", "decoder"}
    for name in ("embedding", "encoder"):
        close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
        jax.tree.map(close, ours[name], theirs[name])


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_half_precision_ends_in_float32_close_to_single(decoder):
    network, _, params, task = made(decoder)
    with jax.numpy_dtype_promotion("standard"):  # which Flax's GroupNorm needs
        half = jax.jit(make_network(config(decoder, bfloat16=True)).apply)(params, task.support)
    full = network.apply(params, task.support)
    assert half.dtype == jnp.float32
    assert 0 < np.std(half - full) < 0.1 * np.std(full)


def test_refinement_adds_images():
    """A spline is linear in its values: the solution is the function of the sum of the images."""
    network, _, params, task = made("pino")
    target, points = make_target(config("pino")), task.query.points
    found = refine(lambda x: network.apply(params, x), target, task.support, points, 2)
    assert found.weights.shape == (3, 8, 8)
    np.testing.assert_allclose(found.weights[0], network.apply(params, task.support), atol=1e-4)
    assert np.abs(found.weights[1] - found.weights[0]).max() > 1e-2
    u = found.derivatives(target, points.interior)
    alone = target.derivatives(jnp.sum(found.weights, 0), points.interior)[0]
    for name in u._fields:
        np.testing.assert_allclose(getattr(u, name), getattr(alone, name)[:, 0], atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_benchmarks_have_the_ways_that_need_no_features(decoder, monkeypatch):
    monkeypatch.setattr(evaluate, "PUBLISHED", ("HT",))
    _, _, params, _ = made(decoder)
    found = evaluate.benchmarks(config(decoder), params)["HT"]
    ways = {"zero", "model", "refined_1", "random_equal", "random_twice", "random"}
    assert set(found["ways"]) == ways and set(found["maps"]["ways"]) == {"model", "refined_1"}
    assert not found["tuning"]  # there are no weights of a network to tune
    assert all(np.isfinite(row["mse"]) for row in found["ways"].values())
    assert len({title(way) for way in ways}) == len(ways)


def test_a_decoder_that_does_not_exist_is_refused():
    with pytest.raises(ConfigError, match=r"decoder = 'u-net'.*did you mean 'unet'"):
        config("u-net")
