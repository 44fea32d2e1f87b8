"""The trivial rival: a polynomial energy, fitted by ridge regression to one system's points."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.physics import Hamiltonian, Phase, symplectic_gradient

MOST_TERMS = 500
"""Largest number of monomials, that fitting them takes no longer than adapting a network."""


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
    penalty = jnp.sqrt(ridge * jnp.mean(jnp.sum(design**2, 0)))
    rows = jnp.concatenate([design, penalty * jnp.eye(terms, dtype=design.dtype)])
    return jnp.linalg.lstsq(rows, jnp.concatenate([wanted, jnp.zeros(terms, wanted.dtype)]))[0]
