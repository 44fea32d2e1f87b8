"""Keep a run's settings, cost and errors, without the maps of its solutions.

    python experiments/hypino/collect.py runs/hypino-tiny-0 \\
        --out experiments/hypino/results/tiny.json
    python experiments/hypino/collect.py --shipped --out experiments/hypino/results/cpu.json

With `--model FILE` also write its hypernetwork as a file that `load_model` reads. With `--shipped`
the hypernetwork that comes with the package is evaluated again, and takes its run's place in a file
that is there: what is known of its training stays. Runs of older versions are read as well.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from metajax.systems import build
from metajax.systems.hypino import save_model, shipped, trained
from metajax.systems.numbers import said
from metajax.train import provenance, read_rows, write_json


def without_maps(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Errors on new problems, and on every benchmark by way and where fine-tuning ends.

    Args:
      evaluation: content of ``eval.json``, of this version or of one before the rows.
    """
    more = evaluation["more"] if "rows" in evaluation else evaluation
    found = more["benchmarks"]
    return {
        "new_problems": of_rows(evaluation) if "rows" in evaluation else more["new_problems"],
        "benchmarks": {name: case["ways"] for name, case in found.items()},
        "tuned": {
            name: {start: case["tuning"][start][-1] for start in ("generated", "random")}
            for name, case in found.items()
            if case.get("tuning")
        },
    }


def of_rows(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Errors on new problems, as the results call them."""
    rows, more = evaluation["rows"], evaluation["more"]
    new = rows["new_problems"]
    return {
        "n": new["n"],
        "median_relative": new["mean"][-1],
        "low": new["low"][-1],
        "high": new["high"][-1],
        "constant_relative": rows["best_constant"]["mean"][-1],
        "mse": more["mse"],
        "zero_mse": more["zero_mse"],
    }


def of_run(workdir: Path) -> dict[str, Any]:
    """What is kept of a run."""
    config, summary, evaluation = (
        json.loads((workdir / name).read_text())
        for name in ("config.json", "summary.json", "eval.json")
    )
    history = [row for row in read_rows(workdir) if "new_tasks/last" in row]
    return {
        "config": config["config"],
        "summary": summary,
        **without_maps(evaluation),
        "training": {row["step"]: row["new_tasks/last"] for row in history},
    }


def of_shipped() -> dict[str, Any]:
    """What the shipped hypernetwork is worth now, and with which versions that was measured."""
    model = shipped()
    began = time.process_time()
    evaluation = build(model.config).evaluate(model.params, True)
    seconds = round(time.process_time() - began, 1)
    return {**without_maps(evaluation), "evaluation": {"cpu_seconds": seconds, **provenance()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path, nargs="?")
    parser.add_argument("--shipped", action="store_true", help="evaluate the shipped hypernetwork")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    if options.shipped == (options.workdir is not None):
        parser.error("either a run's folder or --shipped")
    if options.shipped:
        before = json.loads(options.out.read_text()) if options.out.exists() else {}
        result = before | of_shipped()
    else:
        result = of_run(options.workdir)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, result)
    if options.model:
        save_model(options.model, shipped() if options.shipped else trained(options.workdir))
    median = said(result["new_problems"]["median_relative"], ".3f")
    print(f"{options.out}: median relative error {median}")


if __name__ == "__main__":
    main()
