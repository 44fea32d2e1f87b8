"""What closed forms say of every class: numbers that a class-symmetric network reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.nn.discriminant import causal_discriminant, set_discriminant
from metajax.nn.kernel_ridge import Predicted, causal_ridge, set_ridge
from metajax.nn.similarity import InnerProducts

CONFIDENCE = 10.0
"""Examples that a discriminant's ridge of 1 counts for, where its scatter is made a covariance."""
LEAST_LOG = -8.0
"""Logarithms of a discriminant's class probabilities end here."""


class RidgeKernel(NamedTuple):
    """A kernel and the ridge that goes with it, for inputs whose mean square norm is 1.

    Attributes:
      gamma: of the Gaussian kernel ``exp(-gamma * squared distance)``; None: the linear kernel,
        1 + the inner product.
      ridge: the regularizer's weight.
      directions: whether every input is divided by its own norm first.

    The two numbers may be traced.
    """

    gamma: float | Float[Array, ""] | None
    ridge: float | Float[Array, ""]
    directions: bool = False

    def between(self, products: InnerProducts) -> Float[Array, "*batch queries keys"]:
        """Return the kernel of two lists of inputs."""
        if self.directions:
            products = products.of_directions()
        if self.gamma is None:
            return 1 + products.between
        return jnp.exp(-self.gamma * products.distances())

    def own(self, squares: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        """Return the kernel of every input with itself, from the squared norms."""
        if self.gamma is None and not self.directions:
            return 1 + squares
        return jnp.full_like(squares, 2 if self.gamma is None else 1)


KERNELS = (
    RidgeKernel(None, 0.1),
    RidgeKernel(None, 0.5),
    RidgeKernel(0.25, 0.03),
    RidgeKernel(0.5, 0.03),
    RidgeKernel(1.0, 0.03),
    RidgeKernel(0.5, 0.2),
    RidgeKernel(1.0, 0.2),
)
"""Kernels with their ridges that did well on images; none is far from the best by itself."""
DIRECTION_KERNELS = (
    RidgeKernel(0.5, 0.1, directions=True),
    RidgeKernel(1.0, 0.1, directions=True),
    RidgeKernel(2.0, 0.1, directions=True),
    RidgeKernel(2.0, 0.1),
)
"""More of them, for images of more pixels: without their contrast, and a narrow one."""
SCATTER_RIDGES = (0.1, 1.0)
"""Ridges of discriminants, likewise."""


class SetChannels(NamedTuple):
    """Channels of the examples of a set, each without itself, and of the queries."""

    own: Float[Array, "*batch n classes channels"]
    new: Float[Array, "*batch q classes channels"]


class ClassChannels(NamedTuple):
    """Numbers for every input and class, from examples with labels and their inner products.

    Attributes:
      width: how many there are.
      causal: ``causal(products, labels, classes) -> [*batch, n, classes, width]``: at each
        position from the examples before it. ``products`` are of inputs with mean square norm 1,
        ``classes[*batch, classes]`` is 1 for the classes that a task has, else 0.
      sets: ``sets(products, cross, labels, classes) -> SetChannels``; an example whose labels are
        all 0 is left out.
    """

    width: int
    causal: Callable[..., Float[Array, "*batch n classes width"]]
    sets: Callable[..., SetChannels]


def class_shares() -> ClassChannels:
    """Count: the share of every class among the examples, and the logarithm of their number.

    Returns:
      The channels.
    """

    def of(counts: Float[Array, "*batch n classes"], classes: Array) -> Array:
        total = jnp.sum(counts, axis=-1, keepdims=True)
        ways = jnp.sum(classes, axis=-1)[..., None, None]
        shares = (counts + 1) / (total + ways) - 1 / ways
        number = jnp.broadcast_to(jnp.log1p(total) / 4, counts.shape)
        return jnp.stack([shares, number], axis=-1)

    def causal(products: InnerProducts, labels: Array, classes: Array) -> Array:
        return of(jnp.cumsum(labels, axis=-2) - labels, classes)

    def sets(products: InnerProducts, cross: InnerProducts, labels: Array, classes: Array):
        total = jnp.sum(labels, axis=-2, keepdims=True)
        queries = jnp.broadcast_to(total, (*cross.left.shape, labels.shape[-1]))
        return SetChannels(of(total - labels, classes), of(queries, classes))

    return ClassChannels(2, causal, sets)


def ridge_channels(kernels: Sequence[RidgeKernel] = KERNELS) -> ClassChannels:
    """Solve: predictions of kernel ridge regressions on one-hot labels, and their variances.

    A variance is given relative to its value before any example.

    Args:
      kernels: a regression each.

    Returns:
      The channels.

    Raises:
      ConfigError: a kernel's ridge or gamma is not above 0.
    """
    for kernel in kernels:
        known = [value for value in kernel[:2] if isinstance(value, int | float)]
        if min(known, default=1) <= 0:
            raise ConfigError("kernels", kernel, "ridges and gammas above 0")
    ridges = [kernel.ridge for kernel in kernels]

    def stacked(products: InnerProducts) -> Array:
        return jnp.stack([kernel.between(products) for kernel in kernels], axis=-3)

    def alone(squares: Array) -> Array:
        return jnp.stack([kernel.own(squares) for kernel in kernels], axis=-2)

    def weights(squares: Array) -> Array:
        one = jnp.asarray(ridges, squares.dtype)
        return jnp.broadcast_to(one, (*squares.shape[:-1], len(kernels)))

    def repeated(labels: Array) -> Array:
        shape = (*labels.shape[:-2], len(kernels), *labels.shape[-2:])
        return jnp.broadcast_to(labels[..., None, :, :], shape)

    def told(found: Predicted, before: Array) -> Array:
        """Means and shares of the variance: ``[*batch, n, classes, 2 kernels]``."""
        means = jnp.moveaxis(found.mean, -3, -1)
        shares = jnp.swapaxes(found.variance / before, -1, -2)[..., None, :]
        return jnp.concatenate([means, jnp.broadcast_to(shares, means.shape)], axis=-1)

    def causal(products: InnerProducts, labels: Array, classes: Array) -> Array:
        ridge, targets = weights(products.left), repeated(labels)
        found = causal_ridge(stacked(products), targets, ridge)
        return told(found, alone(products.left) + ridge[..., None])

    def sets(products: InnerProducts, cross: InnerProducts, labels: Array, classes: Array):
        ridge, targets = weights(products.left), repeated(labels)
        known = repeated(jnp.sum(labels, axis=-1, keepdims=True))[..., 0] > 0
        prior = alone(cross.left)
        found = set_ridge(stacked(products), stacked(cross), prior, targets, ridge, known)
        own = told(found.own, alone(products.left) + ridge[..., None])
        return SetChannels(own, told(found.new, prior + ridge[..., None]))

    return ClassChannels(2 * len(kernels), causal, sets)


def discriminant_channels(ridges: Sequence[float] = SCATTER_RIDGES) -> ClassChannels:
    """Solve: class probabilities of linear discriminants, and their logarithms.

    The ridge stands for examples too, so that few examples are not taken for many.

    Args:
      ridges: what is added to the covariance's diagonal, a discriminant each.

    Returns:
      The channels.

    Raises:
      ConfigError: a ridge is not above 0.
    """
    for ridge in ridges:
        if not ridge > 0:
            raise ConfigError("ridges", ridge, "ridges above 0")
    many = len(ridges)

    def repeated(array: Array, ndim: int) -> Array:
        lead = array.shape[: array.ndim - ndim]
        expanded = jnp.expand_dims(array, len(lead))
        return jnp.broadcast_to(expanded, (*lead, many, *array.shape[len(lead) :]))

    def weights(squares: Array) -> Array:
        one = jnp.asarray(ridges, squares.dtype)
        return jnp.broadcast_to(one, (*squares.shape[:-1], many))

    def told(distances: Array, counts: Array, ridge: Array, classes: Array) -> Array:
        total = jnp.sum(counts, axis=-1, keepdims=True) + CONFIDENCE * ridge[..., None, None]
        spread = (counts + 1.5) / (counts + 0.5)  # of an input about a mean that is not known well
        logits = jnp.log(counts + 1) - 0.5 * total * distances / spread
        exists = classes[..., None, None, :] > 0
        logs = jax.nn.log_softmax(jnp.where(exists, logits, -jnp.inf), axis=-1)
        both = jnp.concatenate([jnp.exp(logs), jnp.maximum(logs, LEAST_LOG) / 4], axis=-3)
        return jnp.moveaxis(both, -3, -1)

    def causal(products: InnerProducts, labels: Array, classes: Array) -> Array:
        labels, ridge = repeated(labels, 2), weights(products.left)
        distances = causal_discriminant(repeated(products.between, 2), labels, ridge)
        return told(distances, jnp.cumsum(labels, axis=-2) - labels, ridge, classes)

    def sets(products: InnerProducts, cross: InnerProducts, labels: Array, classes: Array):
        labels, ridge = repeated(labels, 2), weights(products.left)

        def each(of: InnerProducts) -> InnerProducts:
            return InnerProducts(
                repeated(of.between, 2), repeated(of.left, 1), repeated(of.right, 1)
            )

        found = set_discriminant(each(products), each(cross), labels, ridge)
        total = jnp.sum(labels, axis=-2, keepdims=True)
        new = jnp.broadcast_to(total, found.new.shape)
        return SetChannels(
            told(found.own, total - labels, ridge, classes), told(found.new, new, ridge, classes)
        )

    return ClassChannels(2 * many, causal, sets)


def joined(*parts: ClassChannels) -> ClassChannels:
    """Return all channels of several kinds.

    Args:
      *parts: kinds of channels, in order.
    """

    def causal(products: InnerProducts, labels: Array, classes: Array) -> Array:
        return jnp.concatenate([part.causal(products, labels, classes) for part in parts], axis=-1)

    def sets(products: InnerProducts, cross: InnerProducts, labels: Array, classes: Array):
        found = [part.sets(products, cross, labels, classes) for part in parts]
        own, new = zip(*found, strict=True)
        return SetChannels(jnp.concatenate(own, axis=-1), jnp.concatenate(new, axis=-1))

    return ClassChannels(sum(part.width for part in parts), causal, sets)


def solved_channels(
    kernels: Sequence[RidgeKernel] = KERNELS, *, discriminants: bool = True
) -> ClassChannels:
    """Count and solve: shares of classes, kernel ridge regressions, and linear discriminants.

    Args:
      kernels: a regression each.
      discriminants: whether there are discriminants, of the usual ridges.

    Returns:
      The channels.

    Raises:
      ConfigError: a kernel's ridge or gamma is not above 0.
    """
    solved = joined(class_shares(), ridge_channels(kernels))
    return joined(solved, discriminant_channels()) if discriminants else solved
