"""The methods of growth: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, Literal

import optax
from jaxtyping import Array

from metajax import learners
from metajax.core import Count, Fraction, NonNegative, Positive, ProperFraction, Seed
from metajax.systems.base import Entry, Method
from metajax.systems.growth.expert_methods import (
    dense_continued,
    moe_tuning,
    narrow_network,
    read_me,
)
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.searching import scratch_search, transformation_search
from metajax.systems.growth.settings import (
    Deep,
    Early,
    Teacher,
    Training,
    incubating_steps,
)
from metajax.systems.growth.stage import Stage, in_stages, named, of_widths, one_stage
from metajax.systems.growth.supernets import mixture_of_supernets, subnetworks_alone, supernet
from metajax.units import Move, direct_moves, random_moves, widths_after

EARLY = Early()
TEACHER = Teacher()
DEEP = Deep()


def trained(
    problem: Problem,
    training: Training,
    widths: tuple[int, ...],
    smoothing: float = 0.0,
    held_out: float = 0.0,
) -> Method:
    """Return the method that trains one network from scratch."""
    learner = learners.smoothed_labels(problem.network(widths), smoothing)
    flops, updates = problem.update_flops(widths), problem.updates(widths)
    return one_stage(training, learner, named(widths), flops, updates, held_out=held_out)


def grown(
    problem: Problem,
    training: Training,
    moves: Sequence[Sequence[Move]],
    early: Early,
    split: Literal["random", "equal"],
) -> Method:
    """Return the method that trains a small network and makes it larger, stage by stage."""
    first, full = learners.stage_lengths(training.steps, [early.early_share])
    sizes = [*itertools.accumulate(moves, widths_after, initial=problem.small)]
    stages = learners.growing_mlp(
        problem.small,
        problem.ways,
        moves,
        [*learners.even_parts(first, len(moves)), full],
        training.make_optimizer,
        updates=[problem.updates(widths) for widths in sizes],
        split=split,
    )
    return in_stages([of_widths(problem, *each) for each in zip(stages, sizes, strict=True)])


def at_once(problem: Problem) -> list[list[Move]]:
    """Return the moves from the small network to the large one, all at the same time."""
    return [direct_moves(problem.small, problem.large)]


def net2net(problem: Problem, training: Training, *, early: Early = EARLY) -> Method:
    """Grow a trained small network, its weights split at random (Net2Net, arXiv 1511.05641)."""
    return grown(problem, training, at_once(problem), early, "random")


def net2net_equal(problem: Problem, training: Training, *, early: Early = EARLY) -> Method:
    """Grow a trained small network, its weights split equally (Net2Net, arXiv 1511.05641)."""
    return grown(problem, training, at_once(problem), early, "equal")


def random_transformations(
    problem: Problem, training: Training, *, early: Early = EARLY, moves_seed: Seed = 0
) -> Method:
    """Grow by random moves, one after the other (EAS without its controller, arXiv 1707.04873).

    Args:
      moves_seed: Seed of the moves.
    """
    moves = random_moves(problem.small, problem.large, moves_seed)
    # as many stages as there are steps for, and several moves together where these are few
    first, _ = learners.stage_lengths(training.steps, [early.early_share])
    number = max(min(len(moves), first), 1)
    rest = iter(moves)
    together = [[*itertools.islice(rest, part)] for part in learners.even_parts(len(moves), number)]
    return grown(problem, training, together, early, "random")


def weak_teacher(
    problem: Problem,
    training: Training,
    *,
    teacher: Teacher = TEACHER,
    weight: NonNegative = 1.0,
    final_weight: NonNegative = 1.0,
    temperature: Positive = 1.0,
) -> Method:
    """Learn from labels and from a trained small network (DWT; Lee et al., arXiv 2305.18239).

    Args:
      weight: Weight of what the teacher says, at first.
      final_weight: The same at the last step; it moves linearly.
      temperature: Temperature of both networks' outputs.
    """
    steps = learners.stage_lengths(training.steps, [teacher.teacher_share])
    taught, student = learners.weak_teacher(
        problem.network(problem.small),
        problem.network(problem.large),
        steps,
        training.make_optimizer,
        updates=problem.updates(problem.small),
        weight=optax.linear_schedule(weight, final_weight, steps[-1]),
        temperature=temperature,
    )

    small, large = named(problem.small), named(problem.large)
    flops = problem.update_flops(problem.large) + problem.forward_flops(problem.small)
    return in_stages(
        [
            Stage(taught, f"teacher {small}", problem.update_flops(problem.small), row="small"),
            Stage(student, f"student {large}", flops),
        ]
    )


def mutual_distillation(
    problem: Problem,
    training: Training,
    *,
    to_large: NonNegative = 1.0,
    to_small: NonNegative = 1.0,
    temperature: Positive = 1.0,
) -> Method:
    """Train a large and a small network that teach each other (CTCD, arXiv 2311.02849).

    Args:
      to_large: Weight of what the small network says to the large one.
      to_small: Weight of what the large network says to the small one.
      temperature: Temperature of both networks' outputs.
    """
    large, small = problem.network(problem.large), problem.network(problem.small)
    learner = learners.mutual_students(large, small, to_large, to_small, temperature)

    def further(networks: Any, inputs: Array) -> dict[str, Array]:
        return {"small": small.apply(networks[-1]["small"], inputs)}

    name = f"{named(problem.large)} with {named(problem.small)}"
    flops = problem.update_flops(problem.large) + problem.update_flops(problem.small)
    return one_stage(training, learner, name, flops, further=further)


def label_smoothing(problem: Problem, training: Training, *, smoothing: Fraction = 0.1) -> Method:
    """Train the large network from scratch with smoothed labels: the baseline for teachers.

    Args:
      smoothing: Part of each label that is spread over all classes.
    """
    return trained(problem, training, problem.large, smoothing)


def from_scratch(problem: Problem, training: Training) -> Method:
    """Train the large network from scratch: the baseline of equal compute."""
    return trained(problem, training, problem.large)


def small_network(problem: Problem, training: Training) -> Method:
    """Train the small network alone, with as much compute: a baseline."""
    return trained(problem, training, problem.small)


def incubation(
    problem: Problem, training: Training, *, deep: Deep = DEEP, tune_share: ProperFraction = 0.3
) -> Method:
    """Train parts of a deep network apart (Deep Incubation; Ni et al. 2023, arXiv 2212.04129).

    Args:
      tune_share: Part of the steps in which the assembled network is trained.
    """
    number, size = deep.modules, deep.module_layers
    shallow, hybrid, budget = (
        problem.deep_flops(deep, depth) for depth in (number, number + size - 1, number * size)
    )
    costs = shallow / budget, number * hybrid / budget
    first, second, third = learners.incubation(
        functools.partial(problem.deep_network, deep),
        number,
        size,
        incubating_steps(tune_share, training.steps, costs),
        training.make_optimizer,
    )

    parts = Stage(second, f"{number} parts", number * hybrid, row="assembled", apart=number)
    return in_stages(
        [
            Stage(first, f"{number} layers", shallow, row="shallow network"),
            parts,
            Stage(third, f"{number * size} layers", budget, budget=budget),
        ]
    )


def end_to_end(problem: Problem, training: Training, *, deep: Deep = DEEP) -> Method:
    """Train the deep network of `incubation` from scratch: its baseline of equal compute."""
    depth = deep.modules * deep.module_layers
    learner = learners.smoothed_labels(problem.deep_network(deep, depth))
    flops = problem.deep_flops(deep, depth)
    return one_stage(training, learner, f"{depth} layers", flops, budget=flops)


def early_stopping(
    problem: Problem,
    training: Training,
    *,
    held_out_share: ProperFraction = 0.1,
    snapshots: Count = 12,
) -> Method:
    """Train the large network, and stop where held-out images say so: a baseline for teachers.

    Args:
      held_out_share: Part of the training images that are held out; it is not trained on.
      snapshots: Networks of the training that are tried on them: the last one, and each other one
        after 0.71 times the steps of the next.
    """
    alone = trained(problem, training, problem.large, held_out=held_out_share)
    assert alone.algorithm is not None
    at = learners.snapshot_steps(training.steps, snapshots)
    tasks, _ = problem.kept_apart(held_out_share)
    return alone._replace(algorithm=learners.with_snapshots(alone.algorithm, at), tasks=tasks)


STAGED: dict[str, Entry] = {
    "net2net": net2net,
    "net2net_equal": net2net_equal,
    "random_transformations": random_transformations,
    "transformation_search": transformation_search,
    "scratch_search": scratch_search,
    "weak_teacher": weak_teacher,
    "early_stopping": early_stopping,
    "incubation": incubation,
    "moe_tuning": moe_tuning,
    "dense_continued": dense_continued,
    "read_me": read_me,
}
"""Methods in several stages, or that keep networks of some steps, as a share of all steps."""

METHODS: dict[str, Entry] = {
    **STAGED,
    "supernet": supernet,
    "mixture_of_supernets": mixture_of_supernets,
    "subnetworks_alone": subnetworks_alone,
    "mutual_distillation": mutual_distillation,
    "label_smoothing": label_smoothing,
    "from_scratch": from_scratch,
    "small_network": small_network,
    "end_to_end": end_to_end,
    "narrow_network": narrow_network,
}
"""All methods of the family, the default first."""
