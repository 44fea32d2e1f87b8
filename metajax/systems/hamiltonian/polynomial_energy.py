"""The trivial baseline: a polynomial energy, fitted by ridge regression to a system's points."""

from __future__ import annotations

import functools
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from metajax.core import Examples, MixedTasks, enable_x64
from metajax.nn import damped_least_squares
from metajax.physics import (
    Derivative,
    Hamiltonian,
    Phase,
    energy_columns,
    get_mechanics,
    stacked,
    symplectic_gradient,
)
from metajax.systems.hamiltonian.monomials import MOST_TERMS, exponents, monomials, num_terms
from metajax.systems.hamiltonian.roll_out import Instances
from metajax.systems.hamiltonian.settings import Settings
from metajax.systems.hamiltonian.solved_roll_out import Rolled, solve_and_roll
from metajax.systems.hamiltonian.tasks import MotionTasks

DEGREES = (2, 3, 4, 6)
"""Degrees that are tried on systems of the trained mechanics."""


def polynomial(particles: int, dim: int, degree: int) -> Hamiltonian:
    """Make the energy ``(state, coefficients [terms]) -> scalar``, linear in the coefficients.

    Args:
      particles: how many.
      dim: coordinates of a particle.
      degree: of the polynomial.

    Returns:
      The energy.

    Raises:
      ConfigError: it has too many terms.
    """
    exponents(2 * particles * dim, degree)

    def energy(state: Phase, coefficients: Float[Array, " terms"]) -> Float[Array, ""]:
        return monomials(state, degree) @ coefficients

    return energy


def fit_polynomial(
    states: Float[Phase, "points particles dim"],
    rates: Float[Phase, "points particles dim"],
    degree: int,
    ridge: float = 1e-8,
    counted: Bool[Array, " points"] | None = None,
) -> Float[Array, " terms"]:
    """Return the coefficients whose motion is nearest to the rates, in squared error.

    ``ridge`` is relative to the mean square of a column of the design. Call it in float64. Points
    that are not ``counted`` are left out.

    Args:
      states: of the points.
      rates: observed there.
      degree: of the polynomial.
      ridge: of the least squares.
      counted: which points count, or None for all.
    """
    features = functools.partial(monomials, degree=degree)
    columns = jax.vmap(functools.partial(energy_columns, features))(states)
    if counted is not None:
        columns = jnp.where(counted[:, None, None], columns, 0)
    design = columns.reshape(-1, columns.shape[-1])
    mask = None if counted is None else jnp.repeat(counted, columns.shape[1])
    strength = ridge * jnp.mean(jnp.sum(design**2, 0))
    wanted = stacked(rates).reshape(-1, 1)
    return damped_least_squares(design, wanted, strength, mask=mask)[:, 0]


def choose_degree(settings: Settings, tasks: MixedTasks) -> int:
    """Return the degree with the least error on trained mechanics of no more particles.

    Args:
      settings: of the problem.
      tasks: of trained mechanics.
    """
    particles = get_mechanics(settings.held_out).particles
    possible = [d for d in DEGREES if num_terms(4 * particles, d) <= MOST_TERMS]
    with enable_x64(True):
        few = [
            jax.tree.map(
                lambda leaf, k=k: np.asarray(leaf[k, :20], np.float64), (part.state, part.rate)
            )
            for part in cast("tuple[MotionTasks, ...]", tasks.parts)
            for k in range(part.state.q.shape[0] if part.state.q.shape[3] <= particles else 0)
        ]
        off = {
            degree: sum(
                float(np.log(residual_of_fit(*motion, degree, settings.shots)).mean())
                for motion in few
            )
            for degree in possible
        }
    return min(possible, key=lambda degree: off[degree])


class Polynomial(NamedTuple):
    """The polynomial energy of one type of mechanics, as :func:`solve_and_roll` takes it.

    Attributes:
      particles: of the mechanics.
      dim: coordinates of each.
      degree: of the polynomial.
    """

    particles: int
    dim: int
    degree: int

    @property
    def motion(self) -> Derivative:
        """Equations of motion ``(state, (params, coefficients), time) -> rates``."""
        energy = polynomial(self.particles, self.dim, self.degree)
        return symplectic_gradient(lambda state, solved: energy(state, solved[1]))

    def solve(self, params: None, support: Examples) -> Float[Array, " terms"]:
        """Return the coefficients from points and their rates."""
        points, rates = support
        return fit_polynomial(points.state, rates.state, self.degree, counted=points.counted)


def fit_and_roll(
    instances: Instances, name: str, degree: int, shots: int, most: int | None = None
) -> Rolled:
    """Fit the polynomial energy to every instance's support and follow it in time.

    Args:
      instances: new systems.
      name: of their mechanics.
      degree: of the polynomial.
      shots: points of each instance.
      most: of the largest support that is tried; fewer compile nothing again.

    Returns:
      Roll-outs with their errors, one for each instance.
    """
    mechanics = get_mechanics(name)
    solving = Polynomial(mechanics.particles, mechanics.dim, degree)
    return solve_and_roll(solving, None, instances, name, most or shots, shots)


@functools.partial(jax.jit, static_argnums=(2, 3))
def residual_of_fit(
    states: Float[Phase, "systems times particles 2"],
    rates: Float[Phase, "systems times particles 2"],
    degree: int,
    shots: int,
) -> Float[Array, " systems"]:
    """How far the polynomial's motion is off, fitted to every few points, relative to the rates.

    In squares over the whole trajectory; what its degree is chosen by.
    """
    motion = symplectic_gradient(polynomial(states.q.shape[2], states.q.shape[3], degree))
    chosen = np.linspace(0, states.q.shape[1] - 1, shots).astype(int)

    def one(item: tuple[Phase, Phase]) -> Array:
        states, rates = item
        support = jax.tree.map(lambda leaf: leaf[chosen], item)
        found = jax.vmap(motion, (0, None))(states, fit_polynomial(support[0], support[1], degree))
        off = jax.tree.map(lambda f, r: jnp.sum((f - r) ** 2), found, rates)
        return (off.q + off.p) / sum(jnp.sum(leaf**2) for leaf in rates)

    return jax.lax.map(one, (states, rates))
