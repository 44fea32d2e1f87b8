"""Keep what finished runs hold in one JSON: of each its settings, its cost and its evaluation.

    python experiments/collect.py runs/gpicl-cpu-* --out experiments/gpicl/results/cpu.json

The runs are folders of `metajax train`, or those in `runs/` of a sweep or a comparison.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from metajax.train import write_json


def of_run(workdir: Path) -> dict[str, Any]:
    """What is kept of a run."""
    config, summary, evaluation = (
        json.loads((workdir / name).read_text())
        for name in ("config.json", "summary.json", "eval.json")
    )
    return {"config": config["config"], "summary": summary, "eval": evaluation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    runs = [of_run(workdir) for workdir in options.workdirs]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, runs)
    print(f"{options.out}: {len(runs)} runs")


if __name__ == "__main__":
    main()
