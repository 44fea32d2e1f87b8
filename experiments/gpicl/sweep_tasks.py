"""The number of training tasks decides between memorising and learning to learn.

    python experiments/gpicl/sweep_tasks.py --seeds 2 --out experiments/gpicl/results

trains the preset `digits` (or another) once per number of tasks and seed, each in a workdir of its
own below --workdirs, so that an interrupted sweep goes on where it was, and writes
`sweep_tasks.json` and `sweep_tasks.png` into --out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from metajax.cli.main import main as metajax
from metajax.systems.gpicl import draw_phases
from metajax.train import write_json


def run(workdir: Path, preset: str, num_tasks: int, seed: int, more: list[str]) -> None:
    """Train one point, unless its workdir holds it already; stop the sweep if it fails."""
    if (workdir / "summary.json").exists():
        return
    arguments = ["train", "gpicl", "--preset", preset, "--num-tasks", str(num_tasks)]
    arguments += ["--seed", str(seed), "--workdir", str(workdir), *more]
    if code := metajax(arguments):
        raise SystemExit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="digits")
    parser.add_argument("--log2-tasks", type=int, nargs="+", default=[0, 3, 6, 9, 12, 16, 20])
    parser.add_argument("--seeds", type=int, default=1, help="runs per number of tasks")
    parser.add_argument("--workdirs", type=Path, default=Path("runs/sweep_tasks"))
    parser.add_argument("--out", type=Path, default=Path("experiments/gpicl/results"))
    options, more = parser.parse_known_args()
    evaluations = []
    for seed in range(options.seeds):
        for log2 in options.log2_tasks:
            workdir = options.workdirs / f"{options.preset}-2^{log2}-seed{seed}"
            run(workdir, options.preset, 2**log2, seed, more)
            summary = json.loads((workdir / "summary.json").read_text())
            evaluations.append(
                {
                    "seed": seed,
                    **json.loads((workdir / "eval.json").read_text()),
                    **{name: summary[name] for name in ("command", "hardware", "wall_seconds")},
                }
            )
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "sweep_tasks.json", evaluations)
    draw_phases(evaluations).savefig(options.out / "sweep_tasks.png", dpi=150)


if __name__ == "__main__":
    main()
