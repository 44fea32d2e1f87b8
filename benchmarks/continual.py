"""CPU minutes of twenty tasks in sequence, and what each of them costs.

    python benchmarks/continual.py --out benchmarks/results/continual.json

Preset `permuted_digits` with `--tasks` tasks is trained by `fit` as `metajax train` does, and
evaluated. An evaluator reads the clock at the end of every task. Programs that are compiled while
later tasks are trained are counted: there should be none.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from common import use_one_thread, write_result

from metajax.core import Evaluator
from metajax.systems import build, configure
from metajax.train import fit

COMPILED = "/jax/core/compile/backend_compile_duration"
"""What jax reports of each program that it compiles."""


def measured(method: str, tasks: int) -> dict[str, Any]:
    """CPU seconds of a method: of everything, and of each task."""
    begin = time.process_time()
    run = build(configure("continual", method=method, num_tasks=tasks, steps=500 * tasks))
    clock: list[float] = []
    compiled: list[float] = []
    until: list[int] = []

    def count(event: str, duration: float, **_: Any) -> None:
        if event == COMPILED:
            compiled.append(duration)

    def read(params: Any, key: Any) -> dict[str, float]:
        jax.block_until_ready(params)
        clock.append(time.process_time())
        until.append(len(compiled))
        return {"task": float(len(clock))}

    jax.monitoring.register_event_duration_secs_listener(count)
    result = fit(
        run.algorithm,
        run.tasks,
        steps=run.steps,
        tasks_per_step=run.tasks_per_step,
        key=jax.random.key(0),
        evaluators=[Evaluator("clock", 500, read)],
        progress=False,
    )
    trained = time.process_time()
    evaluation = run.evaluate(result.params, False)
    jax.monitoring.unregister_event_duration_listener(count)
    each = np.diff(clock)
    # the first task's time has the compilation; of the others the early and the late half
    early, late = each[: len(each) // 2], each[len(each) // 2 :]
    return {
        "tasks": tasks,
        "cpu_minutes": (time.process_time() - begin) / 60,
        "of_evaluation": (time.process_time() - trained) / 60,
        "until_the_first_task_is_done": clock[0] - begin,
        "each_later_task": each.tolist(),
        "late_over_early": float(np.median(late) / np.median(early)),
        "compiled_after_the_first_task": until[-1] - until[0],
        "final": evaluation["more"]["final"],
        "forgetting": evaluation["more"]["forgetting"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=["hypernetwork", "recurrent_hypernetwork"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result: dict[str, Any] = {"benchmark": "continual", **use_one_thread(), "methods": {}}
    for method in options.methods:
        found = result["methods"][method] = measured(method, options.tasks)
        print(method, {name: value for name, value in found.items() if name != "each_later_task"})
        write_result(options.out, result)


if __name__ == "__main__":
    main()
