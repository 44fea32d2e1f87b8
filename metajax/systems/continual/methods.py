"""The methods of continual learning: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from metajax import continual
from metajax.core import Count, Number, Positive
from metajax.hypernet.shared_heads import Order
from metajax.systems.base import Entry, Method
from metajax.systems.continual.problem import Problem
from metajax.systems.continual.settings import Generated, Sizes, Strength, Training

GENERATED = Generated()
SIZES = Sizes()


def in_sequence(
    problem: Problem, training: Training, learner: continual.ContinualLearner
) -> Method:
    """Return the method of a continual learner, trained task after task."""
    optimizer = training.make_optimizer(problem.steps_per_task)
    algorithm = continual.in_sequence(learner, optimizer, problem.num_tasks)
    return Method(algorithm, parts=learner)


def in_chunks(problem: Problem, training: Training, generated: Generated, order: Order) -> Method:
    """Return the method that generates each task's network in chunks of some order."""
    learner = continual.chunked_hypernetwork(
        problem.network(), problem.like, problem.num_tasks, order, **vars(generated)
    )
    return in_sequence(problem, training, learner)


def hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate each task's network in chunks (von Oswald et al. 2020, arXiv 1906.00695)."""
    return in_chunks(problem, training, generated, "apart")


def recurrent_hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate chunks in a row by an LSTM (dependency-preserving, arXiv 2209.07712)."""
    return in_chunks(problem, training, generated, "in_a_row")


def neighbor_hypernetwork(
    problem: Problem, training: Training, *, generated: Generated = GENERATED
) -> Method:
    """Generate chunks that know the chunk before them: a baseline for arXiv 2209.07712."""
    return in_chunks(problem, training, generated, "neighbor")


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
    learner = continual.interval_hypernetwork(
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
    return in_sequence(problem, training, learner)


def fine_tuning(problem: Problem, training: Training) -> Method:
    """Train one network on task after task: the baseline that forgets."""
    return in_sequence(problem, training, continual.fine_tuning(problem.network()))


def elastic_weights(problem: Problem, training: Training, *, strength: Strength = 30.0) -> Method:
    """Keep weights that earlier tasks need (EWC; Kirkpatrick et al. 2017, arXiv 1612.00796).

    Args:
      strength: Factor of half the squares, weighted by the Fisher information.
    """
    learner = continual.elastic_weights(problem.network(), strength)
    return in_sequence(problem, training, learner)


def separate_networks(problem: Problem, training: Training) -> Method:
    """Train a separate network for every task: the baseline that forgets nothing."""
    learner = continual.separate_networks(problem.network(), problem.num_tasks)
    return in_sequence(problem, training, learner)


def small_networks(
    problem: Problem, training: Training, *, budget: Number = 0, sizes: Sizes = SIZES
) -> Method:
    """Train small networks, one for every task, of equal memory: the baseline of equal size.

    Args:
      budget: Parameters of all of them together, at most; 0: as many as method `hypernetwork` has
        with the same sizes, with its embeddings.
    """
    like, num_tasks = problem.like, problem.num_tasks
    usual = continual.chunked_size(problem.network(), like, num_tasks, **vars(sizes))
    learner = continual.small_networks(problem.network, like, num_tasks, budget or usual)
    return in_sequence(problem, training, learner)


def joint_training(problem: Problem, training: Training) -> Method:
    """Train one network on all tasks so far: the baseline that keeps all examples."""
    return in_sequence(problem, training, continual.joint_training(problem.network()))


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
