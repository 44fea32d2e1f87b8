"""What a method is judged by: errors of motion on mechanics that it was not trained on."""

from __future__ import annotations

from typing import Any, cast

import jax
import numpy as np
from jaxtyping import Array, Key

from metajax.core import Params, mixed
from metajax.systems.base import Method
from metajax.systems.hamiltonian.evaluate_solved import evaluate_solved
from metajax.systems.hamiltonian.linear_energy import LinearEnergy
from metajax.systems.hamiltonian.polynomial_energy import choose_degree, fit_and_roll
from metajax.systems.hamiltonian.problem import Problem
from metajax.systems.hamiltonian.roll_out import (
    Instances,
    adapt_and_roll,
    new_instances,
    summarise,
)
from metajax.systems.hamiltonian.scored import (
    SHOTS,
    along_time,
    described_roll,
    errors,
    evaluation_of,
    shown,
    split_score,
)
from metajax.systems.hamiltonian.settings import Settings
from metajax.systems.scores import Evaluation, Interval, interval
from metajax.systems.setup import first_params

TITLES = {
    "adapted": "meta-trained",
    "first_drawn": "weights as first drawn",
    "polynomial": "polynomial energy, ridge regression",
}
ROLLED = (0, 10)
"""Gradient steps after which motion is followed, in addition to the last."""
DRAWS = 40
"""Draws of tasks, one for every trained type, that the loss is measured on along training."""


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Adapt to new systems of the held-out mechanics and follow them, compared with baselines."""
    of = problem.settings
    if isinstance(method.parts, LinearEnergy):
        return evaluate_solved(problem, method, params, config)
    instances = new_instances(of, of.held_out, of.eval_tasks)
    drawn = first_params(method, problem.tasks, config)
    optimizer = f"{of.eval_optimizer} at {of.eval_lr:g}"
    found = {
        "adapted": _rolled(of, method, params, instances),
        "first_drawn": _rolled(of, method, drawn, instances),
        "polynomial": _fitted(of, instances, choose_degree(of, problem.tasks)),
    }
    return evaluation_of(
        of,
        instances,
        found,
        TITLES,
        points=_followed(of),
        how=optimizer,
        optimizer=optimizer,
        by_shots=_by_shots(of, method, params, instances),
    )


def on_trained_mechanics(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training: its loss after adapting to tasks of the trained mechanics."""
    learner = mixed(cast("Any", method.learner))

    def one(key):
        task_key, adapt_key = jax.random.split(key)
        return learner.loss(params, problem.tasks(task_key), adapt_key)[1]["query_loss"]

    return interval(jax.lax.map(one, jax.random.split(key, DRAWS), batch_size=10)).last()


def _followed(of: Settings) -> tuple[int, ...]:
    """The numbers of gradient steps after which motion is followed."""
    return (*(num for num in ROLLED if num < of.eval_steps), of.eval_steps)


def _rolled(
    of: Settings, method: Method, params: Params, instances: Instances
) -> tuple[Interval, dict[str, Any]]:
    """The score of a start of adapting, and its further figures for a report, as JSON values."""
    found = adapt_and_roll(of, method, params, instances, _followed(of), of.shots)
    score, more = split_score(errors(found.coordinates, found.energy, instances))
    return score, more | {
        "loss_by_step": np.mean(found.loss, 0).tolist(),
        "one_minus_cka_by_step": (1 - np.mean(found.cka, 0)).tolist(),
        **along_time(found.coordinates[:, -1], found.energy[:, -1]),
        "motion": shown(jax.tree.map(lambda leaf: leaf[:, -1], found.states)),
    }


def _fitted(of: Settings, instances: Instances, degree: int) -> tuple[Interval, dict[str, Any]]:
    """The same of the polynomial, which takes no steps."""
    score, more = described_roll(fit_and_roll(instances, of.held_out, degree, of.shots), instances)
    return score, more | {"degree": degree}


def _by_shots(
    of: Settings, method: Method, params: Params, instances: Instances
) -> dict[int, dict[str, Any]]:
    """Errors of coordinates after the last step from fewer points."""
    found = {}
    for shots in (*(num for num in SHOTS if num < of.shots), of.shots):
        fewer = adapt_and_roll(of, method, params, instances, (of.eval_steps,), shots)
        found[shots] = summarise(fewer.coordinates[:, -1])._asdict()
    return found
