"""Tasks: a few points of the trajectory of one system, with their time derivatives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Examples, MetajaxError, Task, derive
from metajax.physics import Phase, PhysicalSystem, energy_drift, get_physics, trajectory
from metajax.systems.hamiltonian.config import Config

DRIFT_LIMIT = 1e-8
"""Largest relative drift of energy that a ground truth may have."""


class Snapshots(NamedTuple):
    """Points of phase space, or their time derivatives, of systems padded to the same size.

    Attributes:
      state: ``q`` and ``p``, or the derivatives of both; 0 for padded particles.
      real: which particles are real.
    """

    state: Float[Phase, "points particles 2"]
    real: Bool[Array, "points particles"]


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
      state: points of all trajectories, padded to the same number of particles.
      rate: their time derivatives.
      real: which particles are real.
      shots: points of a support. Static.
      queries: other points of the same trajectory. Static.
    """

    state: Float[Phase, "types systems times particles 2"]
    rate: Float[Phase, "types systems times particles 2"]
    real: Bool[Array, "types particles"]
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
            real = jnp.broadcast_to(self.real[which], state.q.shape[:2])
            return Examples(Snapshots(state, real), Snapshots(rate, real))

        last = self.shots + self.queries
        return Task(examples(order[: self.shots]), examples(order[self.shots : last]))


def padded(phase: Phase, particles: int) -> Phase:
    """Add particles of zeros up to the given number."""
    return jax.tree.map(
        lambda x: np.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, particles - x.shape[-2]), (0, 0)]), phase
    )


def largest(config: Config) -> int:
    """The number of particles that all of the config's systems are padded to."""
    return max(get_physics(name).particles for name in (*config.systems, config.held_out))


def make_tasks(
    config: Config, names: tuple[str, ...], key: Key[Array, ""], num: int
) -> MotionTasks:
    """Simulate ``num`` systems of every named type and make tasks of them."""
    particles = largest(config)
    states, rates, real = [], [], []
    for name in names:
        system = get_physics(name)
        truth = simulate(system, key, num, config)
        state, rate = observed(truth, config.noise, derive(key, f"noise of {name}"))
        states.append(padded(state, particles))
        rates.append(padded(rate, particles))
        real.append(np.arange(particles) < system.particles)
    stack = lambda *leaves: jnp.asarray(np.stack(leaves))  # noqa: E731
    return MotionTasks(
        jax.tree.map(stack, *states), jax.tree.map(stack, *rates), stack(*real),
        config.shots, config.queries,
    )  # fmt: skip
