"""Keep a run's settings, cost and errors, without the maps of its solutions.

    python experiments/hypino/collect.py runs/hypino-tiny-0 \\
        --out experiments/hypino/results/tiny.json

With `--model FILE` also write its hypernetwork as a file that `load_model` reads.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from metajax.cli.solve import trained
from metajax.systems.hypino import save_model
from metajax.train import read_rows, write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    config, summary, evaluation = (
        json.loads((options.workdir / name).read_text())
        for name in ("config.json", "summary.json", "eval.json")
    )
    history = [row for row in read_rows(options.workdir) if "new_tasks/last" in row]
    ways = {name: found["ways"] for name, found in evaluation["benchmarks"].items()}
    result = {
        "config": config["config"],
        "summary": summary,
        "new_problems": evaluation["new_problems"],
        "benchmarks": ways,
        "training": {row["step"]: row["new_tasks/last"] for row in history},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, result)
    if options.model:
        save_model(options.model, trained(options.workdir))
    print(f"{options.out}: median relative error {result['new_problems']['median_relative']:.3f}")


if __name__ == "__main__":
    main()
