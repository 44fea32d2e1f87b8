"""The methods of continual learning: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from metajax import continual
from metajax.core import Count, Number, Params, Positive, count
from metajax.hypernet import chunk_generator
from metajax.hypernet.chunks import Order
from metajax.systems.base import Method
from metajax.systems.continual.problem import Problem
from metajax.systems.continual.settings import Generated, Strength, Training

GENERATED = Generated()


class Parts(NamedTuple):
    """What the family's evaluation reads of a method.

    Attributes:
      learner: what predicts.
      inferred: whether the task can be told by the surest network.
      intervals: the bounds of HyperInterval; None: there are none.
    """

    learner: continual.ContinualLearner
    inferred: bool = False
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
    return in_sequence(problem, training, Parts(by(problem, generated, "apart"), True))


def recurrent_hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate chunks in a row by an LSTM (dependency-preserving, arXiv 2209.07712)."""
    return in_sequence(problem, training, Parts(by(problem, generated, "in_a_row"), True))


def neighbor_hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate chunks that know the chunk before them: a baseline for arXiv 2209.07712."""
    return in_sequence(problem, training, Parts(by(problem, generated, "neighbor"), True))


def by(problem: Problem, generated: Generated, order: Order) -> continual.ContinualLearner:
    """Return the learner that generates networks in chunks of some order."""
    network = problem.network()
    hidden = (generated.hidden,) if order == "in_a_row" else (generated.hidden,) * 2

    def target(key: jax.Array) -> Params:
        return network.init(key, jnp.zeros((1, problem.inputs)))

    hypernet = chunk_generator(
        target,
        chunk_size=generated.chunk_size,
        embedding=generated.chunk_embedding,
        hidden=hidden,
        order=order,
    )
    return continual.task_hypernetwork(
        hypernet,
        network,
        problem.num_tasks,
        embedding=generated.embedding,
        strength=generated.strength,
        look_ahead=generated.look_ahead,
        store_targets=generated.store_targets,
        weigh=generated.weigh,
    )


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
    return in_sequence(problem, training, Parts(found.learner, True, found))


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


def small_networks(problem: Problem, training: Training, *, budget: Number = 0) -> Method:
    """Train small networks, one for every task, of equal memory: the baseline of equal size.

    Args:
      budget: Parameters of all of them together, at most; 0: as many as method `hypernetwork` has
        by default.
    """
    like = jnp.zeros((1, problem.inputs))

    def size_of(width: int) -> int:
        return count(jax.eval_shape(problem.network(width).init, jax.random.key(0), like))

    width = continual.largest_width(size_of, budget or default_budget(problem), problem.num_tasks)
    learner = continual.separate_networks(problem.network(width), problem.num_tasks)
    return in_sequence(problem, training, Parts(learner, True))


def default_budget(problem: Problem) -> int:
    """Return the parameters of the hypernetwork with its default options and embeddings."""
    learner = by(problem, GENERATED, "apart")
    task = jax.eval_shape(problem.example_tasks, jax.random.key(0))
    params = jax.eval_shape(learner.init, jax.random.key(0), task.support)
    assert learner.numbers is not None
    return learner.numbers(params, None, problem.num_tasks)["predicting"]


def joint_training(problem: Problem, training: Training) -> Method:
    """Train one network on all tasks so far: the baseline that keeps all examples."""
    return in_sequence(problem, training, Parts(continual.joint_training(problem.network())))


METHODS: dict[str, Callable[..., Method]] = {
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
