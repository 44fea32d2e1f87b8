"""The vote of the nearest examples, as a learner over sequences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metajax.core import ConfigError, Examples
from metajax.learners.sequences import SequenceLearner, by_examples


def k_nearest(num_classes: int, neighbors: int) -> SequenceLearner:
    """Give each query the class of most of its nearest examples so far; nothing is meta-trained.

    A logit is a class's votes, less than one vote apart where a nearer example is of one of two
    classes with as many. Where fewer examples have been seen, all of them vote (Fix and Hodges
    1951; Cover and Hart 1967).

    Args:
      num_classes: targets are 0 to ``num_classes - 1``.
      neighbors: how many examples vote.

    Returns:
      The learner, which has no parameters.

    Raises:
      ConfigError: ``neighbors`` below 1.
    """
    if neighbors < 1:
        raise ConfigError("neighbors", neighbors, "1 example or more")

    def votes(
        inputs: Float[Array, "s q f"], support: Examples, visible: Bool[Array, "q n"]
    ) -> Float[Array, "s q classes"]:
        known = support.inputs
        distances = (
            jnp.sum(jnp.square(inputs), axis=-1)[:, :, None]
            + jnp.sum(jnp.square(known), axis=-1)[:, None, :]
            - 2 * jnp.einsum("sqf,snf->sqn", inputs, known)
        )
        closeness = jnp.where(visible[None], -distances, -jnp.inf)
        most = min(neighbors, known.shape[1])
        near, where = jax.lax.top_k(closeness, most)
        # of the votes that decide between equals, all together are below one
        rank = jnp.arange(most, dtype=inputs.dtype)
        weight = jnp.where(jnp.isfinite(near), 1 + 1 / (2 * neighbors * (1 + rank))[None, None], 0)
        labels = jax.vmap(lambda targets, at: targets[at])(support.targets, where)
        chosen = jax.nn.one_hot(labels, num_classes, dtype=inputs.dtype)
        return jnp.sum(weight[..., None] * chosen, axis=2)

    return by_examples(votes, num_classes)
