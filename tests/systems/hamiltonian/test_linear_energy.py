"""Learned features with a solved head: exact where it can be, symmetric, differentiable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Examples, Task, cast_floats, enable_x64
from metajax.physics import Phase, get_mechanics, stacked
from metajax.systems import configure, get_system, replace
from metajax.systems.hamiltonian import Problem, architecture_of
from metajax.systems.hamiltonian.linear_energy import LinearEnergy, Span, make_linear_motion
from metajax.systems.hamiltonian.monomials import highest_degree, num_terms
from metajax.systems.hamiltonian.tasks import Snapshots, simulate
from metajax.systems.setup import make_method

TINY = configure("hamiltonian", method="linear_energy", **get_system("hamiltonian").tiny)
KEY = jax.random.key(0)


def motion_of(name, points, config=TINY):
    """The float64 points of one system's motion, with their rates, and its parameters."""
    config = replace(config, points=200, duration=10.0, shots=points, queries=points)
    truth = simulate(get_mechanics(name), KEY, 1, config)
    chosen = np.random.default_rng(0).permutation(200)[: 2 * points]

    def examples(of):
        rest = truth.times[of], np.ones(of.shape, bool)
        state, rate = jax.tree.map(lambda leaf: leaf[0, of], (truth.states, truth.rates))
        return Examples(Snapshots(state, *rest), Snapshots(rate, *rest))

    task = Task(examples(chosen[:points]), examples(chosen[points:]))
    return task, jax.tree.map(lambda leaf: leaf[0], truth.parameters)


def off(found, wanted):
    """Largest difference of two motions, relative to the second's largest rate."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize(
    ("name", "structure", "degree"),
    [("henon_heiles", "hamiltonian", 3), ("damped_spring", "port", 2)],
)
def test_what_is_in_the_span_is_found_exactly(name, structure, degree):
    """From 12 points, in float64, learned features that are of no use besides: energy, damping."""
    architecture = architecture_of(replace(TINY, structure=structure))
    how = LinearEnergy(Span(architecture, 2, degree), "fixed", -30.0)
    task, parameters = motion_of(name, 12)
    with enable_x64(True):
        learner = how.learner()

        def found(task):
            params = cast_floats(learner.init(KEY, task), np.float64)
            head = learner.adapt(params, task.support, KEY)
            return head, learner.predict(params, head, task.query.inputs)

        head, rates = jax.jit(found)(task)
    assert off(rates, task.query.targets.state) < 1e-5
    if structure == "port":
        assert float(head[-1, 0]) == pytest.approx(float(parameters.damping), rel=1e-3)


def test_the_order_of_bodies_does_not_count():
    """What two exchanged bodies do is exchanged, of the head that is solved too."""
    config = replace(TINY, rounds=1)
    learner = LinearEnergy(Span(architecture_of(config), 7), "chosen", -14.0).learner()
    task, _ = motion_of("two_body", 8, config)

    def exchanged(examples):
        def flip(of):
            return of._replace(state=jax.tree.map(lambda leaf: leaf[:, ::-1], of.state))

        return Examples(*map(flip, examples))

    def rates(params, task):
        head = learner.adapt(params, task.support, KEY)
        return learner.predict(params, head, task.query.inputs)

    task = cast_floats(task, np.float32)
    params = jax.jit(learner.init)(KEY, task)
    solve = jax.jit(rates)
    found, other = solve(params, task), solve(params, Task(*map(exchanged, task)))
    back = jax.tree.map(lambda leaf: leaf[:, ::-1], other)
    assert off(back, found) < 1e-3 and np.abs(found.p[:, 0] - found.p[:, 1]).max() > 1e-2


def test_the_gradient_through_the_solve_equals_differences():
    """Along a random direction of all meta-parameters, in float64."""
    learner = LinearEnergy(Span(architecture_of(TINY), 5), "learned", -6.0).learner()
    task, _ = motion_of("pendulum", 6)
    with enable_x64(True):
        drawn = jax.jit(learner.init)(KEY, cast_floats(task, np.float32))
        params = cast_floats(drawn, np.float64)
        rng = np.random.default_rng(0)
        way = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), params)

        def loss(size, params, way, task):
            return learner.loss(jax.tree.map(lambda a, b: a + size * b, params, way), task, KEY)[0]

        slope = jax.jit(jax.grad(loss))(0.0, params, way, task)
        value = jax.jit(loss)
        ends = [float(value(size, params, way, task)) for size in (1e-5, -1e-5)]
    assert float(slope) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)


def test_masked_points_are_no_points():
    """Not for the head, nor for its ridge, nor for the size of monomials."""
    learner = LinearEnergy(Span(architecture_of(TINY), 5, 2), "chosen", -14.0).learner()
    task = cast_floats(motion_of("pendulum", 6)[0], np.float32)
    few = jax.tree.map(lambda leaf: leaf[:4], task.support)

    def spoiled(of):
        state = jax.tree.map(
            lambda leaf: np.where(np.arange(6)[:, None, None] < 4, leaf, 9), of.state
        )
        return of._replace(state=state, counted=np.arange(6) < 4)

    params = jax.jit(learner.init)(KEY, task)
    adapt = jax.jit(learner.adapt)
    heads = [
        adapt(params, support, KEY) for support in (few, Examples(*map(spoiled, task.support)))
    ]
    np.testing.assert_allclose(*heads, rtol=1e-3, atol=1e-3)


def test_a_damping_below_zero_is_none():
    """The energy of an undriven system never grows, whatever was solved for."""
    span = Span(architecture_of(replace(TINY, structure="port")), 2)
    motion, rng = make_linear_motion(span), np.random.default_rng(0)
    how = LinearEnergy(span, "fixed", -14.0)
    task = cast_floats(motion_of("pendulum", 6)[0], np.float32)
    params = jax.jit(how.learner().init)(KEY, task).features
    state = Phase(*jnp.asarray(rng.normal(size=(2, 1, 2)), jnp.float32))
    move = jax.jit(motion)
    rates = [
        move(state, (params, np.array([1, 1, damping], np.float32)), 0.0)
        for damping in (-1.0, 0.0, 0.5)
    ]
    np.testing.assert_array_equal(stacked(rates[0]), stacked(rates[1]))
    np.testing.assert_allclose(rates[2].p, rates[1].p - 0.5 * rates[1].q, rtol=1e-5, atol=1e-6)


def test_degrees_fall_where_monomials_would_be_too_many():
    assert [highest_degree(4 * particles, 6) for particles in (1, 2, 3)] == [6, 4, 3]
    assert num_terms(4, 6) == 209 and highest_degree(4, 0) == 0


def test_motion_without_an_energy_is_rejected():
    with pytest.raises(ConfigError, match="method"):
        make_method(replace(TINY, structure="direct"), Problem(None, None))
