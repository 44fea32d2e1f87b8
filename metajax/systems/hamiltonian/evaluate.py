"""What a learner of motion is judged by: roll-outs on systems of a type never trained on."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import (
    ConfigError,
    Examples,
    Params,
    all_finite,
    derive,
    enable_x64,
    follow_of,
)
from metajax.physics import (
    Hamiltonian,
    Phase,
    energy,
    get_physics,
    symplectic_gradient,
    trajectory,
)
from metajax.systems.hamiltonian.config import Config
from metajax.systems.hamiltonian.learner import make_learner, residual_mean, weights
from metajax.systems.hamiltonian.network import last_layer, make_derivative
from metajax.systems.hamiltonian.polynomial_energy import fit_polynomial, polynomial
from metajax.systems.hamiltonian.tasks import Snapshots, observed, simulate

FLOOR, CEILING = 1e-4, 10.0
"""Relative errors are averaged as logarithms: none counts less than the one or more than the
other, which also stands for a roll-out that is not finite. Of parameters that are not finite no
error is finite."""
SHORT = 2.0
"""Seconds of a short horizon, which a chaotic motion can be followed for."""
EVAL_KEY = 2212_01168
"""Seed of the systems that are evaluated on: the same for every run."""


class Instances(NamedTuple):
    """New systems of one type, float32 and not padded.

    Attributes:
      parameters: of the systems.
      true: states and rates.
      seen: the same, with noise where there is any.
      order: the order in which a trajectory's points enter the support.
      times: in seconds.
    """

    parameters: Any
    true: tuple[Phase, Phase]
    seen: tuple[Phase, Phase]
    order: np.ndarray
    times: np.ndarray


def new_instances(config: Config, name: str, num: int) -> Instances:
    """Simulate ``num`` new systems of a type; the same ones for every config of the same motion."""
    key = jax.random.key(EVAL_KEY)
    truth = simulate(get_physics(name), key, num, config)

    def single(tree):
        return jax.tree.map(lambda leaf: leaf.astype(np.float32), tree)

    rng = np.random.default_rng(EVAL_KEY)
    return Instances(
        parameters=single(truth.parameters),
        true=single((truth.states, truth.rates)),
        seen=observed(truth, config.noise, derive(key, "noise")),
        order=np.stack([rng.permutation(config.points) for _ in range(num)]),
        times=single(truth.times),
    )


def relative_errors(
    hamiltonian: Hamiltonian, parameters: Any, found: Phase, true: Phase
) -> tuple[Float[Array, " times"], Float[Array, " times"]]:
    """Relative errors of a roll-out's coordinates, and of its energy, along time.

    Coordinates: the norm of the difference of (q, p) over that of the truth, of all particles.
    Energy: the true energy function along the roll-out, against what it truly is at that time,
    relative to the energy at the start.
    """
    difference = jax.tree.map(lambda a, b: a - b, found, true)

    def norm(phase):
        return jnp.sqrt(sum(jnp.sum(leaf**2, (-2, -1)) for leaf in phase))

    coordinates = norm(difference) / norm(true)
    energies, wanted = (energy(hamiltonian, states, parameters) for states in (found, true))

    def bounded(x):
        return jnp.clip(jnp.nan_to_num(x, nan=CEILING, posinf=CEILING), FLOOR, CEILING)

    return bounded(coordinates), bounded(jnp.abs(energies - wanted) / jnp.abs(wanted[0]))


def cka(x: Float[Array, "points features"], y: Float[Array, "points features"]) -> Array:
    """Linear centred kernel alignment of two representations (Kornblith et al. 2019, eq. 5)."""
    x, y = x - jnp.mean(x, 0)[None], y - jnp.mean(y, 0)[None]

    def norm(a, b):
        return jnp.sum((a.T @ b) ** 2)

    return norm(x, y) / jnp.sqrt(norm(x, x) * norm(y, y))


class Adapted(NamedTuple):
    """What became of a learner on new systems, float32.

    Attributes:
      loss: mean log-cosh of the residuals over the whole trajectory, by gradient step.
      cka: likeness of the last hidden layer to the one before adapting, by gradient step.
      coordinates: relative errors of the roll-outs after some numbers of steps.
      energy: the same of their energy.
      states: the roll-outs.
    """

    loss: Float[Array, "systems steps_and_1"]
    cka: Float[Array, "systems steps_and_1"]
    coordinates: Float[Array, "systems chosen times"]
    energy: Float[Array, "systems chosen times"]
    states: Float[Phase, "systems chosen times particles 2"]


def adapt_and_roll(
    config: Config, params: Params, instances: Instances, steps: tuple[int, ...], shots: int
) -> Adapted:
    """Adapt to ``shots`` points of every instance; follow it in time after each of the ``steps``.

    Roll-outs start where the truth does and are integrated by the implicit midpoint rule. Another
    number of shots up to the config's compiles nothing anew, nor does another ``eval_lr``, seed, or
    setting of training.
    """
    if not 1 <= shots <= config.shots:
        raise ConfigError("shots", shots, f"1 to {config.shots}")
    rate = np.float32(config.eval_lr)
    return _adapt_and_roll(_as_evaluated(config), steps, params, instances, shots, rate)


def _as_evaluated(config: Config) -> Config:
    """Set all to one value that does not change how new systems are adapted to and followed."""
    same: dict[str, Any] = {
        "seed": 0,
        "steps": 1,
        "learning_rate": 1.0,
        "clip_norm": None,
        "inner_steps": 1,
        "trajectories": 1,
        "prepared": False,
        "eval_every": 1,
        "eval_lr": 1.0,
    }
    if config.learner in ("maml", "first_order_maml", "joint"):
        same |= {"learner": "maml", "inner_lr": 1.0, "reduction": "mean"}
    return dataclasses.replace(config, **same)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _adapt_and_roll(
    config: Config, steps: tuple[int, ...], params: Params, instances: Any, shots: Any, rate: Any
) -> Adapted:
    system, learner = get_physics(config.held_out), make_learner(config, rate)
    follow = follow_of(learner)
    times = instances.times
    derivative = make_derivative(config)
    all_of_them = jnp.ones(times.size, bool)

    def one(item: Any) -> Adapted:
        key, parameters, true, seen, order = item
        first = order[: config.shots]
        beside = times[first], jnp.arange(config.shots) < shots
        state, rate = jax.tree.map(lambda leaf: leaf[first], seen)
        support = Examples(Snapshots(state, *beside), Snapshots(rate, *beside))
        inputs, targets = (Snapshots(phase, times, all_of_them) for phase in true)

        def note(adapted: Any) -> Any:
            outputs = learner.predict(params, adapted, inputs)
            return residual_mean(outputs, targets), weights(config, params, adapted)

        _, (loss, every) = follow(params, support, key, config.eval_steps, note)
        layers = jax.lax.map(lambda now: last_layer(config, now, inputs), every)
        alike = jax.vmap(cka, (None, 0))(layers[0], layers)

        def roll(now: Params) -> Phase:
            start = jax.tree.map(lambda leaf: leaf[0], inputs.state)
            return trajectory(derivative, start, now, times, method="implicit_midpoint").states

        rolled = jax.lax.map(roll, jax.tree.map(lambda leaf: leaf[np.array(steps)], every))
        against = functools.partial(relative_errors, system.hamiltonian, parameters)
        errors = jax.vmap(against, (0, None))(rolled, inputs.state)
        known = all_finite(params)
        coordinates, energies = (jnp.where(known, each, jnp.nan) for each in errors)
        return Adapted(loss, alike, coordinates, energies, rolled)

    num = instances.order.shape[0]
    keys = jax.random.split(jax.random.key(EVAL_KEY), num)
    items = (keys, instances.parameters, instances.true, instances.seen, instances.order)
    return jax.lax.map(one, items, batch_size=min(num, 20))


def fit_and_roll(
    instances: Instances, name: str, degree: int, shots: int
) -> tuple[np.ndarray, np.ndarray, Phase]:
    """Fit the polynomial energy to every instance's support and follow it in time.

    Returns the relative errors of coordinates and energy ``[systems, times]``, and the states.
    """
    system = get_physics(name)
    hamiltonian = polynomial(system.particles, system.dim, degree)

    def one(item: Any) -> Any:
        parameters, (true, _), seen, order = item
        states, rates = jax.tree.map(lambda leaf: leaf[order[:shots]], seen)
        coefficients = fit_polynomial(states, rates, degree)
        start = jax.tree.map(lambda leaf: leaf[0], true)
        rolled = trajectory(
            symplectic_gradient(hamiltonian),
            start,
            coefficients,
            jnp.asarray(instances.times, jnp.float64),
            method="implicit_midpoint",
        ).states
        return *relative_errors(system.hamiltonian, parameters, rolled, true), rolled

    with enable_x64(True):
        items = (instances.parameters, instances.true, instances.seen, instances.order)
        items = jax.tree.map(
            lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, items
        )
        together = jax.jit(lambda items: jax.lax.map(one, items, batch_size=20))
        return jax.tree.map(np.asarray, together(items))


@functools.partial(jax.jit, static_argnums=(2, 3))
def residual_of_fit(
    states: Float[Phase, "systems times particles 2"],
    rates: Float[Phase, "systems times particles 2"],
    degree: int,
    shots: int,
) -> Float[Array, " systems"]:
    """How far the polynomial's motion is off, fitted to every few points, relative to the rates.

    In squares over the whole trajectory; what its degree is chosen by.
    """
    motion = symplectic_gradient(polynomial(states.q.shape[2], states.q.shape[3], degree))
    chosen = np.linspace(0, states.q.shape[1] - 1, shots).astype(int)

    def one(item: tuple[Phase, Phase]) -> Array:
        states, rates = item
        support = jax.tree.map(lambda leaf: leaf[chosen], item)
        found = jax.vmap(motion, (0, None))(states, fit_polynomial(support[0], support[1], degree))
        off = jax.tree.map(lambda f, r: jnp.sum((f - r) ** 2), found, rates)
        return (off.q + off.p) / sum(jnp.sum(leaf**2) for leaf in rates)

    return jax.lax.map(one, (states, rates))


def summarise(errors: Float[Array, "systems ... times"] | np.ndarray) -> dict[str, Any]:
    """Geometric means over time and systems, with 95% intervals over systems."""
    logs = np.log(np.asarray(errors, float)).mean(-1)
    mean, half = logs.mean(0), 1.96 * logs.std(0, ddof=1) / np.sqrt(logs.shape[0])
    return {
        "mean": np.exp(mean).tolist(),
        "low": np.exp(mean - half).tolist(),
        "high": np.exp(mean + half).tolist(),
        "n": logs.shape[0],
    }
