"""Monomials of the coordinates of a state: the features of a polynomial energy."""

from __future__ import annotations

import functools
import itertools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.physics import Phase

MOST_TERMS = 500
"""Largest number of monomials, that fitting them takes no longer than adapting a network."""


def num_terms(variables: int, degree: int) -> int:
    """Count the monomials of degree 1 to ``degree``."""
    return math.comb(variables + degree, degree) - 1


def highest_degree(variables: int, degree: int) -> int:
    """Return the highest degree up to ``degree`` with at most ``MOST_TERMS`` monomials."""
    return max(d for d in range(degree + 1) if num_terms(variables, d) <= MOST_TERMS)


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
    return np.array(rows, np.int32)


def monomials(state: Phase, degree: int) -> Float[Array, " terms"]:
    """Return all monomials of degree 1 to ``degree`` of a state's coordinates.

    Raises:
      ConfigError: they are more than ``MOST_TERMS``.
    """
    x = jnp.concatenate([state.q.reshape(-1), state.p.reshape(-1)])
    powers = jnp.cumprod(jnp.concatenate([jnp.ones_like(x)[None], jnp.tile(x, (degree, 1))]), 0)
    return jnp.prod(powers[exponents(x.size, degree), np.arange(x.size, dtype=np.int32)], axis=-1)
