"""Methods that make images on HyPINO's encoder, through refinement and the benchmarks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdes
from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.physics.pde import nodes
from metajax.systems import build, configure, replace
from metajax.systems.hypino import benchmarking, refine
from metajax.systems.hypino.report import title

KEY = jax.random.key(0)
METHODS = ("unet", "pino")
by_image = pytest.mark.parametrize("method", METHODS)


def setup(method, **changes):
    return build(replace(pdes.CONFIG, method=method, **changes))


def target(method):
    return setup(method).method.parts.function


@functools.cache
def made(method):
    """One pass, its start, parameters none of which is zero, and a problem."""
    learner, task = setup(method).method.learner, jax.jit(pdes.quadratics)(KEY)
    start = jax.jit(learner.init)(KEY, task)
    draw = np.random.default_rng(0).standard_normal
    params = jax.tree.map(lambda p: p + 0.1 * draw(p.shape).astype(p.dtype), start)
    one_pass = jax.jit(lambda params, inputs: learner.adapt(params, inputs, KEY))
    return one_pass, start, params, task


@by_image
def test_the_solution_takes_the_values_of_the_image_at_the_nodes(method):
    one_pass, _, params, task = made(method)
    image = one_pass(params, task.support)
    assert image.shape == (8, 8) and image.dtype == jnp.float32
    found = jax.jit(target(method).apply)(image, nodes(8))
    np.testing.assert_allclose(found[..., 0], image, atol=1e-5)


@by_image
def test_the_encoder_is_that_of_the_hypernetwork(method):
    """The same parameters from the same key."""
    ours, theirs = made(method)[1], made("weights")[1]
    assert set(ours) == {"embedding", "encoder", "decoder"}
    for name in ("embedding", "encoder"):
        close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
        jax.tree.map(close, ours[name], theirs[name])


@pytest.mark.slow
@by_image
def test_half_precision_ends_in_float32_close_to_single(method):
    one_pass, _, params, task = made(method)
    with jax.numpy_dtype_promotion("standard"):  # which Flax's GroupNorm needs
        adapt = jax.jit(setup(method, bfloat16=True).method.learner.adapt)
        half = adapt(params, task.support, KEY)
    full = one_pass(params, task.support)
    assert half.dtype == jnp.float32
    assert 0 < np.std(half - full) < 0.1 * np.std(full)


def test_refinement_adds_images():
    """A spline is linear in its values: the solution is the function of the sum of the images."""
    one_pass, _, params, task = made("pino")
    spline, points = target("pino"), task.query.points
    found = refine(lambda x: one_pass(params, x), spline, task.support, points, 2)
    assert found.weights.shape == (3, 8, 8)
    np.testing.assert_allclose(found.weights[0], one_pass(params, task.support), atol=1e-4)
    assert np.abs(found.weights[1] - found.weights[0]).max() > 1e-2
    u = found.derivatives(spline, points.interior)
    alone = jax.jit(spline.derivatives)(jnp.sum(found.weights, 0), points.interior)[0]
    for name in u._fields:
        np.testing.assert_allclose(getattr(u, name), getattr(alone, name)[:, 0], atol=1e-2)


@pytest.mark.slow
@by_image
def test_benchmarks_have_the_ways_that_need_no_features(method):
    run = setup(method, benchmarks=("HT",))
    found = benchmarking.benchmarks(run.problem, run.method, made(method)[2])["HT"]
    ways = {"zero", "model", "refined_1", "random_equal", "random_twice", "random"}
    assert set(found["ways"]) == ways and set(found["maps"]["ways"]) == {"model", "refined_1"}
    assert not found["tuning"]  # there are no weights of a network to tune
    assert all(np.isfinite(row["mse"]) for row in found["ways"].values())
    assert len({title(way) for way in ways}) == len(ways)


def test_a_method_that_does_not_exist_is_rejected():
    with pytest.raises(ConfigError, match=r"method = 'u-net'.*did you mean 'unet'"):
        setup("u-net")


def test_the_older_word_of_the_command_line_is_answered_with_todays(capsys):
    assert main(["train", "hypino", "--decoder", "unet"]) == 2
    assert "--decoder = 'unet': expected --method instead" in capsys.readouterr().err


def test_sizes_of_generated_networks_are_no_settings_of_images():
    for name in ("head_hidden", "target_width", "target_layers"):
        with pytest.raises(ConfigError, match=f"'{name}'.*unet.*weights, solved.*have it"):
            configure("hypino", method="unet", **{name: 4})
