"""HyperDistill's sinusoid bed wired to the shared loop and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from metajax.core import Evaluator
from metajax.data import sinusoid_tasks
from metajax.systems.base import Run, System
from metajax.systems.hyperdistill.config import PRESETS, Config
from metajax.systems.hyperdistill.evaluate import error_by_step, summarise
from metajax.systems.hyperdistill.learner import make_algorithm, make_problem
from metajax.systems.hyperdistill.network import init
from metajax.systems.hyperdistill.report import figures, table

EVAL_KEY = 2110_02508
"""Seed of the tasks that are evaluated on: the same for every run."""


def build(config: Config, data_dir: Path | None = None) -> Run:
    """Make a config into what the shared loop runs; no data set is needed."""
    tasks = sinusoid_tasks(config.shots, config.queries)
    new_tasks = sinusoid_tasks(config.shots, config.eval_queries)
    problem = make_problem(config)  # one object: compiled functions know it by identity

    def score(params) -> dict[str, Any]:
        key = jax.random.key(EVAL_KEY)
        errors = error_by_step(
            problem, params, new_tasks, key, config.eval_tasks, config.inner_steps
        )
        return summarise(errors)

    def measure(params, key) -> dict[str, Any]:
        summary = score(params)
        return {name: summary[name] for name in ("last", "last_ci95", "last_median")}

    def evaluate(params, progress: bool = True) -> dict[str, Any]:
        return {
            "method": config.method,
            "new_tasks": score(params),
            "new": score(init(config, jax.random.key(config.seed))),
        }

    return Run(
        algorithm=make_algorithm(config),
        tasks=tasks,
        tasks_per_step=config.tasks_per_step,
        steps=config.steps,
        example_tasks=tasks,
        evaluators=(Evaluator("new_tasks", config.eval_every, measure),),
        evaluate=evaluate,
    )


SYSTEM = System(
    name="hyperdistill",
    summary="hyperparameters meta-learned online by distilled Jacobian-vector products",
    config=Config,
    presets=PRESETS,
    build=build,
    table=table,
    figures=figures,
)
