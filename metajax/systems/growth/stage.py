"""What the family's evaluation reads of a method: its stages, and networks to choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from metajax.core import Params


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
      members: of the last stage, the networks to choose from; None: there is one network.
    """

    name: str
    logits: Callable[[Params, Array], Float[Array, "n ways"]]
    steps: int
    updates: int
    flops: int
    also: Callable[[Params, Array], Float[Array, "n ways"]] | None = None
    members: Members | None = None


def named(widths: tuple[int, ...]) -> str:
    """Return a network's hidden layers in words."""
    return "-".join(map(str, widths))
