"""Hamiltonian meta-learners wired to the shared loop and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from metajax.core import Evaluator, MixedTasks, apart_from_surroundings, derive, enable_x64, mixed
from metajax.physics import get_physics
from metajax.systems.base import Objective, Run, System
from metajax.systems.hamiltonian.config import PRESETS, Config
from metajax.systems.hamiltonian.evaluate import (
    SHORT,
    Instances,
    adapt_and_roll,
    fit_and_roll,
    new_instances,
    residual_of_fit,
    summarise,
)
from metajax.systems.hamiltonian.learner import make_algorithm, make_learner
from metajax.systems.hamiltonian.polynomial_energy import MOST_TERMS, num_terms
from metajax.systems.hamiltonian.report import figures, table
from metajax.systems.hamiltonian.tasks import MotionTasks, make_tasks, prepare

DEGREES = (2, 3, 4, 6)
"""Degrees of the polynomial energy that are tried on systems of the trained types."""
SHOTS = (5, 10, 25)
"""Sizes of smaller supports that are evaluated."""
ROLLED = (0, 10)
"""Gradient steps after which motion is followed, besides the last."""
DRAWS = 40
"""Draws of tasks, one for every trained type, that the loss is measured on along training."""
SHOWN = 4
"""New systems whose motion is kept for the figures."""


def choose_degree(config: Config, tasks: MixedTasks) -> int:
    """Return the degree with the least error on trained types of no more particles."""
    particles = get_physics(config.held_out).particles
    possible = [d for d in DEGREES if num_terms(4 * particles, d) <= MOST_TERMS]
    with enable_x64(True):
        few = [
            jax.tree.map(
                lambda leaf, k=k: np.asarray(leaf[k, :20], np.float64), (part.state, part.rate)
            )
            for part in cast("tuple[MotionTasks, ...]", tasks.parts)
            for k in range(part.state.q.shape[0] if part.state.q.shape[3] <= particles else 0)
        ]
        errors = {
            degree: sum(
                float(np.log(residual_of_fit(*motion, degree, config.shots)).mean())
                for motion in few
            )
            for degree in possible
        }
    return min(possible, key=lambda degree: errors[degree])


def build(config: Config, data_dir: Path | None = None) -> Run:
    """Make a config into what the shared loop runs; simulates the systems that it trains on.

    Raises:
      MetajaxError: a trajectory could not be integrated to the accuracy of a ground truth.
    """
    key = jax.random.key(config.seed)
    tasks = make_tasks(
        config, config.train_systems, derive(key, "systems"), config.trajectories, data_dir
    )
    learner = mixed(make_learner(config))

    def measure(params, key) -> dict[str, Any]:
        """The loss on tasks of the trained types, after the inner steps of training."""

        def one(key):
            task_key, adapt_key = jax.random.split(key)
            return learner.loss(params, tasks(task_key), adapt_key)[1]["query_loss"]

        losses = np.asarray(jax.lax.map(one, jax.random.split(key, DRAWS), batch_size=10))
        return {"last": losses.mean(), "last_ci95": 1.96 * losses.std(ddof=1) / np.sqrt(DRAWS)}

    def evaluate(params, progress: bool = True) -> dict[str, Any]:
        instances = new_instances(config, config.held_out, config.eval_instances)
        first_drawn = jax.jit(lambda tasks, key: learner.init(key, tasks(key)))(tasks, key)
        return {
            "learner": config.learner,
            "structure": config.structure,
            "held_out": config.held_out,
            "optimizer": f"{config.eval_optimizer} at {config.eval_lr:g}",
            "shots": config.shots,
            "times": instances.times.tolist(),
            "true": shown(instances.true[0]),
            "adapted": rolled(config, params, instances),
            "first_drawn": rolled(config, first_drawn, instances),
            "polynomial": fitted(config, instances, choose_degree(config, tasks)),
            "by_shots": by_shots(config, params, instances),
        }

    return Run(
        algorithm=make_algorithm(config),
        tasks=tasks,
        tasks_per_step=config.tasks_per_step // len(config.train_systems),
        steps=config.steps,
        example_tasks=tasks,
        evaluators=(Evaluator("new_tasks", config.eval_every, measure),),
        evaluate=apart_from_surroundings(evaluate),
    )


def shown(states: Any) -> dict[str, Any]:
    """The motions that figures show: a few systems' ``q`` and ``p``, rounded for JSON."""
    return {
        name: np.round(np.asarray(leaf[:SHOWN], float), 5).tolist()
        for name, leaf in states._asdict().items()
    }


def rolled(config: Config, params: Any, instances: Instances) -> dict[str, Any]:
    """Everything that a report says of one start of adapting."""
    steps = (*(num for num in ROLLED if num < config.eval_steps), config.eval_steps)
    found = adapt_and_roll(config, params, instances, steps, config.shots)
    return {
        "steps": list(steps),
        **errors(found.coordinates, found.energy, instances),
        "loss_by_step": np.mean(found.loss, 0).tolist(),
        "one_minus_cka_by_step": (1 - np.mean(found.cka, 0)).tolist(),
        **along_time(found.coordinates[:, -1], found.energy[:, -1]),
        "motion": shown(jax.tree.map(lambda leaf: leaf[:, -1], found.states)),
    }


def errors(coordinates: Any, energy: Any, instances: Instances) -> dict[str, Any]:
    """Relative errors over all time, those of coordinates at a short horizon too."""
    early = np.asarray(coordinates)[..., instances.times <= SHORT]
    return {
        "coordinates": summarise(coordinates),
        "coordinates_early": summarise(early),
        "energy": summarise(energy),
    }


def by_shots(config: Config, params: Any, instances: Instances) -> dict[int, Any]:
    """Errors of coordinates after the last step from fewer points."""
    found = {}
    for shots in (*(num for num in SHOTS if num < config.shots), config.shots):
        fewer = adapt_and_roll(config, params, instances, (config.eval_steps,), shots)
        found[shots] = summarise(fewer.coordinates[:, -1])
    return found


def along_time(coordinates: Any, energy: Any) -> dict[str, Any]:
    """Geometric means over systems, by time."""

    def mean(errors):
        return np.exp(np.log(np.asarray(errors)).mean(0)).tolist()

    return {"coordinates_by_time": mean(coordinates), "energy_by_time": mean(energy)}


def fitted(config: Config, instances: Instances, degree: int) -> dict[str, Any]:
    """The same of the polynomial, which takes no steps."""
    coordinates, energy, states = fit_and_roll(instances, config.held_out, degree, config.shots)
    return {
        "degree": degree,
        **errors(coordinates, energy, instances),
        **along_time(coordinates, energy),
        "motion": shown(states),
    }


SYSTEM = System(
    name="hamiltonian",
    summary="Hamiltonian graph networks that adapt to a type of physical system never trained on",
    config=Config,
    presets=PRESETS,
    build=build,
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "adapted.coordinates.mean[-1]", greatest=False, logged="new_tasks/last"
    ),
    algorithm=make_algorithm,
    traced=("learning_rate", "inner_lr", "clip_norm"),
    evaluation=("eval_every", "eval_instances", "eval_steps", "eval_optimizer", "eval_lr"),
    prepare=prepare,
)
"""What the command line and a sweep know of this system."""
