"""Named mechanics: an energy, how to draw an instance of it, and who acts on whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from metajax.core import ConfigError, derive, one_of
from metajax.physics import draws
from metajax.physics import hamiltonians as energies
from metajax.physics.mechanics import (
    Derivative,
    Dissipation,
    Force,
    Hamiltonian,
    Phase,
    port_hamiltonian,
    symplectic_gradient,
)


class Edges(NamedTuple):
    """Who acts on whom: ``[edges]`` int32 each, every interaction once in either direction."""

    senders: np.ndarray
    receivers: np.ndarray


NO_EDGES = Edges(np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass(frozen=True, eq=False)
class Mechanics:
    """A type of physical system; an instance of it is a pair of parameters and an initial state.

    Attributes:
      name: what :func:`get_mechanics` knows it by.
      particles: how many there are.
      hamiltonian: ``hamiltonian(state, parameters) -> energy``.
      draw_parameters: ``draw_parameters(key) -> parameters``, traceable.
      draw_state: ``draw_state(key, parameters) -> Phase``, traceable; bounded by construction.
      edges: the interactions; empty for one particle.
      separable: whether the energy is a function of ``q`` plus one of ``p``.
      dissipation: of :func:`port_hamiltonian`; None where energy is conserved.
      force: of :func:`port_hamiltonian`, or None.
      energy_limit: ``energy_limit(parameters)``, below which motion is bounded; None if always.
      min_separation: the least distance of particles that share an edge (m).
      dim: coordinates of a particle.
    """

    name: str
    particles: int
    hamiltonian: Hamiltonian
    draw_parameters: Callable[[Key[Array, ""]], Any]
    draw_state: Callable[[Key[Array, ""], Any], Phase]
    edges: Edges = NO_EDGES
    separable: bool = True
    dissipation: Dissipation | None = None
    force: Force | None = None
    energy_limit: Callable[[Any], Array] | None = None
    min_separation: float = 0.05
    dim: int = 2

    @property
    def derivative(self) -> Derivative:
        """The equations of motion."""
        if self.dissipation is None and self.force is None:
            return symplectic_gradient(self.hamiltonian)
        return port_hamiltonian(self.hamiltonian, self.dissipation, self.force)

    def draw(self, key: Key[Array, ""]) -> tuple[Any, Phase]:
        """Draw an instance: parameters, and an initial state."""
        parameters = self.draw_parameters(derive(key, "parameters"))
        return parameters, self.draw_state(derive(key, "state"), parameters)


def both_ways(first: np.ndarray, second: np.ndarray) -> Edges:
    """Make edges in either direction between the particles of every pair."""
    senders, receivers = np.concatenate([first, second]), np.concatenate([second, first])
    return Edges(senders.astype(np.int32), receivers.astype(np.int32))


def n_body(
    particles: int,
    *,
    axis: tuple[float, float] = (0.4, 0.45),
    eccentricity: float = 0.1,
    name: str | None = None,
) -> Mechanics:
    """Make bodies that attract each other, on near-circular orbits of pairs, pairs of pairs, ...

    Orbits within orbits are far enough apart that no two bodies come near each other; see
    :func:`metajax.physics.draws.start_gravitation`.

    Args:
      particles: 2 or more.
      axis: lowest and highest semi-major axis of the innermost orbits (m).
      eccentricity: the highest of any orbit; at most .5, and .1 of more than two bodies.
      name: ``n_body_N`` by default.

    Returns:
      The mechanics.

    Raises:
      ConfigError: fewer than 2 particles, axes that do not ascend from above 0 or, of more than
        two bodies, differ by more than an eighth, or an eccentricity out of range.
    """
    if particles < 2:
        raise ConfigError("particles", particles, "2 or more")
    if not 0 < axis[0] <= axis[1]:
        raise ConfigError("axis", axis, "the lowest above 0, then the highest")
    if particles > 2 and axis[1] > 1.125 * axis[0]:
        raise ConfigError("axis", axis, "bounds that differ by an eighth at most")
    most = 0.5 if particles == 2 else 0.1
    if not 0 <= eccentricity <= most:
        raise ConfigError("eccentricity", eccentricity, f"0 to {most}: no near collisions")
    return Mechanics(
        name or f"n_body_{particles}",
        particles,
        energies.gravitation,
        partial(draws.draw_gravitation, particles=particles),
        partial(draws.start_gravitation, axis=axis, eccentricity=eccentricity),
        both_ways(*np.triu_indices(particles, 1)),
        energy_limit=lambda parameters: jnp.zeros_like(parameters.constant),
    )


def coupled_springs(
    particles: int, pairs: Sequence[tuple[int, int]] | None = None, *, name: str | None = None
) -> Mechanics:
    """Make particles in the plane that are coupled by springs, free to move and turn together.

    They start near the corners of a regular polygon at which all springs rest, with so little
    energy that no spring is halved.

    Args:
      particles: 2 or more.
      pairs: which particles a spring couples; by default each with its neighbors on a ring.
      name: ``coupled_springs_N`` by default.

    Returns:
      The mechanics.

    Raises:
      ConfigError: fewer than 2 particles, pairs of no such or the same particles, the same pair
        twice, or pairs that leave the particles in several parts.
    """
    if particles < 2:
        raise ConfigError("particles", particles, "2 or more")
    if pairs is None:
        pairs = [(0, 1)] if particles == 2 else [(i, (i + 1) % particles) for i in range(particles)]
    unordered = {tuple(sorted(pair)) for pair in pairs}
    if any(not 0 <= i < j < particles for i, j in unordered) or len(unordered) < len(pairs):
        raise ConfigError("pairs", pairs, f"distinct pairs of particles 0 to {particles - 1}")
    first, second = np.asarray(pairs).reshape(-1, 2).T
    links = coo_array((np.ones(len(first)), (first, second)), shape=(particles, particles))
    if connected_components(links, directed=False)[0] > 1:
        raise ConfigError("pairs", pairs, "pairs that couple all particles, which else drift apart")
    return Mechanics(
        name or f"coupled_springs_{particles}",
        particles,
        energies.spring_graph(first, second),
        partial(draws.draw_spring_graph, particles=particles, first=first, second=second),
        partial(draws.start_spring_graph, first=first, second=second),
        both_ways(first, second),
        energy_limit=draws.spring_graph_limit,
    )


def _top(parameters: energies.Pendulum) -> Array:
    """The energy of a pendulum that rests upside down, ``2mgl``."""
    return 2 * parameters.mass * parameters.gravity * parameters.length


MECHANICS = {
    each.name: each
    for each in (
        Mechanics("mass_spring", 1, energies.mass_spring, draws.draw_spring, draws.start_spring),
        Mechanics(
            "pendulum",
            1,
            energies.pendulum,
            draws.draw_pendulum,
            draws.start_pendulum,
            energy_limit=_top,
        ),
        Mechanics(
            "henon_heiles",
            1,
            energies.henon_heiles,
            draws.draw_henon_heiles,
            draws.start_henon_heiles,
            energy_limit=lambda p: p.stiffness**3 / (6 * p.coupling**2),
        ),
        Mechanics(
            "magnetic_mirror",
            1,
            energies.magnetic_mirror,
            draws.draw_mirror,
            draws.start_mirror,
            energy_limit=lambda p: 16 * p.field**2 / (27 * p.mass * p.curvature),
        ),
        n_body(2, axis=(0.75, 1.25), eccentricity=0.5, name="two_body"),
        n_body(3, name="three_body"),
        n_body(4, name="four_body"),
        Mechanics(
            "double_pendulum",
            1,
            energies.double_pendulum,
            draws.draw_double_pendulum,
            draws.start_double_pendulum,
            separable=False,
            energy_limit=draws.double_pendulum_limit,
        ),
        coupled_springs(4, name="coupled_springs"),
        Mechanics(
            "damped_spring",
            1,
            energies.mass_spring,
            draws.draw_damped_spring,
            draws.start_spring,
            dissipation=energies.damping,
        ),
        Mechanics(
            "damped_pendulum",
            1,
            energies.pendulum,
            draws.draw_damped_pendulum,
            draws.start_pendulum,
            dissipation=energies.damping,
            energy_limit=_top,
        ),
        Mechanics(
            "driven_spring",
            1,
            energies.mass_spring,
            draws.draw_driven_spring,
            draws.start_spring,
            dissipation=energies.damping,
            force=energies.drive,
        ),
        Mechanics(
            "driven_pendulum",
            1,
            energies.pendulum,
            draws.draw_driven_pendulum,
            draws.start_driven_pendulum,
            dissipation=energies.damping,
            force=energies.drive,
            energy_limit=_top,
        ),
    )
}
"""The mechanics that :func:`get_mechanics` returns, by name."""


def get_mechanics(name: str) -> Mechanics:
    """Return mechanics by their name.

    | name | particles | conserves energy | separable |
    |---|---|---|---|
    | ``mass_spring`` | 1 | yes | yes |
    | ``pendulum`` | 1 | yes | yes |
    | ``henon_heiles`` | 1 | yes | yes |
    | ``magnetic_mirror`` | 1 | yes | yes |
    | ``two_body``, ``three_body``, ``four_body`` | 2, 3, 4 | yes | yes |
    | ``double_pendulum`` | 1, two angles | yes | no |
    | ``coupled_springs`` | 4, on a ring | yes | yes |
    | ``damped_spring``, ``damped_pendulum`` | 1 | no | yes |
    | ``driven_spring``, ``driven_pendulum`` (damped too) | 1 | no | yes |

    Args:
      name: of the table.

    Raises:
      ConfigError: there are none of this name.

    Examples:
      >>> import jax
      >>> from metajax.physics import get_mechanics
      >>> pendulum = get_mechanics("pendulum")
      >>> parameters, state = pendulum.draw(jax.random.key(0))
      >>> state.q.shape, pendulum.separable
      ((1, 2), True)
    """
    return MECHANICS[one_of("mechanics", name, MECHANICS)]


def check_state(mechanics: Mechanics, state: Phase, parameters: Any) -> None:
    """Reject an initial state from which motion is not bounded. Not for use inside ``jax.jit``.

    Args:
      mechanics: that move.
      state: initial ``q`` and ``p`` ``[particles, dim]``.
      parameters: of the energy.

    Raises:
      ConfigError: ``state`` has the wrong shape; ``separation`` of particles with a common edge is
        below ``mechanics.min_separation``; ``energy`` is not finite, or not below
        ``mechanics.energy_limit``.
    """
    shape = (mechanics.particles, mechanics.dim)
    if state.q.shape != shape or state.p.shape != shape:
        found = f"q {state.q.shape}, p {state.p.shape}"
        raise ConfigError("state", found, f"q and p {shape}, as {mechanics.name} has them")
    senders, receivers = mechanics.edges
    if senders.size:
        apart = np.linalg.norm(np.asarray(state.q[senders] - state.q[receivers]), axis=-1)
        nearest = int(np.argmin(apart))
        if not apart[nearest] >= mechanics.min_separation:
            expected = (
                f"at least {mechanics.min_separation} between particles {senders[nearest]} and "
                f"{receivers[nearest]} of {mechanics.name}"
            )
            raise ConfigError("separation", float(apart[nearest]), expected)
    value = float(mechanics.hamiltonian(state, parameters))
    if not np.isfinite(value):
        raise ConfigError("energy", value, "a finite energy")
    if mechanics.energy_limit is not None:
        limit = float(mechanics.energy_limit(parameters))
        if not value < limit:
            raise ConfigError("energy", value, f"below {limit:.6g}: {mechanics.name} is unbounded")
