"""What the evaluation of growth reads of a method: its stages, and networks to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from metajax import learners
from metajax.core import MetaLearner, Params
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.settings import Training

Networks = tuple[Params, ...]
"""The parameters of all stages."""


class Members(NamedTuple):
    """Several networks that a method trains, of which one is to be chosen.

    Attributes:
      names: of each, in words.
      flops: operations by which each predicts one image.
      logits: ``logits(networks, inputs) -> [members, n, ways]`` of the parameters of all stages.
    """

    names: tuple[str, ...]
    flops: tuple[int, ...]
    logits: Callable[[Networks, Array], Float[Array, "members n ways"]]


def nothing(networks: Networks, inputs: Array) -> dict[str, Array]:
    """Return no arrays."""
    return {}


class Stage(NamedTuple):
    """A stage of training, and what the family's evaluation reads of it.

    Attributes:
      trained: the stage, whose learner predicts logits.
      name: what is trained, for a table.
      flops: of an update, for each image.
      row: of the network at the end of the stage in the table, one of ``ROWS`` in ``evaluate.py``;
        empty: only the last stage has one.
      further: of the last stage, ``further(networks, inputs)`` of the parameters of all stages: the
        logits of further networks by the names of their rows, and other arrays by other names.
      members: of the last stage, the networks to choose from; None: there is one network.
      budget: of a step, for each image; None: an update of the problem's large network.
      apart: networks that are updated together and could be trained on as many machines.
      held_out: share of the training images that choose among snapshots; 0: there are none.
    """

    trained: learners.GrowthStage
    name: str
    flops: int
    row: str = ""
    further: Callable[[Networks, Array], dict[str, Array]] = nothing
    members: Members | None = None
    budget: int | None = None
    apart: int = 1
    held_out: float = 0.0


def named(widths: tuple[int, ...]) -> str:
    """Return a network's hidden layers in words."""
    return "-".join(map(str, widths))


def of_widths(
    problem: Problem, trained: learners.GrowthStage, widths: tuple[int, ...], row: str = ""
) -> Stage:
    """Return the stage that trains the network with some hidden layers."""
    return Stage(trained, named(widths), problem.update_flops(widths), row)


def in_stages(stages: Sequence[Stage]) -> Method:
    """Return the method that trains in stages."""
    algorithm = learners.in_growing_stages([stage.trained for stage in stages])
    return Method(algorithm, parts=tuple(stages))


def one_stage(
    training: Training, learner: MetaLearner, name: str, flops: int, updates: int = 1, **read: Any
) -> Method:
    """Return the method that trains a learner in one stage; see :class:`Stage`."""
    optimizer = training.make_optimizer(updates * training.steps)
    trained = learners.GrowthStage(learner, optimizer, training.steps, updates)
    return in_stages([Stage(trained, name, flops, **read)])
