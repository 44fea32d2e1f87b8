"""The methods of growth: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import optax
from jaxtyping import Array, Key

from metajax import learners
from metajax.core import (
    Count,
    Fraction,
    GradientState,
    MetaLearner,
    Network,
    NonNegative,
    Positive,
    ProperFraction,
    Seed,
)
from metajax.nn import layer_stack
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
    early_steps,
    incubating_steps,
)
from metajax.systems.growth.stage import Stage, Told, in_stages, named, one_stage, told
from metajax.systems.growth.supernets import mixture_of_supernets, subnetworks_alone, supernet
from metajax.units import Deepen, Move, Widen, grow_mlp, random_moves, widths_after

EARLY = Early()
TEACHER = Teacher()
DEEP = Deep()


def trained(
    problem: Problem, training: Training, widths: tuple[int, ...], smoothing: float = 0.0
) -> Method:
    """Return the method that trains one network from scratch."""
    network, updates = problem.network(widths), problem.updates(widths)
    flops = problem.update_flops(widths)
    part = Stage(named(widths), network.apply, training.steps, updates, flops)
    return one_stage(training, learners.smoothed_labels(network, smoothing), part)


def grown(
    problem: Problem,
    training: Training,
    moves: Sequence[Sequence[Move]],
    early: Early,
    split: Literal["random", "equal"],
) -> Method:
    """Return the method that trains a small network and makes it larger, stage by stage."""
    sizes = [problem.small]
    for some in moves:
        sizes.append(widths_after(sizes[-1], some))
    first = early_steps(early.early_share, training.steps)
    # the steps before full size, shared by the stages before it as evenly as whole steps allow
    ends = [first * index // len(moves) for index in range(len(moves) + 1)]
    steps = [end - start for start, end in itertools.pairwise(ends)]
    steps.append(training.steps - first)
    updates = [problem.updates(widths) for widths in sizes]
    # one optimizer, whose state grows along, so its schedule is over the updates of all stages
    total = sum(one * each for one, each in zip(steps, updates, strict=True))
    optimizer = training.make_optimizer(total)

    def stage(index: int, widths: tuple[int, ...]) -> Told:
        network = problem.network(widths)
        learner = learners.smoothed_labels(network)
        change = growing(moves[index - 1], split) if index else None
        one = learners.GrowthStage(
            lambda done: learner, optimizer, steps[index], updates[index], change
        )
        return told(one, named(widths), network.apply, problem.update_flops(widths))

    return in_stages([stage(index, widths) for index, widths in enumerate(sizes)])


def growing(moves: Sequence[Move], split: Literal["random", "equal"]) -> Callable[..., Any]:
    """Return the change of a stage that makes the network of the one before larger."""

    def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return GradientState(*grow_mlp(before.params, before.opt_state, moves, key, split))

    return change


def at_once(problem: Problem) -> list[list[Move]]:
    """Return the moves from the small network to the large one, all at the same time."""
    missing = problem.settings.layers - len(problem.small)
    return [[*(Deepen(0) for _ in range(missing)), Widen(problem.large)]]


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
    first = early_steps(early.early_share, training.steps)
    # as many stages as there are steps for, and several moves together where these are few
    number = max(min(len(moves), first), 1)
    ends = [len(moves) * index // number for index in range(number + 1)]
    together = [moves[start:end] for start, end in itertools.pairwise(ends)]
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
    small, large = problem.network(problem.small), problem.network(problem.large)
    first = early_steps(teacher.teacher_share, training.steps)
    left, updates = training.steps - first, problem.updates(problem.small)
    alone = learners.smoothed_labels(small)
    schedule = optax.linear_schedule(weight, final_weight, left)

    def taught(done: Array) -> MetaLearner:
        return learners.taught_student(large, small, schedule(done), temperature)

    def hand_over(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params={**own.params, "teacher": before.params})

    # the teacher has no gradient, but weight decay would move it
    optimizer = learners.moving_only(training.make_optimizer(left), ["student"])
    begun = training.make_optimizer(first * updates)
    before = learners.GrowthStage(lambda done: alone, begun, first, updates)
    after = learners.GrowthStage(taught, optimizer, left, change=hand_over)
    flops = problem.update_flops(problem.large) + problem.forward_flops(problem.small)
    of_teacher = f"teacher {named(problem.small)}", small.apply, problem.update_flops(problem.small)
    student = told(
        after,
        f"student {named(problem.large)}",
        lambda params, inputs: large.apply(params["student"], inputs),
        flops,
        also=lambda params, inputs: small.apply(params["teacher"], inputs),
    )
    return in_stages([told(before, *of_teacher), student])


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
    part = Stage(
        f"{named(problem.large)} with {named(problem.small)}",
        lambda params, inputs: large.apply(params["large"], inputs),
        training.steps,
        1,
        problem.update_flops(problem.large) + problem.update_flops(problem.small),
        lambda params, inputs: small.apply(params["small"], inputs),
    )
    return one_stage(training, learner, part)


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
    budget = deep_flops(problem, deep, number * size)
    flops = (
        deep_flops(problem, deep, number),
        number * deep_flops(problem, deep, number + size - 1),
        budget,
    )
    steps = incubating_steps(tune_share, training.steps, (flops[0] / budget, flops[1] / budget))

    def stack(depth: int) -> Network:
        return deep_network(problem, deep, depth)

    optimizers = [training.make_optimizer(each) for each in steps]
    algorithm = learners.incubation(stack, number, size, optimizers, steps)
    whole = stack(number * size)

    def joined(params: Params, inputs: Array) -> Array:
        return whole.apply(learners.assembled(params["meta"], params["parts"]), inputs)

    names = f"{number} layers", f"{number} parts", f"{number * size} layers"
    shallow = Stage(names[0], stack(number).apply, steps[0], 1, flops[0], row="shallow network")
    apart = Stage(names[1], joined, steps[1], 1, flops[1], row="assembled", apart=number)
    tuned = Stage(names[2], whole.apply, steps[2], 1, budget, budget=budget)
    return Method(algorithm, parts=(shallow, apart, tuned))


def end_to_end(problem: Problem, training: Training, *, deep: Deep = DEEP) -> Method:
    """Train the deep network of `incubation` from scratch: its baseline of equal compute."""
    depth = deep.modules * deep.module_layers
    network, flops = deep_network(problem, deep, depth), deep_flops(problem, deep, depth)
    part = Stage(f"{depth} layers", network.apply, training.steps, 1, flops, budget=flops)
    return one_stage(training, learners.smoothed_labels(network), part)


def deep_network(problem: Problem, deep: Deep, depth: int) -> Network:
    """Return a network of some layers of the deep one's size."""
    return layer_stack(depth, deep.module_width, problem.ways, deep.residual)


def deep_flops(problem: Problem, deep: Deep, depth: int) -> int:
    """Return the operations of an update of :func:`deep_network`, for each image."""
    return problem.update_flops((deep.module_width,) * (depth + 1))


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
    alone = trained(problem, training, problem.large)
    # each is a copy of the network in the state: few, and close together where networks change fast
    at = sorted({max(round(training.steps / 2 ** (index / 2)), 1) for index in range(snapshots)})
    assert alone.algorithm is not None
    algorithm = learners.with_snapshots(alone.algorithm, at)
    tasks, _ = problem.kept_apart(held_out_share)
    return Method(algorithm, parts=(alone.parts[0]._replace(held_out=held_out_share),), tasks=tasks)


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
