"""Models of the weights of a zoo: what networks of unseen tasks would be, from their support."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Examples, Network, Params, cross_entropy
from metajax.learners.maml_family import Selection, put_back
from metajax.learners.solved_head import anil_solved
from metajax.learners.zoo_stages import Embed, WeightModel, flat_weights, weights_from
from metajax.nn import least_squares, ridge_scores

RIDGES = tuple(10.0**power for power in range(-5, 2))
"""Strengths among which :func:`ridge_predictions` chooses."""


def zoo_mean(embed: Embed | None = None) -> WeightModel:
    """Return a model that gives every task the mean of all networks: a baseline.

    Args:
      embed: of a support, which is not read: it stands here as for the other models.
    """

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), zoo["networks"])

    return WeightModel(generate)


def nearest_network(embed: Embed) -> WeightModel:
    """Give a task the network of the task with the nearest embedding: a baseline, retrieval.

    Args:
      embed: of a support.

    Returns:
      The model.
    """

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        apart = jnp.sum(jnp.square(zoo["embeddings"] - embed(support)[None]), axis=1)
        return jax.tree.map(lambda leaf: leaf[jnp.argmin(apart)], zoo["networks"])

    return WeightModel(generate)


def ridge_predictions(
    inputs: Float[Array, "m d"], targets: Float[Array, "m k"], at: Float[Array, "n d"]
) -> Float[Array, "n k"]:
    """Return what ridge regression with an intercept predicts.

    The strength is that of the least generalized cross-validation (Golub, Heath and Wahba 1979)
    among :data:`RIDGES`, relative to the columns.

    Args:
      inputs: a row for each example.
      targets: of the examples.
      at: inputs to predict.
    """
    center, mean = jnp.mean(inputs, axis=0), jnp.mean(targets, axis=0)
    design, left = inputs - center[None], targets - mean[None]
    ridges = jnp.asarray(RIDGES, design.dtype)
    ridge = ridges[jnp.argmin(ridge_scores(design, left, ridges))]
    return mean[None] + (at - center[None]) @ least_squares(design, left, ridge)


def weight_regression(embed: Embed) -> WeightModel:
    """Predict weights from the embedding by :func:`ridge_predictions` over the zoo.

    Args:
      embed: of a support.

    Returns:
      The model.
    """

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        rows = flat_weights(zoo["networks"])
        predicted = ridge_predictions(zoo["embeddings"], rows, embed(support)[None])
        return weights_from(predicted[0], zoo["start"])

    return WeightModel(generate)


def with_solved_head(
    model: WeightModel, network: Network, ways: int, head: Selection
) -> WeightModel:
    """Replace the head of the networks of a model by the closed form of :func:`anil_solved`.

    The head is solved from the one that the model gives, on the support, with the strength that
    predicts each example best from all others.

    Args:
      model: of weights.
      network: inputs to logits.
      ways: classes.
      head: what of the network's parameters it is; see :data:`~metajax.learners.Selection`.

    Returns:
      The model. The outputs of its networks are near 0 and 1, as those of regression.
    """
    solved = anil_solved(network, cross_entropy, inner=head, ways=ways, log_strength=None)

    def generate(zoo: Params, state: Params, support: Examples, key: Key[Array, ""]) -> Params:
        weights = model.generate(zoo, state, support, key)
        return put_back(weights, solved.adapt(weights, support, key), head)

    return model._replace(generate=generate)
