"""Few-shot learners wired to the shared loop and the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from metajax.core import Evaluator, apart_from_surroundings
from metajax.systems.base import Objective, Run, System
from metajax.systems.fewshot.config import CLOSED_FORM, PRESETS, Config
from metajax.systems.fewshot.evaluate import scores, summarise
from metajax.systems.fewshot.learner import make_algorithm, make_learner, make_loss, nearest_mean
from metajax.systems.fewshot.report import figures, table
from metajax.systems.fewshot.tasks import make_tasks

EVAL_KEY = 1703_03400
"""Seed of the tasks that are evaluated on: the same for every run."""


def build(config: Config, data_dir: Path | None = None) -> Run:
    """Make a config into what the shared loop runs.

    Raises:
      MissingDataError: the base set of images is not on disk.
      ConfigError: the config does not fit the base set.
    """
    tasks = make_tasks(config, data_dir)
    learner, loss = make_learner(config), make_loss(config)
    images = config.tasks == "images"
    metric = "accuracy" if images else "query_loss"
    steps = None if config.learner in CLOSED_FORM else config.eval_steps

    def score(learner, params, tasks, num, steps) -> dict[str, Any]:
        key = jax.random.key(EVAL_KEY)
        return summarise(scores(learner, loss, params, tasks, key, num, metric, steps))

    def measure(params, key) -> dict[str, Any]:
        summary = score(learner, params, tasks.valid, min(config.eval_tasks, 200), steps)
        return {name: summary[name] for name in ("last", "last_ci95")}

    def evaluate(params, progress: bool = True) -> dict[str, Any]:
        key, num = jax.random.key(EVAL_KEY), config.eval_tasks
        first_drawn = jax.jit(learner.init)(jax.random.key(config.seed), tasks.test(key))
        setting = f"{config.shots}-shot sinusoids"
        if images:
            setting = f"{config.ways}-way {config.shots}-shot {config.base_set}"
        found = {
            "learner": config.learner,
            "setting": setting,
            "score": "accuracy" if images else "squared error",
            "new_tasks": score(learner, params, tasks.test, num, steps),
            "new": score(learner, first_drawn, tasks.test, num, steps),
        }
        if images:
            baseline = nearest_mean(config)
            found["training_classes"] = score(learner, params, tasks.train, num, steps)
            nothing = baseline.init(key, tasks.test(key))
            found["nearest_mean"] = score(baseline, nothing, tasks.test, num, None)
        return found

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
    """Name the learner whose outer rate falls to 0 at the last step."""
    return "learner=reptile" if config.learner == "reptile" else ""


SYSTEM = System(
    name="fewshot",
    summary="MAML and its kin, metric and closed-form few-shot learners",
    config=Config,
    presets=PRESETS,
    build=build,
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "new_tasks.last", greatest=config.tasks == "images", logged="new_tasks/last"
    ),
    algorithm=make_algorithm,
    traced=(
        "learning_rate",
        "inner_lr",
        "clip_norm",
        "reptile_rate",
        "strength",
        "sigma",
        "scale",
    ),
    evaluation=("eval_every", "eval_tasks", "eval_steps", "eval_queries"),
    tied_to_steps=tied_to_steps,
)
"""What the command line and a sweep know of this system."""
