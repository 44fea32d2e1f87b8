"""The runs of a sweep as one compiled program: settings and keys are traced, and vmapped over."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import Algorithm, ConfigError, Evaluator, HostFed, derive
from metajax.sweep.grid import Point
from metajax.sweep.results import Outcome, is_done, run_folder, write_results
from metajax.systems import (
    Setup,
    System,
    build,
    config_to_json,
    make_method,
    replace,
    traced_fields,
)
from metajax.train import (
    MEMBER,
    Fit,
    NonFiniteError,
    fit,
    member_rows,
    population,
    run_summary,
    save_finished,
    write_json,
)


def check_traceable(system: System, points: Sequence[Point]) -> None:
    """Reject points that differ in more than one program can vary.

    Args:
      system: whose runs they are.
      points: all runs.

    Raises:
      ConfigError: a swept field is not among the system's ``traced`` and ``of_tasks``, or is None
        in some of the points and a number in others.
    """
    traced = traced_fields(points[0].config)
    able = traced + system.of_tasks
    for field in varied(points):
        if field not in able:
            raise ConfigError(
                "engine",
                "vmap",
                f"only fields that one compiled program can vary ({', '.join(able)}); {field} is "
                "not one of them, so use --engine process",
            )
        values = {point.values[field] for point in points}
        if field in traced and None in values and len(values) > 1:
            raise ConfigError(
                "engine",
                "vmap",
                f"only numbers for {field}: None makes another program, so use --engine process",
            )


def varied(points: Sequence[Point]) -> tuple[str, ...]:
    """Return the swept fields that have more than one value."""
    return tuple(
        field for field in points[0].values if len({point.values[field] for point in points}) > 1
    )


def make_population(
    system: System, configs: Sequence[Any], runs: Sequence[Setup], fields: Sequence[str]
) -> tuple[Algorithm, Any]:
    """Make one algorithm of all runs, and its tasks; see :func:`metajax.train.population`.

    Args:
      system: the runs' system.
      configs: one per run.
      runs: what the system builds from each.
      fields: those in which the configs differ, other than seeds; no config has None there.

    Returns:
      The algorithm and its tasks.
    """

    def make(values: Mapping[str, Any]) -> Algorithm:
        algorithm = make_method(replace(configs[0], **values), runs[0].problem).algorithm
        assert algorithm is not None  # of methods that are not meta-trained none gets here
        return algorithm

    columns = {name: [getattr(config, name) for config in configs] for name in fields}
    return population(
        make,
        {
            name: jnp.asarray(np.array(column, _dtype(column)))
            for name, column in columns.items()
            if name in traced_fields(configs[0])
        },
        jax.vmap(jax.random.key)(jnp.array([config.seed for config in configs], jnp.uint32)),
        [run.tasks for run in runs],
        tasks_per_step=runs[0].tasks_per_step,
    )


def _dtype(column: Sequence[Any]) -> Any:
    return np.int32 if all(isinstance(value, int) for value in column) else np.float32


def run_together(
    folder: Path,
    system: System,
    points: Sequence[Point],
    *,
    command: str,
    data_dir: Path | None = None,
    at_once: int | None = None,
    **options: Any,
) -> dict[int, Outcome]:
    """Train every point that is not done, all in one compiled program, and evaluate each.

    A run's workdir holds in the end what ``metajax train`` leaves there, its last checkpoint
    included. Training itself is checkpointed in ``populations/`` and resumes from there. A run
    whose step is not finite is noted as failed, and the others continue.

    Args:
      folder: of the sweep.
      system: the points' system.
      points: the runs.
      command: for the summaries.
      data_dir: folder of the data sets.
      at_once: how many runs one program trains, the others after them; None: all.
      options: more of :func:`metajax.train.fit`: ``log_every``, ``checkpoint_every``, ``progress``,
        ``on_changed``.

    Returns:
      What came of each run, by its number.

    Raises:
      ConfigError: the points differ in what one program can not vary, their tasks are host-fed, or
        they have nothing to train.
      Interrupted: SIGTERM or SIGINT came while they trained; the state is saved.
    """
    check_traceable(system, points)
    outcomes = {point.number: Outcome("done") for point in points if is_done(folder, point)}
    write_results(folder, points, outcomes)
    for first in range(0, len(points), at_once or len(points)):
        part = points[first : first + (at_once or len(points))]
        if any(point.number not in outcomes for point in part):
            outcomes |= _run_part(folder, system, part, command, data_dir, options)
            write_results(folder, points, outcomes)
    return outcomes


def _run_part(
    folder: Path,
    system: System,
    points: Sequence[Point],
    command: str,
    data_dir: Path | None,
    options: dict[str, Any],
) -> dict[int, Outcome]:
    """Train one population and finish its runs."""
    wall, cpu = time.perf_counter(), time.process_time()
    configs = [point.config for point in points]
    runs = build_all(system, configs, data_dir)
    if isinstance(runs[0].tasks, HostFed) or not runs[0].steps:
        what = "tasks that are sampled on the device" if runs[0].steps else "steps to train for"
        raise ConfigError("engine", "vmap", f"{what}; --engine process runs any")
    algorithm, held = make_population(system, configs, runs, varied(points))
    keys = [jax.random.key(config.seed) for config in configs]
    try:
        result = fit(
            algorithm,
            held,
            steps=runs[0].steps,
            tasks_per_step=1,
            key=keys[0],
            keep_last=1,
            workdir=folder / "populations" / _population_name(points),
            config={"runs": [config_to_json(system, config) for config in configs]},
            evaluators=_evaluators(runs, keys),
            **options,
        )
        state, failed_at = result.state, np.asarray(result.state.failed_at)
    except NonFiniteError as error:  # every member has failed, the last of them at this step
        state = error.state
        failed_at = np.where(state.failed_at < 0, error.step - 1, state.failed_at)
        result = None
    trained_wall, trained_cpu = time.perf_counter() - wall, time.process_time() - cpu
    outcomes: dict[int, Outcome] = {}
    for index, (point, run, key) in enumerate(zip(points, runs, keys, strict=True)):
        if result is None or failed_at[index] >= 0:
            outcomes[point.number] = Outcome("failed", f"step {failed_at[index] + 1} is not finite")
            continue
        outcomes[point.number] = Outcome("done")
        if is_done(folder, point):
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        member = jax.tree.map(lambda leaf, i=index: leaf[i], state.members)
        alone = Fit(
            member,
            run.algorithm.params(member),
            result.step,
            member_rows(result.history, index),
            result.compile_seconds,
            result.seconds,
            0,
        )
        workdir = run_folder(folder, point)
        save_finished(
            workdir,
            alone,
            algorithm=run.algorithm,
            tasks=run.tasks,
            tasks_per_step=run.tasks_per_step,
            key=key,
            config=config_to_json(system, point.config),
            on_changed=options.get("on_changed", "raise"),
        )
        write_json(workdir / "eval.json", run.evaluate(alone.params, False))
        summary = run_summary(
            alone,
            wall_seconds=time.perf_counter() - wall + trained_wall / len(points),
            cpu_seconds=time.process_time() - cpu + trained_cpu / len(points),
            train_cpu_seconds=trained_cpu / len(points),
            command=command,
        )
        write_json(workdir / "summary.json", {**summary, "trained_together": len(points)})
    return outcomes


def build_all(system: System, configs: Sequence[Any], data_dir: Path | None = None) -> list[Setup]:
    """Set up runs; those that the system says are alike share their problem and evaluation.

    Args:
      system: the runs' system.
      configs: one per run.
      data_dir: folder of the data sets.

    Returns:
      What each is made of, in their order.
    """

    if not system.alike_in:
        return [build(config, data_dir) for config in configs]

    def key(config: Any) -> tuple[tuple[str, Any], ...]:
        return tuple((name, of) for name, of in vars(config).items() if name not in system.alike_in)

    built: dict[Any, Setup] = {}
    runs = []
    for config in configs:
        first = built.get(key(config))
        if first is None:
            built[key(config)] = run = build(config, data_dir)
        else:
            method = make_method(config, first.problem)
            algorithm = method.algorithm or first.algorithm
            run = first._replace(config=config, method=method, algorithm=algorithm)
        runs.append(run)
    return runs


def _population_name(points: Sequence[Point]) -> str:
    """The folder of a population, of labeled points one for each set of seeds."""
    return f"{points[0].name}..{points[-1].config.seed}" if points[0].label else points[0].name


def _evaluators(runs: Sequence[Setup], keys: Sequence[Any]) -> list[Evaluator]:
    """Each measurement of all members, one after the other, with the keys of their own runs."""

    def of_all(number: int) -> Evaluator:
        name, every, _ = runs[0].evaluators[number]

        def function(params: Any, key: Any) -> dict[str, Any]:
            rows = []
            for index, (run, own) in enumerate(zip(runs, keys, strict=True)):
                member = jax.tree.map(lambda leaf, i=index: leaf[i], params)
                rows.append(
                    run.evaluators[number].function(member, derive(own, f"evaluate {name}"))
                )
            return {metric: [float(row[metric]) for row in rows] for metric in rows[0]}

        return Evaluator(MEMBER + name, every, function)

    return [of_all(number) for number in range(len(runs[0].evaluators))]
