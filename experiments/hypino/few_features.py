"""Few features and a solved head: random ones, those chosen for a problem, and learned ones.

    python experiments/hypino/few_features.py --trained runs/hypino-chosen-0

Writes `few_features.json`: relative L2 errors of 32, 64 and 128 features tanh(a x + b y + c) and a
constant, with one solve in float64 over the same points for all, on new random problems and on the
benchmarks, by how the features are found. Everything is drawn again for each seed but the problems;
an error is the geometric mean over the seeds. `ratio` is the error of random features of the one
best scale over it, problem by problem: its median and the bootstrap 95% interval of the median.
The best scale is the one with the smallest median on these very problems.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import cast_floats, float64_on_cpu
from metajax.physics.pde import PUBLISHED, benchmark, draw_problem, sample
from metajax.physics.solver import (
    RandomFeatures,
    equations,
    improve_features,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.hypino import choose_features, draw_features, trained
from metajax.systems.hypino.benchmarking import EVAL_KEY
from metajax.train import provenance, write_json

SCALES = (0.5, 1.0, 2.0, 4.0)
FITTED, SCORED = (1024, 512), 512
"""Interior and boundary points that are fitted, and others at which u is scored."""


class Case(NamedTuple):
    """A problem: its operator, points to fit and to check, points to score at, and u there."""

    coefficients: Any
    fitted: Any
    checked: Any
    at: Any
    true: Any


def new_cases(num: int) -> list[Case]:
    """New random problems."""
    draw = jax.jit(lambda key: draw_problem(key))

    @jax.jit
    def points(problem: Any, key: Any) -> Any:
        fitted, checked = (sample(problem.pde, jax.random.fold_in(key, n), *FITTED) for n in (1, 2))
        at = checked.interior[:SCORED]
        return problem.pde.coefficients, fitted, checked, at, problem.solution(at)

    cases = []
    for key in jax.random.split(jax.random.key(EVAL_KEY), num):
        problem = jax.device_get(draw(key))
        if problem.valid:
            exact = cast_floats(problem, np.float64)
            cases.append(Case(*jax.device_get(points(exact, key))))
    return cases


def benchmark_cases() -> list[Case]:
    """The seven benchmarks, scored at the nodes of their references."""
    cases = []
    for name in PUBLISHED:
        known = benchmark(name)
        fitted, checked = (sample(known.pde, jax.random.key(n), *FITTED) for n in (1, 2))
        coefficients = jnp.asarray(known.pde.coefficients, float)
        cases.append((coefficients, fitted, checked, known.points, known.reference))
    return [Case(*cast_floats(jax.device_get(case), np.float64)) for case in cases]


@jax.jit
def solve(inner: Any, case: Case) -> Any:
    """The head of features and a constant."""
    return solve_head(case.coefficients, case.fitted, with_constant(RandomFeatures(inner)))


def error(inner: Any, case: Case) -> float:
    """The relative L2 error of the best combination of features."""
    head = np.asarray(solve(inner, case._replace(at=None, true=None)))
    a, b, c = np.asarray(inner)
    u = np.tanh(case.at[:, :1] * a + case.at[:, 1:] * b + c) @ head[:-1] + head[-1]
    return float(np.sqrt(np.mean((u - case.true) ** 2) / np.mean(case.true**2)))


@jax.jit
def left_at_others(inner: Any, case: Case) -> Any:
    """What the best combination leaves at points that were not fitted."""
    made = with_constant(RandomFeatures(inner))
    rows = equations(case.coefficients, case.checked, made)
    head = solve_head(case.coefficients, case.fitted, made)
    return jnp.linalg.norm(rows.design @ head - rows.targets)


@partial(jax.jit, static_argnames="num")
def choose(case: Case, candidates: Any, num: int) -> Any:
    """Features chosen among candidates, the most useful first."""
    return choose_features(case.coefficients, case.fitted, candidates, num)


@partial(jax.jit, static_argnames="steps")
def improve(case: Case, inner: Any, steps: int) -> Any:
    """Features that are moved by steps of Gauss and Newton."""
    return improve_features(case.coefficients, case.fitted, inner, steps).inner


@partial(jax.jit, static_argnames="num")
def draw_placed(key: Any, num: int) -> Any:
    """Features that bend inside the square."""
    return draw_features(key, num).astype(float)


@partial(jax.jit, static_argnames="num")
def draw_random(key: Any, num: int, scale: float) -> Any:
    """Random features of one scale."""
    return random_features(key, num, scale, jnp.float64).inner


class Clock:
    """CPU time of steps by name, in milliseconds."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}

    def __call__(self, name: str, run: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = jax.block_until_ready(run())
        self.times.setdefault(name, []).append(1000 * (time.process_time() - began))
        return found


def one_problem(case: Case, key: Any, options: Any, bank: Any, clock: Clock) -> dict[str, float]:
    """The error of every way and number on one problem."""
    given = case._replace(at=None, true=None)
    few, many = options.candidates
    most = max(options.features)
    banks = {"chosen_few": draw_placed(key, few), "chosen_many": draw_placed(key, many)}
    if bank is not None:
        banks["learned"] = bank
    sets = {
        way: clock(way, partial(choose, given, candidates, most))
        for way, candidates in banks.items()
    }
    found = {}
    for num in options.features:
        by_scale = {f"random_{scale:g}": draw_random(key, num, scale) for scale in SCALES}
        inner = dict(by_scale)
        inner["placed"] = draw_placed(key, num)
        inner |= {way: chosen[:, :num] for way, chosen in sets.items()}
        if num <= options.improve_up_to:
            for way, start in (("random_improved", "random_2"), ("chosen_improved", "chosen_many")):
                moved = partial(improve, given, inner[start], options.steps)
                inner[way] = clock(f"{way} {num}", moved)
        left = {way: left_at_others(of_scale, given) for way, of_scale in by_scale.items()}
        inner["by_residual"] = by_scale[min(left, key=lambda way: float(left[way]))]
        clock(f"solve {num}", partial(solve, inner["placed"], given))
        found |= {f"{way} {num}": error(each, case) for way, each in inner.items()}
    for num in options.more:
        drawn = draw_random(key, num, SCALES[-1])
        clock(f"solve {num}", partial(solve, drawn, given))
        found[f"random {num}"] = error(drawn, case)
    return found


def interval(values: np.ndarray) -> list[float]:
    """A median with its bootstrap 95% interval."""
    draws = np.random.default_rng(0).choice(values, (2000, values.size))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return [float(np.median(values)), float(low), float(high)]


def compared(errors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Medians of errors and of ratios to random features, from ``[seeds, problems]`` by way."""
    each = {way: np.exp(np.log(found).mean(0)) for way, found in errors.items()}
    by_scale = {way: each[way] for way in (f"random_{scale:g}" for scale in SCALES)}
    best = min(by_scale, key=lambda way: float(np.median(by_scale[way])))
    of_scales = np.array([errors[way] for way in by_scale])
    each["oracle"] = np.exp(np.log(of_scales.min(0)).mean(0))
    ways = {
        way: {
            "error": interval(found),
            "ratio": interval(each[best] / found),
            "ratio_to_oracle": interval(each["oracle"] / found),
        }
        for way, found in each.items()
    }
    return {"best_scale": best, "n": int(each[best].size), "ways": ways}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trained", help="a run of method chosen")
    parser.add_argument("--problems", type=int, default=160, help="new problems")
    parser.add_argument("--features", type=int, nargs="*", default=[32, 64, 128])
    parser.add_argument("--candidates", type=int, nargs=2, default=[512, 1024])
    parser.add_argument("--steps", type=int, default=10, help="Gauss-Newton steps")
    parser.add_argument("--improve-up-to", type=int, default=64, help="features that are improved")
    parser.add_argument("--more", type=int, nargs="*", default=[256, 512], help="random features")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=Path("experiments/hypino/results/few_features.json")
    )
    options = parser.parse_args()
    model: Any = trained(Path(options.trained)) if options.trained else None
    bank = None if model is None else np.asarray(model.params["inner"], float)
    config = None if model is None else dataclasses.asdict(model.config)
    with float64_on_cpu():
        cases = {"new_problems": new_cases(options.problems), "benchmarks": benchmark_cases()}
        errors: dict[str, list[list[dict[str, float]]]] = {kind: [] for kind in cases}
        clock = Clock()
        for seed in range(options.seeds):
            for kind, given in cases.items():
                # other draws for every problem: a draw that is lucky for one is not for all
                keys = jax.random.split(jax.random.key(seed), len(given))
                errors[kind].append([])
                for case, key in zip(given, keys, strict=True):
                    errors[kind][-1].append(one_problem(case, key, options, bank, clock))
            # what is done so far: a run may be stopped after any seed
            found = summary(errors, clock, options)
            write_json(options.out, found | {"trained": config} | provenance())
            print(f"seed {seed}: {time.process_time():.0f} CPU s", flush=True)


def summary(errors: dict[str, Any], clock: Clock, options: Any) -> dict[str, Any]:
    """All that is kept: errors by way, their medians and ratios, and CPU times."""
    found: dict[str, Any] = {}
    for kind, seeds in errors.items():
        ways = {
            way: np.array([[case[way] for case in cases] for cases in seeds]) for way in seeds[0][0]
        }
        part = {}
        for num in options.features:
            of_num = {w.split()[0]: e for w, e in ways.items() if w.split()[1] == str(num)}
            part[str(num)] = compared(of_num)
            for way, row in part[str(num)]["ways"].items():
                print(kind, num, way, *(f"{k} {np.round(v, 4)}" for k, v in row.items()))
        more = {
            way: interval(np.exp(np.log(found).mean(0)))
            for way, found in ways.items()
            if int(way.split()[1]) in options.more
        }
        found[kind] = {"by_number": part, "more_random": more}
        if kind == "benchmarks":
            found[kind]["errors"] = {
                way: dict(zip(PUBLISHED, np.exp(np.log(e).mean(0)).tolist(), strict=True))
                for way, e in ways.items()
            }
    times = {name: float(np.median(each)) for name, each in clock.times.items()}
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "trained")}
    seeds_done = len(errors["benchmarks"])
    return found | {"cpu_milliseconds": times, "options": settings | {"seeds": seeds_done}}


if __name__ == "__main__":
    main()
