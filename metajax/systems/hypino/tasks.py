"""Tasks: a random problem as images, and points that its solution is scored on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float, Key, UInt32

from metajax.core import Task
from metajax.nn import Jet
from metajax.physics.pde import Points, draw_sample
from metajax.systems.hypino.config import Config
from metajax.systems.hypino.network import Inputs


class Scored(NamedTuple):
    """What a solution is scored by.

    Attributes:
      points: interior and boundary points, with source and data.
      solution: the true solution at the interior ones; 0 unless ``supervised``.
      supervised: whether it is known.
      valid: whether the problem is within the limits of what is learned from.
    """

    points: Points
    solution: Jet
    supervised: Bool[Array, ""]
    valid: Bool[Array, ""]


@register_dataclass
@dataclass(frozen=True)
class ProblemTasks:
    """Random problems with a known solution or without.

    Attributes:
      supervised: probability of a known solution; traced.
      homogeneous: probability of a solution that is 0 on the edge; traced.
      grid: nodes along a side of the images. Static, as what follows.
      interior: points inside.
      boundary: points of the boundary.
    """

    supervised: Float[Array, ""]
    homogeneous: Float[Array, ""]
    grid: int = field(metadata={"static": True})
    interior: int = field(metadata={"static": True})
    boundary: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        found = draw_sample(
            key,
            interior=self.interior,
            boundary=self.boundary,
            size=self.grid,
            supervised=self.supervised,
            homogeneous=self.homogeneous,
        )
        scored = Scored(found.points, found.solution, found.supervised, found.valid)
        return Task(Inputs(found.coefficients, found.grids), scored)


@register_dataclass
@dataclass(frozen=True)
class ProblemKeys:
    """Tasks that are still to be drawn: what they are of depends on how far training is.

    A task's ``support`` is the data of a key and its ``query`` is None; the algorithm of
    :mod:`metajax.systems.hypino.learner` draws the problem from it inside the same step.
    """

    def __call__(self, key: Key[Array, ""]) -> Task:
        data: UInt32[Array, " words"] = jax.random.key_data(key)
        return Task(data, None)


def make_tasks(config: Config, supervised: float = 1.0) -> ProblemTasks:
    """The config's random problems."""
    return ProblemTasks(
        jnp.float32(supervised),
        jnp.float32(config.homogeneous),
        config.grid,
        config.interior,
        config.boundary,
    )
