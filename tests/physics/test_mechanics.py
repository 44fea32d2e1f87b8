"""Hamilton's equations against finite differences, and the energy's balance."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.physics import (
    MECHANICS,
    Phase,
    energy,
    energy_drift,
    get_mechanics,
    port_hamiltonian,
    symplectic_gradient,
)

pytestmark = pytest.mark.usefixtures("x64")

DAMPED = [name for name, mechanics in MECHANICS.items() if mechanics.dissipation is not None]


@pytest.mark.parametrize("name", [name for name in MECHANICS if name not in DAMPED])
def test_the_symplectic_gradient_equals_finite_differences(name, instances):
    mechanics = get_mechanics(name)
    parameters, state, _, rates = jax.tree.map(lambda leaf: leaf[0], instances(name))
    size, width = state.q.size, 1e-5
    place = np.concatenate([np.ravel(state.q), np.ravel(state.p)])
    beside = place + width * np.concatenate([np.eye(2 * size), -np.eye(2 * size)])
    beside = beside.reshape(4 * size, 2, *state.q.shape)
    states = Phase(beside[:, 0], beside[:, 1])
    values = np.asarray(jax.jit(partial(energy, mechanics.hamiltonian))(states, parameters))
    slope = (values[: 2 * size] - values[2 * size :]) / (2 * width)
    np.testing.assert_allclose(np.ravel(rates.q), slope[size:], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(np.ravel(rates.p), -slope[:size], rtol=1e-7, atol=1e-8)


def quadratic(state, parameters):
    return jnp.sum(state.p**2) / 2 + parameters * jnp.sum(state.q**2) / 2


def test_damping_and_force_change_the_momentum_alone():
    state = Phase(jnp.array([[0.3, -0.2]]), jnp.array([[0.5, 0.7]]))
    free = symplectic_gradient(quadratic)(state, 2.0)
    damped = port_hamiltonian(
        quadratic,
        lambda state, parameters: jnp.array([[0.1, 0.4]]),
        lambda parameters, time: jnp.stack([time, parameters * time])[None],
    )(state, 2.0, jnp.array(3.0))
    np.testing.assert_array_equal(damped.q, free.q)
    np.testing.assert_allclose(damped.p - free.p, [[3 - 0.05, 6 - 0.28]], rtol=1e-12)


@pytest.mark.parametrize("name", DAMPED)
def test_energy_changes_by_damping_and_drive(name, instance):
    mechanics, time = get_mechanics(name), 0.7

    @jax.jit
    def power(parameters, state):
        rates = mechanics.derivative(state, parameters, time)

        def energy(state):
            return mechanics.hamiltonian(state, parameters)

        return jax.jvp(energy, (state,), (rates,))[1], rates.q[0, 0]

    parameters, state = instance(name)
    change, velocity = power(parameters, state)
    drive = 0.0
    if mechanics.force is not None:
        drive = parameters.amplitude * np.cos(parameters.frequency * time)
    np.testing.assert_allclose(change, (drive - parameters.damping * velocity) * velocity, 1e-10)


def test_energy_has_the_states_leading_axes_and_drift_sees_the_worst_time():
    q, p = np.random.default_rng(0).normal(size=(2, 3, 5, 1, 2))
    energies = jax.jit(partial(energy, quadratic))(Phase(q, p), 2.0)
    np.testing.assert_allclose(energies, ((p**2).sum((-1, -2)) + 2 * (q**2).sum((-1, -2))) / 2)
    drift_of = jax.jit(partial(energy_drift, quadratic))
    drift = drift_of(Phase(q[0], p[0]), 2.0)
    worst = max(abs(np.asarray(energies[0]) / np.asarray(energies[0, 0]) - 1))
    np.testing.assert_allclose(drift, worst, rtol=1e-12)
    q[0, 3] = np.nan
    assert not drift_of(Phase(q[0], p[0]), 2.0) < 1e-8
