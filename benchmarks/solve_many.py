"""A thousand parameter sets of one problem: `solve_fn` mapped, and scikit-fem in a loop.

    python benchmarks/solve_many.py --out experiments/solve/results/solve_many.json

The problem is `-div(a grad u) = f` in the square from -1 to 1 with u given on its boundary, and
`a = exp(k . x)`. Parameters are `k` and the place of a Gaussian, which u is: so errors are known.
For each accuracy, both sides are as cheap as reaches it in the median over 20 sets: `solve_fn` by
the number of its features, scikit-fem by the degree of its triangles (1, 2, 4) and their number,
with mesh, basis and interpolation made once and the matrix assembled and factored for each set.

1. `accuracies`: CPU milliseconds a set, and their ratio in rounds that take turns.
2. `gradient`: the derivative of a functional by all four parameters, relative to the solve alone.

Everything runs on one thread; CPU seconds count, compiling is reported apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import skfem
from common import interleaved, interval, shown, use_one_thread, write_result

from metajax.core import float64_on_cpu
from metajax.physics.solver import PDEProblem, solve_fn

SETS, LOOPED, TRIED, DIFFERENTIATED = 1000, 20, 20, 100
WIDTH = 0.35
ACCURACIES = 1e-3, 1e-5
FEATURES = 60, 80, 100, 120, 150, 200, 250
MESHES = {1: (32, 64, 96), 2: (8, 12, 16, 24, 32), 4: (6, 8, 10, 12, 16)}
"""Cells along a side by the degree of the elements."""
CHUNK = 50
"""Sets that are mapped at once: their designs stay in memory."""


def bump(xp: Any, x: Any, y: Any, place: Any) -> Any:
    """The solution."""
    return xp.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * WIDTH**2))


def source(xp: Any, x: Any, y: Any, k: Any, place: Any) -> Any:
    """f."""
    right, up = x - place[0], y - place[1]
    laplacian = (right**2 + up**2) / WIDTH**4 - 2 / WIDTH**2
    along = -(k[0] * right + k[1] * up) / WIDTH**2
    return -xp.exp(k[0] * x + k[1] * y) * (laplacian + along) * bump(xp, x, y, place)


def problem_of(p: dict[str, Any]) -> PDEProblem:
    """The problem for one set."""

    def conductivity(x: Any, y: Any) -> Any:
        return jnp.exp(p["k"][0] * x + p["k"][1] * y)

    return PDEProblem(
        {
            "u_xx": conductivity,
            "u_yy": conductivity,
            "u_x": lambda x, y: p["k"][0] * conductivity(x, y),
            "u_y": lambda x, y: p["k"][1] * conductivity(x, y),
        },
        source=lambda x, y: -source(jnp, x, y, p["k"], p["place"]),
        dirichlet=lambda x, y: bump(jnp, x, y, p["place"]),
    )


def by_elements(degree: int, cells: int, points: np.ndarray) -> Callable[..., np.ndarray]:
    """A function from one set to u at points, by scikit-fem."""
    element = {1: skfem.ElementTriP1, 2: skfem.ElementTriP2, 4: skfem.ElementTriP4}[degree]()
    line = np.linspace(-1, 1, cells + 1)
    basis = skfem.Basis(skfem.MeshTri.init_tensor(line, line), element, intorder=2 * degree)
    probes, edge = basis.probes(points.T), basis.get_dofs().flatten()
    x, y = basis.doflocs[:, edge]

    @skfem.BilinearForm
    def stiffness(u: Any, v: Any, w: Any) -> Any:
        a = np.exp(w["k"][0] * w.x[0] + w["k"][1] * w.x[1])
        return a * (u.grad[0] * v.grad[0] + u.grad[1] * v.grad[1])

    @skfem.LinearForm
    def load(v: Any, w: Any) -> Any:
        return source(np, w.x[0], w.x[1], w["k"], w["place"]) * v

    def solution(k: np.ndarray, place: np.ndarray) -> np.ndarray:
        u = basis.zeros()
        u[edge] = bump(np, x, y, place)
        # arrays that are given to a form would be taken for functions of the elements
        matrix = stiffness.assemble(basis, k=tuple(k.tolist()))
        right = load.assemble(basis, k=tuple(k.tolist()), place=tuple(place.tolist()))
        return probes @ skfem.solve(*skfem.condense(matrix, right, x=u, D=edge))

    return solution


def in_chunks(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one set for all of them, some of which are mapped at once."""
    return jax.jit(lambda sets: jax.lax.map(function, sets, batch_size=CHUNK))


def error(found: Any, expected: np.ndarray) -> float:
    """The median over sets of the relative root mean square."""
    off = np.sqrt(np.mean((np.asarray(found) - expected) ** 2, -1) / np.mean(expected**2, -1))
    return float(np.median(off))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    result = use_one_thread()
    result["versions"]["scikit-fem"] = skfem.__version__
    result |= {"sets": SETS, "sets of scikit-fem a round": LOOPED, "accuracies": []}
    with float64_on_cpu():
        measure(result, options.rounds)
    write_result(options.out, result)


def measure(result: dict[str, Any], rounds: int) -> None:
    """Fill in the results."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.95, 0.95, (100, 2))
    sets = {"k": rng.uniform(-1, 1, (SETS, 2)), "place": rng.uniform(-0.5, 0.5, (SETS, 2))}
    few = [{name: value[i] for name, value in sets.items()} for i in range(TRIED)]
    x, y = points.T
    expected = np.stack([bump(np, x, y, one["place"]) for one in few])
    example = {"k": jnp.zeros(2), "place": jnp.zeros(2)}
    at = jnp.asarray(points)

    elements: list[dict[str, Any]] = []
    for degree, cells in [(one, cells) for one in MESHES for cells in MESHES[one]]:
        solution = by_elements(degree, cells, points)
        begin = time.process_time()
        found = np.stack([solution(**one) for one in few])
        seconds = (time.process_time() - begin) / TRIED
        elements.append({"degree": degree, "cells": cells, "seconds": seconds})
        elements[-1]["error"] = error(found, expected)
        print(elements[-1], flush=True)
    waves: list[tuple[dict[str, Any], Any]] = []
    for num in FEATURES:
        solver = solve_fn(problem_of, example, features=num)
        found = np.stack([solver(one)(at) for one in few])
        waves.append(({"features": num, "error": error(found, expected)}, solver))
        print(waves[-1][0], flush=True)
        if waves[-1][0]["error"] < min(ACCURACIES):
            break
    result["elements"], result["waves"] = elements, [row for row, _ in waves]

    for accuracy in ACCURACIES:
        good = [row for row in elements if row["error"] <= accuracy]
        row, solver = next(pair for pair in waves if pair[0]["error"] <= accuracy)
        begin = time.process_time()
        mapped = in_chunks(lambda p, u=solver: u(p)(at))
        jax.block_until_ready(mapped(sets))
        compiled = time.process_time() - begin
        sides: dict[str, Callable[[], Any]] = {"solve_fn": lambda f=mapped: f(sets)}
        best = min(good, key=lambda one: one["seconds"]) if good else None
        if best is not None:
            loop = by_elements(best["degree"], best["cells"], points)
            sides["scikit-fem"] = lambda f=loop: [f(**one) for one in few[:LOOPED]]
        taken = interleaved(sides, rounds)
        each = {"solve_fn": 1e3 * taken["solve_fn"] / SETS}
        found: dict[str, Any] = {"accuracy": accuracy, **row, "first call, seconds": compiled}
        if best is not None:
            each["scikit-fem"] = 1e3 * taken["scikit-fem"] / LOOPED
            found["element"] = best
            found["scikit-fem over solve_fn"] = interval(each["scikit-fem"] / each["solve_fn"])
        found["milliseconds"] = {name: interval(value) for name, value in each.items()}
        result["accuracies"].append(found)
        print(found, flush=True)

    row, solver = next(pair for pair in waves if pair[0]["error"] <= 1e-5)

    def functional(p: dict[str, Any]) -> Any:
        return jnp.mean(solver(p)(at) ** 2)

    value, slope = in_chunks(functional), in_chunks(jax.grad(functional))
    some = {name: given[:DIFFERENTIATED] for name, given in sets.items()}
    taken = interleaved({"value": lambda: value(some), "gradient": lambda: slope(some)}, rounds)
    ratio = interval(taken["gradient"] / taken["value"])
    result["gradient"] = {**row, "gradient over value": ratio}
    print("gradient over value", shown(ratio), flush=True)


if __name__ == "__main__":
    main()
