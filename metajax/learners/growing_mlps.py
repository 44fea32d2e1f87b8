"""Multi-layer perceptrons that are made of smaller ones, between the stages of their training."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Literal

from jaxtyping import Array, Key

from metajax.core import GradientState, Params
from metajax.learners.distilling import smoothed_labels
from metajax.learners.growing import Change, GrowthStage, MakeOptimizer, with_params
from metajax.learners.stages import check_each
from metajax.nn import mlp
from metajax.units import Move, grow_mlp, widths_after


def growing_mlp(
    widths: Sequence[int],
    num_outputs: int,
    moves: Sequence[Sequence[Move]],
    steps: Sequence[int],
    make_optimizer: MakeOptimizer,
    *,
    updates: Sequence[int] | None = None,
    split: Literal["random", "equal"] = "random",
) -> list[GrowthStage]:
    """Train a classifier that becomes larger between stages, and computes the same at first.

    With :func:`metajax.units.direct_moves` in one change this is Net2Net (Chen et al. 2016, arXiv
    1511.05641); with one of :func:`metajax.units.random_moves` in each, EAS without its controller
    (Cai et al. 2018, arXiv 1707.04873).

    Args:
      widths: hidden layers of the first network, a :func:`metajax.nn.mlp`.
      num_outputs: e.g. classes.
      moves: by which the network of each stage but the first is made of the one before.
      steps: of each stage.
      make_optimizer: of the updates of all stages: the optimizer's state grows with the network.
      updates: of each stage in a step; None: one.
      split: as for :func:`metajax.units.widen`.

    Returns:
      The stages, for :func:`in_growing_stages`.

    Raises:
      ConfigError: steps or updates are not one for each stage, or a move does not fit its network.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from metajax import learners, units
      >>> from metajax.core import Examples
      >>> from metajax.train import fit
      >>> def draw(key):  # the first axis is that of the updates of a step
      ...     inputs = jax.random.normal(key, (1, 8, 4))
      ...     return Examples(inputs, jnp.argmax(inputs, axis=-1))
      >>> moves = [units.direct_moves([4], [8, 8])]
      >>> stages = learners.growing_mlp([4], 4, moves, [2, 3], lambda updates: optax.adam(0.01))
      >>> algorithm, tasks = learners.in_growing_stages(stages), jax.tree_util.Partial(draw)
      >>> key = jax.random.key(0)
      >>> result = fit(algorithm, tasks, steps=5, tasks_per_step=1, key=key, progress=False)
      >>> learners.predict_in_use(stages, result.params, jnp.ones((3, 4))).shape
      (3, 4)
    """
    sizes = [*itertools.accumulate(moves, widths_after, initial=tuple(widths))]
    updates = [1] * len(sizes) if updates is None else updates
    check_each("steps", steps, len(sizes))
    check_each("updates", updates, len(sizes))
    optimizer = make_optimizer(sum(map(operator.mul, steps, updates)))

    def by(some: Sequence[Move]) -> Change:
        def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
            return GradientState(*grow_mlp(before.params, before.opt_state, some, key, split))

        return change

    return [
        GrowthStage(smoothed_labels(mlp(size, num_outputs)), optimizer, one, each, change)
        for size, one, each, change in zip(
            sizes, steps, updates, [None, *map(by, moves)], strict=True
        )
    ]


def candidate_mlps(
    sizes: Sequence[Sequence[int]],
    num_outputs: int,
    steps: Sequence[int],
    make_optimizer: MakeOptimizer,
    *,
    updates: Sequence[int] | None = None,
    moves: Sequence[Sequence[Move]] | None = None,
) -> list[GrowthStage]:
    """Train several classifiers one after the other, from which one is to be chosen.

    A search by growth trains a small network first, and makes all others of it: EAS (Cai et al.
    2018, arXiv 1707.04873) without its controller.

    Args:
      sizes: hidden layers of each, a :func:`metajax.nn.mlp`.
      num_outputs: e.g. classes.
      steps: of each.
      make_optimizer: of each, by its updates.
      updates: of each in a step; None: one.
      moves: by which each but the first is made of the first one, trained; None: all start from
        scratch.

    Returns:
      The stages, for :func:`in_growing_stages`.

    Raises:
      ConfigError: steps or updates are not one for each network, or moves for each but the first.
    """
    updates = [1] * len(sizes) if updates is None else updates
    check_each("steps", steps, len(sizes))
    check_each("updates", updates, len(sizes))
    stages = [
        GrowthStage(smoothed_labels(mlp(size, num_outputs)), make_optimizer(one * each), one, each)
        for size, one, each in zip(sizes, steps, updates, strict=True)
    ]
    if moves is None:
        return stages
    check_each("moves", moves, len(sizes) - 1)

    def by(some: Sequence[Move]) -> Change:
        def grown(before: Params, own: Params, key: Key[Array, ""]) -> Params:
            return grow_mlp(before, (), some, key)[0]

        return with_params(grown)

    others = zip(stages[1:], moves, strict=True)
    return [stages[0], *(one._replace(change=by(some), source=0) for one, some in others)]
