"""Adapting to systems of mechanics never trained on, and following them in time."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    all_finite,
    derive,
    follow_of,
)
from metajax.physics import (
    Hamiltonian,
    Phase,
    energy,
    get_mechanics,
    trajectory,
)
from metajax.systems.base import Method
from metajax.systems.hamiltonian.network import (
    Architecture,
    architecture_of,
    last_layer,
    make_derivative,
    make_motion,
)
from metajax.systems.hamiltonian.problem import OPTIMIZERS
from metajax.systems.hamiltonian.residuals import checked, residual_mean
from metajax.systems.hamiltonian.rules import Rule
from metajax.systems.hamiltonian.settings import Settings
from metajax.systems.hamiltonian.tasks import Snapshots, observed, simulate
from metajax.systems.scores import Interval, interval

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


def new_instances(settings: Settings, name: str, num: int) -> Instances:
    """Simulate ``num`` new systems of a type; the same ones for all settings of the same motion.

    Args:
      settings: of the problem.
      name: of the type.
      num: systems.

    Returns:
      Their parameters and motions.
    """
    key = jax.random.key(EVAL_KEY)
    truth = simulate(get_mechanics(name), key, num, settings)

    def single(tree):
        return jax.tree.map(lambda leaf: leaf.astype(np.float32), tree)

    rng = np.random.default_rng(EVAL_KEY)
    return Instances(
        parameters=single(truth.parameters),
        true=single((truth.states, truth.rates)),
        seen=observed(truth, settings.noise, derive(key, "noise")),
        order=np.stack([rng.permutation(settings.points) for _ in range(num)]),
        times=single(truth.times),
    )


def relative_errors(
    hamiltonian: Hamiltonian, parameters: Any, found: Phase, true: Phase
) -> tuple[Float[Array, " times"], Float[Array, " times"]]:
    """Relative errors of a roll-out's coordinates, and of its energy, along time.

    Coordinates: the norm of the difference of (q, p) over that of the truth, of all particles.
    Energy: the true energy function along the roll-out, against what it truly is at that time,
    relative to the energy at the start.

    Args:
      hamiltonian: the true energy.
      parameters: of it.
      found: the roll-out ``[times, particles, dim]``.
      true: the true motion at the same times.

    Returns:
      Errors of coordinates and of energy at each time.
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
    """Linear centered kernel alignment of two representations (Kornblith et al. 2019, eq. 5).

    Args:
      x: one representation.
      y: another, of the same points.

    Returns:
      A scalar from 0 to 1.
    """
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


class _HowAdapted(NamedTuple):
    """All that the program of adapting depends on, other than shapes."""

    held_out: str
    architecture: Architecture
    rule: Rule
    optimizer: str
    shots: int
    num_steps: int
    rolled_after: tuple[int, ...]


def adapt_and_roll(
    settings: Settings,
    method: Method,
    params: Params,
    instances: Instances,
    steps: tuple[int, ...],
    shots: int,
) -> Adapted:
    """Adapt to ``shots`` points of every instance; follow it in time after each of the ``steps``.

    Roll-outs start where the truth does and are integrated by the implicit midpoint rule. Another
    number of shots up to that of the settings compiles nothing again, nor does another ``eval_lr``,
    seed, or setting of training.

    Args:
      settings: of the problem, or all of a run.
      method: of the same problem.
      params: what was trained.
      instances: of the held-out mechanics.
      steps: numbers of gradient steps up to ``eval_steps``.
      shots: points of each instance.

    Returns:
      Losses by step, and roll-outs with their errors.

    Raises:
      ConfigError: ``shots`` below 1 or above those of the settings.
    """
    if not 1 <= shots <= settings.shots:
        raise ConfigError("shots", shots, f"1 to {settings.shots}")
    how = _HowAdapted(
        settings.held_out,
        architecture_of(settings),
        method.parts,
        settings.eval_optimizer,
        settings.shots,
        settings.eval_steps,
        steps,
    )
    return _adapt_and_roll(how, params, instances, shots, np.float32(settings.eval_lr))


@functools.partial(jax.jit, static_argnums=0)
def _adapt_and_roll(
    how: _HowAdapted, params: Params, instances: Any, shots: Any, rate: Any
) -> Adapted:
    mechanics, times = get_mechanics(how.held_out), instances.times
    network, derivative = make_motion(how.architecture), make_derivative(how.architecture)
    optimizer = OPTIMIZERS[how.optimizer](rate)

    def learner_of(network: Network) -> MetaLearner:
        return how.rule(network, residual_mean, optimizer, steps=how.num_steps, unroll=1)

    learner = checked(learner_of(network))
    follow = follow_of(learner)
    # its predictions are all weights of the network, however many of them are adapted
    revealing = learner_of(Network(network.init, _weights))
    all_of_them = jnp.ones(times.size, bool)

    def one(item: Any) -> Adapted:
        key, parameters, true, seen, order = item
        first = order[: how.shots]
        rest = times[first], jnp.arange(how.shots) < shots
        state, rate = jax.tree.map(lambda leaf: leaf[first], seen)
        support = Examples(Snapshots(state, *rest), Snapshots(rate, *rest))
        inputs, targets = (Snapshots(phase, times, all_of_them) for phase in true)

        def note(adapted: Any) -> Any:
            outputs = learner.predict(params, adapted, inputs)
            return residual_mean(outputs, targets), revealing.predict(params, adapted, inputs)

        _, (loss, every) = follow(params, support, key, how.num_steps, note)
        layers = jax.lax.map(lambda now: last_layer(how.architecture, now, inputs), every)
        alike = jax.vmap(cka, (None, 0))(layers[0], layers)

        def roll(now: Params) -> Phase:
            start = jax.tree.map(lambda leaf: leaf[0], inputs.state)
            return trajectory(derivative, start, now, times, method="implicit_midpoint").states

        chosen = jax.tree.map(lambda leaf: leaf[np.array(how.rolled_after)], every)
        rolled = jax.lax.map(roll, chosen)
        against = functools.partial(relative_errors, mechanics.hamiltonian, parameters)
        errors = jax.vmap(against, (0, None))(rolled, inputs.state)
        known = all_finite(params)
        coordinates, energies = (jnp.where(known, each, jnp.nan) for each in errors)
        return Adapted(loss, alike, coordinates, energies, rolled)

    num = instances.order.shape[0]
    keys = jax.random.split(jax.random.key(EVAL_KEY), num)
    items = (keys, instances.parameters, instances.true, instances.seen, instances.order)
    return jax.lax.map(one, items, batch_size=min(num, 20))


def _weights(params: Params, inputs: Any) -> Params:
    return params


def summarise(errors: Float[Array, "systems *points times"] | np.ndarray) -> Interval:
    """Return geometric means over time and systems, with 95% intervals over systems.

    Args:
      errors: above 0.
    """
    logs = interval(np.log(np.asarray(errors, float)).mean(-1))
    mean, low, high = (np.exp(ends).tolist() for ends in (logs.mean, logs.low, logs.high))
    return Interval(mean, low, high, logs.n)
