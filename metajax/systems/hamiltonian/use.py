"""How a trained learner of motion is used on a person's own trajectory: an energy, roll-outs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    MixedTasks,
    Network,
    cast_floats,
    enable_x64,
)
from metajax.physics import Phase, trajectory
from metajax.systems.axes import make_canvas
from metajax.systems.base import Use
from metajax.systems.configs import split
from metajax.systems.hamiltonian.linear_energy import LinearEnergy, make_linear_energy
from metajax.systems.hamiltonian.motion import in_plane, observe, read_motion
from metajax.systems.hamiltonian.network import architecture_of, make_energy
from metajax.systems.hamiltonian.problem import Problem
from metajax.systems.hamiltonian.residuals import checked, residual_mean
from metajax.systems.hamiltonian.settings import Settings
from metajax.systems.hamiltonian.tasks import MotionTasks, Snapshots
from metajax.using import Adapted, Told, adapt_learner, check_no_target


class Moving(NamedTuple):
    """What an adapted energy says of states.

    Attributes:
      energy: of each; NaN of a network that has none (structure ``direct``).
      q_rate: time derivatives of the coordinates.
      p_rate: time derivatives of the momenta.
    """

    energy: Float[np.ndarray, " states"]
    q_rate: Float[np.ndarray, "states particles 2"]
    p_rate: Float[np.ndarray, "states particles 2"]


class RollOut(NamedTuple):
    """A motion that was followed in time, float64.

    Attributes:
      times: as asked for.
      q: coordinates.
      p: momenta.
      energy: by the adapted energy.
      succeeded: whether the integrator's iterations converged and all states are finite.
    """

    times: Float[np.ndarray, " times"]
    q: Float[np.ndarray, "times particles 2"]
    p: Float[np.ndarray, "times particles 2"]
    energy: Float[np.ndarray, " times"]
    succeeded: bool


@dataclass(frozen=True)
class AdaptedMotion(Adapted):
    """A learner of motion that has adapted to a trajectory.

    ``predict((q, p))``, or ``predict((q, p, times))`` of a driven system, returns :class:`Moving`.

    Attributes:
      error: how large the standard errors of the estimated rates are, as a share of the rates; 0
        where the rates were given.
    """

    error: float

    def roll_out(self, q: Any, p: Any, times: Any, *, substeps: int = 1) -> RollOut:
        """Follow the motion from a state, by the implicit midpoint rule in float64.

        Args:
          q: coordinates at the first of the times: a number, ``[2]`` or ``[particles, 2]``.
          p: their momenta.
          times: ascending.
          substeps: steps of equal size between two times.

        Raises:
          ConfigError: the state is of another shape than the support's, or times do not ascend.
        """
        start = Phase(*(in_plane(name, np.asarray(x)[None])[0] for name, x in (("q", q), ("p", p))))
        times = np.asarray(times, np.float64)
        if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
            raise ConfigError("times", "not ascending", "two times or more, in ascending order")
        for name, leaf in start._asdict().items():
            if leaf.shape != self.query[0].shape:
                expected = f"the support's shape {list(self.query[0].shape)}"
                raise ConfigError(name, f"shape {list(leaf.shape)}", expected)
        with enable_x64(True):
            state = cast_floats(jax.tree.map(np.asarray, self.state), np.float64)
            found, energy, succeeded = jax.tree.map(
                np.asarray, _roll(self.function, substeps, state, start, times)
            )
        return RollOut(times, found.q, found.p, energy, bool(succeeded))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _roll(function: Any, substeps: int, state: Any, start: Phase, times: Array) -> Any:
    def derivative(at: Phase, parameters: Any, time: Any = 0.0, /) -> Phase:
        one = at.q[None], at.p[None], jnp.asarray(time, at.q.dtype)[None]
        return Phase(*(rate[0] for rate in function(parameters, one)[1:]))

    states, succeeded = trajectory(
        derivative, start, state, times, method="implicit_midpoint", substeps=substeps
    )
    energy = function(state, (states.q, states.p, times))[0]
    return states, energy, succeeded


class _How(NamedTuple):
    """How a run adapts to a motion: as in its evaluation.

    Attributes:
      learner: adapts.
      function: ``function((params, adapted), (q, p, times)) -> (energy, q_rate, p_rate)``.
    """

    learner: MetaLearner
    function: Callable[..., Any]


@functools.lru_cache(maxsize=16)
def _how(config: Any, parts: Any) -> _How:
    """Return how runs of a config adapt, by what their method says of it."""
    structure = config.structure
    energy_of: Callable[..., Any]
    if isinstance(parts, LinearEnergy):
        learner, energy = parts.learner(), make_linear_energy(parts.span)

        def solved_energy(params: Any, adapted: Any, points: Snapshots) -> Array:
            solved = params.features, adapted[:, 0]
            return jax.vmap(energy, (0, None))(points.state, solved)

        energy_of = solved_energy
    else:
        problem = at_rest(split(config).settings)
        network = problem.network()

        def by_rule(network: Network) -> MetaLearner:
            optimizer = problem.optimizer(config.eval_lr)
            return parts(network, residual_mean, optimizer, steps=config.eval_steps, unroll=1)

        learner = checked(by_rule(network))

        def energies(params: Any, points: Snapshots) -> Array:
            if structure == "direct":
                return jnp.full(points.time.shape, jnp.nan, points.state.q.dtype)
            of_one = make_energy(architecture_of(config))
            return jax.vmap(of_one, (0, None))(points.state, params)

        energy_of = by_rule(Network(network.init, energies)).predict

    def function(state: Any, queries: Any) -> Any:
        q, p, times = queries
        params, adapted = state
        points = Snapshots(Phase(q, p), times, jnp.ones(times.shape, bool))
        rates = learner.predict(params, adapted, points)
        return energy_of(params, adapted, points), rates.q, rates.p

    return _How(learner, function)


def adapt(run: Any, support: Any, key: Any, steps: int | None) -> AdaptedMotion:
    """Adapt to a motion, as the run's evaluation does.

    Raises:
      ConfigError: it is no motion.
    """
    seen = observe(support)
    how = _how(run.config, run.method.parts)

    def adapted_in(params: Any, dtype: Any) -> Any:
        state, rates, times = cast_floats((seen.state, seen.rates, seen.times), dtype)
        rest = jnp.asarray(times), jnp.ones(len(times), bool)
        arrays = jax.tree.map(jnp.asarray, (state, rates))
        points, targets = (Snapshots(phase, *rest) for phase in arrays)
        return adapt_learner(how.learner, params, Examples(points, targets), key, steps)

    if isinstance(run.method.parts, LinearEnergy):  # solved in float64, as in the evaluation
        with enable_x64(True):
            params = cast_floats(jax.tree.map(np.asarray, run.params), np.float64)
            adapted = jax.device_get(adapted_in(params, np.float64))
        adapted = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), adapted)
    else:
        adapted = adapted_in(run.params, np.float32)
    shape = seen.state.q.shape[1:]
    number = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    return AdaptedMotion(
        how.function,
        (run.params, adapted),
        (number(shape), number(shape), number(())),
        _encode,
        lambda outputs: Moving(*outputs),
        seen.error,
    )


def _encode(inputs: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return states, and the times that they are at: 0 where there are none.

    Raises:
      ConfigError: they are no states.
    """
    if not isinstance(inputs, tuple | list) or len(inputs) not in (2, 3):
        raise ConfigError("inputs", type(inputs).__name__, "(q, p) or (q, p, times)")
    q, p = in_plane("inputs.q", inputs[0]), in_plane("inputs.p", inputs[1])
    times = np.asarray(inputs[2] if len(inputs) == 3 else np.zeros(len(q)))
    if q.shape != p.shape or times.shape != q.shape[:1]:
        found = f"q {list(q.shape)}, p {list(p.shape)}, times {list(times.shape)}"
        raise ConfigError("inputs", found, "as many of each")
    return q.astype(np.float32), p.astype(np.float32), times.astype(np.float32)


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Adapt to the motion of a file and follow it from its first point."""
    check_no_target(target, "a motion")
    motion = read_motion(path)
    seen = observe(motion)
    adapted: AdaptedMotion = run.adapt(motion, steps=steps)
    state = seen.state
    found = adapted.roll_out(state.q[0], state.p[0], seen.times, substeps=4)
    along = adapted.predict((state.q, state.p, seen.times)).energy
    off = np.sqrt(sum(np.sum((a - b) ** 2, (1, 2)) for a, b in zip(found[1:3], state, strict=True)))
    size = np.sqrt(np.mean(sum(np.sum(part**2, (1, 2)) for part in state)))
    known = "given" if motion.q_rate is not None else f"estimated, error {adapted.error:.2g}"
    lines = [
        f"{len(seen.times)} points of {state.q.shape[1]} particles; rates {known}",
        f"roll-out: off by {np.sqrt(np.mean(off**2)) / size:.3g} of the motion's size",
        f"energy along your points: {along.mean():.4g}, deviation {along.std():.2g}",
    ]
    columns: dict[str, Any] = {"t": seen.times}
    for name, part in (("q", found.q), ("p", found.p)):
        flat = part.reshape(len(part), -1)
        columns |= {f"{name}{place + 1}": flat[:, place] for place in range(flat.shape[1])}
    columns["energy"] = found.energy
    return Told(lines, columns, functools.partial(draw, seen, found, along), lambda: adapted)


def draw(seen: Any, found: RollOut, along: Any) -> Any:
    """Draw the motion as observed and as followed, and the energy along both."""
    canvas = make_canvas(9, 3.8)
    left, right = canvas.subplots(1, 2)
    lone = not np.any(seen.state.q[..., 1])
    for label, q, p, look in (
        ("your points", seen.state.q, seen.state.p, {"ls": "", "marker": ".", "color": "black"}),
        ("followed", found.q, found.p, {"lw": 1.2, "color": "C0"}),
    ):
        for particle in range(q.shape[1]):
            y = p[:, particle, 0] if lone else q[:, particle, 1]
            left.plot(q[:, particle, 0], y, label=label if not particle else None, **look)
    left.set(xlabel="q" if lone else "first coordinate")
    left.set(ylabel="p" if lone else "second coordinate")
    left.legend(frameon=False)
    right.plot(seen.times, along - along[0], ".", color="black", label="along your points")
    right.plot(seen.times, found.energy - along[0], color="C0", label="along the roll-out")
    right.set(xlabel="time", ylabel="energy, from its first")
    right.legend(frameon=False)
    return canvas


def at_rest(settings: Settings) -> Problem:
    """Return the problem with particles at rest in place of motions: nothing is simulated."""
    still = jnp.zeros((1, 1, settings.points, 1, 2))
    times = jnp.linspace(0.0, settings.duration, settings.points)
    rest = Phase(still, still)
    tasks = MotionTasks(rest, rest, times, settings.shots, settings.queries)
    return Problem(settings, MixedTasks((tasks,), (1,)))


use = Use(adapt, files, at_rest)
"""A learner adapts to a motion."""
