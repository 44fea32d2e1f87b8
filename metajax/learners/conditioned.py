"""Learners that make a network for each condition: its weights are generated, not adapted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import MetaLearner, Network, Params, Task, accuracy, cross_entropy

Penalty = Callable[[Params, Params, Any], tuple[Array, dict[str, Any]]]


def generated_network(
    hypernet: Network,
    network: Network,
    *,
    penalty: Penalty | None = None,
    draws: bool = False,
) -> MetaLearner:
    """Classify by a network whose weights are generated from the task's support.

    The support is what the weights depend on, in any form that the hypernetwork reads: an angle, a
    width, images. The query is images with their classes. Adapting is one pass of the hypernetwork
    (Ha et al. 2017, arXiv 1609.09106).

    Args:
      hypernet: ``apply(params, support) -> weights`` of ``network``.
      network: inputs to logits.
      penalty: ``penalty(params, weights, support) -> (scalar, metrics)``, which is added to the
        cross-entropy.
      draws: in training the hypernetwork draws: its ``apply`` is given a key too.

    Returns:
      The learner, whose ``adapted`` is the weights.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        return hypernet.init(key, task.support)

    def adapt(params: Params, support: Any, key: Key[Array, ""]) -> Params:
        return hypernet.apply(params, support)

    def predict(params: Params, adapted: Params, inputs: Array) -> Array:
        return network.apply(adapted, inputs)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        drawn = (key,) if draws else ()
        weights = hypernet.apply(params, task.support, *drawn)
        logits = network.apply(weights, task.query.inputs)
        found = cross_entropy(logits, task.query.targets)
        metrics = {"accuracy": accuracy(logits, task.query.targets)}
        if penalty is not None:
            more, also = penalty(params, weights, task.support)
            found, metrics = found + more, {**metrics, **also}
        return jnp.asarray(found), metrics

    return MetaLearner(init, adapt, predict, loss)


def one_network(network: Network) -> MetaLearner:
    """Train one network for all conditions, which it does not read: the baseline.

    Args:
      network: inputs to logits.

    Returns:
      The learner, whose ``adapted`` is the network's weights.
    """
    learner = generated_network(Network(network.init, lambda params, support: params), network)
    return learner._replace(init=lambda key, task: network.init(key, task.query.inputs))
