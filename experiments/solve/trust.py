"""Verdicts and estimated errors on problems whose solutions are known.

    python experiments/solve/trust.py --seeds 2
    python experiments/solve/trust.py --seeds 2 --problems rod kink  # only these rows change

Writes `trust.json`: for each problem of `known.py` and each seed the verdict of `solve` with its
reasons, the estimated error of u, and the true one, both as root mean squares over 2,000 points of
the domain that were not fitted, relative to that of u.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from known import KNOWN, Known

from metajax.physics.solver import DoubtfulSolutionWarning, solve
from metajax.physics.solver.collocation import collocate
from metajax.train import provenance, write_json

POINTS = 2000
"""Where the true error is taken."""


def true_error(known: Known, found: Any) -> float | None:
    """The error relative to the nearest of the exact solutions; None: there is none."""
    sampled = collocate(known.problem, 12345, POINTS, 64)
    points = sampled.box.places(sampled.blocks[0].parts[0].points)
    u = found.at(points)
    errors = []
    for exact in known.exact:
        right = exact(*points.T)
        errors.append(float(np.sqrt(np.mean((u - right) ** 2) / np.mean(right**2))))
    return min(errors, default=None)


def row(known: Known, seed: int, features: int) -> dict[str, Any]:
    """Solve a problem and compare what is said of the solution with the truth."""
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtfulSolutionWarning)
        found = solve(known.problem, features=features, seed=seed, size=9)
    return {
        "verdict": found.verdict,
        "estimate": found.error,
        "error": true_error(known, found),
        "reasons": list(found.warnings),
        "features": found.features,
        "cpu_seconds": round(time.process_time() - began, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=list(KNOWN), choices=list(KNOWN))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--features", type=int, default=640, help="sines at most")
    parser.add_argument("--out", type=Path, default=Path("experiments/solve/results/trust.json"))
    options = parser.parse_args()
    problems = {name: KNOWN[name]() for name in options.problems}
    rows: dict[str, Any] = {}
    if len(problems) < len(KNOWN) and options.out.exists():
        rows = json.loads(options.out.read_text())["problems"]
    rows |= {
        name: {"nasty": known.nasty, "determined": known.determined, "seeds": []}
        for name, known in problems.items()
    }
    for seed in range(options.seeds):
        for name, known in problems.items():
            one = row(known, seed, options.features)
            rows[name]["seeds"].append(one)
            true = "none" if one["error"] is None else f"{one['error']:.1e}"
            print(
                f"{name:20} {one['verdict']:9} error {true}, estimate {one['estimate']:.1e}, "
                f"{one['features']} features, {one['cpu_seconds']} s: {'; '.join(one['reasons'])}",
                flush=True,
            )
        results = {"features": options.features, "points": POINTS, "problems": rows}
        write_json(options.out, results | provenance())


if __name__ == "__main__":
    main()
