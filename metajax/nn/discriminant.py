"""Linear discriminants from inner products: after every prefix of a sequence, or on a set.

Classes are Gaussian with one covariance. Its estimate is the scatter ``S`` of the inputs about the
means of their classes plus ``ridge I``; a class's mean is taken as if ``prior`` more of its inputs
lay at the origin (the conjugate prior of a Gaussian: Murphy 2007, Conjugate Bayesian analysis of
the Gaussian distribution, section 8). ``S`` is a sum of squares ``U^T U`` of as many rows as there
are examples, so that all is solved for the examples and any number of features will do.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.nn.similarity import InnerProducts
from metajax.nn.solves import cholesky, triangular_solve

_TINY = 1e-6


def _alike(matrix: Array, to: Array) -> Array:
    """A matrix with as many axes as ``to`` has."""
    return matrix.astype(to.dtype).reshape((1,) * (to.ndim - 2) + matrix.shape)


def _plus(gram: Array, ridge: Array) -> Array:
    return gram + ridge[..., None, None] * _alike(jnp.eye(gram.shape[-1]), gram)


def causal_discriminant(
    gram: Float[Array, "*batch n n"],
    labels: Float[Array, "*batch n classes"],
    ridge: Float[Array, "*batch"],
    prior: float = 0.5,
) -> Float[Array, "*batch n classes"]:
    """Return how far each input is from every class, by the examples before it.

    By one factorization for all prefixes: the scatter grows by one square with every example, the
    input's difference from the mean of its class so far (Welford 1962, Technometrics 4(3)).

    Args:
      gram: inner products of the inputs with each other.
      labels: one-hot.
      ridge: what is added to the scatter's diagonal, above 0.
      prior: inputs at the origin that each class begins with, above 0.

    Returns:
      ``(x_i - mean_c)^T (S + ridge I)^-1 (x_i - mean_c)`` of the examples before ``i``.
    """
    scatter = causal_scatter(gram, labels, prior)
    factor = cholesky(_plus(scatter.between, ridge))
    solved = triangular_solve(factor, scatter.products)  # its rows before i are those of prefix i
    earlier = jnp.swapaxes(solved, -1, -2) * _before(gram) @ solved
    added = (jnp.tril(solved) @ labels) ** 2  # by the row that a prefix has more than the last one
    explained = _about_means(earlier, labels, scatter.counts, added)
    squares = _about_means(gram, labels, scatter.counts)
    return jnp.maximum(squares - explained, 0) / ridge[..., None, None]


def _about_means(
    products: Float[Array, "*batch n n"],
    labels: Float[Array, "*batch n classes"],
    counts: Float[Array, "*batch n classes"],
    added: Float[Array, "*batch n classes"] | float = 0.0,
) -> Float[Array, "*batch n classes"]:
    """Return ``(x_i - mean_c)^2``, the means those of the examples before ``i``.

    Args:
      products: row ``i`` holds the products of ``x_i`` with the inputs up to itself.
      labels: one-hot.
      counts: of each class before ``i``, as its sum is divided by them.
      added: where products grow with ``i``, by how much those of a class's sum with itself do.
    """
    own = jnp.diagonal(products, axis1=-2, axis2=-1)[..., None]
    with_sums = jnp.tril(products, -1) @ labels
    grown = labels * (2 * with_sums + own) + added
    of_sums = jnp.cumsum(grown, axis=-2) - grown
    return own - 2 * with_sums / counts + of_sums / counts**2


class CausalScatter(NamedTuple):
    """The squares ``u u^T`` that a scatter is the sum of, one more with every example.

    Attributes:
      between: products of the ``u`` with each other; a leading block is that of a prefix, and the
        sum of its diagonal the trace of the prefix's scatter.
      products: of the ``u`` with the inputs.
      labels: one-hot.
      counts: of each class before ``i``, the prior's inputs included.
    """

    between: Float[Array, "*batch n n"]
    products: Float[Array, "*batch n n"]
    labels: Float[Array, "*batch n classes"]
    counts: Float[Array, "*batch n classes"]

    def about_means(self, sides: Float[Array, "*batch m n"]) -> Float[Array, "*batch m n classes"]:
        """Return ``sides[m, n]``, products with ``x_n``, as products with ``x_n - mean_c``."""
        each = sides[..., None] * self.labels[..., None, :, :]
        sums = jnp.cumsum(each, axis=-2) - each  # over the examples before
        return sides[..., None] - sums / self.counts[..., None, :, :]


def causal_scatter(
    gram: Float[Array, "*batch n n"], labels: Float[Array, "*batch n classes"], prior: float
) -> CausalScatter:
    """Return the squares whose sums are the scatters of all prefixes.

    Args:
      gram: inner products of the inputs with each other.
      labels: one-hot; all 0 for an example that adds nothing.
      prior: inputs at the origin that each class begins with, above 0.
    """
    before = _before(gram)
    counts = before @ labels + prior
    exists = jnp.sum(labels, axis=-1)
    own = jnp.sum(counts * labels, axis=-1) + (1 - exists)
    same = labels @ jnp.swapaxes(labels, -1, -2)
    # of each input from its class's mean
    differences = _alike(jnp.eye(gram.shape[-1]), gram) - before * same / own[..., None]
    rows = (exists * jnp.sqrt(own / (own + 1)))[..., None] * differences  # u over the inputs
    products = rows @ gram
    return CausalScatter(products @ jnp.swapaxes(rows, -1, -2), products, labels, counts)


def _before(gram: Array) -> Array:
    n = gram.shape[-1]
    return _alike(jnp.tril(jnp.ones((n, n)), -1), gram)


_SPAN = 32  # positions whose factorizations have one size
_MAX_SPANS = 4  # each is compiled by itself


def causal_shrunk_discriminant(
    gram: Float[Array, "*batch n n"],
    labels: Float[Array, "*batch n classes"],
    ridge_of: Callable[[Float[Array, "*batch n"]], Float[Array, "*batch n"]],
    prior: float = 0.5,
) -> Float[Array, "*batch n classes"]:
    """Return the distances of :func:`causal_discriminant` with a ridge for every prefix.

    A ridge that moves with the prefix takes a factorization for each, ``n^4 / 12`` operations for
    all; what is factored, and the right sides, are those of one scatter.

    Args:
      gram: inner products of the inputs with each other.
      labels: one-hot.
      ridge_of: ``ridge_of(traces) -> ridges``, above 0: the ridge of each prefix from the trace
        of its scatter.
      prior: inputs at the origin that each class begins with, above 0.
    """
    n = gram.shape[-1]
    scatter = causal_scatter(gram, labels, prior)
    own = jnp.diagonal(scatter.between, axis1=-2, axis2=-1)
    ridges = ridge_of(jnp.cumsum(own, axis=-1) - own)
    sides = scatter.about_means(scatter.products)

    def explained(size: int, place: Array) -> Array:
        """At position ``place <= size``, by the leading ``size`` rows."""
        known = (jnp.arange(size) < place).astype(gram.dtype)
        both = _alike(known[:, None] * known[None], gram)
        ridge = jnp.take(ridges, place, axis=-1)
        factor = cholesky(_plus(scatter.between[..., :size, :size] * both, ridge))
        side = jnp.take(sides[..., :size, :, :], place, axis=-2) * _alike(known[:, None], gram)
        return jnp.sum(triangular_solve(factor, side) ** 2, axis=-2)

    spans = min(_MAX_SPANS, -(-n // _SPAN))
    edges = [n * span // spans for span in range(spans + 1)]
    found = [
        jax.lax.map(functools.partial(explained, stop), jnp.arange(start, stop))
        for start, stop in itertools.pairwise(edges)
    ]
    squares = _about_means(gram, labels, scatter.counts)
    squares -= jnp.moveaxis(jnp.concatenate(found), 0, -2)
    return jnp.maximum(squares, 0) / ridges[..., None]


class SetDistances(NamedTuple):
    """Squared distances from classes, in units of the covariance's sum.

    Attributes:
      own: of each known example from the classes, all estimated without it.
      new: of the queries.
    """

    own: Float[Array, "*batch n classes"]
    new: Float[Array, "*batch q classes"]


def scatter_rows(
    labels: Float[Array, "*batch n classes"], prior: float
) -> Float[Array, "*batch rows n"]:
    """Return what makes of the inputs the rows whose squares add up to the scatter ``S``.

    The differences of the inputs from the means of their classes, and the means themselves, times
    the root of ``prior``. Examples whose labels are all 0 are left out.
    """
    means = jnp.swapaxes(labels, -1, -2) / (jnp.sum(labels, axis=-2)[..., None] + prior)
    exists = jnp.sum(labels, axis=-1)
    eye = _alike(jnp.eye(labels.shape[-2]), labels) * exists[..., None]
    return jnp.concatenate([eye - labels @ means, prior**0.5 * means], axis=-2)


def set_discriminant(
    products: InnerProducts,
    cross: InnerProducts,
    labels: Float[Array, "*batch n classes"],
    ridge: Float[Array, "*batch"],
    prior: float = 0.5,
) -> SetDistances:
    """Return how far queries, and each example without itself, are from the classes of a set.

    Leaving an example out takes one square from the scatter, whose inverse follows by the formula
    of Sherman and Morrison.

    Args:
      products: of the examples with each other.
      cross: of the queries with the examples.
      labels: one-hot; all 0 for examples that are left out.
      ridge: what is added to the scatter's diagonal, above 0.
      prior: inputs at the origin that each class begins with, above 0.
    """
    rows = scatter_rows(labels, prior)
    gram = products.between
    projected = rows @ gram  # of the rows with the examples
    factor = cholesky(_plus(projected @ jnp.swapaxes(rows, -1, -2), ridge))
    counts = jnp.sum(labels, axis=-2) + prior
    means = labels / counts[..., None, :]  # the classes' means over the examples, [n, classes]
    solved = triangular_solve(factor, projected)
    solved_means = solved @ means
    solved_new = triangular_solve(factor, rows @ jnp.swapaxes(cross.between, -1, -2))
    squares = jnp.sum(means * (gram @ means), axis=-2) - jnp.sum(solved_means**2, axis=-2)

    def to_means(aside: Array, inputs: Array) -> Array:
        """Products with the means, in the metric: ``[inputs, classes]``."""
        return aside @ means - jnp.swapaxes(inputs, -1, -2) @ solved_means

    def distances(own: Array, crossed: Array) -> Array:
        return jnp.maximum(own[..., None] - 2 * crossed + squares[..., None, :], 0)

    new = distances(
        cross.left - jnp.sum(solved_new**2, axis=-2), to_means(cross.between, solved_new)
    )
    itself = products.left - jnp.sum(solved**2, axis=-2)
    crossed = to_means(gram, solved)
    with_itself = distances(itself, crossed)
    # products of x - mean_c with x - mean of its own class, and of the latter with itself
    between = solved_means
    of_means = jnp.swapaxes(means, -1, -2) @ gram @ means
    of_means = of_means - jnp.swapaxes(between, -1, -2) @ between
    to_own = itself - jnp.sum(labels * crossed, axis=-1)
    along = to_own[..., None] - crossed + labels @ of_means
    residual = jnp.sum(labels * with_itself, axis=-1)
    size = jnp.sum(labels * counts[..., None, :], axis=-1)
    growth = size / jnp.maximum(size - 1, _TINY)
    left = ridge[..., None] - growth * residual
    left = jnp.maximum(left, _TINY * ridge[..., None])
    others = with_itself + (growth / left)[..., None] * along**2
    own_class = (growth**2 * residual * (1 + growth * residual / left))[..., None]
    own = jnp.where(labels > 0, own_class, others)
    unit = 1 / ridge[..., None, None]
    return SetDistances(own * unit, new * unit)
