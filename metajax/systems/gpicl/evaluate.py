"""What a sequence learner is judged by: accuracy on new tasks, by number of examples seen."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key
from tqdm.auto import tqdm

from metajax.core import ConfigError, Params, count
from metajax.data import MissingDataError
from metajax.systems.base import Method
from metajax.systems.gpicl.accuracy import state_size, summarise
from metajax.systems.gpicl.methods import METHODS, NOT_TRAINED
from metajax.systems.gpicl.problem import TASK_KEY, Problem, other_pool
from metajax.systems.gpicl.settings import Training
from metajax.systems.gpicl.tasks import ProjectionTasks
from metajax.systems.scores import Evaluation, Interval, Row
from metajax.systems.setup import first_drawn

log = logging.getLogger("metajax")

BASELINE_WIDTH = 128
"""Units of the hidden layer of the baseline ``sgd``."""
TITLES = {
    "unseen": "unseen tasks",
    "seen": "tasks of the training range",
    "identity": "identity task (images, labels as they are)",
    "nearest_neighbour": "1-nearest-neighbour, same sequences",
    "sgd": "SGD from scratch, same sequences",
}


def score(
    method: Method, params: Params, tasks: ProjectionTasks, key: Key[Array, ""], num: int
) -> dict[str, Any]:
    """Score a method on ``num`` sequences, each of another task: :func:`accuracy.summarise`."""
    assert method.measure is not None
    return summarise(np.asarray(method.measure(params, tasks, key, num)))


def along_training(
    name: str, problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training, on the tasks of a name: ``unseen`` or ``seen`` ones."""
    found = score(method, params, getattr(problem, name), key, problem.settings.eval_tasks)
    return {figure: found[figure] for figure in ("gain", "gain_ci95", "last")}


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score a trained method, and baselines on the very same sequences of unseen tasks.

    ``more`` holds, by row, the accuracy over the last ten positions (``last``) and its gain over
    the first, with its interval.
    """
    settings, key = problem.settings, jax.random.key(TASK_KEY + 1)
    untrained = baselines(problem, config)
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

    def add(name: str, title: str, scored: Method, weights: Params, tasks: Any, **known) -> None:
        found = score(scored, weights, tasks, key, settings.eval_tasks)
        baseline = scored is not method
        rows[name] = Row(title, interval(found), baseline=baseline)
        more[name] = {figure: found[figure] for figure in ("last", "gain", "gain_ci95")} | known

    for name in ("unseen", "seen", "identity"):
        add(name, TITLES[name], method, params, getattr(problem, name))
        bar.update()
    for name, baseline in untrained.items():
        assert baseline.learner is not None
        weights = first_drawn(baseline.learner, problem.unseen, key)
        add(name, TITLES[name], baseline, weights, problem.unseen)
        bar.update()
    for name, found in other_tasks(problem):
        if isinstance(found, str):
            more["left_out"][name] = found
        else:
            tasks, split = found
            title = f"unseen {over(name, split)}"
            add(f"other.{name}", title, method, params, tasks, split=split)
            if (neighbour := untrained.get("nearest_neighbour")) is not None:
                title = f"1-nearest-neighbour, {over(name, split)}"
                add(f"other.{name}.nearest_neighbour", title, neighbour, {}, tasks)
        bar.update()
    bar.close()
    return Evaluation(
        metric="accuracy",
        greatest=True,
        axis="examples seen",
        points=[float(seen) for seen in range(settings.examples)],
        rows=rows,
        setting=problem.setting(),
        more=more,
    )


def over(name: str, split: str | None) -> str:
    """Return what tasks over a set that was not trained on are called; any split but `test` too."""
    return f"tasks over {name}" + (f" ({split})" if split not in (None, "test") else "")


def interval(found: dict[str, Any]) -> Interval:
    """Return the accuracy by position of a summary with its interval."""
    ends = list(zip(found["accuracy"], found["ci95"], strict=True))
    low, high = [mean - half for mean, half in ends], [mean + half for mean, half in ends]
    return Interval(found["accuracy"], low, high, found["n"])


def baselines(problem: Problem, config: Any) -> dict[str, Method]:
    """Return the methods that are not meta-trained, other than the config's, by name.

    ``sgd`` descends at the inner learning rate of the config's method, where that has one.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in NOT_TRAINED}
    options["sgd"]["width"] = BASELINE_WIDTH
    if hasattr(config, "inner_lr"):
        options["sgd"]["inner_lr"] = config.inner_lr
    return {
        name: METHODS[name](problem, Training(), **options[name])
        for name in NOT_TRAINED
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
