"""What solving one PDE costs from a cold start, compared with finite elements and an older version.

    python benchmarks/solve.py --out benchmarks/results/solve.json

For each published benchmark a new process solves it twice by `metajax.physics.solver.solve`, with
no compilation cache: the first time is that of a cold start after imports. Elliptic ones are solved
by quartic finite elements (scikit-fem) on the mesh halved `--halvings` times, in a process of its
own too. `--older FOLDER`, a checkout of another version, solves them there; `--before FILE` takes
that version's rows from former results. All on one core; CPU seconds, relative L2 errors against
the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import use_one_thread, write_result

from metajax.physics.pde import PUBLISHED

FEATURES = """
import json, time, warnings
import numpy as np
began = time.process_time()
from metajax.physics.pde import benchmark
from metajax.physics.solver import solve
row = {"import_cpu_seconds": round(time.process_time() - began, 2)}
warnings.simplefilter("ignore")
known = benchmark(NAME)
points = np.asarray(known.points, np.float64)
true = np.asarray(known.reference if known.solution is None else known.solution(*points.T))
for call in ("cold", "again")[:CALLS]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = solve(known.pde)
    row[call + "_cpu_seconds"] = round(time.process_time() - cpu, 2)
    row[call + "_seconds"] = round(time.perf_counter() - wall, 2)
row["error"] = float(np.linalg.norm(found.u[known.place] - true) / np.linalg.norm(true))
print(json.dumps(row))
"""
ELEMENTS = """
import json, time
import numpy as np
from metajax.core import float64_on_cpu
from metajax.physics.pde import benchmark, finite_elements
known = benchmark(NAME)
with float64_on_cpu():
    points, domain = np.asarray(known.points, float), known.pde.domain
    true = np.asarray(known.reference if known.solution is None else known.solution(*points.T))
    cpu, wall = time.process_time(), time.perf_counter()
    makers = {"PS-L": finite_elements.corner_mesh, "HZ": finite_elements.square_mesh}
    makers["PS-G"] = finite_elements.square_mesh
    make = makers[NAME] if NAME in makers else finite_elements.holes_mesh(domain)
    u = finite_elements.solve(known.pde, make(CALLS), points)
    row = {"cold_cpu_seconds": round(time.process_time() - cpu, 2)}
    row["cold_seconds"] = round(time.perf_counter() - wall, 2)
row["error"] = float(np.linalg.norm(u - true) / np.linalg.norm(true))
print(json.dumps(row))
"""
ELLIPTIC = "HZ", "HZ-G", "PS-C", "PS-L", "PS-G"


def run(code: str, name: str, calls: int, folder: Path | None = None) -> dict[str, Any]:
    """What a new process measures."""
    root = Path(__file__).parents[1] if folder is None else folder
    settings = {
        **os.environ,
        "JAX_ENABLE_COMPILATION_CACHE": "0",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(root.resolve()),
    }
    code = code.replace("NAME", repr(name)).replace("CALLS", str(calls))
    # -P: the folder that this is called from is no place to import from
    command = [sys.executable, "-P", "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, env=settings, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--benchmarks", nargs="*", default=list(PUBLISHED), choices=PUBLISHED)
    parser.add_argument("--halvings", type=int, default=1, help="of the finite elements' mesh")
    parser.add_argument("--older", type=Path, help="checkout of another version")
    parser.add_argument("--before", type=Path, help="results that have its rows already")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    result = use_one_thread()
    before = {} if options.before is None else json.loads(options.before.read_text())["benchmarks"]
    rows: dict[str, Any] = {}
    for name in options.benchmarks:
        rows[name] = {"features": run(FEATURES, name, 2)}
        if name in ELLIPTIC:
            rows[name]["finite_elements"] = run(ELEMENTS, name, options.halvings)
        if options.older is not None:
            rows[name]["older"] = run(FEATURES, name, 1, options.older)
        elif "older" in before.get(name, {}):
            rows[name]["older"] = before[name]["older"]
        print(name, rows[name], flush=True)
        write_result(options.out, result | {"halvings": options.halvings, "benchmarks": rows})


if __name__ == "__main__":
    main()
