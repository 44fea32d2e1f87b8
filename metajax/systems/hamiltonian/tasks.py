"""Tasks: a few points of the trajectory of one system, with their time derivatives."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key
from tqdm.auto import tqdm

from metajax.core import (
    ConfigError,
    Examples,
    MetajaxError,
    MixedTasks,
    Task,
    derive,
    float64_on_cpu,
    register_dataclass,
)
from metajax.data import MissingDataError, load_arrays, set_path, write_arrays
from metajax.physics import Mechanics, Phase, energy_drift, get_mechanics, trajectory
from metajax.systems.hamiltonian.settings import SIX, Settings

PREPARED_KEY = 2022
"""Seed of the trajectories that :func:`prepare` writes."""
STORED = ("q", "p", "q_rate", "p_rate")
"""Names of a prepared trajectory's states and rates."""
BATCH = 100
"""Motions that are integrated side by side."""
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
    """True motions of systems of one type, on the host; float64 where simulated, else float32.

    Attributes:
      parameters: of every system, on a leading axis; None where they were not kept.
      states: along time.
      rates: their true time derivatives.
      times: the same for all, seconds.
    """

    parameters: Any
    states: Float[Phase, "systems times particles 2"]
    rates: Float[Phase, "systems times particles 2"]
    times: Float[np.ndarray, " times"]


def simulate(
    mechanics: Mechanics, key: Key[Array, ""], num: int, settings: Settings
) -> Trajectories:
    """Draw ``num`` systems of a type and integrate each from a start of its own.

    In float64 by an adaptive integrator of order 8, on the CPU: not every accelerator has float64.
    Whatever ``num``, a type is compiled once: always ``BATCH`` motions side by side.

    Args:
      mechanics: of the type.
      key: of the draws.
      num: systems.
      settings: with the number of points and the duration.

    Returns:
      Parameters, states and rates along time.

    Raises:
      MetajaxError: the integrator failed, or the energy of a conservative system drifts by more
        than ``DRIFT_LIMIT``.
    """
    with float64_on_cpu():
        times = np.linspace(0.0, settings.duration, settings.points)
        keys = jax.random.split(derive(key, mechanics.name), num)
        keys = keys[np.arange(-(-num // BATCH) * BATCH) % num]
        batches = [
            jax.tree.map(np.asarray, _integrate(mechanics, keys[first : first + BATCH], times))
            for first in range(0, len(keys), BATCH)
        ]
    found = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *batches)
    parameters, states, rates, drift, succeeded = found
    conserved = mechanics.dissipation is None and mechanics.force is None
    if not succeeded.all() or (conserved and not drift.max() < DRIFT_LIMIT):
        raise MetajaxError(
            f"{mechanics.name}: {(~succeeded).sum()} of {num} trajectories failed, and the largest "
            f"relative drift of energy is {drift.max():.1e} (limit {DRIFT_LIMIT:.0e})"
        )
    return Trajectories(parameters, states, rates, times)


@functools.partial(jax.jit, static_argnums=0)
def _integrate(mechanics: Mechanics, keys: Key[Array, " systems"], times: Array) -> tuple:
    """Parameters, states, rates, drift of energy and success of a system from every key."""

    def one(key: Key[Array, ""]) -> tuple:
        parameters, start = mechanics.draw(key)
        states, succeeded = trajectory(mechanics, start, parameters, times)
        rates = jax.vmap(mechanics.derivative, (0, None, 0))(states, parameters, times)
        drift = energy_drift(mechanics.hamiltonian, states, parameters)
        return parameters, states, rates, drift, succeeded

    return jax.vmap(one)(keys)


def prepare(data_dir: Path | None = None, num: int = 10_000) -> list[Path]:
    """Simulate ``num`` trajectories of each type of the paper and write them as sets to disk.

    One array_record TFDS set a type, ``hamiltonian_TYPE``, of float32 states and rates at 200
    points of 10 s; for runs with ``prepared``. Sets that are there already are left.

    Args:
      data_dir: folder of the data sets.
      num: trajectories of a type.

    Returns:
      The folders of the sets.
    """
    settings, key = Settings(), jax.random.key(PREPARED_KEY)
    folders = []
    for name in SIX:
        existing = set_path(set_name(name), data_dir)
        if existing is not None:
            print(f"{set_name(name)} is prepared already, in {existing}: left as it is.")
        folders.append(existing or _prepare(name, num, settings, key, data_dir))
    return folders


def _prepare(name: str, num: int, settings: Settings, key: Any, data_dir: Path | None) -> Path:
    mechanics = get_mechanics(name)

    def rows() -> Iterator[dict[str, np.ndarray]]:
        with tqdm(total=num, desc=name, unit="trajectory") as bar:
            for chunk in range(0, num, 1000):
                size = min(1000, num - chunk)
                truth = simulate(mechanics, jax.random.fold_in(key, chunk), size, settings)
                single = [np.asarray(x, np.float32) for x in (*truth.states, *truth.rates)]
                times = np.asarray(truth.times, np.float32)
                for row in zip(*single, strict=True):
                    yield {**dict(zip(STORED, row, strict=True)), "times": times}
                bar.update(size)

    origin = f"true motions of {name}, each of a system and a start of its own"
    return write_arrays(set_name(name), rows(), origin, data_dir)


def set_name(name: str) -> str:
    """What the prepared trajectories of a type are called on disk."""
    return f"hamiltonian_{name}"


def read_prepared(
    name: str, num: int, settings: Settings, data_dir: Path | None = None
) -> Trajectories:
    """Read trajectories that :func:`prepare` wrote.

    Raises:
      MissingDataError: they are not on disk; the message says how to get them.
      ConfigError: ``points`` or ``duration`` is not what is on disk, or there are fewer.
    """
    try:
        found = load_arrays(set_name(name), num, data_dir)
    except MissingDataError:
        raise MissingDataError(
            f"true motions of {name} are not on disk. Simulate those of the paper's six types by\n"
            "  metajax data prepare hamiltonian\nor leave out --prepared"
        ) from None
    times = found["times"][0]
    if settings.points != times.size or abs(settings.duration - times[-1]) > 1e-3:
        raise ConfigError(
            "points",
            (settings.points, settings.duration),
            f"points = {times.size} and duration = {times[-1]:g} as prepared, or prepared off",
        )
    q, p, q_rate, p_rate = (cast("Any", found[key]) for key in STORED)
    return Trajectories(None, Phase(q, p), Phase(q_rate, p_rate), times)


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

        def smoothed(x, order):
            return savgol_filter(x, 7, 3, deriv=order, delta=spacing, axis=1)

        rates = jax.tree.map(lambda x: smoothed(x, 1), states)
        states = jax.tree.map(lambda x: smoothed(x, 0), states)
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


def make_tasks(
    settings: Settings,
    names: tuple[str, ...],
    key: Key[Array, ""],
    num: int,
    data_dir: Path | None = None,
) -> MixedTasks:
    """Simulate ``num`` systems of every named type, or read prepared ones, and make tasks of them.

    A draw has as many tasks as there are types; which types those of the same number of particles
    are is random.

    Args:
      settings: of the problem.
      names: of the types.
      key: of the systems.
      num: of a type.
      data_dir: folder of the data sets.

    Returns:
      The task distribution.

    Raises:
      MissingDataError: prepared motions are not on disk.
    """
    by_particles: dict[int, list[Any]] = {}
    for name in tqdm(names, "trajectories", leave=False, unit="type"):
        mechanics = get_mechanics(name)
        if settings.prepared:
            truth = read_prepared(name, num, settings, data_dir)
        else:
            truth = simulate(mechanics, key, num, settings)
        seen = observed(truth, settings.noise, derive(key, f"noise of {name}"))
        by_particles.setdefault(mechanics.particles, []).append(seen)
    times = jnp.linspace(0.0, settings.duration, settings.points)
    parts = tuple(
        MotionTasks(state, rate, times, settings.shots, settings.queries)
        for _, alike in sorted(by_particles.items())
        for state, rate in [jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *alike)]
    )
    return MixedTasks(parts, tuple(part.state.q.shape[0] for part in parts))
