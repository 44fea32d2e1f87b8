"""The methods of continual learning: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from metajax import continual
from metajax.core import Count, Network, Number, Params, Positive, count
from metajax.hypernet import generator, shared_head
from metajax.hypernet.shared_heads import Order
from metajax.systems.base import Entry, Method
from metajax.systems.continual.problem import Problem
from metajax.systems.continual.settings import Generated, Sizes, Strength, Training

GENERATED = Generated()
SIZES = Sizes()


class Parts(NamedTuple):
    """What the family's evaluation reads of a method.

    Attributes:
      learner: what predicts.
      inferred: whether the task can be told by the surest network.
      universal: ``universal(params, inputs) -> logits`` by the one network that stands for all
        tasks; None: there is none.
      intervals: the bounds of HyperInterval; None: there are none.
    """

    learner: continual.ContinualLearner
    inferred: bool = False
    universal: Callable[[Params, Any], jax.Array] | None = None
    intervals: continual.IntervalLearner | None = None


def in_sequence(problem: Problem, training: Training, parts: Parts) -> Method:
    """Return the method of a continual learner, trained task after task."""
    optimizer = training.make_optimizer(problem.steps_per_task)
    algorithm = continual.in_sequence(parts.learner, optimizer, problem.num_tasks)
    return Method(algorithm, parts=parts)


def hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate each task's network in chunks (von Oswald et al. 2020, arXiv 1906.00695)."""
    return in_sequence(problem, training, by(problem, generated, "apart"))


def recurrent_hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate chunks in a row by an LSTM (dependency-preserving, arXiv 2209.07712)."""
    return in_sequence(problem, training, by(problem, generated, "in_a_row"))


def neighbor_hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate chunks that know the chunk before them: a baseline for arXiv 2209.07712."""
    return in_sequence(problem, training, by(problem, generated, "neighbor"))


def by(problem: Problem, generated: Generated, order: Order) -> Parts:
    """Return the learner that generates networks in chunks of some order."""
    hidden: tuple[int, ...] = (generated.hidden,) * 2
    if order == "in_a_row":
        budget = hypernet_size(problem, generated, "apart", hidden)
        hidden = (
            continual.largest_width(
                lambda width: hypernet_size(problem, generated, order, (width,)), budget, 1
            ),
        )
    learner = continual.task_hypernetwork(
        make_hypernet(problem, generated, order, hidden),
        problem.network(),
        problem.num_tasks,
        embedding=generated.embedding,
        strength=generated.strength,
        look_ahead=generated.look_ahead,
        store_targets=generated.store_targets,
        weigh=generated.weigh,
    )

    def by_mean(params: Params, inputs: Any) -> jax.Array:
        """Predict by the network made from the mean of all tasks' embeddings."""
        mean = jnp.mean(params["embeddings"], 0, keepdims=True)
        return learner.predict({**params, "embeddings": mean}, jnp.int32(0), inputs)

    return Parts(learner, True, by_mean)


def make_hypernet(problem: Problem, sizes: Sizes, order: Order, hidden: tuple[int, ...]) -> Network:
    """Return the hypernetwork that makes a task's network in chunks of some order."""
    network = problem.network()

    def target(key: jax.Array) -> Params:
        return network.init(key, jnp.zeros((1, problem.inputs)))

    head = shared_head(sizes.chunk_size, embedding=sizes.chunk_embedding, order=order)
    return generator(target, hidden=hidden, head=head)


def hypernet_size(problem: Problem, sizes: Sizes, order: Order, hidden: tuple[int, ...]) -> int:
    """Return the parameters of a hypernetwork, without the tasks' embeddings."""
    hypernet = make_hypernet(problem, sizes, order, hidden)
    return count(jax.eval_shape(hypernet.init, jax.random.key(0), jnp.zeros(sizes.embedding)))


def interval_hypernetwork(
    problem: Problem,
    training: Training,
    *,
    strength: Strength = 1.0,
    box: Positive = 0.5,
    nested: bool = True,
    box_embedding: Count = 24,
    box_hidden: Count = 32,
) -> Method:
    """Generate networks from boxes of embeddings, with bounds (HyperInterval, arXiv 2405.15444).

    Args:
      strength: Factor of the change of earlier networks, summed over their numbers.
      box: Width of a task's box, over all coordinates of an embedding together.
      nested: All boxes have one embedding in common, which predicts without the task.
      box_embedding: Coordinates of an embedding.
      box_hidden: Size of the hypernetwork's two hidden layers, units.
    """
    of = problem.settings
    found = continual.interval_hypernetwork(
        problem.inputs,
        (of.width,) * of.layers,
        problem.sequence.ways,
        problem.num_tasks,
        width=box,
        nested=nested,
        embedding=box_embedding,
        hidden=(box_hidden, box_hidden),
        strength=strength,
        ramp=max(problem.steps_per_task // 2, 1),
    )
    return in_sequence(problem, training, Parts(found.learner, True, found.universal, found))


def fine_tuning(problem: Problem, training: Training) -> Method:
    """Train one network on task after task: the baseline that forgets."""
    return in_sequence(problem, training, Parts(continual.fine_tuning(problem.network())))


def elastic_weights(problem: Problem, training: Training, *, strength: Strength = 30.0) -> Method:
    """Keep weights that earlier tasks need (EWC; Kirkpatrick et al. 2017, arXiv 1612.00796).

    Args:
      strength: Factor of half the squares, weighted by the Fisher information.
    """
    learner = continual.elastic_weights(problem.network(), strength)
    return in_sequence(problem, training, Parts(learner))


def separate_networks(problem: Problem, training: Training) -> Method:
    """Train a separate network for every task: the baseline that forgets nothing."""
    learner = continual.separate_networks(problem.network(), problem.num_tasks)
    return in_sequence(problem, training, Parts(learner, True))


def small_networks(
    problem: Problem, training: Training, *, budget: Number = 0, sizes: Sizes = SIZES
) -> Method:
    """Train small networks, one for every task, of equal memory: the baseline of equal size.

    Args:
      budget: Parameters of all of them together, at most; 0: as many as method `hypernetwork` has
        with the same sizes, with its embeddings.
    """
    like = jnp.zeros((1, problem.inputs))

    def size_of(width: int) -> int:
        return count(jax.eval_shape(problem.network(width).init, jax.random.key(0), like))

    usual = hypernet_size(problem, sizes, "apart", (sizes.hidden,) * 2)
    usual += problem.num_tasks * sizes.embedding
    width = continual.largest_width(size_of, budget or usual, problem.num_tasks)
    learner = continual.separate_networks(problem.network(width), problem.num_tasks)
    return in_sequence(problem, training, Parts(learner, True))


def joint_training(problem: Problem, training: Training) -> Method:
    """Train one network on all tasks so far: the baseline that keeps all examples."""
    return in_sequence(problem, training, Parts(continual.joint_training(problem.network())))


METHODS: dict[str, Entry] = {
    "hypernetwork": hypernetwork,
    "recurrent_hypernetwork": recurrent_hypernetwork,
    "neighbor_hypernetwork": neighbor_hypernetwork,
    "interval_hypernetwork": interval_hypernetwork,
    "elastic_weights": elastic_weights,
    "fine_tuning": fine_tuning,
    "separate_networks": separate_networks,
    "small_networks": small_networks,
    "joint_training": joint_training,
}
"""All methods of the family, the default first."""
