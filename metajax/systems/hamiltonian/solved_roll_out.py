"""Following energies in time whose coefficients were solved for, in float64."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import Examples, Params, all_finite, cast_floats, enable_x64
from metajax.physics import Derivative, Phase, get_mechanics, trajectory
from metajax.systems.hamiltonian.roll_out import Instances, relative_errors
from metajax.systems.hamiltonian.tasks import Snapshots


class Solving(Protocol):
    """How the coefficients of an energy are solved for; equal ones make one program."""

    @property
    def motion(self) -> Derivative:
        """Equations of motion ``(state, (params, coefficients), time) -> rates``."""

    def solve(self, params: Params, support: Examples) -> Float[Array, "..."]:
        """Return the coefficients from points and their rates, :class:`Snapshots` both."""


class Rolled(NamedTuple):
    """What became of solved energies on new systems, float64.

    Attributes:
      coordinates: relative errors of the roll-outs.
      energy: the same of their energy.
      states: the roll-outs.
    """

    coordinates: Float[np.ndarray, "systems times"]
    energy: Float[np.ndarray, "systems times"]
    states: Float[Phase, "systems times particles 2"]


def solve_and_roll(
    solving: Solving, params: Params, instances: Instances, name: str, most: int, shots: int
) -> Rolled:
    """Solve for an energy on ``shots`` points of every instance and follow it in time.

    In float64, from where the truth starts, by the implicit midpoint rule. Another number of shots
    up to ``most`` compiles nothing again.

    Args:
      solving: how.
      params: what was trained, where something was.
      instances: new systems.
      name: of their mechanics.
      most: points of the largest support that is tried.
      shots: points of each instance.
    """
    with enable_x64(True):
        given = cast_floats((params, instances), np.float64)
        return jax.tree.map(np.asarray, _solve_and_roll(solving, name, most, *given, shots))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _solve_and_roll(
    solving: Solving, name: str, most: int, params: Params, instances: Any, shots: Any
) -> Rolled:
    mechanics, motion, times = get_mechanics(name), solving.motion, instances.times

    def one(item: Any) -> Rolled:
        parameters, (true, _), seen, order = item
        first = order[:most]
        rest = times[first], jnp.arange(most) < shots
        state, rate = jax.tree.map(lambda leaf: leaf[first], seen)
        found = solving.solve(params, Examples(Snapshots(state, *rest), Snapshots(rate, *rest)))
        start = jax.tree.map(lambda leaf: leaf[0], true)
        states = trajectory(
            motion, start, (params, found), times, method="implicit_midpoint"
        ).states
        errors = relative_errors(mechanics.hamiltonian, parameters, states, true)
        known = all_finite(params)
        coordinates, energy = (jnp.where(known, each, jnp.nan) for each in errors)
        return Rolled(coordinates, energy, states)

    items = (instances.parameters, instances.true, instances.seen, instances.order)
    return jax.lax.map(one, items, batch_size=min(len(instances.order), 20))
