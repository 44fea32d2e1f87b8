"""The trivial baseline: a polynomial energy, fitted by ridge regression to a system's points."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError, MixedTasks, enable_x64
from metajax.nn import damped_least_squares
from metajax.physics import Hamiltonian, Phase, get_mechanics, symplectic_gradient, trajectory
from metajax.systems.hamiltonian.roll_out import Instances, relative_errors
from metajax.systems.hamiltonian.settings import Settings
from metajax.systems.hamiltonian.tasks import MotionTasks

MOST_TERMS = 500
"""Largest number of monomials, that fitting them takes no longer than adapting a network."""
DEGREES = (2, 3, 4, 6)
"""Degrees that are tried on systems of the trained mechanics."""


def num_terms(variables: int, degree: int) -> int:
    """Count the monomials of degree 1 to ``degree``."""
    return math.comb(variables + degree, degree) - 1


@functools.cache
def exponents(variables: int, degree: int) -> np.ndarray:
    """``[terms, variables]`` exponents of all monomials of degree 1 to ``degree``.

    Raises:
      ConfigError: they are more than ``MOST_TERMS``.
    """
    if num_terms(variables, degree) > MOST_TERMS:
        expected = f"one with at most {MOST_TERMS} terms in {variables} variables"
        raise ConfigError("degree", degree, expected)
    rows = [
        np.bincount(chosen, minlength=variables)
        for total in range(1, degree + 1)
        for chosen in itertools.combinations_with_replacement(range(variables), total)
    ]
    return np.array(rows)


def polynomial(particles: int, dim: int, degree: int) -> Hamiltonian:
    """Make the energy ``(state, coefficients [terms]) -> scalar``, linear in the coefficients."""
    powers_of = exponents(2 * particles * dim, degree)

    def energy(state: Phase, coefficients: Float[Array, " terms"]) -> Float[Array, ""]:
        x = jnp.concatenate([state.q.reshape(-1), state.p.reshape(-1)])
        powers = jnp.cumprod(jnp.concatenate([jnp.ones_like(x)[None], jnp.tile(x, (degree, 1))]), 0)
        terms = jnp.prod(powers[powers_of, np.arange(x.size)], axis=-1)
        return terms @ coefficients

    return energy


def fit_polynomial(
    states: Float[Phase, "points particles dim"],
    rates: Float[Phase, "points particles dim"],
    degree: int,
    ridge: float = 1e-8,
) -> Float[Array, " terms"]:
    """Return the coefficients whose motion is nearest to the rates, in squared error.

    ``ridge`` is relative to the mean square of a column of the design. Call it in float64.
    """
    _, particles, dim = states.q.shape
    terms = len(exponents(2 * particles * dim, degree))
    # motion is linear in the coefficients, so its derivative in them is the design matrix
    motion = symplectic_gradient(polynomial(particles, dim, degree))

    def of(coefficients: Array, state: Phase) -> Array:
        rate: Any = motion(state, coefficients)
        return jnp.concatenate([rate.q.reshape(-1), rate.p.reshape(-1)])

    columns = jax.vmap(jax.jacrev(of), (None, 0))(jnp.zeros(terms, states.q.dtype), states)
    design = columns.reshape(-1, terms)

    def flat(leaf):
        return leaf.reshape(leaf.shape[0], -1)

    wanted = jnp.concatenate([flat(rates.q), flat(rates.p)], axis=1).reshape(-1)
    strength = ridge * jnp.mean(jnp.sum(design**2, 0))
    return damped_least_squares(design, wanted[:, None], strength)[:, 0]


def choose_degree(settings: Settings, tasks: MixedTasks) -> int:
    """Return the degree with the least error on trained mechanics of no more particles."""
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


def fit_and_roll(
    instances: Instances, name: str, degree: int, shots: int
) -> tuple[np.ndarray, np.ndarray, Phase]:
    """Fit the polynomial energy to every instance's support and follow it in time.

    Returns the relative errors of coordinates and energy ``[systems, times]``, and the states.
    """
    mechanics = get_mechanics(name)
    hamiltonian = polynomial(mechanics.particles, mechanics.dim, degree)

    def one(item: Any) -> Any:
        parameters, (true, _), seen, order = item
        states, rates = jax.tree.map(lambda leaf: leaf[order[:shots]], seen)
        coefficients = fit_polynomial(states, rates, degree)
        start = jax.tree.map(lambda leaf: leaf[0], true)
        rolled = trajectory(
            symplectic_gradient(hamiltonian),
            start,
            coefficients,
            jnp.asarray(instances.times, jnp.float64),
            method="implicit_midpoint",
        ).states
        return *relative_errors(mechanics.hamiltonian, parameters, rolled, true), rolled

    with enable_x64(True):
        items = (instances.parameters, instances.true, instances.seen, instances.order)
        items = jax.tree.map(
            lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, items
        )
        together = jax.jit(lambda items: jax.lax.map(one, items, batch_size=20))
        return jax.tree.map(np.asarray, together(items))


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
