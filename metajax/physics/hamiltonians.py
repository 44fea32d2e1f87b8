"""The energies of classical systems, with every constant a traced parameter.

Units are any consistent ones, e.g. kg, m and s; at parameters of 1 the systems are the usual
dimensionless ones. Systems of one degree of freedom live in the first of two coordinates: the
second does not enter the energy.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Scalar

from metajax.core import root
from metajax.physics.mechanics import Hamiltonian, Phase


class Spring(NamedTuple):
    """A mass on a spring, its damping and its drive.

    ``mass`` (kg), ``stiffness`` (kg/s^2), ``damping`` (kg/s), and the driving force's ``amplitude``
    (kg m/s^2) and angular ``frequency`` (1/s). Damping and amplitude 0 conserve energy.
    """

    mass: Float[Array, ""]
    stiffness: Float[Array, ""]
    damping: Float[Array, ""]
    amplitude: Float[Array, ""]
    frequency: Float[Array, ""]


def mass_spring(state: Phase, parameters: Spring) -> Scalar:
    """Return the energy ``p^2 / 2m + k q^2 / 2`` of the first coordinate (m).

    Args:
      state: ``q`` and ``p`` ``[1, dim]``.
      parameters: mass (kg) and stiffness (N/m).

    Returns:
      The energy (J).
    """
    q, p = state.q[0, 0], state.p[0, 0]
    return (p**2 / parameters.mass + parameters.stiffness * q**2) / 2


class Pendulum(NamedTuple):
    """A pendulum, its damping and its drive.

    ``mass`` (kg), ``length`` (m), ``gravity`` (m/s^2), ``damping`` (kg m^2/s), and the torque's
    ``amplitude`` (kg m^2/s^2) and angular ``frequency`` (1/s). Damping and amplitude 0 conserve
    energy.
    """

    mass: Float[Array, ""]
    length: Float[Array, ""]
    gravity: Float[Array, ""]
    damping: Float[Array, ""]
    amplitude: Float[Array, ""]
    frequency: Float[Array, ""]


def pendulum(state: Phase, parameters: Pendulum) -> Scalar:
    """Return ``p^2 / 2ml^2 + mgl (1 - cos q)`` of the first coordinate, an angle (radians).

    Args:
      state: ``q`` and ``p`` ``[1, dim]``.
      parameters: mass (kg), length (m) and gravity (m/s^2).

    Returns:
      The energy (J).
    """
    q, p = state.q[0, 0], state.p[0, 0]
    mass, length, gravity = parameters[:3]
    return p**2 / (2 * mass * length**2) + mass * gravity * length * (1 - jnp.cos(q))


def damping(state: Phase, parameters: Spring | Pendulum) -> Float[Array, ""]:
    """Friction proportional to the velocity: the parameters' ``damping``."""
    return parameters.damping


def drive(parameters: Spring | Pendulum, time: Float[Array, ""]) -> Float[Array, "1 2"]:
    """A force, or a torque on an angle: ``amplitude cos(frequency t)`` on the first coordinate."""
    force = parameters.amplitude * jnp.cos(parameters.frequency * time)
    return jnp.stack([force, jnp.zeros_like(force)])[None]


class HenonHeiles(NamedTuple):
    """``mass`` (kg), ``stiffness`` (kg/s^2) and cubic ``coupling`` (kg/(m s^2))."""

    mass: Float[Array, ""]
    stiffness: Float[Array, ""]
    coupling: Float[Array, ""]


def henon_heiles(state: Phase, parameters: HenonHeiles) -> Scalar:
    """Return the energy of Henon and Heiles (1964).

    ``|p|^2 / 2m + k (x^2 + y^2) / 2 + c (x^2 y - y^3 / 3)``.

    Motion stays in the triangle around the origin below the energy ``k^3 / 6c^2`` of its corners.

    Args:
      state: ``q`` and ``p`` ``[1, 2]``.
      parameters: ``mass`` ``m``, ``stiffness`` ``k`` and ``coupling`` ``c``.

    Returns:
      The energy (J).
    """
    x, y = state.q[0]
    mass, stiffness, coupling = parameters
    potential = stiffness * (x**2 + y**2) / 2 + coupling * (x**2 * y - y**3 / 3)
    return jnp.sum(state.p**2) / (2 * mass) + potential


class Mirror(NamedTuple):
    """``mass`` (kg), ``field`` (charge times field over 2, kg/s), ``curvature`` (1/m^2)."""

    mass: Float[Array, ""]
    field: Float[Array, ""]
    curvature: Float[Array, ""]


def magnetic_mirror(state: Phase, parameters: Mirror) -> Scalar:
    """Return the energy of a charge without angular momentum in a magnetic bottle, ``q = (r, z)``.

    ``|p|^2 / 2m + (w r)^2 / 2m (1 + s (z^2 / 2 - r^2 / 8))^2`` with field ``w``, curvature ``s``:
    the vector potential is that of a field without current, which grows along the axis. ``r`` runs
    through 0 to negative values. Below the energy ``16 w^2 / 27 m s`` motion stays near the axis.

    Args:
      state: ``q`` and ``p`` ``[1, 2]``.
      parameters: ``mass`` ``m``, ``field`` ``w`` and ``curvature`` ``s``.

    Returns:
      The energy (J).
    """
    r, z = state.q[0]
    mass, field, curvature = parameters
    bracket = 1 + curvature * (z**2 / 2 - r**2 / 8)
    return (jnp.sum(state.p**2) + (field * r * bracket) ** 2) / (2 * mass)


class Gravitation(NamedTuple):
    """``mass`` (kg), the ``constant`` of gravitation (m^3/(kg s^2)) and a ``softening`` (m)."""

    mass: Float[Array, " particles"]
    constant: Float[Array, ""]
    softening: Float[Array, ""]


def gravitation(state: Phase, parameters: Gravitation) -> Scalar:
    """Return the energy of bodies that attract each other.

    ``sum_i |p_i|^2 / 2m_i - G sum_{i<j} m_i m_j / sqrt(|q_i - q_j|^2 + softening^2)``.

    Args:
      state: ``q`` and ``p`` ``[particles, dim]``.
      parameters: ``mass`` (kg), ``constant`` ``G`` and ``softening`` (m).

    Returns:
      The energy (J).
    """
    mass = parameters.mass
    first, second = np.triu_indices(mass.shape[0], 1)
    square = jnp.sum((state.q[first] - state.q[second]) ** 2, -1) + parameters.softening**2
    potential = jnp.sum(mass[first] * mass[second] * jax.lax.rsqrt(square))
    return jnp.sum(jnp.sum(state.p**2, -1) / mass) / 2 - parameters.constant * potential


class DoublePendulum(NamedTuple):
    """``mass`` (kg) and ``length`` (m) of the upper and the lower arm, and ``gravity`` (m/s^2)."""

    mass: Float[Array, "2"]
    length: Float[Array, "2"]
    gravity: Float[Array, ""]


def double_pendulum(state: Phase, parameters: DoublePendulum) -> Scalar:
    """Return the energy of a pendulum below a pendulum; ``q`` holds both angles (radians).

    One particle with two coordinates, as the two arms are not alike. The kinetic energy depends on
    the angles, so the energy is not separable. Both angles stay within pi below the energy
    ``2g min((m1 + m2) l1, m2 l2)`` of the lowest upside-down position.

    Args:
      state: ``q`` and ``p`` ``[1, 2]``.
      parameters: masses (kg), lengths (m) and gravity (m/s^2).

    Returns:
      The energy (J).
    """
    (q1, q2), (p1, p2) = state.q[0], state.p[0]
    (m1, m2), (l1, l2) = parameters.mass, parameters.length
    numerator = (
        m2 * (l2 * p1) ** 2
        + (m1 + m2) * (l1 * p2) ** 2
        - 2 * m2 * l1 * l2 * p1 * p2 * jnp.cos(q1 - q2)
    )
    kinetic = numerator / (2 * m2 * (l1 * l2) ** 2 * (m1 + m2 * jnp.sin(q1 - q2) ** 2))
    hanging = (m1 + m2) * l1 * (1 - jnp.cos(q1)) + m2 * l2 * (1 - jnp.cos(q2))
    return kinetic + parameters.gravity * hanging


class SpringGraph(NamedTuple):
    """``mass`` (kg) of every particle; ``stiffness`` (kg/s^2), rest ``length`` (m) by spring."""

    mass: Float[Array, " particles"]
    stiffness: Float[Array, " springs"]
    length: Float[Array, " springs"]


def spring_graph(first: np.ndarray, second: np.ndarray) -> Hamiltonian:
    """Make ``sum_i |p_i|^2 / 2m_i + sum_s k_s (|q_i - q_j| - l_s)^2 / 2``.

    Args:
      first: ``[springs]``, the particle ``i`` at one end of every spring.
      second: ``[springs]``, the particle ``j`` at its other end.

    Returns:
      The energy of a state, for parameters masses, stiffnesses and lengths.
    """

    def hamiltonian(state: Phase, parameters: SpringGraph) -> Scalar:
        # two particles in one place pull in no direction: their force is 0, and not NaN
        distance = root(jnp.sum((state.q[first] - state.q[second]) ** 2, -1))
        stretch = parameters.stiffness * (distance - parameters.length) ** 2
        return (jnp.sum(jnp.sum(state.p**2, -1) / parameters.mass) + jnp.sum(stretch)) / 2

    return hamiltonian
