"""From the settings of a run to what the shared loop takes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import (
    Algorithm,
    ConfigError,
    Evaluator,
    MetaLearner,
    MixedTasks,
    Params,
    apart_from_surroundings,
    at_step,
    mixed,
)
from metajax.systems.base import Method, Setup
from metajax.systems.configs import split
from metajax.systems.options import grouped
from metajax.systems.training import Training


def make_method(config: Any, problem: Any) -> Method:
    """Return a config's method for a problem that was made from the same settings.

    Some of the config's settings may be traced now; these reach the method through
    ``problem.settings``.

    Args:
      config: of a run.
      problem: made from the same settings.
    """
    settings, training, options = split(config)
    problem = problem._replace(settings=settings)
    function = config.system.methods[config.method]
    made = function(problem, training, **grouped(function, options))
    if isinstance(made, MetaLearner):
        return Method(descended(made, problem, training), made)
    return made


def descended(learner: MetaLearner, problem: Any, training: Training) -> Algorithm:
    """Return the algorithm that moves a learner down its loss: that of an entry's learner alone.

    A problem's ``tasks_at_once``, where it has that, is for learners that take inner steps: each
    task has weights of its own then.

    Args:
      learner: for the problem's tasks, mixed or not.
      problem: of any family.
      training: its settings.
    """
    options = {}
    if learner.follow is not None and hasattr(problem, "tasks_at_once"):
        options["tasks_at_once"] = problem.tasks_at_once
    is_mixed = isinstance(problem.tasks, MixedTasks)
    return training.descend(mixed(learner) if is_mixed else learner, **options)


def check_fits(configs: Sequence[Any], data_dir: Path | None = None) -> dict[str, ConfigError]:
    """Make the problem that some methods' configs share and each method for it; train nothing.

    Args:
      configs: of one system, with the same settings of the problem.
      data_dir: folder of the data sets.

    Returns:
      By method, why it does not fit: it raised a ``ConfigError`` that names ``method``.

    Raises:
      MissingDataError: a data set is not on disk.
      ConfigError: the settings do not fit the data set, or an option its method.
    """
    settings, training, _ = split(configs[0])
    problem = configs[0].system.problem(settings, training, data_dir)
    found = {}
    for config in configs:
        try:
            make_method(config, problem)
        except ConfigError as error:
            if error.field != "method":
                raise
            found[config.method] = error
    return found


def build(config: Any, data_dir: Path | None = None) -> Setup:
    """Set up a run: read or make what its tasks are of, and make its method.

    Args:
      config: from :func:`configure`.
      data_dir: folder of the data sets.

    Returns:
      The run, set up.

    Raises:
      MissingDataError: a data set is not on disk.
      ConfigError: the settings do not fit the data set.
    """
    system = config.system
    settings, training, _ = split(config)
    problem = system.problem(settings, training, data_dir)
    method = make_method(config, problem)

    def evaluate(params: Params, progress: bool = True) -> dict[str, Any]:
        found = system.evaluate(problem, method, params, config, progress)
        if not found.setting:
            found = found._replace(setting=problem.setting())
        settings = {name: getattr(config, name) for name in system.evaluation}
        return {"method": config.method, **found.to_json(), "settings": settings}

    trained = method.algorithm is not None
    per_draw = sum(problem.tasks.counts) if isinstance(problem.tasks, MixedTasks) else 1
    evaluators = [
        Evaluator(name, config.eval_every, functools.partial(function, problem, method))
        for name, function in system.evaluators.items()
    ]
    return Setup(
        algorithm=algorithm_of(method, problem.example_tasks),
        tasks=problem.tasks if method.tasks is None else method.tasks,
        tasks_per_step=config.tasks_per_step // per_draw,
        steps=config.steps if trained else 0,
        example_tasks=problem.example_tasks,
        evaluators=tuple(evaluators) if trained else (),
        evaluate=apart_from_surroundings(evaluate),
        config=config,
        problem=problem,
        method=method,
    )


def algorithm_of(method: Method, tasks: Any) -> Algorithm:
    """Return a method's algorithm.

    That of what is not meta-trained leaves its state, the learner's first parameters, as it is.

    Args:
      method: for a problem.
      tasks: what its parameters are made from, of the shapes that training has.
    """
    if method.algorithm is not None:
        return method.algorithm
    learner = method.learner
    if learner is not None and isinstance(tasks, MixedTasks):
        learner = mixed(learner)

    def init(key: Key[Array, ""], task: Any) -> Params:
        return {} if learner is None else learner.init(key, task)

    def update(state: Params, tasks: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        return state, {"loss": jnp.zeros(())}

    return Algorithm(init, update, lambda state: state)


def untrained_params(algorithm: Algorithm, tasks: Any, seed: int) -> Params:
    """Return what every run of a seed starts from.

    Args:
      algorithm: of the run's method.
      tasks: what the parameters are made from, of the shapes that training has.
      seed: of the run.
    """
    return algorithm.params(first_drawn(algorithm, at_step(tasks), jax.random.key(seed)))


def first_params(method: Method, tasks: Any, config: Any) -> Params:
    """Return the parameters that a method's learner has before any training, of a config's seed.

    Args:
      method: for a problem.
      tasks: what the parameters are made from, mixed or not.
      config: of the run.
    """
    untrained = algorithm_of(method._replace(algorithm=None), tasks)
    return first_drawn(untrained, tasks, jax.random.key(config.seed))


def first_drawn(learner: MetaLearner | Algorithm, tasks: Any, key: Key[Array, ""]) -> Params:
    """Return a learner's parameters, or an algorithm's state, as first drawn for such tasks."""
    return jax.jit(lambda tasks, key: learner.init(key, tasks(key)))(tasks, key)
