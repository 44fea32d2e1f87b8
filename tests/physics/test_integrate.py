"""Trajectories against closed forms, their order, reversal, gradients and failures."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.physics import (
    MECHANICS,
    Phase,
    energy,
    energy_drift,
    get_mechanics,
    port_hamiltonian,
    trajectory,
)

pytestmark = pytest.mark.usefixtures("x64")

TIMES = np.linspace(0.0, 10.0, 200)
# an adaptive integration takes seconds to compile
METHODS = (
    pytest.param("dopri8", marks=pytest.mark.slow),
    "leapfrog",
    "implicit_midpoint",
)


def some(instances, num):
    """Parameters and states of the first few."""
    return jax.tree.map(lambda leaf: leaf[:num], instances[:2])


def truths(mechanics, instances, times, **options):
    """Trajectories of instances, their drift in energy, and their energies."""
    parameters, states = instances

    def run(parameters, state):
        path = trajectory(mechanics, state, parameters, times, **options)
        drift = energy_drift(mechanics.hamiltonian, path.states, parameters)
        return path, drift, energy(mechanics.hamiltonian, path.states, parameters)

    return jax.jit(jax.vmap(run))(parameters, states)


def check_truths(name, instances, num, times=TIMES, **options):
    """Bounded, apart, and of the energy they started with."""
    mechanics = get_mechanics(name)
    parameters, states = some(instances(name), num)
    path, drift, energies = truths(mechanics, (parameters, states), times, **options)
    assert np.all(path.succeeded) and path.states.q.shape[:2] == (num, len(times))
    np.testing.assert_array_equal(path.states.q[:, 0], states.q)
    if mechanics.dissipation is None:
        assert np.all(drift < 1e-8)
    if mechanics.energy_limit is not None:
        assert np.all(energies < jax.jit(jax.vmap(mechanics.energy_limit))(parameters)[:, None])
    assert np.all(np.abs(path.states.q) < (np.pi if "pendulum" in name else 3.0))
    if mechanics.edges.senders.size:
        senders, receivers = mechanics.edges
        apart = path.states.q[:, :, senders] - path.states.q[:, :, receivers]
        assert np.linalg.norm(apart, axis=-1).min() > 0.25


def test_a_ground_truth_keeps_its_energy(instances):
    check_truths("three_body", instances, 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", MECHANICS)
def test_every_systems_ground_truths_keep_their_energy_and_bounds(name, instances):
    check_truths(name, instances, 64)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["magnetic_mirror", "three_body", "four_body", "coupled_springs"])
def test_bounds_hold_for_ten_times_as_long(name, instances):
    check_truths(name, instances, 64, np.linspace(0.0, 100.0, 1000), max_steps=40_000)


@pytest.mark.slow
def test_a_damped_spring_follows_its_closed_form(instances):
    mechanics = get_mechanics("damped_spring")
    parameters, states = some(instances("damped_spring"), 4)
    path, _, energies = truths(mechanics, (parameters, states), TIMES)
    assert np.all(np.diff(energies, axis=1) < 0)
    mass, stiffness, damping = (np.asarray(leaf)[:, None] for leaf in parameters[:3])
    decay = damping / (2 * mass)
    omega = np.sqrt(stiffness / mass - decay**2)
    q0, v0 = states.q[:, 0, :1], states.p[:, 0, :1] / mass
    swing = q0 * np.cos(omega * TIMES) + (v0 + decay * q0) / omega * np.sin(omega * TIMES)
    np.testing.assert_allclose(path.states.q[:, :, 0, 0], np.exp(-decay * TIMES) * swing, atol=1e-9)


@pytest.mark.slow
def test_two_bodies_return_after_keplers_period(instance):
    mechanics = get_mechanics("two_body")
    parameters, state = instance("two_body")
    strength = parameters.constant * np.prod(parameters.mass)
    axis = -strength / (2 * mechanics.hamiltonian(state, parameters))
    period = 2 * np.pi * np.sqrt(axis**3 / (parameters.constant * np.sum(parameters.mass)))
    path = jax.jit(partial(trajectory, mechanics))(state, parameters, jnp.array([0.0, period]))
    np.testing.assert_allclose(path.states.q[1], state.q, atol=1e-9)
    np.testing.assert_allclose(path.states.p[1], state.p, atol=1e-9)


def oscillator(state, parameters):
    return (jnp.sum(state.p**2) + jnp.sum(state.q**2)) / 2


@pytest.mark.parametrize("method", METHODS)
def test_a_force_acts_at_the_right_time(method):
    def force(parameters, time):
        return parameters * jnp.cos(2 * time)[None, None]

    derivative = port_hamiltonian(oscillator, None, force)
    rest = Phase(jnp.zeros((1, 1)), jnp.zeros((1, 1)))
    times = np.linspace(1.0, 4.0, 31)
    run = jax.jit(partial(trajectory, derivative, method=method, substeps=10))
    path = run(rest, jnp.array(3.0), times)
    # x'' + x = 3 cos 2t, at rest at t = 1
    start = np.array([[np.cos(1), np.sin(1)], [-np.sin(1), np.cos(1)]])
    a, b = np.linalg.solve(start, [np.cos(2), -2 * np.sin(2)])
    exact = a * np.cos(times) + b * np.sin(times) - np.cos(2 * times)
    tolerance = 1e-9 if method == "dopri8" else 3e-4
    np.testing.assert_allclose(path.states.q[:, 0, 0], exact, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "method"), [("three_body", "leapfrog"), ("double_pendulum", "implicit_midpoint")]
)
def test_energy_is_kept_to_the_second_order(name, method, instances):
    mechanics = get_mechanics(name)
    parameters, states = some(instances(name), 4)

    def drift(parameters, state, num):
        times = jnp.linspace(0.0, 5.0, num + 1)
        path = trajectory(mechanics, state, parameters, times, method=method)
        return energy_drift(mechanics.hamiltonian, path.states, parameters), path.succeeded

    nums = [4000, 8000] if name == "three_body" else [400, 800]
    run = jax.jit(jax.vmap(drift, (0, 0, None)), static_argnums=2)
    (coarse, ok), (fine, ok_too) = (run(parameters, states, num) for num in nums)
    assert np.all(ok & ok_too)
    slope = np.log2(coarse / fine)
    assert np.all(np.abs(slope - 2) < 0.2), slope


@pytest.mark.parametrize(
    ("name", "method"),
    [("henon_heiles", "leapfrog"), ("double_pendulum", "implicit_midpoint")],
)
def test_time_runs_backwards_when_momenta_turn(name, method, instance):
    parameters, state = instance(name)
    run = jax.jit(partial(trajectory, get_mechanics(name), method=method))
    there = run(state, parameters, TIMES).states
    assert np.abs(there.q[-1] - state.q).max() > 0.05
    back = run(Phase(there.q[-1], -there.p[-1]), parameters, TIMES).states
    np.testing.assert_allclose(back.q[::-1], there.q, atol=1e-8)
    np.testing.assert_allclose(back.p[::-1], -there.p, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_through_a_roll_out_equal_finite_differences(method, instance):
    mechanics = get_mechanics("pendulum")
    parameters, state = instance("pendulum")
    times = np.linspace(0.0, 2.0, 11)

    @jax.jit
    def last(length, start):
        moved = Phase(state.q + start * jnp.array([[1.0, 0.0]]), state.p)
        path = trajectory(
            mechanics, moved, parameters._replace(length=length), times, method=method
        )
        return path.states.q[-1, 0, 0]

    at, width = (parameters.length, jnp.array(0.1)), 1e-5
    slopes = jax.jit(jax.grad(last, (0, 1)))(*at)
    for i, slope in enumerate(slopes):
        values = [
            last(*(x + sign * width * (i == j) for j, x in enumerate(at))) for sign in (1, -1)
        ]
        np.testing.assert_allclose(slope, (values[0] - values[1]) / (2 * width), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_mapped_trajectories_equal_looped_ones(method, instances):
    parameters, states = some(instances("two_body"), 3)
    run = partial(trajectory, get_mechanics("two_body"), method=method, substeps=2)
    times = TIMES[:20]
    mapped = jax.jit(jax.vmap(run, (0, 0, None)))(states, parameters, times)
    single = jax.jit(run)
    for i in range(3):
        alone = single(*jax.tree.map(lambda leaf, i=i: leaf[i], (states, parameters)), times)
        for one, other in zip(mapped.states, alone.states, strict=True):
            np.testing.assert_allclose(one[i], other, atol=1e-11)


@pytest.mark.slow
def test_float32_stays_float32():
    with enable_x64(False):
        mechanics = get_mechanics("pendulum")
        parameters, state = jax.jit(mechanics.draw)(jax.random.key(0))
        for method, most in (("dopri8", 1e-4), ("implicit_midpoint", 1e-2)):
            run = jax.jit(partial(trajectory, mechanics, method=method))
            path = run(state, parameters, TIMES.astype(np.float32))
            assert path.states.q.dtype == jnp.float32 and path.succeeded
            drift = jax.jit(partial(energy_drift, mechanics.hamiltonian))(path.states, parameters)
            assert drift < most


@pytest.mark.slow
def test_too_few_steps_are_flagged_and_nothing_is_raised(instance):
    parameters, state = instance("two_body")
    run = jax.jit(partial(trajectory, get_mechanics("two_body"), max_steps=30))
    assert not run(state, parameters, TIMES).succeeded


def test_steps_too_large_and_lost_states_are_flagged(instance):
    parameters, state = instance("two_body")
    run = partial(trajectory, get_mechanics("two_body"))
    run = jax.jit(run, static_argnames=("method", "substeps"))
    # a step beyond which the fixed point is not approached
    coarse = np.array([0.0, 5.0])
    assert not run(state, parameters, coarse, method="implicit_midpoint").succeeded
    assert run(state, parameters, coarse, method="implicit_midpoint", substeps=500).succeeded
    together = state._replace(q=np.zeros_like(state.q))
    assert not run(together, parameters, coarse, method="leapfrog").succeeded


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("pendulum", {"method": "leapfog"}, "method"),
        ("double_pendulum", {"method": "leapfrog"}, "method"),
        ("damped_pendulum", {"method": "leapfrog"}, "method"),
        ("pendulum", {"method": "leapfrog", "substeps": 0}, "substeps"),
    ],
)
def test_methods_that_do_not_serve_are_refused(name, options, field, instance):
    parameters, state = instance(name)
    with pytest.raises(ConfigError, match=f"^{field} = "):
        trajectory(get_mechanics(name), state, parameters, TIMES, **options)
