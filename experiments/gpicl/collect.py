"""Collect finished runs into one JSON of results.

python experiments/gpicl/collect.py runs/gpicl-cpu-* --out experiments/gpicl/results/cpu.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from metajax.systems.gpicl import in_rows
from metajax.train import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results = []
    for workdir in options.workdirs:
        config, summary, evaluation = (
            json.loads((workdir / name).read_text())
            for name in ("config.json", "summary.json", "eval.json")
        )
        results.append({"config": config["config"], "summary": summary, "eval": evaluation})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, results)
    for result in results:
        score = in_rows(result["eval"])["more"]["unseen"]
        print(
            f"{result['summary']['command']}: unseen gain {100 * score['gain']:.1f} "
            f"±{100 * score['gain_ci95']:.1f}, last {100 * score['last']:.1f}"
        )


if __name__ == "__main__":
    main()
