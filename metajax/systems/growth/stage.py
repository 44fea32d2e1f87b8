"""What the evaluation of growth reads of a stage of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Float

from metajax.core import Params


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


def named(widths: tuple[int, ...]) -> str:
    """Return a network's hidden layers in words."""
    return "-".join(map(str, widths))
