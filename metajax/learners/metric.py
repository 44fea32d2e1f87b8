"""Learners that compare: prototypical networks and matching networks."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_labels,
    checked_learner,
    checked_network,
    cross_entropy,
    described,
    one_of,
)
from metajax.learners.losses import Loss, loss_and_metrics, one_hot
from metajax.learners.named import named_loss


def embedding_learner(
    network: Network,
    adapt: Any,
    predict: Any,
    loss: Loss,
    init: Any = None,
    *,
    ways: int | None,
) -> MetaLearner:
    """Make the learner whose ``adapt(params, support)`` is in closed form, without a key.

    ``init`` is the network's own by default. With ``ways`` the support's targets are labels, and
    so are the query's where the loss is the cross-entropy.
    """
    named = named_loss(loss)

    def check(field: str, examples: Examples) -> None:
        if ways is not None and (field == "support" or loss is cross_entropy):
            check_labels(f"{field}.targets", examples.targets, ways)

    def loss_of(params: Params, task: Task, key: Key[Array, ""]):
        outputs = predict(params, adapt(params, task.support), task.query.inputs)
        return loss_and_metrics(named, outputs, task.query.targets)

    learner = MetaLearner(
        init or (lambda key, task: network.init(key, task.support.inputs)),
        lambda params, support, key: adapt(params, support),
        predict,
        loss_of,
    )
    return checked_learner(learner, check)


def embedding(network: Network) -> Network:
    """Return a network that raises where it does not make one row of features an example.

    Raises:
      ConfigError: ``network`` is none; from ``apply``, for other inputs or features.
    """
    network = checked_network(network)

    def apply(params: Params, inputs: Any) -> Float[Array, "n features"]:
        features = network.apply(params, inputs)
        rows = {leaf.shape[:1] for leaf in jax.tree.leaves(inputs)}
        if features.ndim != 2 or rows != {features.shape[:1]}:
            raise ConfigError(
                "inputs",
                described(inputs),
                "[n, ...] from which the network makes features [n, features], not "
                f"{described(features)}",
            )
        return features

    return Network(network.init, apply)


def check_ways(ways: int) -> None:
    """Reject fewer than two classes."""
    if ways < 2:
        raise ConfigError("ways", ways, "2 classes or more")


def unit(x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
    """Scale rows to length 1; a row of zeros stays, and its derivatives are taken as 0.

    So are those of rows too short for their derivative, one over the length, to stand in a float.
    """
    # the length does not matter: scaled first, the squares neither overflow nor vanish
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x), axis=-1, keepdims=True))
    zero = largest < math.sqrt(jnp.finfo(x.dtype).tiny)
    x = jnp.where(zero, 0, x) / jnp.where(zero, 1, largest)
    squares = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.where(zero, 1, squares))


def prototypical(
    network: Network,
    *,
    ways: int,
    distance: Literal["euclidean", "cosine"] = "euclidean",
    scale: float | Float[Array, ""] = 1.0,
    loss: Loss = cross_entropy,
) -> MetaLearner:
    """Classify by the nearest class mean of embeddings (Snell et al. 2017, arXiv 1703.05175).

    ``adapted`` holds the prototypes ``[ways, features]`` (eq. 1); outputs are logits ``[queries,
    ways]``, minus the squared Euclidean distances (eq. 2) or the cosines, times ``scale``. A class
    that the support does not have gets a prototype of zeros.

    Args:
      network: the embedding, ``inputs[n, ...] -> [n, features]``.
      ways: classes; targets are 0 to ``ways - 1``.
      distance: which.
      scale: what the logits are multiplied by; cosines need about 10.
      loss: ``loss(logits, targets) -> scalar``.

    Returns:
      The learner.

    Raises:
      ConfigError: fewer than 2 ways, or an unknown distance.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.core import Examples, Task
      >>> from metajax.learners import prototypical
      >>> from metajax.nn import mlp
      >>> support = Examples(jnp.eye(4), jnp.array([0, 0, 1, 1]))
      >>> task = Task(support, support)
      >>> learner = prototypical(mlp([8], 8), ways=2)
      >>> params = learner.init(jax.random.key(0), task)
      >>> adapted = learner.adapt(params, task.support, jax.random.key(1))
      >>> learner.predict(params, adapted, task.query.inputs).argmax(-1)
      Array([0, 0, 1, 1], dtype=int32)
    """
    check_ways(ways)
    network = embedding(network)
    one_of("distance", distance, ("euclidean", "cosine"))

    def adapt(params: Params, support: Examples) -> Float[Array, "ways features"]:
        features = network.apply(params, support.inputs)
        members = one_hot(support.targets, ways, features.dtype)
        counts = jnp.maximum(jnp.sum(members, axis=0), 1)
        return members.T @ features / counts[:, None]

    def predict(params: Params, prototypes, inputs: Any) -> Float[Array, "queries ways"]:
        features = network.apply(params, inputs)
        if distance == "cosine":
            return scale * (unit(features) @ unit(prototypes).T)
        return -scale * jnp.sum(jnp.square(features[:, None] - prototypes[None]), axis=-1)

    return embedding_learner(network, adapt, predict, loss, ways=ways)


class Memory(NamedTuple):
    """What a matching network keeps of a support.

    Attributes:
      keys: embeddings of length 1, ``[examples, features]``.
      labels: one-hot, ``[examples, ways]``.
    """

    keys: Float[Array, "examples features"]
    labels: Float[Array, "examples ways"]


def matching(
    network: Network,
    *,
    ways: int,
    scale: float | Float[Array, ""] = 1.0,
    loss: Loss = cross_entropy,
) -> MetaLearner:
    """Classify by attention over the support's labels (Vinyals et al. 2016, arXiv 1606.04080).

    The attention is a softmax over ``scale`` times the cosines of embeddings (section 2.1.1, where
    the scale is 1); outputs are log-probabilities ``[queries, ways]``. One network embeds support
    and queries; full context embeddings are not part of it.

    Args:
      network: the embedding, ``inputs[n, ...] -> [n, features]``.
      ways: classes; targets are 0 to ``ways - 1``.
      scale: sharpness of the attention.
      loss: ``loss(log_probabilities, targets) -> scalar``.

    Returns:
      The learner.

    Raises:
      ConfigError: fewer than 2 ways.
    """
    check_ways(ways)
    network = embedding(network)

    def adapt(params: Params, support: Examples) -> Memory:
        keys = unit(network.apply(params, support.inputs))
        return Memory(keys, one_hot(support.targets, ways, keys.dtype))

    def predict(params: Params, memory: Memory, inputs: Any) -> Float[Array, "queries ways"]:
        cosines = unit(network.apply(params, inputs)) @ memory.keys.T
        logs = jax.nn.log_softmax(scale * cosines, axis=-1)
        # a class's probability is a sum over its examples: their logarithms, and the floor, which
        # stands for a class of none, so that no logarithm of zero is taken
        floor = jnp.log(jnp.finfo(logs.dtype).tiny)
        outside = memory.labels == 0
        members = jnp.where(outside[None], -jnp.inf, logs[..., None] * memory.labels[None])
        present = ~jnp.all(outside, axis=0)
        summed = jax.nn.logsumexp(jnp.where(present[None, None], members, 0), axis=1)
        return jnp.where(present[None], summed, floor)

    return embedding_learner(network, adapt, predict, loss, ways=ways)
