"""Continual learning without a hypernetwork: one network, one for each task, EWC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.continual.learner import ContinualLearner
from metajax.continual.sequences import Batch
from metajax.core import ConfigError, Examples, Network, Params, accuracy, count, cross_entropy


def cross_entropy_of(
    logits: Float[Array, "n ways"], targets: Int32[Array, " n"]
) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Return the mean cross-entropy, and the accuracy as a metric.

    Args:
      logits: of the classes.
      targets: class indices.
    """
    return cross_entropy(logits, targets), {"accuracy": accuracy(logits, targets)}


def _nothing(params: Params) -> tuple[()]:
    return ()


def fine_tuning(network: Network) -> ContinualLearner:
    """Train one network on task after task: the baseline that forgets.

    Args:
      network: inputs to logits.

    Returns:
      The learner.
    """

    def init(key: Key[Array, ""], batch: Batch) -> Params:
        return network.init(key, batch.examples.inputs)

    def loss(params: Params, memory: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        return cross_entropy_of(
            network.apply(params, batch.examples.inputs), batch.examples.targets
        )

    def predict(params: Params, index: Array, inputs: Any) -> Array:
        return network.apply(params, inputs)

    def numbers(params: Params, memory: Any, tasks: int) -> dict[str, int]:
        return {"predicting": count(params), "learning": 0}

    return ContinualLearner(init, _nothing, loss, predict, numbers=numbers)


def joint_training(network: Network) -> ContinualLearner:
    """Train one network on all tasks so far, as if nothing had to be forgotten.

    It keeps all examples, so it is an upper bound and not a method of continual learning.

    Args:
      network: inputs to logits.

    Returns:
      The learner.
    """
    single = fine_tuning(network)

    def loss(params: Params, memory: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        return cross_entropy_of(network.apply(params, batch.mixed.inputs), batch.mixed.targets)

    return single._replace(loss=loss)


def separate_networks(network: Network, num_tasks: int) -> ContinualLearner:
    """Train a separate network for every task: nothing is forgotten, and memory grows.

    Args:
      network: inputs to logits.
      num_tasks: of the sequence.

    Returns:
      The learner.
    """

    def init(key: Key[Array, ""], batch: Batch) -> Params:
        one = network.init(key, batch.examples.inputs)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_tasks, *leaf.shape)), one)

    def of_task(params: Params, index: Array) -> Params:
        return jax.tree.map(lambda leaf: leaf[index], params)

    def loss(params: Params, memory: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        logits = network.apply(of_task(params, batch.task), batch.examples.inputs)
        return cross_entropy_of(logits, batch.examples.targets)

    def predict(params: Params, index: Array, inputs: Any) -> Array:
        return network.apply(of_task(params, index), inputs)

    def numbers(params: Params, memory: Any, tasks: int) -> dict[str, int]:
        return {"predicting": tasks * (count(params) // num_tasks), "learning": 0}

    return ContinualLearner(init, _nothing, loss, predict, numbers=numbers, by_task=True)


def small_networks(
    network_of: Callable[[int], Network],
    inputs: Float[Array, "n *shape"],
    num_tasks: int,
    budget: int,
) -> ContinualLearner:
    """Train a separate network for every task, all of them within a budget of parameters.

    Args:
      network_of: ``network_of(width)``, inputs to logits.
      inputs: any inputs of a network, for their shape.
      num_tasks: of the sequence.
      budget: parameters of all networks together, at most.

    Returns:
      The learner, whose networks are as wide as the budget allows.

    Raises:
      ConfigError: not even networks of width 1 fit.
    """
    width = largest_width(lambda width: network_size(network_of(width), inputs), budget, num_tasks)
    return separate_networks(network_of(width), num_tasks)


class Anchor(NamedTuple):
    """What elastic weight consolidation keeps.

    Attributes:
      params: after the last task.
      fisher: the sum of all tasks' diagonal Fisher information.
    """

    params: Params
    fisher: Params


def diagonal_fisher(
    logits_of: Any, params: Params, inputs: Float[Array, "n *shape"], key: Key[Array, ""]
) -> Params:
    """Return the diagonal of the Fisher information, a mean over inputs.

    Labels are drawn from the network's own predictions, as the definition has it.

    Args:
      logits_of: ``logits_of(params, inputs) -> logits``.
      params: where.
      inputs: of the task.
      key: of the labels.
    """

    def squared(one: Array, key: Array) -> Params:
        def log_likelihood(params: Params) -> Array:
            logits = logits_of(params, one[None])[0]
            label = jax.random.categorical(key, jax.lax.stop_gradient(logits))
            return jax.nn.log_softmax(logits)[label]

        return jax.tree.map(jnp.square, jax.grad(log_likelihood)(params))

    each = jax.vmap(squared)(inputs, jax.random.split(key, len(inputs)))
    return jax.tree.map(lambda leaf: jnp.mean(leaf, 0), each)


def elastic_weights(network: Network, strength: float | Float[Array, ""]) -> ContinualLearner:
    """Keep weights that earlier tasks need near their values (EWC; Kirkpatrick et al. 2017).

    arXiv 1612.00796, equation 3, with the Fisher information of all earlier tasks summed and the
    weights after the last task as the one anchor (Huszar 2018, doi 10.1073/pnas.1717042115).

    Args:
      network: inputs to logits.
      strength: of the penalty; half of it multiplies the squares; may be traced.

    Returns:
      The learner.
    """
    single = fine_tuning(network)

    def memory(params: Params) -> Anchor:
        return Anchor(params, jax.tree.map(jnp.zeros_like, params))

    def kept(params: Params, memory: Anchor, index: Array) -> Array:
        apart = jax.tree.map(
            lambda new, old, fisher: jnp.sum(fisher * jnp.square(new - old)), params, *memory
        )
        return 0.5 * strength * jnp.stack(jax.tree.leaves(apart)).sum()

    def review(
        params: Params, memory: Anchor, batch: Batch, examples: Examples, key: Key[Array, ""]
    ) -> Params:
        return diagonal_fisher(network.apply, params, examples.inputs, key)

    def finish(params: Params, memory: Anchor, found: Params, index: Array) -> Anchor:
        return Anchor(params, jax.tree.map(jnp.add, memory.fisher, found))

    def numbers(params: Params, memory: Any, tasks: int) -> dict[str, int]:
        return {"predicting": count(params), "learning": 2 * count(params)}

    return single._replace(memory=memory, kept=kept, review=review, finish=finish, numbers=numbers)


def network_size(network: Network, inputs: Any) -> int:
    """Return the number of a network's parameters; none of them is drawn.

    Args:
      network: any.
      inputs: any inputs of it, for their shape.
    """
    return count(jax.eval_shape(network.init, jax.random.key(0), inputs))


def largest_width(size_of: Callable[[int], int], budget: int, num_tasks: int) -> int:
    """Return the largest width at which one network for each task fits into a budget.

    Args:
      size_of: ``size_of(width) -> parameters`` of one network.
      budget: parameters of all together.
      num_tasks: networks.

    Returns:
      The width.

    Raises:
      ConfigError: not even those of width 1 fit.
    """
    width = 1
    if num_tasks * size_of(width) > budget:
        expected = f"{num_tasks * size_of(1):,} or more, {num_tasks} networks of width 1"
        raise ConfigError("budget", budget, expected)
    while num_tasks * size_of(width + 1) <= budget:
        width += 1
    return width
