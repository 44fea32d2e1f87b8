"""Energies that are linear in a head: what each of their features would do to the motion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.physics.mechanics import Phase

Features = Callable[[Phase], Float[Array, " features"]]
"""``features(state) -> [features]``: an energy is their sum, weighted by a head."""


def stacked(rates: Float[Phase, "*points particles dim"]) -> Float[Array, "*points equations"]:
    """Return the rates of each point as one row: those of ``q``, then those of ``p``.

    Args:
      rates: of each point.
    """
    flat = (leaf.reshape(*leaf.shape[:-2], -1) for leaf in rates)
    return jnp.concatenate(list(flat), axis=-1)


def energy_columns(features: Features, state: Phase) -> Float[Array, "equations features"]:
    """Return the rates that each feature would give a state if it were the energy.

    ``dq/dt = dphi/dp`` and ``dp/dt = -dphi/dq``, rows as :func:`stacked` has them. Hamilton's
    equations are linear in the energy, so the rates by ``H = phi . head`` are these columns times
    the head. In forward mode: as many passes as the state has coordinates, however many features.

    Args:
      features: of a state, ``[features]``.
      state: ``q`` and ``p`` ``[particles, dim]``.
    """
    slope: Any = jax.jacfwd(features)(state)
    rates = Phase(slope.p, -slope.q)
    return stacked(rates).T


def damping_column(rates: Phase) -> Float[Array, " equations"]:
    """Return the rates that a damping of 1 would add to a motion, ``dp/dt = -dq/dt``.

    In :func:`port_hamiltonian` a damping ``D`` adds ``-D dH/dp`` to ``dp/dt``, which is a product
    of two unknowns. ``dH/dp`` is ``dq/dt`` though, and where that has been observed, the equations
    are linear in ``D`` and the energy's head together.

    Args:
      rates: observed ``dq/dt`` and ``dp/dt`` of a state.
    """
    return stacked(Phase(jnp.zeros_like(rates.q), -rates.q))


def force_columns(
    waves: Float[Array, " waves"], particles: int, dim: int
) -> Float[Array, "equations waves_and_dim"]:
    """Return the rates that a force along each wave and coordinate would add at one time.

    The force is the same on all particles. Columns are ordered by wave, then by coordinate.

    Args:
      waves: at the time.
      particles: how many.
      dim: coordinates of a particle.
    """
    on_p = jnp.tile(jnp.kron(waves[None], jnp.eye(dim, dtype=waves.dtype)), (particles, 1))
    return jnp.concatenate([jnp.zeros_like(on_p), on_p])
