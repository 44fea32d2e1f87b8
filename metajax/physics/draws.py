"""Random constants and initial states: traceable, and bounded by construction.

Constants are uniform between .75 and 1.25 unless a docstring says otherwise. No draw is rejected:
an energy below the system's limit is drawn first, then a position at which the potential is below
it, and the momenta take what is left.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import root
from metajax.physics.hamiltonians import (
    DoublePendulum,
    Gravitation,
    HenonHeiles,
    Mirror,
    Pendulum,
    Spring,
    SpringGraph,
    double_pendulum,
    henon_heiles,
    spring_graph,
)
from metajax.physics.mechanics import Hamiltonian, Phase

RATIO = 5.5
"""How much wider an orbit of groups of bodies is than the orbits within the groups."""


def between(low: float, high: float, u: Float[Array, "..."]) -> Float[Array, "..."]:
    """The number at ``u`` of the way from ``low`` to ``high``."""
    return low + (high - low) * u


def constants(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """The numbers at ``u`` of the way from .75 to 1.25."""
    return between(0.75, 1.25, u)


def direction(u: Float[Array, ""]) -> Float[Array, "2"]:
    """The unit vector at ``u`` of a full turn."""
    angle = 2 * jnp.pi * u
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)])


def first_coordinate(x: Float[Array, ""]) -> Float[Array, "1 2"]:
    """One particle at ``(x, 0)``."""
    return jnp.stack([x, jnp.zeros_like(x)])[None]


def with_energy(
    hamiltonian: Hamiltonian,
    q: Float[Array, "particles dim"],
    p: Float[Array, "particles dim"],
    parameters: object,
    energy: Float[Array, ""],
) -> Phase:
    """Scale the momenta so that the state has the ``energy``, which is the potential's or more.

    For energies whose kinetic part is quadratic in the momenta.
    """
    potential = hamiltonian(Phase(q, jnp.zeros_like(p)), parameters)
    kinetic = hamiltonian(Phase(q, p), parameters) - potential
    # momenta of zero have no direction to be scaled along
    per_kinetic = jnp.maximum(energy - potential, 0.0) / jnp.where(kinetic > 0, kinetic, 1.0)
    return Phase(q, p * root(per_kinetic))


def draw_spring(key: Key[Array, ""]) -> Spring:
    """Draw mass and stiffness; neither damping nor drive."""
    mass, stiffness = constants(jax.random.uniform(key, (2,)))
    zero = jnp.zeros_like(mass)
    return Spring(mass, stiffness, damping=zero, amplitude=zero, frequency=zero)


def draw_damped_spring(key: Key[Array, ""]) -> Spring:
    """Draw mass, stiffness, and a damping between .1 and .3: oscillations that die out."""
    spring_key, key = jax.random.split(key)
    damping = between(0.1, 0.3, jax.random.uniform(key))
    return draw_spring(spring_key)._replace(damping=damping)


def draw_driven_spring(key: Key[Array, ""]) -> Spring:
    """Draw a damped spring, a force's amplitude between .1 and .3, and its frequency."""
    spring_key, key = jax.random.split(key)
    u = jax.random.uniform(key, (2,))
    damped = draw_damped_spring(spring_key)
    return damped._replace(amplitude=between(0.1, 0.3, u[0]), frequency=constants(u[1]))


def start_spring(key: Key[Array, ""], parameters: Spring) -> Phase:
    """An amplitude between .3 and 1, at any phase."""
    u = jax.random.uniform(key, (2,))
    q, p = between(0.3, 1.0, u[0]) * direction(u[1])
    momentum = p * root(parameters.mass * parameters.stiffness)
    return Phase(first_coordinate(q), first_coordinate(momentum))


def draw_pendulum(key: Key[Array, ""]) -> Pendulum:
    """Draw mass, length and gravity; neither damping nor drive."""
    mass, length, gravity = constants(jax.random.uniform(key, (3,)))
    zero = jnp.zeros_like(mass)
    return Pendulum(mass, length, gravity, damping=zero, amplitude=zero, frequency=zero)


def draw_damped_pendulum(key: Key[Array, ""]) -> Pendulum:
    """Draw mass, length and gravity, and a damping between .1 and .3."""
    pendulum_key, key = jax.random.split(key)
    damping = between(0.1, 0.3, jax.random.uniform(key))
    return draw_pendulum(pendulum_key)._replace(damping=damping)


def draw_driven_pendulum(key: Key[Array, ""]) -> Pendulum:
    """Draw a damped pendulum, a torque's amplitude between .05 and .1, and its frequency.

    A torque ``A`` against a damping ``D`` adds at most the energy ``A^2 / 4D`` in a unit of time,
    .25 in 10. So a start of at most ``mgl``, as :func:`start_driven_pendulum` makes it, does not
    swing over the top before then.
    """
    pendulum_key, key = jax.random.split(key)
    u = jax.random.uniform(key, (2,))
    damped = draw_damped_pendulum(pendulum_key)
    return damped._replace(amplitude=between(0.05, 0.1, u[0]), frequency=constants(u[1]))


def start_pendulum(key: Key[Array, ""], parameters: Pendulum, highest: float = 1.5) -> Phase:
    """An energy between .1 and ``highest`` times ``mgl``, at any phase; 2 is the turning point.

    The widest swing by default is to 120 degrees.
    """
    u = jax.random.uniform(key, (2,))
    energy = between(0.1, highest, u[0])
    cosine, sine = direction(u[1])
    q = 2 * jnp.arcsin(root(energy / 2) * cosine)
    mass, length, gravity = parameters[:3]
    momentum = mass * length * root(2 * gravity * length * energy) * sine
    return Phase(first_coordinate(q), first_coordinate(momentum))


def start_driven_pendulum(key: Key[Array, ""], parameters: Pendulum) -> Phase:
    """An energy between .1 and 1 times ``mgl``, at any phase."""
    return start_pendulum(key, parameters, highest=1.0)


def draw_henon_heiles(key: Key[Array, ""]) -> HenonHeiles:
    """Draw mass, stiffness and coupling."""
    return HenonHeiles(*constants(jax.random.uniform(key, (3,))))


def start_henon_heiles(key: Key[Array, ""], parameters: HenonHeiles) -> Phase:
    """An energy between .1 and .95 of that of escape, a position in a disc below it.

    Within ``r <= k / 2c`` the potential is at most ``2k r^2 / 3``, which sets the disc's radius.
    """
    u = jax.random.uniform(key, (4,))
    _, stiffness, coupling = parameters
    energy = between(0.1, 0.95, u[0]) * stiffness**3 / (6 * coupling**2)
    radius = root(u[1] * 3 * energy / (2 * stiffness))
    q, p = radius * direction(u[2])[None], direction(u[3])[None]
    return with_energy(henon_heiles, q, p, parameters, energy)


def draw_mirror(key: Key[Array, ""]) -> Mirror:
    """Draw mass, field and curvature."""
    return Mirror(*constants(jax.random.uniform(key, (3,))))


def start_mirror(key: Key[Array, ""], parameters: Mirror) -> Phase:
    """An energy between .1 and .4 of the barrier's, half of it or more across the axis.

    Energy bounds ``r``; along the axis only the mirror's reflection does. From
    ``|z| <= .7 / sqrt(s)`` and at such a pitch a slow particle turns within ``1.8 / sqrt(s)``, by
    the adiabatic invariant: energy across the axis over the field's strength.
    """
    _, field, curvature = parameters
    u = jax.random.uniform(key, (5,))
    energy = between(0.1, 0.4, u[0]) * 16 / 27
    across = between(0.5, 1.0, u[1]) * energy
    z = between(-0.7, 0.7, u[2])
    cosine, sine = direction(u[3])
    # in units of 1/sqrt(curvature); the potential is at most (r (1 + z^2/2))^2 / 2
    r = root(2 * across) * cosine / (1 + z**2 / 2)
    potential = (r * (1 + z**2 / 2 - r**2 / 8)) ** 2 / 2
    momentum_r = jnp.sign(sine) * root(2 * jnp.maximum(across - potential, 0.0))
    momentum_z = jnp.sign(u[4] - 0.5) * root(2 * (energy - across))
    scale = jax.lax.rsqrt(curvature)
    return Phase(
        scale * jnp.stack([r, z])[None], field * scale * jnp.stack([momentum_r, momentum_z])[None]
    )


def draw_gravitation(key: Key[Array, ""], particles: int) -> Gravitation:
    """Draw masses and the constant of gravitation; no softening."""
    drawn = constants(jax.random.uniform(key, (particles + 1,)))
    return Gravitation(drawn[1:], drawn[0], jnp.zeros_like(drawn[0]))


def start_gravitation(
    key: Key[Array, ""], parameters: Gravitation, axis: tuple[float, float], eccentricity: float
) -> Phase:
    """Pairs on Kepler orbits around each other, pairs of pairs likewise, and so on; all at rest.

    The bodies are halved, and halved again; each half moves as one body around the other on an
    ellipse, at any phase and orientation. Orbits of groups are :data:`RATIO` times as wide as those
    within: with axes that differ by an eighth and eccentricities up to .1 as wide as hierarchical
    triples of such masses must be in order to be stable (Mardling & Aarseth 2001, eq. 90). The
    center of mass rests at 0.

    Args:
      key: what is drawn from.
      parameters: masses and the constant; softening is taken as 0.
      axis: lowest and highest semi-major axis of an innermost orbit (m).
      eccentricity: the highest.
    """
    particles = parameters.mass.shape[0]
    draws = iter(jax.random.uniform(key, (particles - 1, 4)))

    def place(mass: Float[Array, " n"]) -> tuple[Float[Array, "n 2"], Float[Array, "n 2"]]:
        num = mass.shape[0]
        if num == 1:
            return jnp.zeros((1, 2), mass.dtype), jnp.zeros((1, 2), mass.dtype)
        cut = (num + 1) // 2
        inner = [place(mass[:cut]), place(mass[cut:])]
        u = next(draws)
        levels = (num - 1).bit_length() - 1
        axis_here = between(*axis, u[0]) * RATIO**levels
        total = jnp.sum(mass)
        offset, speed = kepler(axis_here, eccentricity * u[1], u[2:], parameters.constant * total)
        shares = -jnp.sum(mass[cut:]) / total, jnp.sum(mass[:cut]) / total
        q = [part[0] + share * offset[None] for part, share in zip(inner, shares, strict=True)]
        v = [part[1] + share * speed[None] for part, share in zip(inner, shares, strict=True)]
        return jnp.concatenate(q), jnp.concatenate(v)

    q, v = place(parameters.mass)
    return Phase(q, v * parameters.mass[:, None])


def kepler(
    axis: Float[Array, ""],
    eccentricity: Float[Array, ""],
    turns: Float[Array, "2"],
    attraction: Float[Array, ""],
) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """Relative position and velocity on an ellipse.

    Args:
      axis: semi-major axis (m).
      eccentricity: below 1.
      turns: the true anomaly and the orientation, in full turns.
      attraction: constant of gravitation times total mass (m^3/s^2).
    """
    (cosine, sine), (x, y) = direction(turns[0]), direction(turns[1])
    parameter = axis * (1 - eccentricity**2)
    radius = parameter / (1 + eccentricity * cosine)
    turned = jnp.stack([jnp.stack([x, -y]), jnp.stack([y, x])])
    speed = root(attraction / parameter)
    position = radius * jnp.stack([cosine, sine])
    velocity = speed * jnp.stack([-sine, eccentricity + cosine])
    return turned @ position, turned @ velocity


def draw_double_pendulum(key: Key[Array, ""]) -> DoublePendulum:
    """Draw both masses, both lengths, and gravity."""
    drawn = constants(jax.random.uniform(key, (5,)))
    return DoublePendulum(drawn[:2], drawn[2:4], drawn[4])


def double_pendulum_limit(parameters: DoublePendulum) -> Float[Array, ""]:
    """The energy of the lowest position with an arm upside down."""
    (m1, m2), (l1, l2) = parameters.mass, parameters.length
    return 2 * parameters.gravity * jnp.minimum((m1 + m2) * l1, m2 * l2)


def start_double_pendulum(key: Key[Array, ""], parameters: DoublePendulum) -> Phase:
    """An energy between .1 and .75 of that of the lowest upside-down position; angles below it.

    As ``1 - cos q <= q^2 / 2``, an ellipse of angles has a potential below the energy.
    """
    u = jax.random.uniform(key, (4,))
    (m1, m2), (l1, l2) = parameters.mass, parameters.length
    energy = between(0.1, 0.75, u[0]) * double_pendulum_limit(parameters)
    weight = parameters.gravity * jnp.stack([(m1 + m2) * l1, m2 * l2])
    q = root(u[1] * 2 * energy / weight) * direction(u[2])
    return with_energy(double_pendulum, q[None], direction(u[3])[None], parameters, energy)


def polygon(particles: int) -> np.ndarray:
    """``[particles, 2]``: the corners of a regular polygon with sides of 1 around 0."""
    angle = 2 * np.pi * np.arange(particles) / particles
    return np.stack([np.cos(angle), np.sin(angle)], -1) / (2 * np.sin(np.pi / particles))


def draw_spring_graph(
    key: Key[Array, ""], particles: int, first: np.ndarray, second: np.ndarray
) -> SpringGraph:
    """Draw masses, stiffnesses, and rest lengths: those of a :func:`polygon`, sides .75 to 1.25."""
    drawn = constants(jax.random.uniform(key, (particles + len(first) + 1,)))
    corners = polygon(particles)
    length = np.linalg.norm(corners[first] - corners[second], axis=-1)
    return SpringGraph(
        drawn[:particles], drawn[particles:-1], drawn[-1] * length.astype(drawn.dtype)
    )


def spring_graph_limit(parameters: SpringGraph) -> Float[Array, ""]:
    """The energy that can halve or stretch by half the spring that is easiest to."""
    return jnp.min(parameters.stiffness * parameters.length**2) / 8


def start_spring_graph(
    key: Key[Array, ""], parameters: SpringGraph, first: np.ndarray, second: np.ndarray
) -> Phase:
    """An energy between .1 and .9 of what halves a spring, displacements that hold half of it.

    The center of mass rests, near 0. Displacements of at most ``d`` change a length by at most
    ``2d``, so their potential is at most ``2 d^2`` times the sum of the stiffnesses.
    """
    mass = parameters.mass
    particles = mass.shape[0]
    energy_key, key = jax.random.split(key)
    energy = between(0.1, 0.9, jax.random.uniform(energy_key)) * spring_graph_limit(parameters)
    normals = jax.random.normal(key, (2, particles, 2))
    furthest = root(jnp.max(jnp.sum(normals[0] ** 2, -1)))
    reach = root(energy / (4 * jnp.sum(parameters.stiffness)))
    corners = polygon(particles).astype(mass.dtype)
    side = np.linalg.norm(corners[first[0]] - corners[second[0]]).astype(mass.dtype)
    q = parameters.length[0] / side * corners + reach / furthest * normals[0]
    p = normals[1] - mass[:, None] * jnp.sum(normals[1], 0)[None] / jnp.sum(mass)
    return with_energy(spring_graph(first, second), q, p, parameters, energy)
