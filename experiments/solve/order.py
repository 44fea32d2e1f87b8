"""How fast errors fall as sines are added: smooth, at a corner, around a hole, at an interface.

    python experiments/solve/order.py

Writes `order.json`: for each problem and number of sines the relative error of u, by seed, with the
functions that `solve` adds for corners, holes and interfaces, and by sines alone. The tolerance is
out of reach, so that all sines are used. All solutions are known in closed form.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from known import ELLIPSE, LAPLACE, SQUARE, Known, around_hole, everywhere, smooth
from trust import POINTS

from metajax.physics.pde import Disk, Rectangle
from metajax.physics.solver import PDEProblem, collocate
from metajax.physics.solver.finding import find_rounds
from metajax.physics.solver.fitting import rounds
from metajax.physics.solver.solution import Solution
from metajax.physics.solver.taking import taker
from metajax.train import provenance, write_json

NUMBERS = (40, 80, 160, 320)
UNREACHED = 1e-15


def corner() -> Known:
    """The L-shape: powers 2/3, 2, 10/3, ... of the distance from its corner, and a smooth part."""
    domain = Rectangle((-1.0, -1.0), (1.0, 1.0), "box") - Rectangle(
        (0.0, -1.0), (1.0, 0.0), "notch"
    )

    def exact(x, y):
        angle = np.mod(np.arctan2(y, x), 2 * np.pi)
        root = np.hypot(x, y) ** (2 / 3) * np.exp(2j / 3 * angle)
        return np.imag(np.sin(2 * root)) + np.sin(2 * x + 0.5) * np.cos(y)

    def source(x, y):
        return -5 * np.sin(2 * x + 0.5) * np.cos(y)

    edges = everywhere(exact, ("box", "notch"))
    return Known(PDEProblem(LAPLACE, source, domain=domain, dirichlet=edges), (exact,))


def interface() -> Known:
    """A disk of conductivity 5, with a source that differs on both sides of its rim."""
    radius, ratio = 0.5, 5.0
    inner = 2 / (1 + ratio)

    def exact(x, y):
        squared = x**2 + y**2
        above = (squared - radius**2) ** 2
        far = x + (inner - 1) * radius**2 * x / np.maximum(squared, radius**2)
        within = inner * x + above * np.sin(3 * x + y)
        return np.where(squared < radius**2, within, far + above * np.cos(2 * x - y))

    def source(x, y):
        squared = x**2 + y**2
        above = squared - radius**2
        bent = 8 * above + 8 * squared  # the Laplacian of the square of ``above``

        def part(value, slope, along, across):
            turned = 8 * above * (along * x + across * y) * slope
            return bent * value + turned - above**2 * (along**2 + across**2) * value

        one, other = 3 * x + y, 2 * x - y
        within = ratio * part(np.sin(one), np.cos(one), 3, 1)
        return np.where(squared < radius**2, within, part(np.cos(other), -np.sin(other), 2, -1))

    conductivity = f"where(core, {ratio}, 1)"
    problem = PDEProblem(
        {"u_xx": conductivity, "u_yy": conductivity},
        source,
        dirichlet=everywhere(exact, SQUARE),
        regions={"core": Disk((0.0, 0.0), radius, "core")},
    )
    return Known(problem, (exact,))


PROBLEMS: dict[str, Callable[[], Known]] = {
    "smooth": smooth,
    "corner": corner,
    "hole": partial(around_hole, ELLIPSE),
    "interface": interface,
}


def error(known: Known, num: int, seed: int, alone: bool) -> float:
    """The relative error with so many sines."""
    settings: dict[str, Any] = {"tolerance": UNREACHED, "seed": seed}
    if alone:
        taken = taker(known.problem)
        found, units = rounds(taken.take, 2, most=num, **settings), taken.units
    else:
        window = find_rounds(known.problem, features=num, report=str, **settings)
        found, units = window.rounds, window.units
    solution = Solution(found.best.features, found.best.head.weights, units)
    sampled = collocate(known.problem, 12345, POINTS, 64)
    points = sampled.box.places(sampled.blocks[0].parts[0].points)
    exact = known.exact[0](*points.T)
    return float(np.sqrt(np.mean((solution.at(points) - exact) ** 2) / np.mean(exact**2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--numbers", type=int, nargs="*", default=NUMBERS)
    parser.add_argument("--out", type=Path, default=Path("experiments/solve/results/order.json"))
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name, make in PROBLEMS.items():
        known = make()
        for way, alone in (("solve", False), ("sines alone", True)):
            rows = found.setdefault(name, {})[way] = {}
            for num in options.numbers:
                rows[str(num)] = [error(known, num, seed, alone) for seed in range(options.seeds)]
                print(name, way, num, *(f"{one:.1e}" for one in rows[str(num)]), flush=True)
    write_json(options.out, {"seeds": options.seeds, "problems": found} | provenance())


if __name__ == "__main__":
    main()
