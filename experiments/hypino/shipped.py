"""What the hypernetwork that comes with the package is worth on problems it has never seen.

    python experiments/hypino/shipped.py

Writes `shipped.json`. `new_problems`: relative L2 errors of one pass on new manufactured problems,
of the best constant, and of random features with one least-squares solve each over the same points;
`solved`: the same with 2000 random features over 4096 and 2048 points, as `metajax solve` has them,
for the first few; `new_problems_zero_edge`: of problems that are 0 on the edge. `zero_edge`:
fifteen problems with known solutions that are 0 on all of the boundary, so that the source alone
makes them. `with_data`: Laplace's equation, whose solution its boundary values make, with and
without a hole.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import cast_floats, float64_on_cpu
from metajax.physics.pde import (
    PDE,
    Disk,
    Points,
    Square,
    apply_operator,
    differentiate,
    draw_problem,
    rasterise,
    sample,
)
from metajax.physics.solver import random_features, solve_head, with_constant
from metajax.systems.hypino import Inputs, Model, make_tasks, new_problems, shipped
from metajax.systems.hypino.benchmarking import EVAL_KEY, RANDOM_SCALE
from metajax.train import provenance, write_json

KEY = jax.random.key(0)
Formula = Callable[[Any, Any], Any]


def sines(a: int, b: int) -> Formula:
    """A product of sines, 0 on the square's edge."""
    return lambda x, y: jnp.sin(a * jnp.pi * (x + 1) / 2) * jnp.sin(b * jnp.pi * (y + 1) / 2)


def walled(inside: Formula) -> Formula:
    """Anything, times what is 0 on the square's edge."""
    return lambda x, y: (1 - x**2) * (1 - y**2) * inside(x, y)


ZERO_EDGE: dict[str, tuple[tuple[float, ...], Formula]] = {
    "sines 1, 1": ((0, 0, 0, 1, 1), sines(1, 1)),
    "sines 1, 2": ((0, 0, 0, 1, 1), sines(1, 2)),
    "sines 2, 1": ((0, 0, 0, 1, 1), sines(2, 1)),
    "sines 2, 2": ((0, 0, 0, 1, 1), sines(2, 2)),
    "sines 3, 1": ((0, 0, 0, 1, 1), sines(3, 1)),
    "sines 3, 3": ((0, 0, 0, 1, 1), sines(3, 3)),
    "walls": ((0, 0, 0, 1, 1), walled(lambda x, y: 1.0)),
    "walls, five times": ((0, 0, 0, 1, 1), walled(lambda x, y: 5.0)),
    "walls and x": ((0, 0, 0, 1, 1), walled(lambda x, y: x)),
    "walls and exp(x)": ((0, 0, 0, 1, 1), walled(lambda x, y: jnp.exp(x))),
    "walls and cos(3 x + y)": ((0, 0, 0, 1, 1), walled(lambda x, y: jnp.cos(3 * x + y))),
    "walls and a Gaussian": ((0, 0, 0, 1, 1), walled(lambda x, y: jnp.exp(-4 * (x**2 + y**2)))),
    "walls, half the operator": ((0, 0, 0, 0.5, 0.5), walled(lambda x, y: 1.0)),
    "walls, -2 u + lap u": ((-2, 0, 0, 1, 1), walled(lambda x, y: 1.0)),
    "walls, 2 u_xx + u_yy / 2": ((0, 0, 0, 2, 0.5), walled(lambda x, y: 1.0)),
}
"""Operators, and solutions that are 0 on all of the square's edge."""

WITH_DATA: dict[str, Formula] = {
    "exp(x) cos(y)": lambda x, y: jnp.exp(x) * jnp.cos(y),
    "exp(x) sin(y)": lambda x, y: jnp.exp(x) * jnp.sin(y),
    "x^2 - y^2 + x": lambda x, y: x**2 - y**2 + x,
    "1 + x + y": lambda x, y: 1 + x + y,
    "log of the distance to (-1.5, -1.5)": lambda x, y: (
        0.5 * jnp.log((x + 1.5) ** 2 + (y + 1.5) ** 2)
    ),
}
"""Harmonic functions, which their values on the boundary make."""


def relative(off: Any, true: Any) -> float:
    """The L2 norm of the one over that of the other."""
    return float(np.sqrt(np.mean(np.square(off)) / np.mean(np.square(true))))


def one_pass(model: Model, pde: PDE, solution: Formula) -> dict[str, float]:
    """Relative errors of one pass and of the best constant at 2048 points inside."""
    learner = model.learner
    points = sample(pde, KEY)
    coefficients = jnp.asarray(pde.coefficients, jnp.float32)
    inputs = Inputs(coefficients, rasterise(pde, points, model.config.grid))
    weights = jax.jit(learner.adapt)(model.params, inputs, KEY)
    u = np.asarray(learner.predict(model.params, weights, points.interior).u)
    true = np.asarray(solution(*points.interior.T))
    return {"error": relative(u - true, true), "constant": relative(true - true.mean(), true)}


def by_random_features(model: Model, num: int, features: int) -> np.ndarray:
    """Relative errors of random features on the problems of `new_problems`, one solve each."""
    draw = make_tasks(model.config)
    tasks = jax.jit(lambda key: draw(key))

    @jax.jit
    def error(coefficients: Any, points: Points, true: Any) -> Any:
        made = with_constant(random_features(KEY, features, RANDOM_SCALE, jnp.float64))
        u = made(points.interior).u @ solve_head(coefficients, points, made)
        return jnp.sqrt(jnp.mean((u - true) ** 2) / jnp.mean(true**2))

    found = []
    for key in jax.random.split(jax.random.key(EVAL_KEY), num):
        task = jax.device_get(tasks(key))
        if task.query.valid:
            with float64_on_cpu():
                known = (task.support.coefficients, task.query.points, task.query.solution.u)
                found.append(float(error(*cast_floats(known, np.float64))))
    return np.array(found)


def by_solving(model: Model, num: int, first: int, one_pass: np.ndarray) -> dict[str, Any]:
    """Median relative errors of the first few valid problems, by one pass and by solving."""
    draw = jax.jit(lambda key: draw_problem(key))
    points = jax.jit(lambda pde, key: sample(pde, key, 4096, 2048))

    @jax.jit
    def error(pde: PDE, solution: Any, points: Points) -> Any:
        made = with_constant(random_features(KEY, 2000, RANDOM_SCALE, jnp.float64))
        weights = solve_head(pde.coefficients, points, made)
        other = sample(pde, jax.random.key(1), 2048, 16).interior
        true = solution(other)
        return jnp.sqrt(jnp.mean((made(other).u @ weights - true) ** 2) / jnp.mean(true**2))

    found: list[float] = []
    for key in jax.random.split(jax.random.key(EVAL_KEY), num):
        problem = jax.device_get(draw(key))
        if problem.valid and len(found) < first:
            with float64_on_cpu():
                exact = cast_floats((problem.pde, problem.solution), np.float64)
                found.append(float(error(*exact, points(exact[0], KEY))))
            print(f"solved {len(found)}: {found[-1]:.2e}", flush=True)
    return {
        "n": first,
        "one_pass": float(np.median(one_pass[:first])),
        "random_2000": float(np.median(found)),
        "one_pass_ahead": int(np.sum(one_pass[:first] < found)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=256, help="new problems")
    parser.add_argument("--features", type=int, nargs="*", default=[32, 352])
    parser.add_argument("--solved", type=int, default=16, help="problems that are solved too")
    parser.add_argument("--out", type=Path, default=Path("experiments/hypino/results/shipped.json"))
    options = parser.parse_args()
    model = shipped()
    zero_edge = {}
    for name, (operator, solution) in ZERO_EDGE.items():

        def source(x: Any, y: Any, operator: Any = operator, solution: Formula = solution) -> Any:
            jet = differentiate(solution, jnp.stack([x, y], 1))
            return apply_operator(jnp.asarray(operator, x.dtype), jet)

        pde = PDE(list(operator), source, dirichlet=0.0)
        zero_edge[name] = one_pass(model, pde, solution)
    domains = {"square": Square(), "square less a disk": Square() - Disk((0.2, 0.1), 0.3)}
    with_data = {
        f"{name}, {domain}": one_pass(
            model, PDE([0, 0, 0, 1, 1], 0.0, shape, dirichlet=solution), solution
        )
        for name, solution in WITH_DATA.items()
        for domain, shape in domains.items()
    }
    tasks = make_tasks(model.config)
    manufactured, zero = (
        new_problems(
            model.learner,
            model.params,
            dataclasses.replace(tasks, homogeneous=jnp.float32(share)),
            options.problems,
        )
        for share in (0.0, 1.0)
    )
    found = {
        "new_problems": {
            "n": int(manufactured.relative.size),
            "one_pass": float(np.median(manufactured.relative)),
            "constant": float(np.median(manufactured.constant)),
            "worse_than_constant": int(np.sum(manufactured.relative > manufactured.constant)),
            **{
                f"random_{number}": float(
                    np.median(by_random_features(model, options.problems, number))
                )
                for number in options.features
            },
        },
        "solved": by_solving(model, options.problems, options.solved, manufactured.relative),
        "new_problems_zero_edge": {
            "n": int(zero.relative.size),
            "one_pass": float(np.median(zero.relative)),
            "constant": float(np.median(zero.constant)),
        },
        "zero_edge": zero_edge,
        "with_data": with_data,
    }
    for name, part in found.items():
        print(name, part)
    write_json(options.out, found | provenance())


if __name__ == "__main__":
    main()
