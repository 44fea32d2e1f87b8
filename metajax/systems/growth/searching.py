"""The methods that search for a network: by growing one small network, or each from scratch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from metajax import learners
from metajax.core import ConfigError, Count, ProperFraction, Seed
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.settings import Early, Training
from metajax.systems.growth.stage import Members, Networks, in_stages, of_widths
from metajax.units import random_moves

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
    first, _ = learners.stage_lengths(training.steps, [early.early_share])
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
    sizes, moves = candidates, None
    steps = learners.even_parts(training.steps - first, number)
    if first:
        sizes, steps = [problem.small, *candidates], [first, *steps]
        moves = [
            random_moves(problem.small, widths, seed + index)
            for index, widths in enumerate(candidates)
        ]
    updates = [problem.updates(widths) for widths in sizes]
    each = learners.candidate_mlps(
        sizes, problem.ways, steps, training.make_optimizer, updates=updates, moves=moves
    )
    stages = [of_widths(problem, *one) for one in zip(each, sizes, strict=True)]
    tried = stages[-number:]

    def logits(networks: Networks, inputs: Array) -> Array:
        pairs = zip(tried, networks[-number:], strict=True)
        return jnp.stack([stage.trained.predict(params, inputs) for stage, params in pairs])

    names = tuple(stage.name for stage in tried)
    members = Members(names, tuple(map(problem.forward_flops, candidates)), logits)
    return in_stages([*stages[:-1], stages[-1]._replace(members=members)])
