"""What inner products say of inputs: distances and similarities, which no rotation changes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metajax.nn.attention import widen

NEAREST = 0.01
"""Added to a squared distance before its logarithm: nearer than this is as near as can be."""
SIMILARITIES = 3
"""Similarities of two inputs: see :func:`similarities`."""
FIRST = 10
"""Inputs of a sequence that its scale is made of."""
_SMALLEST = 1e-12  # of a norm or a scale that is divided by


class InnerProducts(NamedTuple):
    """Inner products of two lists of inputs, and of every input with itself.

    An orthogonal map of the inputs, features in another order and features that are all zero leave
    these as they are, and so everything that is computed from them.

    Attributes:
      between: of each left input with each right one.
      left: squared norms of the left inputs.
      right: squared norms of the right inputs.
    """

    between: Float[Array, "*batch queries keys"]
    left: Float[Array, "*batch queries"]
    right: Float[Array, "*batch keys"]

    def distances(self) -> Float[Array, "*batch queries keys"]:
        """Return the squared distances."""
        found = self.left[..., :, None] + self.right[..., None, :] - 2 * self.between
        return jnp.maximum(found, 0)

    def over(self, scale: Float[Array, "*batch"]) -> InnerProducts:
        """Return the products of inputs whose squared norms are counted in units of ``scale``."""
        unit = 1 / jnp.maximum(scale, _SMALLEST)[..., None]
        return InnerProducts(self.between * unit[..., None], self.left * unit, self.right * unit)

    def of_directions(self) -> InnerProducts:
        """Return the products of inputs that are each divided by their norm: the cosines."""
        left, right = (jnp.maximum(squares, _SMALLEST) for squares in (self.left, self.right))
        cosines = self.between * jax.lax.rsqrt(left[..., :, None] * right[..., None, :])
        return InnerProducts(cosines, self.left / left, self.right / right)


def inner_products(
    left: Float[Array, "*batch queries features"], right: Float[Array, "*batch keys features"]
) -> InnerProducts:
    """Return the inner products of two lists of inputs, float32 or wider.

    Args:
      left: the inputs that ask.
      right: the inputs that they are compared with.

    Returns:
      All that the learners of inner products see of their inputs.
    """
    left, right = widen(left), widen(right)
    between = jnp.einsum("...qf,...kf->...qk", left, right)
    return InnerProducts(between, jnp.sum(left**2, axis=-1), jnp.sum(right**2, axis=-1))


def similarities(
    products: InnerProducts, scale: Float[Array, "*batch queries"]
) -> Float[Array, "*batch 3 queries keys"]:
    """Return three similarities of inputs, to be added to the logits of attention.

    Minus the squared distance ``D``, the cosine, and ``-log(D + .01)``, where ``D`` is counted in
    units of a scale. A head that weighs them reads its neighbors as a kernel smoother does: the
    first gives a Gaussian kernel, the last a power of the distance.

    Args:
      products: of the inputs that ask with those that are compared.
      scale: for each input that asks, the mean square norm of inputs, by which units of measure
        cancel.
    """
    distances = products.distances() / jnp.maximum(scale, _SMALLEST)[..., None]
    norms = jnp.sqrt(jnp.maximum(products.left, _SMALLEST))[..., :, None]
    others = jnp.sqrt(jnp.maximum(products.right, _SMALLEST))[..., None, :]
    cosines = products.between / (norms * others)
    return jnp.stack([-distances, cosines, -jnp.log(distances + NEAREST)], axis=-3)


def mean_square(
    squares: Float[Array, "*batch n"], known: Bool[Array, "*batch n"] | None = None
) -> Float[Array, "*batch"]:
    """Return the mean square norm of the known inputs, 1 where none is known.

    Args:
      squares: squared norms.
      known: which inputs count; None: all.
    """
    if known is None:
        return jnp.mean(squares, axis=-1) if squares.shape[-1] else jnp.ones(squares.shape[:-1])
    counted = known.astype(squares.dtype)
    number = jnp.sum(counted, axis=-1)
    total = jnp.sum(counted * squares, axis=-1)
    return jnp.where(number > 0, total / jnp.maximum(number, 1), 1)


def running_mean_square(
    squares: Float[Array, "*batch n"], first: int = FIRST
) -> Float[Array, "*batch n"]:
    """Return at each position the mean square norm of the inputs so far, at most ``first`` of them.

    After ``first`` inputs the scale stays, so that later ones are measured by one scale and what
    is computed at a position depends on nothing after it.

    Args:
      squares: squared norms in the order of a sequence.
      first: how many inputs the scale is made of.
    """
    first = min(first, squares.shape[-1])
    total = jnp.cumsum(squares[..., :first], axis=-1)
    means = total / jnp.arange(1, first + 1, dtype=squares.dtype).reshape(
        (1,) * (squares.ndim - 1) + (first,)
    )
    later = jnp.broadcast_to(means[..., -1:], (*squares.shape[:-1], squares.shape[-1] - first))
    return jnp.concatenate([means, later], axis=-1)
