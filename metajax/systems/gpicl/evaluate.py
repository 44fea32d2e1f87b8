"""What a sequence learner is judged by: accuracy on new tasks, by number of examples seen."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key
from tqdm.auto import tqdm

from metajax.core import ConfigError, Params, count
from metajax.data import MissingDataError
from metajax.systems.base import Method
from metajax.systems.gpicl.accuracy import LAST, state_size, summarize
from metajax.systems.gpicl.committed import committed_runs
from metajax.systems.gpicl.methods import METHODS
from metajax.systems.gpicl.problem import TASK_KEY, Problem, other_pool
from metajax.systems.gpicl.settings import Training
from metajax.systems.gpicl.tasks import ProjectionTasks
from metajax.systems.gpicl.tuning import tuned
from metajax.systems.scores import Evaluation, Interval, Row

log = logging.getLogger("metajax")

BASELINE_WIDTH = 128
"""Units of the hidden layer of the baseline ``sgd``."""
TITLES = {
    "unseen": "unseen tasks",
    "seen": "tasks of the training range",
    "identity": "identity task (images, labels as they are)",
    "nearest_neighbour": "1-nearest-neighbor, same sequences",
    "sgd": "SGD from scratch, same sequences",
    "k_nearest": "5 nearest neighbors vote, same sequences",
    "class_means": "nearest class mean, same sequences",
    "linear_ridge": "linear ridge, same sequences",
    "kernel_ridge": "kernel ridge, same sequences",
    "lda": "LDA, same sequences",
    "logistic": "logistic regression, same sequences",
}
SHORT = {name: title.partition(",")[0] for name, title in TITLES.items()}
"""Titles of baselines on further sets."""
ELSEWHERE = ("nearest_neighbour", "kernel_ridge", "lda")
"""Baselines that are scored on further sets too."""


def scores_of(
    method: Method, params: Params, tasks: ProjectionTasks, key: Key[Array, ""], num: int
) -> Float[np.ndarray, "num length"]:
    """Score a method on ``num`` sequences, each of another task, position by position."""
    assert method.measure is not None
    return np.asarray(method.measure(params, tasks, key, num), float)


def lead(
    right: Float[np.ndarray, "num length"], over: Float[np.ndarray, "num length"]
) -> dict[str, float]:
    """Return how far a method is ahead of another over the last ten positions.

    Both have read the same sequences, and the 95% interval is that of the paired differences.
    """
    last = min(LAST, right.shape[1] - 1)
    ahead = right[:, -last:].mean(axis=1) - over[:, -last:].mean(axis=1)
    half = 1.96 * ahead.std(ddof=1) / np.sqrt(len(ahead))
    return {"lead": round(float(ahead.mean()), 5), "lead_ci95": round(float(half), 5)}


def along_training(
    name: str, problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training, on the tasks of a name: ``unseen`` or ``seen`` ones."""
    tasks = getattr(problem, name)
    found = summarize(scores_of(method, params, tasks, key, problem.settings.eval_tasks))
    return {figure: found[figure] for figure in ("gain", "gain_ci95", "last")}


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score a trained method, and baselines on the very same sequences of unseen tasks.

    ``more`` holds, by row, the accuracy over the last ten positions (``last``) and its gain over
    the first, with its interval. By baseline it holds the method's lead over it (``lead``) and the
    settings that were chosen for it on training tasks.
    """
    settings, key = problem.settings, jax.random.key(TASK_KEY + 1)
    untrained = baselines(problem, config)
    if method.parts:
        params = tuned(method, problem, key)
    rows: dict[str, Row] = {}
    more: dict[str, Any] = {
        "base_set": settings.base_set,
        "ways": settings.ways,
        "num_tasks": settings.num_tasks,
        "chance": 1 / settings.ways,
        "parameters": count(params),
        "left_out": {},
    }
    if method.learner is not None:
        more["state_size"] = state_size(method.learner, params, problem.example_tasks)
    bar = tqdm(
        total=3 + len(untrained) + len(settings.other_sets),
        unit="set",
        desc="evaluating",
        disable=not progress,
        dynamic_ncols=True,
    )

    def add(name: str, title: str, right: Any, baseline: bool = False, **known: Any) -> None:
        found = summarize(right)
        rows[name] = Row(title, interval(found), baseline=baseline)
        more[name] = {figure: found[figure] for figure in ("last", "gain", "gain_ci95")} | known

    def of(scored: Method, weights: Params, tasks: Any) -> Any:
        return scores_of(scored, weights, tasks, key, settings.eval_tasks)

    reached = {
        name: of(method, params, getattr(problem, name)) for name in ("unseen", "seen", "identity")
    }
    for name, right in reached.items():
        add(name, TITLES[name], right)
        bar.update()
    chosen = {}
    for name, baseline in untrained.items():
        weights = chosen[name] = tuned(baseline, problem, key)
        right = of(baseline, weights, problem.unseen)
        known = lead(reached["unseen"], right) | told(baseline, weights)
        add(name, TITLES[name], right, baseline=True, **known)
        bar.update()
    for run in committed_runs(settings, config.method):
        name = f"committed.{run['method']}"
        rows[name] = Row(run["title"], interval(run), baseline=True)
        figures = ("last", "gain", "gain_ci95", "command", "steps", "cpu_seconds")
        more[name] = {figure: run[figure] for figure in figures}
    for name, found in other_tasks(problem):
        if isinstance(found, str):
            more["left_out"][name] = found
        else:
            tasks, split = found
            right = of(method, params, tasks)
            add(f"other.{name}", f"unseen {over(name, split)}", right, split=split)
            for other in (other for other in ELSEWHERE if other in untrained):
                theirs = of(untrained[other], chosen[other], tasks)
                title = f"{SHORT[other]}, {over(name, split)}"
                add(f"other.{name}.{other}", title, theirs, True, **lead(right, theirs))
        bar.update()
    bar.close()
    points = [float(seen) for seen in range(settings.examples)]
    return Evaluation(rows, axis="examples seen", points=points, more=more)


def told(method: Method, params: Params) -> dict[str, Any]:
    """Return what was chosen for a method, by name, where there was a choice."""
    if not method.parts:
        return {}
    values = params._asdict() if hasattr(params, "_asdict") else params
    return {"chosen": {name: round(float(value), 6) for name, value in values.items()}}


def over(name: str, split: str | None) -> str:
    """Return what tasks over a set that was not trained on are called; any split but `test` too."""
    return f"tasks over {name}" + (f" ({split})" if split not in (None, "test") else "")


def interval(found: dict[str, Any]) -> Interval:
    """Return the accuracy by position of a summary with its interval."""
    ends = list(zip(found["accuracy"], found["ci95"], strict=True))
    low, high = [mean - half for mean, half in ends], [mean + half for mean, half in ends]
    return Interval(found["accuracy"], low, high, found["n"])


def baselines(problem: Problem, config: Any) -> dict[str, Method]:
    """Return the methods of the setting ``baselines``, other than the config's, by name.

    ``sgd`` descends at the inner learning rate of the config's method, where that has one.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in config.baselines}
    if "sgd" in options:
        options["sgd"]["width"] = BASELINE_WIDTH
        if hasattr(config, "inner_lr"):
            options["sgd"]["inner_lr"] = config.inner_lr
    return {
        name: METHODS[name](problem, Training(), **given)
        for name, given in options.items()
        if name != config.method
    }


def other_tasks(problem: Problem) -> Iterator[tuple[str, Any]]:
    """Yield the names of ``other_sets``, with unseen tasks and the split, or why there are none."""
    for name in problem.settings.other_sets:
        try:
            pool, split = other_pool(problem.settings, name, problem.data_dir)
        except (MissingDataError, ConfigError) as error:
            log.warning("%s is left out: %s", name, error)
            missing = isinstance(error, MissingDataError)
            yield name, "not on disk" if missing else str(error)
        else:
            yield name, (dataclasses.replace(problem.unseen, pool=pool), split)
