"""Continual learning by a hypernetwork whose outputs for earlier tasks are regularized."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.continual.adaptation import entropies
from metajax.continual.learner import ContinualLearner
from metajax.continual.sequences import Batch
from metajax.continual.single import cross_entropy_of, diagonal_fisher
from metajax.core import Examples, Network, Params, count

EMBEDDING_DEVIATION = 1.0
"""Deviation of a task's first embedding."""


class Kept(NamedTuple):
    """What a hypernetwork keeps of earlier tasks.

    Attributes:
      params: the hypernetwork as it was before the present task; None where ``targets`` are kept.
      targets: its outputs for every task before the present one, ``[tasks, ...]``; None where they
        are computed again from ``params``.
      importance: of every number of every earlier network, ``[tasks, ...]``; None: all alike.
    """

    params: Params | None
    targets: Params | None
    importance: Params | None


def output_change(
    made: Params,
    before: Params,
    earlier: Bool[Array, " tasks"],
    importance: Params | None = None,
) -> Float[Array, ""]:
    """Return how far generated networks of earlier tasks have moved.

    Squares are summed over the numbers of a network and averaged over earlier tasks (von Oswald et
    al. 2020, arXiv 1906.00695, equation 2). So the strength that multiplies it has to be smaller
    for larger networks.

    Args:
      made: networks of all tasks, ``[tasks, ...]``.
      before: as they were.
      earlier: which tasks count.
      importance: of every number; None: 1.
    """
    weights = jax.tree.map(jnp.ones_like, made) if importance is None else importance

    def of_leaf(new: Array, old: Array, weight: Array) -> Array:
        squares = weight * jnp.square(new - jax.lax.stop_gradient(old))
        return jnp.sum(squares.reshape(len(new), -1), 1)

    by_leaf = jax.tree.leaves(jax.tree.map(of_leaf, made, before, weights))
    by_task = jnp.sum(jnp.stack(by_leaf), 0)
    number = jnp.sum(earlier).astype(by_task.dtype)
    return jnp.sum(jnp.where(earlier, by_task, 0)) / jnp.maximum(number, 1)


def task_hypernetwork(
    hypernet: Network,
    network: Network,
    num_tasks: int,
    *,
    embedding: int = 24,
    strength: float | Float[Array, ""] = 0.1,
    look_ahead: bool = True,
    store_targets: bool = False,
    weigh: bool = False,
) -> ContinualLearner:
    """Generate each task's network from an embedding of the task (von Oswald et al. 2020).

    arXiv 1906.00695. A task's embedding is learned with the hypernetwork, and is fixed once the
    task is over. :func:`output_change` penalizes changes of the outputs for earlier embeddings. Any
    hypernetwork serves, such as :func:`metajax.hypernet.generator` with
    :func:`metajax.hypernet.shared_head` in any order of chunks. The recurrent order is that of
    dependency-preserving hypernetworks (arXiv 2209.07712).

    Args:
      hypernet: embeddings ``[*batch, size]`` to parameters of ``network``.
      network: inputs to logits.
      num_tasks: of the sequence.
      embedding: numbers of a task's embedding.
      strength: of the penalty on changes of earlier outputs; may be traced.
      look_ahead: compute the penalty at the parameters to which the present task's step alone would
        lead.
      store_targets: keep earlier networks themselves. Otherwise they are generated again by the
        hypernetwork before the task, which takes the same memory whatever the number of tasks.
      weigh: weigh every number by its Fisher information on its own task. It stands in for the
        weighting of arXiv 2209.07712, whose exact form we do not know.

    Returns:
      The learner; its ``universal`` network is made from the mean of all tasks' embeddings.
    """

    def init(key: Key[Array, ""], batch: Batch) -> Params:
        first, second = jax.random.split(key)
        embeddings = EMBEDDING_DEVIATION * jax.random.normal(first, (num_tasks, embedding))
        return {"hypernet": hypernet.init(second, embeddings[0]), "embeddings": embeddings}

    def networks(params: Params) -> Params:
        return hypernet.apply(params["hypernet"], params["embeddings"])

    def of_task(params: Params, index: Array) -> Params:
        return hypernet.apply(params["hypernet"], params["embeddings"][index])

    def memory(params: Params) -> Kept:
        made = jax.eval_shape(networks, params)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), made)
        return Kept(
            None if store_targets else params,
            zeros if store_targets else None,
            zeros if weigh else None,
        )

    def begin(params: Params, memory: Kept, index: Array) -> tuple[Params, Kept]:
        if store_targets:
            return params, memory._replace(targets=networks(params))
        return params, memory._replace(params=params)

    def loss(params: Params, memory: Kept, batch: Batch, key: Key[Array, ""]) -> Any:
        logits = network.apply(of_task(params, batch.task), batch.examples.inputs)
        return cross_entropy_of(logits, batch.examples.targets)

    def kept(params: Params, memory: Kept, index: Array) -> Array:
        # embeddings of earlier tasks are fixed: only the hypernetwork has to keep its outputs
        held = {**params, "embeddings": jax.lax.stop_gradient(params["embeddings"])}
        before = networks(memory.params) if memory.targets is None else memory.targets
        earlier = jnp.arange(num_tasks) < index
        return strength * output_change(networks(held), before, earlier, memory.importance)

    def predict(params: Params, index: Array, inputs: Any) -> Array:
        return network.apply(of_task(params, index), inputs)

    def universal(params: Params, inputs: Any) -> Array:
        mean = jnp.mean(params["embeddings"], 0)
        return network.apply(hypernet.apply(params["hypernet"], mean), inputs)

    def review(
        params: Params, memory: Kept, batch: Batch, examples: Examples, key: Key[Array, ""]
    ) -> Params:
        return diagonal_fisher(network.apply, of_task(params, batch.task), examples.inputs, key)

    def finish(params: Params, memory: Kept, found: Params, index: Array) -> Kept:
        if found is None or memory.importance is None:
            return memory
        added = jax.tree.map(lambda all, one: all.at[index].set(one), memory.importance, found)
        return memory._replace(importance=added)

    def numbers(params: Params, memory: Kept, tasks: int) -> dict[str, int]:
        one = count(jax.eval_shape(networks, params)) // num_tasks
        own = count(params["hypernet"]) + tasks * embedding
        extra = tasks * one if store_targets else own
        return {"predicting": own, "learning": extra + (tasks * one if weigh else 0)}

    return ContinualLearner(
        init,
        memory,
        loss,
        predict,
        begin,
        kept,
        look_ahead,
        review if weigh else None,
        finish,
        numbers,
        by_task=True,
        universal=universal,
    )


def least_entropy(
    predict: Any, params: Params, num_tasks: int, inputs: Float[Array, "n features"]
) -> tuple[Float[Array, "n ways"], Array]:
    """Predict without a known task, by the network of least entropy on each input.

    The predictive entropy of each task's network decides (arXiv 1906.00695, "+ENT").

    Args:
      predict: of a continual learner.
      params: of it.
      num_tasks: that are known.
      inputs: of any of them.

    Returns:
      Logits, and the inferred task of each input.
    """
    places = jnp.arange(num_tasks, dtype=jnp.int32)
    logits = jax.lax.map(lambda index: predict(params, index, inputs), places)
    task = jnp.argmin(entropies(logits), 0)
    return jnp.take_along_axis(logits, task[None, :, None], 0)[0], task
