"""Learning by reading what is similar: sequences as the paper has them, or sets."""

from __future__ import annotations

from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Integer, Key

from metajax.core import Examples, Params, Task, correct, one_of
from metajax.learners.losses import one_hot
from metajax.learners.sequences import (
    SequenceLearner,
    predict_after,
    sequence_learner,
    whole_sequence,
)
from metajax.nn import SimilarityNetwork

FORMS = ("stream", "set")


def by_similarity(
    network: SimilarityNetwork, num_classes: int, *, form: Literal["stream", "set"] = "stream"
) -> SequenceLearner:
    """Learn by comparing inputs and passing labels on: :func:`metajax.nn.similarity_network`.

    Args:
      network: reads the examples.
      num_classes: targets are 0 to ``num_classes - 1``.
      form: how a sequence is read. As a stream, an example looks at those before it, and the loss
        is the mean over all positions. As a set, all examples of a support attend to each other and
        their order has no influence. The loss draws how many of a sequence's first examples are the
        support, every number with the same probability. It is the mean over the other examples.

    Returns:
      The learner.

    Raises:
      ConfigError: there is no such ``form``.
    """
    one_of("form", form, FORMS)

    def labels_of(targets: Integer[Array, "sequences n"], dtype: Any) -> Array:
        return one_hot(targets, num_classes, dtype)

    def from_support(
        params: Params,
        support: Examples,
        labels: Float[Array, "sequences n classes"],
        inputs: Float[Array, "sequences query features"],
    ) -> Float[Array, "sequences query classes"]:
        every = jnp.ones((labels.shape[0], num_classes), labels.dtype)
        return network.sets(params, support.inputs, labels, inputs, every)

    def init(key: Key[Array, ""], task: Task) -> Params:
        return network.init(key)

    def predict(
        params: Params, adapted: Examples, inputs: Float[Array, "sequences query features"]
    ):
        if form == "stream":
            return predict_after(network.stream, num_classes)(params, adapted, inputs)
        labels = labels_of(adapted.targets, inputs.dtype)
        return from_support(params, adapted, labels, inputs)

    def logits(params: Params, examples: Examples, key: Any):
        labels = labels_of(examples.targets, examples.inputs.dtype)
        if form == "stream":
            return network.stream(params, examples.inputs, labels)
        places = jnp.arange(labels.shape[1])

        def at(place: Integer[Array, ""]) -> Float[Array, "sequences classes"]:
            before = (places < place).astype(labels.dtype)[None, :, None]
            query = jax.lax.dynamic_slice_in_dim(examples.inputs, place, 1, axis=1)
            return from_support(params, examples, labels * before, query)[:, 0]

        return jnp.moveaxis(jax.lax.map(at, places), 0, 1)

    def set_loss(params: Params, task: Task, key: Key[Array, ""]):
        examples = whole_sequence(task)
        sequences, length = examples.targets.shape
        labels = labels_of(examples.targets, examples.inputs.dtype)
        number = jax.random.randint(key, (sequences, 1), 1, length)
        is_support = jnp.arange(length)[None] < number
        read = labels * is_support[..., None].astype(labels.dtype)
        found = from_support(params, examples, read, examples.inputs).astype(jnp.float32)
        return _over_queries(found, examples.targets, ~is_support)

    return sequence_learner(
        init,
        adapt=lambda params, support, key: support,
        predict=predict,
        logits=logits,
        num_classes=num_classes,
        loss=set_loss if form == "set" else None,
    )


def _over_queries(
    logits: Float[Array, "sequences n classes"],
    targets: Integer[Array, "sequences n"],
    queries: Bool[Array, "sequences n"],
) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Loss and accuracy over the queries of each sequence, each sequence alike."""
    counted = queries.astype(logits.dtype)

    def mean(each: Float[Array, "sequences n"]) -> Float[Array, ""]:
        return jnp.mean(jnp.sum(counted * each, axis=1) / jnp.sum(counted, axis=1))

    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return mean(losses), {"accuracy": mean(correct(logits, targets))}
