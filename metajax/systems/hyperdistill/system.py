"""HyperDistill's test-beds wired to the shared loop and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from metajax.core import Evaluator, apart_from_surroundings
from metajax.systems.base import Objective, Run, System
from metajax.systems.hyperdistill.config import PRESETS, Config
from metajax.systems.hyperdistill.evaluate import (
    scores_by_step,
    steps_between_scores,
    summarise,
)
from metajax.systems.hyperdistill.learner import make_algorithm, make_bed
from metajax.systems.hyperdistill.report import figures, table
from metajax.systems.hyperdistill.tasks import make_tasks

EVAL_KEY = 2110_02508
"""Seed of the tasks that are evaluated on: the same for every run."""


def build(config: Config, data_dir: Path | None = None) -> Run:
    """Make a config into what the shared loop runs.

    Raises:
      MissingDataError: the base set of an image bed is not on disk.
      ConfigError: the config does not fit the base set.
    """
    tasks = make_tasks(config, data_dir)
    bed = make_bed(config)  # one object: compiled functions know it by identity
    every = steps_between_scores(config)
    images = config.bed != "sinusoid"

    def score(params, tasks, num) -> dict[str, Any]:
        key = jax.random.key(EVAL_KEY)
        return summarise(
            scores_by_step(bed, params, tasks, key, num, config.inner_steps, every), every
        )

    def measure(params, key) -> dict[str, Any]:
        # along the way fewer tasks of validation classes do
        summary = score(params, tasks.valid, min(config.eval_tasks, 50 if images else 1000))
        return {name: summary[name] for name in ("last", "last_ci95", "last_median")}

    def evaluate(params, progress: bool = True) -> dict[str, Any]:
        first_drawn = jax.jit(bed.init)(
            jax.random.key(config.seed), tasks.test(jax.random.key(EVAL_KEY))
        )
        return {
            "bed": config.bed,
            "base_set": config.base_set if images else "",
            "method": config.method,
            "score": "accuracy" if images else "squared error",
            "new_tasks": score(params, tasks.test, config.eval_tasks),
            "new": score(first_drawn, tasks.test, config.eval_tasks),
        }

    return Run(
        algorithm=make_algorithm(config),
        tasks=tasks.train,
        tasks_per_step=config.tasks_per_step,
        steps=config.steps,
        example_tasks=tasks.train,
        evaluators=(Evaluator("new_tasks", config.eval_every, measure),),
        evaluate=apart_from_surroundings(evaluate),
    )


def tied_to_steps(config: Config) -> str:
    """Name the decay that ends with the last step; random search has no outer rate."""
    decays = config.outer_decay and config.method != "random_search"
    return "outer_decay=True" if decays else ""


SYSTEM = System(
    name="hyperdistill",
    summary="hyperparameters meta-learned online by distilled Jacobian-vector products",
    config=Config,
    presets=PRESETS,
    build=build,
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "new_tasks.last", greatest=config.bed != "sinusoid", logged="new_tasks/last"
    ),
    algorithm=make_algorithm,
    traced=("outer_lr", "inner_lr", "momentum", "gamma", "sigma", "reptile_rate"),
    evaluation=("eval_every", "eval_tasks", "eval_queries"),
    tied_to_steps=tied_to_steps,
)
"""What the command line and a sweep know of this system."""
