"""HyPINO wired to the shared loop and the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from metajax.core import Evaluator, apart_from_surroundings
from metajax.systems.base import Objective, Run, System
from metajax.systems.hypino.config import PRESETS, Config
from metajax.systems.hypino.evaluate import Errors, benchmarks, new_problems
from metajax.systems.hypino.learner import make_algorithm
from metajax.systems.hypino.report import figures, table
from metajax.systems.hypino.tasks import make_phases, make_tasks


def build(config: Config, data_dir: Path | None = None) -> Run:
    """Make a config into what the shared loop runs; nothing is read from disk."""

    def measure(params: Any, key: Any) -> dict[str, Any]:
        """The median relative error of new problems, and half its 95% interval."""
        found = median(new_problems(config, params, 128))
        return {"last": found[0], "last_ci95": (found[2] - found[1]) / 2}

    def evaluate(params: Any, progress: bool = True) -> dict[str, Any]:
        say = (lambda name: print(f"benchmark {name}", file=sys.stderr)) if progress else None
        errors = new_problems(config, params, config.eval_tasks)
        middle, low, high = median(errors)
        return {
            "new_problems": {
                "n": int(errors.relative.size),
                "median_relative": middle,
                "low": low,
                "high": high,
                "constant_relative": float(np.median(errors.constant)),
                "mse": float(errors.squared.mean()),
                "zero_mse": float(errors.zero.mean()),
            },
            "benchmarks": benchmarks(config, params, say),
        }

    return Run(
        algorithm=make_algorithm(config),
        tasks=make_phases(config),
        tasks_per_step=config.tasks_per_step,
        steps=config.steps,
        example_tasks=make_tasks(config),
        evaluators=(Evaluator("new_tasks", config.eval_every, measure),),
        evaluate=apart_from_surroundings(evaluate),
    )


def median(errors: Errors) -> tuple[float, float, float]:
    """The median relative error with its bootstrap 95% interval, NaN where one error is."""
    if not np.isfinite(errors.relative).all():
        return (np.nan,) * 3
    found = scipy.stats.bootstrap(
        (errors.relative,), np.median, method="percentile", n_resamples=2000, rng=0
    ).confidence_interval
    return float(np.median(errors.relative)), float(found.low), float(found.high)


def tied_to_steps(config: Config) -> str:
    """Name the learning rate, which falls along a cosine until the last step."""
    return f"the cosine that learning_rate={config.learning_rate:g} falls along"


SYSTEM = System(
    name="hypino",
    summary="HyPINO: a hypernetwork that turns a linear PDE into the network that solves it",
    config=Config,
    presets=PRESETS,
    build=build,
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "new_problems.median_relative", greatest=False, logged="new_tasks/last"
    ),
    algorithm=make_algorithm,
    traced=("learning_rate", "weight_decay", "adam_epsilon", "clip_norm"),
    of_tasks=("homogeneous", "unsupervised", "first_phase"),
    evaluation=("eval_every", "eval_tasks", "finetune_steps", "rounds"),
    tied_to_steps=tied_to_steps,
)
"""What the command line and a sweep know of this system."""
