"""Classifiers in closed form as learners over sequences: baselines that nobody trains.

Each reads the very sequences that the meta-trained learners read, and predicts at every position
from the examples before it. What they have to be told (a ridge, a kernel's width, a shrinkage)
stands in the place of meta-parameters, as arrays, so that another value compiles nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from metajax.core import Examples, Params
from metajax.learners.losses import one_hot
from metajax.learners.sequences import SequenceLearner, Stream, predict_after, sequence_learner
from metajax.nn import (
    RidgeKernel,
    causal_channels,
    causal_shrunk_discriminant,
    inner_products,
    ridge_channels,
    running_mean_square,
)

UNSEEN = -1e30
"""Logit of a class of which no example has been seen, where its logits are distances."""
_LEAST_RIDGE = 1e-3  # of a discriminant, in units of the mean square norm
_LEAST_SCALE = 1e-12  # of inputs that are all 0
_LITTLE = 1e-4  # examples at the origin that a class of the discriminant begins with


def from_stream(stream: Stream, num_classes: int, params: Params) -> SequenceLearner:
    """Make a learner of a function of whole sequences.

    Args:
      stream: ``stream(params, inputs, labels) -> logits``, at each position from the one-hot
        labels before it.
      num_classes: targets are 0 to ``num_classes - 1``.
      params: what ``stream`` is told; no randomness.

    Returns:
      The learner.
    """

    def logits(params: Params, examples: Examples, key: Any) -> Float[Array, "s n c"]:
        labels = one_hot(examples.targets, num_classes, examples.inputs.dtype)
        return stream(params, examples.inputs, labels)

    return sequence_learner(
        init=lambda key, task: jax.tree.map(jnp.float32, params),
        adapt=lambda params, support, key: support,
        predict=predict_after(stream, num_classes),
        logits=logits,
        num_classes=num_classes,
    )


def _before(values: Float[Array, "s n *more"]) -> Float[Array, "s n *more"]:
    """The sums over the examples before each position; of labels, how many of every class."""
    return jnp.cumsum(values, axis=1) - values


def class_centers(
    inputs: Float[Array, "n d"], targets: Int[Array, " n"], num_classes: int
) -> Float[Array, "classes d"]:
    """Return the mean of the inputs of each class; of a class without any it is not a number.

    Args:
      inputs: of all classes.
      targets: their classes.
      num_classes: how many there are.
    """
    of = jax.nn.one_hot(targets, num_classes, dtype=inputs.dtype)
    return (of.T @ inputs) / jnp.sum(of, axis=0)[:, None]


def center_scores(
    inputs: Float[Array, "n d"], centers: Float[Array, "classes d"]
) -> Float[Array, "n classes"]:
    """Return how near each center is: less half of the squared distance, up to a constant.

    Args:
      inputs: what is to be classified.
      centers: of the classes.
    """
    return inputs @ centers.T - jnp.sum(jnp.square(centers), axis=1)[None] / 2


def class_means(num_classes: int) -> SequenceLearner:
    """Give each query the class whose mean so far is nearest (Rocchio 1971); nothing is trained.

    The logit of a class is minus the squared distance.

    Args:
      num_classes: targets are 0 to ``num_classes - 1``.

    Returns:
      The learner, which has no parameters.
    """

    def stream(params: Params, inputs: Array, labels: Array) -> Array:
        counts = _before(labels)
        sums = _before(labels[..., None] * inputs[:, :, None])
        means = sums / jnp.maximum(counts, 1)[..., None]
        towards = jnp.einsum("snf,sncf->snc", inputs, means)
        return jnp.where(counts > 0, 2 * towards - jnp.sum(means**2, axis=-1), UNSEEN)

    return from_stream(stream, num_classes, {})


class KernelRidge(NamedTuple):
    """What :func:`kernel_ridge` is told.

    Attributes:
      gamma: of the Gaussian kernel, for inputs of mean square norm 1.
      ridge: weight of the regularizer.
    """

    gamma: Any
    ridge: Any


def kernel_ridge(
    num_classes: int, *, gamma: float | None = 0.5, ridge: float = 0.05
) -> SequenceLearner:
    """Regress one-hot labels on a kernel, after every prefix by one factorization.

    The kernel is ``exp(-gamma * squared distance)`` or, without ``gamma``, 1 + the inner product,
    of inputs that are scaled to mean square norm 1 over the first ten (:func:`causal_ridge`).

    Args:
      num_classes: targets are 0 to ``num_classes - 1``.
      gamma: of the Gaussian kernel; None: the linear one.
      ridge: weight of the regularizer.

    Returns:
      The learner, which has no parameters.
    """
    linear = gamma is None

    def stream(params: KernelRidge, inputs: Array, labels: Array) -> Array:
        products = inner_products(inputs, inputs)
        scale = running_mean_square(products.left)
        kernel = RidgeKernel(None if linear else params.gamma, params.ridge)
        return causal_channels(ridge_channels([kernel]), products, scale, labels)[..., 0]

    return from_stream(stream, num_classes, KernelRidge(0.0 if linear else gamma, ridge))


def discriminant(num_classes: int, *, shrinkage: float = 0.3) -> SequenceLearner:
    """Fit Gaussians of one covariance after every prefix: linear discriminant analysis.

    The covariance is shrunk toward a multiple of the identity of the same trace, and classes are
    weighed by how often they were seen (Fisher 1936; Friedman 1989, Regularized discriminant
    analysis). Each prefix is solved for its examples (:func:`causal_shrunk_discriminant`).

    Args:
      num_classes: targets are 0 to ``num_classes - 1``.
      shrinkage: between 0 and 1: the weight of the identity.

    Returns:
      The learner, which has no parameters.
    """

    def stream(params: Params, inputs: Array, labels: Array) -> Array:
        products = inner_products(inputs, inputs)
        least = _LEAST_RIDGE * jnp.maximum(running_mean_square(products.left), _LEAST_SCALE)
        share = params["shrinkage"]
        per_trace = share / (1 - share) / inputs.shape[-1]

        def ridge_of(traces: Array) -> Array:
            return jnp.maximum(per_trace * traces, least)

        distances = causal_shrunk_discriminant(products.between, labels, ridge_of, _LITTLE)
        counts = _before(labels)
        seen = jnp.sum(counts, axis=-1, keepdims=True)
        logits = jnp.log(jnp.maximum(counts, 1)) - distances * seen / (2 * (1 - share))
        return jnp.where(counts > 0, logits, UNSEEN)

    return from_stream(stream, num_classes, {"shrinkage": shrinkage})


def logistic_regression(
    num_classes: int, *, strength: float = 1.0, steps: int = 2
) -> SequenceLearner:
    """Fit a multinomial logistic regression as examples come, a few steps after each.

    The weights start where they were before the example. A step descends the gradient of the
    cross-entropy of all examples so far plus ``strength |w|^2 / 2``. The gradient is divided by a
    matrix that bounds its second derivative, ``X^T X / 2 + strength I`` (Bohning 1992, Annals of
    the Institute of Statistical Mathematics 44), whose inverse is updated with every example. A
    feature of ones stands for the intercept; inputs are scaled to unit mean square of a feature,
    each by those before it and itself, at most ten.

    Args:
      num_classes: targets are 0 to ``num_classes - 1``.
      strength: the regularizer's weight.
      steps: after each example.

    Returns:
      The learner, which has no parameters.
    """

    def one(strength: Array, inputs: Array, labels: Array) -> Array:
        length, features = inputs.shape
        scale = running_mean_square(jnp.sum(inputs**2, axis=-1)) / features
        rows = inputs * jax.lax.rsqrt(jnp.maximum(scale, 1e-12))[:, None]
        rows = jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], axis=1)

        def step(carry: Any, place: Array) -> tuple[Any, Array]:
            weights, inverse = carry
            row = rows[place]
            predicted = row @ weights
            # one more example: its square enters the bound (Sherman and Morrison)
            along = inverse @ row
            inverse = inverse - along[:, None] * along[None] / (2 + row @ along)
            known = (jnp.arange(length) <= place).astype(rows.dtype)[:, None]
            for _ in range(steps):
                errors = known * (jax.nn.softmax(rows @ weights, axis=-1) - labels)
                weights -= inverse @ (rows.T @ errors + strength * weights)
            return (weights, inverse), predicted

        size = rows.shape[1]
        start = (
            jnp.zeros((size, num_classes), rows.dtype),
            jnp.eye(size, dtype=rows.dtype) / strength,
        )
        return jax.lax.scan(step, start, jnp.arange(length))[1]

    def stream(params: Params, inputs: Array, labels: Array) -> Array:
        at = params["strength"].astype(inputs.dtype)
        return jax.vmap(lambda x, y: one(at, x, y))(inputs, labels)

    return from_stream(stream, num_classes, {"strength": strength})
