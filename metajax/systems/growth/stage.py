"""What the evaluation of growth reads of a method: its stages, and networks to choose from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from metajax import learners
from metajax.core import MetaLearner, Params
from metajax.systems.base import Method
from metajax.systems.growth.settings import Training


class Members(NamedTuple):
    """Several networks that a method trains, of which one is to be chosen.

    Attributes:
      names: of each, in words.
      flops: operations by which each predicts one image.
      logits: ``logits(networks, inputs) -> [members, n, ways]`` of the parameters of all stages.
    """

    names: tuple[str, ...]
    flops: tuple[int, ...]
    logits: Callable[[tuple[Any, ...], Array], Float[Array, "members n ways"]]


class Stage(NamedTuple):
    """What the family's evaluation reads of a stage of training.

    Attributes:
      name: what is trained, for a table.
      logits: ``logits(params, inputs)`` of the network that the stage predicts by.
      steps: of the stage.
      updates: of each step.
      flops: of an update, for each image.
      also: ``also(params, inputs)`` of a further network that is measured; None: there is none.
      more: ``more(networks, inputs)``, of the parameters of all stages: the logits of further
        networks by the names of their rows, and arrays for the evaluation; None: there are none.
      members: of the last stage, the networks to choose from; None: there is one network.
      row: of the network at the end of the stage, in the table; empty: only the last one has a row.
      budget: of a step, for each image; None: an update of the problem's large network.
      apart: networks that are updated together and could be trained on as many machines.
      held_out: share of the training images that choose among snapshots; 0: there are none.
    """

    name: str
    logits: Callable[[Params, Array], Float[Array, "n ways"]]
    steps: int
    updates: int
    flops: int
    also: Callable[[Params, Array], Float[Array, "n ways"]] | None = None
    more: (
        Callable[[tuple[Params, ...], Array], tuple[dict[str, Array], dict[str, Array]]] | None
    ) = None
    members: Members | None = None
    row: str = ""
    budget: int | None = None
    apart: int = 1
    held_out: float = 0.0


class Told(NamedTuple):
    """A stage of training, with what the evaluation reads of it."""

    trained: learners.GrowthStage
    stage: Stage


def told(
    trained: learners.GrowthStage,
    name: str,
    logits: Callable[[Params, Array], Float[Array, "n ways"]],
    flops: int,
    **more: Any,
) -> Told:
    """Return a stage of training with what the evaluation reads of it; see :class:`Stage`."""
    return Told(trained, Stage(name, logits, trained.steps, trained.updates, flops, **more))


def in_stages(stages: Sequence[Told]) -> Method:
    """Return the method that trains in stages."""
    trained, read = zip(*stages, strict=True)
    return Method(learners.in_growing_stages(trained), parts=read)


def one_stage(training: Training, learner: MetaLearner, stage: Stage) -> Method:
    """Return the method that trains a learner in one stage."""
    optimizer = training.make_optimizer(stage.updates * stage.steps)
    growth = learners.GrowthStage(lambda done: learner, optimizer, stage.steps, stage.updates)
    return in_stages([Told(growth, stage)])


def named(widths: tuple[int, ...]) -> str:
    """Return a network's hidden layers in words."""
    return "-".join(map(str, widths))
