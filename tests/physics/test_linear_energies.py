"""Energies that are linear in a head: their columns against the equations of motion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.physics import (
    Phase,
    damping_column,
    energy_columns,
    force_columns,
    port_hamiltonian,
    stacked,
)

pytestmark = pytest.mark.usefixtures("x64")


def test_columns_times_a_head_are_the_motion():
    """Of two damped and driven particles; the damping's column is of the observed velocity."""
    rng = np.random.default_rng(0)
    weights, head = rng.normal(size=(8, 5)), rng.normal(size=5)
    state = Phase(*jnp.asarray(rng.normal(size=(2, 2, 2))))
    waves, strengths, damping = rng.normal(size=3), rng.normal(size=(3, 2)), 0.7

    def features(state):
        return jnp.tanh(stacked(state) @ weights) ** 2

    motion = port_hamiltonian(
        lambda state, _: features(state) @ head,
        lambda state, _: damping,
        lambda _, time: (waves @ strengths)[None],
    )
    rates = jax.jit(motion)(state, None)
    found = energy_columns(features, state) @ head
    found += damping * damping_column(rates)
    found += force_columns(jnp.asarray(waves), 2, 2) @ strengths.reshape(-1)
    np.testing.assert_allclose(found, stacked(rates), rtol=1e-12, atol=1e-12)
