"""Values and derivatives where a length, an energy or a speed is zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import enable_x64
from metajax.physics import Phase, energy_drift, symplectic_gradient, trajectory
from metajax.physics.draws import with_energy
from metajax.physics.hamiltonians import SpringGraph, spring_graph
from metajax.physics.pde import Disk

CHAIN = spring_graph(np.array([0, 1]), np.array([1, 2]))
PARAMETERS = SpringGraph(jnp.ones(3), jnp.full(2, 2.0), jnp.ones(2))


def test_two_particles_in_one_place_have_finite_forces_of_every_order():
    q = jnp.array([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]])
    state = Phase(q, jnp.zeros_like(q))
    np.testing.assert_allclose(CHAIN(state, PARAMETERS), 1 + 16)
    force = jax.jit(jax.grad(lambda q: CHAIN(Phase(q, state.p), PARAMETERS)))
    np.testing.assert_allclose(force(q), [[0, 0], [-4.8, -6.4], [4.8, 6.4]], rtol=1e-6)
    assert np.all(np.isfinite(jax.jit(jax.jacrev(force))(q)))
    rates = jax.jit(symplectic_gradient(CHAIN))(state, PARAMETERS)
    assert all(np.all(np.isfinite(leaf)) for leaf in rates)


def test_no_energy_that_stays_none_has_not_drifted():
    def oscillator(state, parameters):
        return (jnp.sum(state.p**2) + jnp.sum(state.q**2)) / 2

    rest = jnp.zeros((4, 1, 1))
    assert energy_drift(oscillator, Phase(rest, rest), None) == 0
    assert energy_drift(oscillator, Phase(rest.at[2].set(1), rest), None) == np.inf
    assert not energy_drift(oscillator, Phase(rest.at[2].set(np.nan), rest), None) < 1e-8


@pytest.mark.parametrize("p", [0.0, 2.0])
@pytest.mark.parametrize("energy", [0.0, 0.5])
def test_a_state_is_given_its_energy_also_where_it_has_none(p, energy):
    def free(state, parameters):
        return jnp.sum(state.p**2) / 2

    def speed(energy):
        state = Phase(jnp.zeros((1, 1)), jnp.full((1, 1), p))
        return with_energy(free, *state, None, energy).p[0, 0]

    value, slope = jax.jit(jax.value_and_grad(speed))(jnp.float32(energy))
    np.testing.assert_allclose(value, np.sqrt(2 * energy) if p else 0, rtol=1e-6)
    np.testing.assert_allclose(slope, 1 / np.sqrt(2 * energy) if p and energy else 0, rtol=1e-6)


def test_a_disk_has_no_normal_at_its_centre():
    normals = Disk((0.0, 0.0), 1.0).normals(jnp.array([[0.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_allclose(normals, [[0, 0], [0, 1]], atol=1e-6)


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_whether_a_step_has_converged_does_not_depend_on_units(unit):
    """A fixed point of an oscillator is approached where half a step is below one radian."""

    def oscillator(state, parameters, time=0.0, /):
        return Phase(state.p, -state.q)

    with enable_x64(True):
        start = Phase(jnp.full((1, 1), unit), jnp.zeros((1, 1)))
        for step, succeeds in ((0.1, True), (1.9, False), (2.5, False)):
            times = step * jnp.arange(3.0)
            found = trajectory(oscillator, start, None, times, method="implicit_midpoint")
            assert bool(found.succeeded) == succeeds
