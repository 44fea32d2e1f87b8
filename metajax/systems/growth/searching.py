"""The methods that search for a network: by growing one small network, or each from scratch."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax import learners
from metajax.core import ConfigError, Count, GradientState, Params, ProperFraction, Seed
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.settings import Early, Training, early_steps
from metajax.systems.growth.stage import Members, Told, in_stages, named, told
from metajax.units import Move, grow_mlp, random_moves

EARLY = Early()

Widths = tuple[int, ...]


@dataclass(frozen=True)
class Search:
    """The networks that a search tries."""

    candidates: Count | None = 8
    """Networks that are tried, drawn at random; None: all that are small enough."""
    share: ProperFraction = 0.5
    """Operations that a network may have, as a part of the large one's."""
    search_seed: Seed = 0
    """Seed of the networks that are tried, and of the moves that lead to them."""


SEARCH = Search()


def search_space(problem: Problem, share: float) -> list[Widths]:
    """Return the hidden layers of all networks that are small enough.

    They have as many hidden layers as the large network or fewer, and as many units as the small
    one, twice, four times, ... as many, or as many as the large one.
    """
    sizes = {problem.settings.width}
    size = problem.settings.small_width
    while size < problem.settings.width:
        sizes.add(size)
        size *= 2
    most = share * problem.forward_flops(problem.large)
    found = [
        widths
        for layers in range(1, problem.settings.layers + 1)
        for widths in itertools.product(sorted(sizes), repeat=layers)
        if problem.forward_flops(widths) <= most
    ]
    if not found:
        raise ConfigError("share", share, "a part that the small network is within")
    return found


def drawn(problem: Problem, search: Search) -> list[Widths]:
    """Return the networks that are tried.

    Raises:
      ConfigError: there are not so many that are small enough.
    """
    space, number = search_space(problem, search.share), search.candidates
    if number is None:
        return space
    if number > len(space):
        raise ConfigError("candidates", number, f"at most the {len(space)} that are small enough")
    rows = np.random.default_rng(search.search_seed).permutation(len(space))[:number]
    return [space[row] for row in rows]


def transformation_search(
    problem: Problem, training: Training, *, search: Search = SEARCH, early: Early = EARLY
) -> Method:
    """Grow a small network to many by random moves, and train each (EAS, arXiv 1707.04873)."""
    first = early_steps(early.early_share, training.steps)
    return searched(problem, training, drawn(problem, search), first, search.search_seed)


def scratch_search(problem: Problem, training: Training, *, search: Search = SEARCH) -> Method:
    """Train the same networks from scratch in as many steps: the baseline of growing them."""
    return searched(problem, training, drawn(problem, search), 0, search.search_seed)


def searched(
    problem: Problem, training: Training, candidates: list[Widths], first: int, seed: int
) -> Method:
    """Return the method that trains candidates one after the other.

    Args:
      problem: of the family.
      training: of the family.
      candidates: hidden layers of each.
      first: steps of the small network, from which all are grown; 0: they start from scratch.
      seed: of the moves.

    Raises:
      ConfigError: there are fewer steps than stages.
    """
    number = len(candidates)
    if training.steps - first < number:
        expected = f"{first + number} or more, one for each of {number} candidates"
        raise ConfigError("steps", training.steps, expected)
    ends = [(training.steps - first) * index // number for index in range(number + 1)]
    steps = [end - start for start, end in itertools.pairwise(ends)]
    stages: list[Told] = []

    def add(widths: Widths, steps: int, change: Callable[..., Any] | None = None) -> None:
        network, updates = problem.network(widths), problem.updates(widths)
        learner = learners.smoothed_labels(network)
        optimizer = training.make_optimizer(steps * updates)
        stage = learners.GrowthStage(lambda done: learner, optimizer, steps, updates)
        if change is not None:
            stage = stage._replace(change=change, source=0)
        stages.append(told(stage, named(widths), network.apply, problem.update_flops(widths)))

    if first:
        add(problem.small, first)
    for index, widths in enumerate(candidates):
        change = None
        if first:
            change = growing(random_moves(problem.small, widths, seed + index))
        add(widths, steps[index], change)
    tried = [each.stage for each in stages[-number:]]

    def logits(networks: tuple[Params, ...], inputs: Array) -> Array:
        each = zip(tried, networks[-number:], strict=True)
        return jnp.stack([stage.logits(params, inputs) for stage, params in each])

    members = Members(
        tuple(stage.name for stage in tried), tuple(map(problem.forward_flops, candidates)), logits
    )
    stages[-1] = stages[-1]._replace(stage=tried[-1]._replace(members=members))
    return in_stages(stages)


def growing(moves: list[Move]) -> Callable[..., Any]:
    """Return the change that makes a candidate of the small network; its optimizer starts fresh."""

    def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params=grow_mlp(before.params, (), moves, key)[0])

    return change
