"""HyperDistill's image test-beds: every method from the same seeds, each over several seeds.

    python experiments/hyperdistill/images.py --preset anil_fashion --seeds 5 --search-ratio 5

Writes `PRESET.json`: for every method the accuracy on tasks of test classes for each seed, their
mean with its 95% interval over seeds (Student's t), and the paired differences to first_order and
one_step. A run that is there already is not repeated, so an interrupted command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy.stats

from metajax.systems import build, configure, replace
from metajax.systems.hyperdistill import PRESETS
from metajax.train import NonFiniteError, fit, provenance, write_json

TRIAL_STEPS = 10
"""Meta-steps that random search tries each draw for."""


def variants(config: Any, search_ratio: int) -> dict[str, Any]:
    """The methods of a test-bed. Whole-horizon ones update once a task, as in the paper.

    ``search_ratio`` is how many meta-steps random search may take in the time of one of
    HyperDistill's.
    """
    steps, horizon = config.steps, config.inner_steps

    def change(**settings):
        return replace(config, **settings)

    search = steps * search_ratio // TRIAL_STEPS * TRIAL_STEPS
    return {
        "as first drawn, Reptile alone": change(method="random_search", trial_steps=steps),
        "random_search, equal compute": change(
            method="random_search", steps=search, trial_steps=TRIAL_STEPS
        ),
        "first_order": change(method="first_order"),
        "one_step": change(method="one_step"),
        "drmad": change(method="drmad", every=horizon),
        "neumann": change(method="neumann", every=10),
        "distilled": change(method="distilled"),
        "distilled, theta 1": change(method="distilled", calibrate_every=None),
    }


def one_run(config: Any) -> dict[str, Any]:
    """Meta-train and evaluate once; accuracy None where the training diverged."""
    run = build(config)
    start = time.process_time()
    try:
        result = fit(
            run.algorithm,
            run.tasks,
            steps=run.steps,
            tasks_per_step=run.tasks_per_step,
            key=jax.random.key(config.seed),
        )
    except NonFiniteError as error:
        return {"accuracy": None, "error": str(error)}
    trained = time.process_time() - start
    rows = run.evaluate(result.params, False)["rows"]
    return {
        "accuracy": rows["new_tasks"]["mean"][-1],
        "untrained": rows["first_drawn"]["mean"][-1],
        "train_cpu_seconds": round(trained, 1),
    }


def interval(values: np.ndarray) -> tuple[float, float | None]:
    """Mean and half-width of its 95% interval by Student's t; None for a single value."""
    if len(values) < 2:
        return float(np.mean(values)), None
    return float(np.mean(values)), float(
        scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
    )


def summary(methods: dict[str, Any]) -> None:
    """Put each method's statistics beside its runs, and its paired differences to two others."""
    accuracies = {
        name: {s: r["accuracy"] for s, r in row["runs"].items() if r["accuracy"] is not None}
        for name, row in methods.items()
    }
    for name, row in methods.items():
        found = accuracies[name]
        row["diverged"] = len(row["runs"]) - len(found)
        if found:
            row["mean"], row["ci95"] = interval(np.array(list(found.values())))
        for base in ("first_order", "one_step"):
            pairs = [
                a - accuracies[base][s] for s, a in found.items() if s in accuracies.get(base, ())
            ]
            if pairs and base != name:
                row[f"over_{base}"], row[f"over_{base}_ci95"] = interval(np.array(pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", required=True, choices=[n for n in PRESETS if "_" in n])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="meta-steps, in place of the preset's")
    parser.add_argument(
        "--search-ratio",
        type=int,
        required=True,
        help="meta-steps of random search in the CPU time of one of distilled",
    )
    parser.add_argument("--only", nargs="*", help="methods to run, by name")
    parser.add_argument("--out", type=Path, default=Path("experiments/hyperdistill/results"))
    options = parser.parse_args()
    path = options.out / f"{options.preset}.json"
    config = configure("hyperdistill", options.preset, eval_every=10**9)
    config = replace(config, steps=options.steps or config.steps)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for name, variant in variants(config, options.search_ratio).items():
            if options.only and name not in options.only:
                continue
            content = json.loads(path.read_text()) if path.exists() else {"methods": {}}
            methods = content["methods"]
            row = methods.setdefault(name, {"runs": {}, "config": dataclasses.asdict(variant)})
            if str(seed) in row["runs"]:
                continue
            print(f"{options.preset}, {name}, seed {seed}", flush=True)
            row["runs"][str(seed)] = one_run(replace(variant, seed=seed))
            print("   ", row["runs"][str(seed)], flush=True)
            summary(methods)
            # runs of several commands stand in one file
            source = provenance()
            row["command"] = source.pop("command")
            content |= source
            options.out.mkdir(parents=True, exist_ok=True)
            write_json(path, content)


if __name__ == "__main__":
    main()
