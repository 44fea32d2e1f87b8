"""Hamilton's equations: states, derivatives of a scalar energy, and what energy does in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar


class Phase(NamedTuple):
    """A point of phase space, or its time derivative, or many of them on leading axes.

    Attributes:
      q: positions, or other generalized coordinates.
      p: the momenta that belong to them.
    """

    q: Float[Array, "*batch particles dim"]
    p: Float[Array, "*batch particles dim"]


Hamiltonian = Callable[[Phase, Any], Scalar]
"""``hamiltonian(state, parameters) -> energy`` of one state, ``q`` and ``p`` ``[particles, dim]``.

``parameters`` is any pytree: physical constants, or the weights of a network.
"""
Dissipation = Callable[[Phase, Any], Array]
"""``dissipation(state, parameters)``: damping coefficients, a scalar or one per momentum."""
Force = Callable[[Any, Any], Array]
"""``force(parameters, time)``: the driving force on every momentum, ``[particles, dim]``."""


class Derivative(Protocol):
    """``derivative(state, parameters, time) -> d state / d time`` of one state."""

    def __call__(self, state: Phase, parameters: Any, time: Any = 0.0, /) -> Phase: ...


def symplectic_gradient(hamiltonian: Hamiltonian) -> Derivative:
    """Make Hamilton's equations: ``dq/dt = dH/dp``, ``dp/dt = -dH/dq``, by one ``jax.grad``.

    Args:
      hamiltonian: the energy of one state.

    Returns:
      The derivative of a state.
    """

    def derivative(state: Phase, parameters: Any, time: Any = 0.0, /) -> Phase:
        slope = jax.grad(hamiltonian)(state, parameters)
        return Phase(slope.p, -slope.q)

    return derivative


def port_hamiltonian(
    hamiltonian: Hamiltonian, dissipation: Dissipation | None, force: Force | None = None
) -> Derivative:
    """Make the equations of a damped and driven system (van der Schaft & Jeltsema 2014, ch. 4).

    ``dq/dt = dH/dp`` and ``dp/dt = -dH/dq - D(state, parameters) dH/dp + F(parameters, t)``, with a
    diagonal ``D``. Energy then changes at the rate ``(F - D dH/dp) . dH/dp``, so it never grows
    without a force where ``D`` is not negative.

    Args:
      hamiltonian: the energy.
      dissipation: the diagonal of ``D``, or None for no damping.
      force: ``F``, or None for none.

    Returns:
      The derivative of a state.
    """

    def derivative(state: Phase, parameters: Any, time: Any = 0.0, /) -> Phase:
        slope = jax.grad(hamiltonian)(state, parameters)
        rate = -slope.q
        if dissipation is not None:
            rate = rate - dissipation(state, parameters) * slope.p
        if force is not None:
            rate = rate + force(parameters, time)
        return Phase(slope.p, rate)

    return derivative


def energy(
    hamiltonian: Hamiltonian,
    states: Float[Phase, "*batch particles dim"],
    parameters: PyTree,
) -> Float[Array, "*batch"]:
    """Return the energy of every state; all have the same parameters.

    Args:
      hamiltonian: the energy of one state.
      states: any number of them.
      parameters: of the energy.

    Returns:
      One energy for each state.
    """
    batch = states.q.shape[:-2]
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[-2:]), states)
    return jax.vmap(hamiltonian, (0, None))(flat, parameters).reshape(batch)


def energy_drift(
    hamiltonian: Hamiltonian,
    states: Float[Phase, "times particles dim"],
    parameters: PyTree,
) -> Float[Array, ""]:
    """Return the largest departure of a trajectory's energy from its first, relative to the first.

    A trajectory that is not finite has a drift of NaN, which is below no limit: test a ground
    truth as ``energy_drift(...) < 1e-8``, not the other way round.

    Args:
      hamiltonian: the energy of one state.
      states: along the trajectory.
      parameters: of the energy.

    Returns:
      The drift, without unit.
    """
    energies = energy(hamiltonian, states, parameters)
    largest = jnp.max(jnp.abs(energies - energies[0]))
    still = largest == 0  # also where there is no energy at all
    return jnp.where(still, 0, largest / jnp.where(still, 1, jnp.abs(energies[0])))
