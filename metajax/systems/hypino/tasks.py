"""Tasks: a random problem as images, and points that its solution is scored on."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.core import Staged, Task, register_dataclass
from metajax.nn import Jet
from metajax.physics.pde import Points, draw_sample
from metajax.systems.hypino.network import Inputs
from metajax.systems.hypino.settings import Settings, Weights


class Scored(NamedTuple):
    """What a solution is scored by.

    Attributes:
      points: interior and boundary points, with source and data.
      solution: the true solution at the interior ones; 0 unless ``supervised``.
      supervised: whether it is known.
      valid: whether the problem is within the limits of what is learned from.
      weights: of the six losses; see :data:`~metajax.systems.hypino.learner.PARTS`.
    """

    points: Points
    solution: Jet
    supervised: Bool[Array, ""]
    valid: Bool[Array, ""]
    weights: Float[Array, "6"]


@register_dataclass
@dataclass(frozen=True)
class ProblemTasks:
    """Random problems with a known solution or without.

    Attributes:
      supervised: probability of a known solution; traced.
      homogeneous: probability of a solution that is 0 on the edge; traced.
      weights: of the six losses; traced.
      grid: nodes along a side of the images. Static, as what follows.
      interior: points inside.
      boundary: points of the boundary.
      holes: most holes of a domain.
    """

    supervised: Float[Array, ""]
    homogeneous: Float[Array, ""]
    weights: Float[Array, "6"]
    grid: int = field(metadata={"static": True})
    interior: int = field(metadata={"static": True})
    boundary: int = field(metadata={"static": True})
    holes: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        return _draw(self, key)


@functools.partial(jax.jit, inline=True)  # traced once: every program that draws tasks holds it
def _draw(tasks: ProblemTasks, key: Key[Array, ""]) -> Task:
    found = draw_sample(
        key,
        interior=tasks.interior,
        boundary=tasks.boundary,
        size=tasks.grid,
        supervised=tasks.supervised,
        homogeneous=tasks.homogeneous,
        holes=tasks.holes,
    )
    scored = Scored(found.points, found.solution, found.supervised, found.valid, tasks.weights)
    return Task(Inputs(found.coefficients, found.grids, found.points), scored)


@register_dataclass
@dataclass(frozen=True)
class Phases:
    """Problems of two phases; what the phases differ in is traced, so one program draws both.

    Attributes:
      first: problems of the first phase.
      second: problems of the second; its static sizes are those of the first.
      first_phase: meta-steps of the first phase; traced.
    """

    first: ProblemTasks
    second: ProblemTasks
    first_phase: Int32[Array, ""]

    def at(self, step: Int32[Array, ""]) -> ProblemTasks:
        """The problems of the phase that a step belongs to."""
        fresh = step < self.first_phase
        return jax.tree.map(lambda a, b: jnp.where(fresh, a, b), self.first, self.second)

    def __call__(self, key: Key[Array, ""], step: Int32[Array, ""]) -> Task:
        return self.at(step)(key)


def make_tasks(
    settings: Settings, supervised: float = 1.0, weights: Weights | None = None
) -> ProblemTasks:
    """Return the random problems of some settings.

    Args:
      settings: the family's, or a config of it.
      supervised: probability of a known solution.
      weights: of the six losses; those of the second phase by default.
    """
    return ProblemTasks(
        jnp.float32(supervised),
        jnp.float32(settings.homogeneous),
        jnp.asarray(settings.weights_second if weights is None else weights, jnp.float32),
        settings.grid,
        settings.interior,
        settings.boundary,
        settings.holes,
    )


def make_phases(settings: Settings) -> Staged:
    """Return the problems that are trained on: all with a known solution in the first phase.

    Args:
      settings: of the problem.
    """
    first = make_tasks(settings, 1.0, settings.weights_first)
    second = make_tasks(settings, 1.0 - settings.unsupervised)
    return Staged(Phases(first, second, jnp.int32(settings.first_phase)))
