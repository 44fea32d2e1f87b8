"""Report cards: `solve` on the benchmarks and over time, compared with scikit-fem.

    python experiments/solve/cards.py
    python experiments/solve/cards.py --over-time

They write `cards.json` and `cards_over_time.json`, which has layers, fronts and holes over time.
Each problem is solved in a process of its own, so that nothing is warm: seconds and CPU seconds of
the first `solve` and of a second one with another seed, without the import; the error relative to u
at the benchmark's nodes, the estimate, and the verdict.

Elliptic problems by scikit-fem are in `experiments/hypino/results/solvers.json`. Of HT, WV and
Burgers it makes ordinary differential equations here, by its quadratic elements along x, which
SciPy solves.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rival_problems
from known import KNOWN
from scipy.integrate import solve_ivp

from metajax.physics.pde import PROBLEMS, benchmark
from metajax.physics.solver import DoubtfulSolutionWarning, collocate, solve
from metajax.train import provenance, write_json

OVER_TIME = {
    "Burgers": "steepening",
    "Allen-Cahn": "allen-cahn",
    "plate with a hole": "plate with a hole",
}
"""Problems of `known.py`, by their names in the table."""
POINTS = 4096
"""Where these are compared, but for Burgers."""
ELEMENTS = (64, 128, 256)
"""Elements along x of problems in time."""


def timed(run: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call returns, and how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    seconds = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return found, {name: round(value, 2) for name, value in seconds.items()}


def stated(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A problem, the points where it is compared, and its solution there."""
    if name in OVER_TIME:
        found = KNOWN[OVER_TIME[name]]()
        if name in rival_problems.SOLUTIONS:
            return found.problem, *rival_problems.reference(name)
        sampled = collocate(found.problem, 12345, POINTS, 64)
        points = sampled.box.places(sampled.blocks[0].parts[0].points)
        return found.problem, points, found.exact[0](*points.T)
    known = benchmark(name)
    if name in rival_problems.SOLUTIONS:
        return known.pde, *rival_problems.reference(name)  # in float64
    return known.pde, np.asarray(known.points, float), np.asarray(known.reference, float)


def by_metajax(name: str) -> dict[str, Any]:
    """`solve`, with two seeds."""
    problem, points, true = stated(name)
    rows = {}
    for seed, which in enumerate(("first", "second")):
        found, row = timed(lambda seed=seed: solve(problem, seed=seed))
        rows[which] = row | {
            "error": rival_problems.relative_error(found.at(points), true),
            "estimate": found.error,
            "verdict": found.verdict,
            "features": found.features,
            "reasons": list(found.warnings),
        }
    return rows


def by_elements(name: str) -> list[dict[str, Any]]:
    """scikit-fem on ever finer meshes along x."""
    points, true = rival_problems.reference(name)
    rows = []
    for number in ELEMENTS:
        u, row = timed(lambda n=number: by_lines(name, n, points))
        rows.append({"elements": number, **row, "error": rival_problems.relative_error(u, true)})
    return rows


def by_lines(name: str, number: int, points: np.ndarray) -> np.ndarray:
    """HT, WV or Burgers by elements along x, and an integrator of stiff equations over time.

    Args:
      name: of the problem.
      number: elements along x.
      points: a grid with rows of equal times.
    """
    import skfem
    from scipy.sparse.linalg import splu
    from skfem.helpers import dot, grad

    mesh = skfem.MeshLine(np.linspace(-1, 1, number + 1))
    basis = skfem.Basis(mesh, skfem.ElementLineP2())

    @skfem.BilinearForm
    def mass(u, v, _):
        return u * v

    @skfem.BilinearForm
    def stiffness(u, v, _):
        return dot(grad(u), grad(v))

    @skfem.LinearForm
    def transport(v, w):
        return w["u"] * w["u"].grad[0] * v

    @skfem.BilinearForm
    def transport_change(u, v, w):
        return (u * w["u"].grad[0] + w["u"] * u.grad[0]) * v

    where, inner = basis.doflocs[0], basis.complement_dofs(basis.get_dofs())
    weights, stiff = (form.assemble(basis).tocsc() for form in (mass, stiffness))
    solved = splu(weights[inner][:, inner])
    apart = stiff[inner][:, inner]
    start = rival_problems.PROBLEMS[name].lower[1]
    times = np.unique(points[:, 1])
    first = {"Burgers": rival_problems.minus_sine}.get(name, rival_problems.SOLUTIONS[name])
    begin = first(where, np.full_like(where, start))[inner]

    def heat(_, u):
        return -0.2 * solved.solve(apart @ u)

    def wave(_, both):
        u, velocity = np.split(both, 2)
        return np.concatenate([velocity, -4 * solved.solve(apart @ u)])

    def burgers(_, u):
        whole = np.zeros(len(where))
        whole[inner] = u
        carried = transport.assemble(basis, u=basis.interpolate(whole))[inner]
        return -solved.solve(carried + rival_problems.VISCOSITY * (apart @ u))

    def burgers_change(_, u):
        whole = np.zeros(len(where))
        whole[inner] = u
        carried = transport_change.assemble(basis, u=basis.interpolate(whole))
        rows = carried[inner][:, inner] + rival_problems.VISCOSITY * apart
        return -solved.solve(rows.toarray())

    rates = {"HT": heat, "WV": wave, "Burgers": burgers}
    state = np.concatenate([begin, 0 * begin]) if name == "WV" else begin
    settings = {"method": "DOP853" if name == "WV" else "BDF", "rtol": 1e-8, "atol": 1e-9}
    if name == "Burgers":
        settings["jac"] = burgers_change
    span = (start, rival_problems.PROBLEMS[name].upper[1])
    found = solve_ivp(rates[name], span, state, t_eval=times, **settings)
    line = points[: len(points) // len(times), 0]
    at = basis.probes(line[None])
    rows = np.zeros((len(times), len(where)))
    rows[:, inner] = found.y[: len(inner)].T
    return (at @ rows.T).T.ravel()


def card(name: str) -> dict[str, Any]:
    """All of a problem."""
    warnings.simplefilter("ignore", DoubtfulSolutionWarning)
    timely = by_elements(name) if name in ("HT", "WV", "Burgers") else None
    return {"metajax": by_metajax(name), "scikit_fem": timely}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--over-time", action="store_true")
    parser.add_argument("--problems", nargs="*", choices=[*PROBLEMS, *OVER_TIME])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.problems = options.problems or list(OVER_TIME if options.over_time else PROBLEMS)
    file = "cards_over_time.json" if options.over_time else "cards.json"
    options.out = options.out or Path("experiments/solve/results") / file
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, Any] = {}
    # a new process for each problem
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        for name, row in zip(options.problems, pool.map(card, options.problems), strict=True):
            rows[name] = row
            print(name, row, flush=True)
            write_json(options.out, {"problems": rows} | provenance())


if __name__ == "__main__":
    main()
