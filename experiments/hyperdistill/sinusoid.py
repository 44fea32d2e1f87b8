"""The sinusoid test-bed, every method over many seeds at once.

    python experiments/hyperdistill/sinusoid.py --seeds 20 --out experiments/hyperdistill/results

All seeds of a method run as one compiled population. Writes `sinusoid.json`: each method's error
on new tasks for every seed, their mean with its 95% interval over seeds, and their median.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from metajax.core import derive, task_keys
from metajax.systems import build, configure
from metajax.systems.hyperdistill import make_testbed, scores_by_step
from metajax.train import provenance, write_json

TEN = functools.partial(configure, "hyperdistill", "sinusoid", queries=10)
VARIANTS = {
    "first_order": TEN(method="first_order"),
    "one_step": TEN(method="one_step"),
    "drmad": TEN(method="drmad", every=30),
    "neumann, 5 terms, every 5 steps": TEN(method="neumann", every=5),
    "unrolled, whole horizon": TEN(method="unrolled", every=30),
    "unrolled, 10 steps": TEN(method="unrolled", every=10),
    "distilled, gamma .9, theta 1": TEN(gamma=0.9),
    **{
        f"distilled, gamma {name}": TEN(gamma=gamma, calibrate_every=1)
        for name, gamma in (("0", 0.0), (".5", 0.5), (".9", 0.9), (".99", 0.99), (".999", 0.999))
    },
    "distilled, gamma .9, theta every 5": TEN(gamma=0.9, calibrate_every=5),
    "distilled, gamma .9, every 2 steps": TEN(gamma=0.9, calibrate_every=1, every=2),
    "distilled, gamma .9, no momentum": TEN(gamma=0.9, calibrate_every=1, momentum=0.0),
    "first_order, no momentum": TEN(method="first_order", momentum=0.0),
}
"""Configs by name; all but what a name says are the preset `sinusoid` with 10 queries."""


def run(config: Any, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Train all seeds; return each one's error on new tasks, and its last calibration or NaN."""
    setup = build(config)
    algorithm, tasks, testbed = setup.algorithm, setup.tasks, make_testbed(setup.problem.settings)

    def of_seed(key):
        state = algorithm.init(derive(key, "init"), tasks(derive(key, "tasks")))

        def meta_step(state, step):
            keys = task_keys(derive(key, "tasks", step), config.tasks_per_step)
            state, metrics = algorithm.update(
                state, jax.vmap(tasks)(keys), derive(key, "update", step)
            )
            return state, metrics.get("calibration", jnp.float32(jnp.nan))

        state, thetas = jax.lax.scan(meta_step, state, jnp.arange(config.steps))
        errors = scores_by_step(
            testbed,
            algorithm.params(state),
            setup.problem.test,
            derive(key, "new tasks"),
            config.eval_tasks,
            config.inner_steps,
            config.inner_steps,
        )
        return jnp.mean(errors[:, -1]), thetas[-1]

    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    errors, thetas = jax.jit(jax.vmap(of_seed))(keys)
    return np.asarray(errors, float), np.asarray(thetas, float)


def statistics(errors: np.ndarray) -> dict[str, Any]:
    """Of one method over seeds; a run that diverged counts as the largest error in the median.

    The median's interval is that of order statistics: the ranks between which it lies in 95% of
    samples of this size, whatever the distribution.
    """
    ranked = np.sort(np.where(np.isfinite(errors), errors, np.inf))
    low = int(scipy.stats.binom.ppf(0.025, len(ranked), 0.5))
    found = {
        "median": np.median(ranked),
        "median_ci95_low": ranked[low - 1],
        "median_ci95_high": ranked[len(ranked) - low],
        "mean": np.mean(errors),
        "mean_ci95": 1.96 * np.std(errors, ddof=1) / np.sqrt(len(errors)),
    }

    def number(x):
        return float(x) if np.isfinite(x) else None

    return {
        **{name: number(value) for name, value in found.items()},
        "above_10": int(np.sum(ranked > 10.0)),
        "errors": [number(e) for e in errors],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", nargs="*", help="parts of the names of the methods to run")
    parser.add_argument("--out", type=Path, default=Path("experiments/hyperdistill/results"))
    options = parser.parse_args()
    path = options.out / "sinusoid.json"
    rows = json.loads(path.read_text())["methods"] if path.exists() else {}
    for name, config in VARIANTS.items():
        if options.only and not any(part in name for part in options.only):
            continue
        start = time.process_time()
        errors, thetas = run(config, options.seeds)
        found = statistics(errors)
        rows[name] = {
            **found,
            "theta_median": float(np.median(thetas)) if np.isfinite(thetas).all() else None,
            "cpu_seconds": round(time.process_time() - start, 1),
            "config": dataclasses.asdict(config),
            "seeds": options.seeds,
        }
        print(f"{name:36}", {k: v for k, v in found.items() if k != "errors"}, flush=True)
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(path, {**provenance(), "methods": rows})


if __name__ == "__main__":
    main()
