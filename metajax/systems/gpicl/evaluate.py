"""What a sequence learner is judged by: accuracy on new tasks, by number of examples seen."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

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
from metajax.systems.numbers import numbers
from metajax.systems.scores import Evaluation, Interval, Row, around, mean_half_width

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
FIGURES = ("last", "gain", "gain_ci95")
"""Of a row, in addition to its accuracy by position."""
OF_RUNS = ("command", "steps", "cpu_seconds")
"""More of a committed run."""
KINDS = ("unseen", "seen", "identity")
"""Tasks of the problem that a method is scored on."""
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
    half = float(mean_half_width(ahead))
    return {"lead": round(float(ahead.mean()), 5), "lead_ci95": round(half, 5)}


def along_training(
    name: str, problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training, on the tasks of a name: ``unseen`` or ``seen`` ones."""
    tasks = getattr(problem, name)
    found = summarize(scores_of(method, params, tasks, key, problem.settings.eval_tasks))
    return {figure: found[figure] for figure in FIGURES}


class Found(NamedTuple):
    """What was found of a row: itself, and its figures for ``more``."""

    row: Row
    figures: dict[str, Any]


def summarized(
    title: str,
    right: Float[np.ndarray, "num length"],
    baseline: bool = False,
    compared_with: str | None = "",
    **known: Any,
) -> Found:
    """Return the row of scores by position; ``known`` are more of its figures."""
    found = summarize(right)
    figures = {figure: found[figure] for figure in FIGURES} | known
    return Found(Row(title, by_position(found), baseline, compared_with), figures)


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score a trained method, and baselines on the very same sequences of unseen tasks.

    ``more`` holds, by row, the accuracy over the last ten positions (``last``) and its gain over
    the first, with its interval. By baseline it holds the method's lead over it (``lead``) and the
    settings that were chosen for it on training tasks.
    """
    settings, key = problem.settings, jax.random.key(TASK_KEY + 1)
    if method.parts:
        params = tuned(method, problem, key)
    untrained, left_out = baselines(problem, config), {}
    of = functools.partial(scores_of, key=key, num=settings.eval_tasks)
    bar = tqdm(
        total=len(KINDS) + len(untrained) + len(settings.other_sets),
        unit="set",
        desc="evaluating",
        disable=not progress,
        dynamic_ncols=True,
    )
    with bar:
        reached = {kind: of(method, params, getattr(problem, kind)) for kind in KINDS}
        found = {kind: summarized(TITLES[kind], right) for kind, right in reached.items()}
        bar.update(len(KINDS))
        chosen = {}
        for name, baseline in untrained.items():
            chosen[name] = tuned(baseline, problem, key)
            right = of(baseline, chosen[name], problem.unseen)
            known = lead(reached["unseen"], right) | settings_chosen(baseline, chosen[name])
            found[name] = summarized(TITLES[name], right, baseline=True, **known)
            bar.update()
        for run in committed_runs(settings, config.method):
            row = Row(run["title"], by_position(run), baseline=True, compared_with=None)
            figures = {figure: run[figure] for figure in (*FIGURES, *OF_RUNS)}
            found[f"committed.{run['method']}"] = Found(row, figures)
        for name, further in other_tasks(problem):
            if isinstance(further, str):
                left_out[name] = further
            else:
                tasks, split = further
                right = of(method, params, tasks)
                others = [other for other in ELSEWHERE if other in untrained]
                theirs = {one: of(untrained[one], chosen[one], tasks) for one in others}
                found |= on_further_set(name, split, right, theirs)
            bar.update()
    more = {
        "base_set": settings.base_set,
        "ways": settings.ways,
        "num_tasks": settings.num_tasks,
        "chance": 1 / settings.ways,
        "parameters": count(params),
        "left_out": left_out,
    }
    if method.learner is not None:
        more["state_size"] = state_size(method.learner, params, problem.example_tasks)
    return Evaluation(
        {name: one.row for name, one in found.items()},
        axis="examples seen",
        points=[float(seen) for seen in range(settings.examples)],
        more=more | {name: one.figures for name, one in found.items()},
    )


def on_further_set(
    name: str, split: str | None, right: Any, theirs: dict[str, Any]
) -> dict[str, Found]:
    """Return the rows of a set that was not trained on.

    Args:
      name: of the set.
      split: which of its images; None: it has no splits.
      right: the method's scores.
      theirs: baselines' scores on the same sequences.
    """
    over_set, own = over(name, split), f"other.{name}"
    rows = {own: summarized(f"unseen {over_set}", right, split=split)}
    for other, scores in theirs.items():
        ahead, title = lead(right, scores), f"{SHORT[other]}, {over_set}"
        rows[f"{own}.{other}"] = summarized(title, scores, True, own, **ahead)
    return rows


def settings_chosen(method: Method, params: Params) -> dict[str, Any]:
    """Return what was chosen for a method, by name, where there was a choice."""
    if not method.parts:
        return {}
    values = params._asdict() if hasattr(params, "_asdict") else params
    return {"chosen": {name: round(float(value), 6) for name, value in values.items()}}


def over(name: str, split: str | None) -> str:
    """Return what tasks over a set that was not trained on are called; any split but `test` too."""
    return f"tasks over {name}" + (f" ({split})" if split not in (None, "test") else "")


def by_position(found: dict[str, Any]) -> Interval:
    """Return the accuracy by position of a summary with its interval."""
    return around(numbers(found["accuracy"]), numbers(found["ci95"]), found["n"])


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
