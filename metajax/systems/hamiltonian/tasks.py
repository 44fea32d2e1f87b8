"""Tasks: a few points of the trajectory of one system, with their time derivatives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Examples, MetajaxError, MixedTasks, Task, derive
from metajax.physics import Phase, PhysicalSystem, energy_drift, get_physics, trajectory
from metajax.systems.hamiltonian.config import Config

DRIFT_LIMIT = 1e-8
"""Largest relative drift of energy that a ground truth may have."""


class Snapshots(NamedTuple):
    """Points of phase space along time, or their time derivatives.

    Attributes:
      state: ``q`` and ``p``, or the derivatives of both.
      time: of each point, seconds.
      counted: which points count; the others are there to keep shapes the same.
    """

    state: Float[Phase, "points particles 2"]
    time: Float[Array, " points"]
    counted: Bool[Array, " points"]


class Trajectories(NamedTuple):
    """True motions of systems of one type, float64 on the host.

    Attributes:
      parameters: of every system, on a leading axis.
      states: along time.
      rates: their true time derivatives.
      times: the same for all, seconds.
    """

    parameters: Any
    states: Float[Phase, "systems times particles 2"]
    rates: Float[Phase, "systems times particles 2"]
    times: Float[np.ndarray, " times"]


def simulate(system: PhysicalSystem, key: Key[Array, ""], num: int, config: Config) -> Trajectories:
    """Draw ``num`` systems of a type and integrate each from a start of its own.

    In float64 by an adaptive integrator of order 8, a hundred side by side.

    Raises:
      MetajaxError: the integrator failed, or the energy of a conservative system drifts by more
        than ``DRIFT_LIMIT``.
    """
    with jax.enable_x64(True):
        times = np.linspace(0.0, config.duration, config.points)

        def one(key: Key[Array, ""], times: Array):
            parameters, start = system.draw(key)
            states, succeeded = trajectory(system, start, parameters, times)
            rates = jax.vmap(system.derivative, (0, None, 0))(states, parameters, times)
            drift = energy_drift(system.hamiltonian, states, parameters)
            return parameters, states, rates, drift, succeeded

        keys = jax.random.split(derive(key, system.name), num)
        together = jax.jit(
            lambda keys, times: jax.lax.map(lambda k: one(k, times), keys, batch_size=100)
        )
        found = jax.tree.map(np.asarray, together(keys, times))
    parameters, states, rates, drift, succeeded = found
    conserved = system.dissipation is None and system.force is None
    if not succeeded.all() or (conserved and not drift.max() < DRIFT_LIMIT):
        raise MetajaxError(
            f"{system.name}: {(~succeeded).sum()} of {num} trajectories failed, and the largest "
            f"relative drift of energy is {drift.max():.1e} (limit {DRIFT_LIMIT:.0e})"
        )
    return Trajectories(parameters, states, rates, times)


def observed(truth: Trajectories, noise: float, key: Key[Array, ""]) -> tuple[Phase, Phase]:
    """What is seen of the motions: states and rates, float32.

    With noise, the rates are the derivatives of a cubic smoothed over seven noisy points
    (Savitzky & Golay 1964).
    """
    if noise == 0:
        states, rates = truth.states, truth.rates
    else:
        from scipy.signal import savgol_filter

        keys = iter(jax.random.split(key, 2))
        states = jax.tree.map(
            lambda x: x + noise * np.asarray(jax.random.normal(next(keys), x.shape)), truth.states
        )
        spacing = truth.times[1] - truth.times[0]
        fit = lambda x, order: savgol_filter(x, 7, 3, deriv=order, delta=spacing, axis=1)  # noqa: E731
        rates = jax.tree.map(lambda x: fit(x, 1), states)
        states = jax.tree.map(lambda x: fit(x, 0), states)
    return jax.tree.map(lambda x: x.astype(np.float32), (states, rates))


@register_dataclass
@dataclass(frozen=True)
class MotionTasks:
    """Tasks: a type at random, a system of it, some points of its motion.

    Inputs are points, targets their time derivatives, both :class:`Snapshots`.

    Attributes:
      state: points of all trajectories; types of the same number of particles.
      rate: their time derivatives.
      times: the same for all, seconds.
      shots: points of a support. Static.
      queries: other points of the same trajectory. Static.
    """

    state: Float[Phase, "types systems times particles 2"]
    rate: Float[Phase, "types systems times particles 2"]
    times: Float[Array, " times"]
    shots: int = field(metadata={"static": True})
    queries: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw a task; no point is in both its support and its query."""
        types, systems, times = self.state.q.shape[:3]
        type_key, system_key, points_key = jax.random.split(key, 3)
        which = jax.random.randint(type_key, (), 0, types)
        system = jax.random.randint(system_key, (), 0, systems)
        order = jax.random.permutation(points_key, times)

        def examples(points: Array) -> Examples:
            state, rate = jax.tree.map(
                lambda leaf: leaf[which, system, points], (self.state, self.rate)
            )
            beside = self.times[points], jnp.ones(points.shape, bool)
            return Examples(Snapshots(state, *beside), Snapshots(rate, *beside))

        last = self.shots + self.queries
        return Task(examples(order[: self.shots]), examples(order[self.shots : last]))


def make_tasks(config: Config, names: tuple[str, ...], key: Key[Array, ""], num: int) -> MixedTasks:
    """Simulate ``num`` systems of every named type and make tasks of them.

    A draw has as many tasks as there are types; which types those of the same number of particles
    are is random.
    """
    by_particles: dict[int, list[Any]] = {}
    for name in names:
        system = get_physics(name)
        truth = simulate(system, key, num, config)
        seen = observed(truth, config.noise, derive(key, f"noise of {name}"))
        by_particles.setdefault(system.particles, []).append(seen)
    times = jnp.linspace(0.0, config.duration, config.points)
    parts = tuple(
        MotionTasks(
            *jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *alike),
            times, config.shots, config.queries,
        )
        for _, alike in sorted(by_particles.items())
    )  # fmt: skip
    return MixedTasks(parts, tuple(part.state.q.shape[0] for part in parts))
