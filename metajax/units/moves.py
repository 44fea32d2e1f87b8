"""A multi-layer perceptron that grows move by move, with the state of its optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from metajax.core import ConfigError, Params
from metajax.units.deepening import deepen, deepen_state
from metajax.units.networks import mlp_units
from metajax.units.widening import widen, widen_state


class Deepen(NamedTuple):
    """A move: one more hidden layer, the identity at first.

    Attributes:
      after: the hidden layer that it comes behind, from 0.
    """

    after: int


class Widen(NamedTuple):
    """A move: more units of hidden layers.

    Attributes:
      widths: units of every hidden layer after the move.
    """

    widths: tuple[int, ...]


Move = Deepen | Widen
"""One change of a network."""


def widths_after(widths: Sequence[int], moves: Sequence[Move]) -> tuple[int, ...]:
    """Return the hidden layers' widths after some moves.

    Args:
      widths: of the hidden layers before.
      moves: in order.

    Raises:
      ConfigError: there is no layer to deepen after, or a layer would become narrower.

    Examples:
      >>> from metajax.units import Deepen, Widen, widths_after
      >>> widths_after([32], [Deepen(0), Widen((128, 64))])
      (128, 64)
    """
    now = tuple(widths)
    for move in moves:
        if isinstance(move, Deepen):
            if not 0 <= move.after < len(now):
                raise ConfigError("after", move.after, f"a hidden layer, 0 to {len(now) - 1}")
            now = now[: move.after + 1] + now[move.after :]
        else:
            if len(move.widths) != len(now) or any(np.less(move.widths, now)):
                raise ConfigError("widths", move.widths, f"{len(now)} widths, {now} or more")
            now = tuple(move.widths)
    return now


def direct_moves(start: Sequence[int], goal: Sequence[int]) -> list[Move]:
    """Return the shortest way from one multi-layer perceptron to a larger one.

    The missing layers come behind the first one, and then all layers get their units (Net2Net: Chen
    et al. 2016, arXiv 1511.05641).

    Args:
      start: units of the hidden layers.
      goal: units of the hidden layers that they become.

    Raises:
      ConfigError: there are layers or units that would have to go.

    Examples:
      >>> from metajax.units import direct_moves
      >>> direct_moves([16], [64, 32])
      [Deepen(after=0), Widen(widths=(64, 32))]
    """
    missing = len(goal) - len(start)
    moves: list[Move] = [*(Deepen(0) for _ in range(missing)), Widen(tuple(goal))]
    widths_after(start, moves)  # raises where they do not fit
    return moves


def grow_mlp(
    params: Params,
    state: PyTree,
    moves: Sequence[Move],
    key: Key[Array, ""],
    split: Literal["random", "equal"] = "random",
) -> tuple[Params, PyTree]:
    """Return a grown :func:`metajax.nn.mlp` of ReLU layers that computes the same.

    Args:
      params: of the network.
      state: of its optimizer.
      moves: in order.
      key: of the units that are copied and of their shares.
      split: as for :func:`widen`.

    Returns:
      The parameters and the state of the optimizer.

    Raises:
      ConfigError: the parameters are of another network, or a move does not fit them.
    """
    for number, move in enumerate(moves):
        names = mlp_units(params)
        if isinstance(move, Deepen):
            after = f"Dense_{move.after}"
            state = deepen_state(state, params, names, after)
            params, _ = deepen(params, names, after, jax.nn.relu)
        else:
            sizes = {f"h{layer}": width for layer, width in enumerate(move.widths)}
            draw = jax.random.fold_in(key, number)
            state = widen_state(state, params, names, sizes, draw)
            params = widen(params, names, sizes, draw, split)
    return params, state


def random_moves(start: Sequence[int], goal: Sequence[int], seed: int) -> list[Move]:
    """Draw a way from one multi-layer perceptron to a larger one.

    Each move is drawn uniformly from those that do not lead past the goal. A move is one more layer
    behind any hidden layer, or twice the units of one hidden layer. A layer gets at most as many
    units as the goal has at its place. This is the search of Cai et al. 2018 (arXiv 1707.04873)
    with a random choice in place of its controller.

    Args:
      start: widths of the hidden layers.
      goal: widths of the larger network's hidden layers.
      seed: of the draws.

    Returns:
      The moves, none where start and goal are equal.

    Raises:
      ConfigError: there is no hidden layer to start from, the goal has fewer layers, or a width of
        the start is above the least of the goal.
    """
    if not start or len(start) > len(goal):
        raise ConfigError("start", tuple(start), f"1 to {len(goal)} hidden layers")
    if max(start) > min(goal):
        raise ConfigError("start", tuple(start), f"widths of at most {min(goal)}")
    draw = np.random.default_rng(seed)
    now, moves = tuple(start), list[Move]()
    while now != tuple(goal):
        possible: list[Move] = []
        if len(now) < len(goal):
            possible += [Deepen(layer) for layer in range(len(now))]
        for layer, width in enumerate(now):
            more = min(2 * width, goal[layer])
            if more > width:
                possible.append(Widen((*now[:layer], more, *now[layer + 1 :])))
        possible = [move for move in possible if _leads(widths_after(now, [move]), tuple(goal))]
        moves.append(possible[int(draw.integers(len(possible)))])
        now = widths_after(now, moves[-1:])
    return moves


def _leads(widths: tuple[int, ...], goal: tuple[int, ...]) -> bool:
    """Whether moves lead from some widths to the goal.

    Each layer of the goal is the same layer of the network as the one before it, or the next one.
    None is skipped, and none is wider than the layer that it becomes.
    """
    if not widths or not goal:
        return not widths and not goal
    rest = widths[1:], goal[1:]
    return widths[0] <= goal[0] and (_leads(*rest) or _leads(widths, rest[1]))
