"""Random features and finite elements on the seven benchmarks, with their time.

    python experiments/hypino/solvers.py

Writes `solvers.json`: for each benchmark what `metajax solve` makes of it as it stands, and, where
the operator is elliptic, quartic finite elements (scikit-fem) on ever finer meshes: seconds of wall
and CPU time, mean squared error against the reference. Finite elements are also what the references
of HZ-G, PS-C, PS-L and PS-G were made with, on much finer meshes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import float64_on_cpu
from metajax.physics.pde import PROBLEMS, PUBLISHED, REFERENCE_SIZE, benchmark, finite_elements
from metajax.physics.solver import solve
from metajax.train import provenance, write_json

MESHES: dict[str, Callable[[Any, int], Any]] = {
    "HZ": lambda domain, n: finite_elements.square_mesh(n),
    "PS-G": lambda domain, n: finite_elements.square_mesh(n),
    "PS-L": lambda domain, n: finite_elements.corner_mesh(n),
    "HZ-G": lambda domain, n: finite_elements.holes_mesh(domain)(n),
    "PS-C": lambda domain, n: finite_elements.holes_mesh(domain)(n),
}
"""Meshes of the elliptic benchmarks by the number of times they are halved."""


def timed(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call returns, and how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return found, {name: round(value, 2) for name, value in seconds.items()}


def by_elements(known: Any, mesh: Callable[[Any, int], Any], halvings: int) -> dict[str, Any]:
    """One finite-element solve with its error at the benchmark's nodes."""
    with float64_on_cpu():
        points = np.asarray(known.points, float)

        def run():
            return finite_elements.solve(known.pde, mesh(known.pde.domain, halvings), points)

        u, row = timed(run)
    return {**row, "mse": float(np.mean((u - np.asarray(known.reference)) ** 2))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmarks", nargs="*", default=list(PUBLISHED), choices=list(PROBLEMS))
    parser.add_argument("--features", type=int, default=2000, help="random features")
    parser.add_argument("--out", type=Path, default=Path("experiments/hypino/results/solvers.json"))
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in options.benchmarks:
        known = benchmark(name)
        found, row = timed(lambda known=known: solve(known.pde, features=options.features))
        off = (found.u[known.place] - np.asarray(known.reference)) ** 2
        rows[name] = {
            "random_features": {
                **row,
                "mse": float(np.mean(off)),
                # as published: a mean over the whole square, with 0 outside the domain
                "mse_square": float(np.sum(off)) / REFERENCE_SIZE**2,
                "residual_rms": found.residual_rms,
                "scale": found.scale,
            },
            "finite_elements": [
                {"halvings": n, **by_elements(known, MESHES[name], n)}
                for n in ((0, 1, 2) if name in MESHES else ())
            ],
        }
        print(name, rows[name], flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(options.out, {"features": options.features, "benchmarks": rows} | provenance())


if __name__ == "__main__":
    main()
