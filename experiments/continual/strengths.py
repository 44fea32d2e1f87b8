"""Train every method on a sequence of tasks, with several strengths of what protects earlier tasks.

    python experiments/continual/strengths.py split_digits \\
        --out experiments/continual/results/split_digits.json

The strengths and seeds of a method are one compiled program, a `metajax sweep`. A file that is
there keeps the methods that are not trained now. Other options are given to `metajax sweep`.
"""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from metajax.cli.main import main as metajax
from metajax.systems import get_system
from metajax.train import write_json

OF_OUTPUTS = (0.0, 0.01, 0.1, 1.0)
STRENGTHS: dict[str, tuple[float, ...]] = {
    "hypernetwork": OF_OUTPUTS,
    "recurrent_hypernetwork": OF_OUTPUTS,
    "neighbor_hypernetwork": OF_OUTPUTS,
    "interval_hypernetwork": (0.001, 0.01, 0.1, 1.0, 10.0),
    "elastic_weights": (10.0, 100.0, 1e3, 1e4, 1e5, 1e6),
}
"""Strengths by method; the others have none."""
FIGURES = ("final", "during", "forgetting", "inferred", "universal", "verified", "excess")
"""What is kept of each run, of those that it has."""
FILES = ("config", "eval", "summary")


def collect(folder: Path) -> dict[str, Any]:
    """What the tables need of a method's runs: figures by strength, a list over seeds each.

    Args:
      folder: of the method's sweep.
    """
    runs = [
        {name: json.loads((run / f"{name}.json").read_text()) for name in FILES}
        for run in sorted(folder.glob("runs/*"))
        if (run / "summary.json").is_file()
    ]
    if not runs:
        raise SystemExit(f"no run in {folder} ended well")
    runs.sort(key=lambda run: run["config"]["config"]["seed"])
    found: dict[float | None, dict[str, Any]] = {}
    for run in runs:
        config, more = run["config"]["config"], run["eval"]["more"]
        strength = config.get("strength")
        empty = {"strength": strength, "seeds": [], **{f: [] for f in FIGURES if f in more}}
        group = found.setdefault(strength, empty)
        group["seeds"].append(config["seed"])
        for figure in FIGURES:
            if figure in more:
                group[figure].append(round(more[figure], 7))
    first, summaries = runs[0], [run["summary"] for run in runs]
    config, more = first["config"]["config"], first["eval"]["more"]
    return {
        "settings": {
            name: value for name, value in config.items() if name not in ("seed", "strength")
        },
        "setting": first["eval"]["setting"],
        "class_means": more["class_means"],
        "chance": more["chance"],
        "numbers": more["numbers"],
        "train_cpu_seconds": sum(one["train_cpu_seconds"] for one in summaries),
        **{name: summaries[0][name] for name in ("hardware", "versions")},
        "strengths": sorted(found.values(), key=lambda group: group["strength"] or 0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    methods = list(get_system("continual").methods)
    parser.add_argument("preset", choices=list(get_system("continual").presets))
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    parser.add_argument("--strengths", nargs="+", type=float, help="of all methods that have one")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workdir", type=Path, help="by default runs/continual_PRESET")
    parser.add_argument("--out", type=Path, required=True)
    options, rest = parser.parse_known_args()
    folder = options.workdir or Path("runs") / f"continual_{options.preset}"
    out = {}
    if options.out.is_file():
        out = json.loads(options.out.read_text())
    for method in options.methods:
        words = ["sweep", "continual", "--preset", options.preset, "--method", method]
        strengths = STRENGTHS.get(method)
        if strengths:
            words += ["--grid", "strength=" + ",".join(map(str, options.strengths or strengths))]
        # nothing is measured along the way
        words += ["--eval-every", "1000000", "--seeds", str(options.seeds), "--engine", "vmap"]
        words += rest
        if metajax([*words, "--no-progress", "--workdir", str(folder / method)]):
            print(f"{method}: not all runs ended well; their strengths have fewer seeds")
        out[method] = {"command": shlex.join(["metajax", *words]), **collect(folder / method)}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.out, out)
    print(f"{options.out}: {', '.join(out)}")


if __name__ == "__main__":
    main()
