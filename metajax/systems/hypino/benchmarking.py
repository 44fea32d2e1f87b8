"""The published benchmarks, by every way to solve them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from metajax.core import Examples, MetaLearner, Params, cast_floats, float64_on_cpu
from metajax.nn import PINN, Jet
from metajax.physics.pde import (
    REFERENCE_SIZE,
    Points,
    apply_operator,
    benchmark,
    mean_squared_error,
    nodes,
    on_reference_grid,
    rasterise,
    sample,
    smape,
)
from metajax.physics.solver import (
    ConcatenatedFeatures,
    Features,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.base import Method
from metajax.systems.hypino.features import HiddenFeatures
from metajax.systems.hypino.finetuning import adam, as_examples, tuning_curves
from metajax.systems.hypino.network import Inputs, Target, solution
from metajax.systems.hypino.problem import Problem
from metajax.systems.hypino.refinement import Ensemble, refine

EVAL_KEY = 2509_05117
"""Seed of the problems that are evaluated on: the same for every run."""
COLLOCATION = 2048, 2048
"""Interior and boundary points of a benchmark."""
RANDOM_SCALE = 4.0
"""Of the random features; the best differs from problem to problem."""
NUM_RANDOM = 2000
"""Random features of the trivial baseline."""
WIDTH = 32
"""Features of a network that an image, which has none, stands for: those of the published one."""
TUNING_POINTS = 512, 512
"""Interior and boundary points that a network is fine-tuned on."""
TUNING_RATE = 1e-3
"""Largest learning rate of fine-tuning; the published 1e-4 is for 10,000 steps."""


class PreparedBenchmark(NamedTuple):
    """A benchmark with its points drawn and its images made, ready for a model.

    Attributes:
      inputs: what the hypernetwork reads.
      points: collocation points with data.
      few: points to fine-tune on.
      source: the equation's right side on the nodes of that grid.
      place: row and column of the nodes at which it is scored, in a grid of ``REFERENCE_SIZE``.
      reference: u there.
    """

    inputs: Inputs
    points: Points
    few: Points
    source: Float[Array, "size size"]
    place: tuple[np.ndarray, np.ndarray]
    reference: Float[Array, " n"]


def prepare_benchmark(name: str, size: int) -> PreparedBenchmark:
    """Sample a benchmark's points and draw its images, of ``size`` nodes along a side.

    Args:
      name: of :func:`metajax.physics.pde.benchmark`.
      size: nodes along a side of the images.

    Returns:
      The benchmark with points and images.
    """
    problem = benchmark(name)
    points = sample(problem.pde, jax.random.key(EVAL_KEY), *COLLOCATION)
    grids = rasterise(problem.pde, points, size)
    inputs = Inputs(jnp.asarray(problem.pde.coefficients, jnp.float32), grids, points)
    source = problem.pde.source(grid()).reshape(REFERENCE_SIZE, REFERENCE_SIZE)
    few = sample(problem.pde, jax.random.key(EVAL_KEY), *TUNING_POINTS)
    return PreparedBenchmark(inputs, points, few, source, problem.place, problem.reference)


def grid_errors(
    u: Float[Array | np.ndarray, "size size"], known: PreparedBenchmark
) -> dict[str, float]:
    """MSE and SMAPE of a solution on the grid against the reference, inside the domain.

    ``mse_square`` is the MSE as published: a mean over the whole square, with 0 outside the domain
    in solution and reference, and so smaller by the domain's share of the square.

    Args:
      u: a solution at the nodes.
      known: the benchmark.

    Returns:
      The errors by name.
    """
    values = jnp.asarray(np.asarray(u)[known.place])
    mse = float(mean_squared_error(values, known.reference))
    return {
        "mse": mse,
        "mse_square": mse * known.reference.size / REFERENCE_SIZE**2,
        "smape": float(smape(values, known.reference)),
    }


def grid() -> Float[Array, "nodes 2"]:
    """The nodes at which solutions are compared with references."""
    return nodes(REFERENCE_SIZE).reshape(-1, 2)


class GridSolution(NamedTuple):
    """A solution on the nodes of a grid.

    Attributes:
      u: its values.
      residual: what it leaves of the equation.
    """

    u: Float[Array | np.ndarray, "size size"]
    residual: Float[Array | np.ndarray, "size size"]


def on_grid(coefficients: Array, source: Float[Array, "size size"], jet: Jet) -> GridSolution:
    """The solution that has this jet at the nodes."""
    residual = apply_operator(coefficients, jet).reshape(source.shape) - source
    return GridSolution(jet.u.reshape(source.shape), residual)


@jax.jit
def combined(
    coefficients: Array, points: Points, source: Float[Array, "size size"], features: Features
) -> GridSolution:
    """The best combination of features, on the grid."""
    full = with_constant(features)
    weights = solve_head(coefficients, points, full)
    jet = jax.tree.map(lambda leaf: leaf @ weights, full(grid().astype(source.dtype)))
    return on_grid(coefficients, source, jet)


def by_least_squares(known: PreparedBenchmark, features: Features) -> GridSolution:
    """The best combination of features, in float64 on the CPU, on the grid.

    Args:
      known: the benchmark with its points.
      features: to be combined.

    Returns:
      The solution at the nodes.
    """
    with float64_on_cpu():
        given = jax.device_get((known.inputs.coefficients, known.points, known.source, features))
        return jax.device_get(combined(*cast_floats(given, np.float64)))


def benchmarks(
    problem: Problem,
    method: Method,
    params: Params,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Every way to solve the benchmarks of the settings, each with MSE, SMAPE and seconds of CPU.

    ``zero``; the model alone, ``model``, and refined, ``refined_N``; the closed-form head on the
    features of one network (``head``), of all rounds (``head_N``), and of these with as many random
    ones (``head_N_and_random``); random features alone: the same number (``random_equal``), twice
    that, and 2000 (``random``). A method that makes images has no features, and no closed-form
    heads. Seconds of the first benchmark include compiling.

    Args:
      problem: the family's; its settings say which, the rounds, and the steps of fine-tuning.
      method: one of the family's.
      params: its parameters.
      progress: is told each benchmark's name.

    Returns:
      Scores by problem and way.
    """
    found: dict[str, Any] = {}
    for name in problem.settings.benchmarks:
        if progress is not None:
            progress(name)
        known = prepare_benchmark(name, problem.settings.grid)
        found[name] = every_way(problem, method, params, known)
    return found


@functools.partial(jax.jit, static_argnames=("learner", "target", "rounds"))
def solve_refined(
    learner: MetaLearner,
    target: PINN,
    params: Params,
    inputs: Inputs,
    points: Points,
    source: Float[Array, "size size"],
    rounds: int,
) -> tuple[Ensemble, GridSolution]:
    """The networks of one pass and of rounds of refinement, and their sum on the grid."""
    key = jax.random.key(EVAL_KEY)  # the same draws in every round, where a method draws at all
    ensemble = refine(lambda x: learner.adapt(params, x, key), target, inputs, points, rounds)
    return ensemble, on_grid(inputs.coefficients, source, ensemble.derivatives(target, grid()))


def every_way(
    problem: Problem, method: Method, params: Params, known: PreparedBenchmark
) -> dict[str, Any]:
    """The rows and maps of one benchmark."""
    of, target, learner = problem.settings, method.parts, method.learner
    assert learner is not None
    rows: dict[str, Any] = {}
    kept: dict[str, GridSolution] = {}

    def note(way: str, solve: Callable[[], GridSolution]) -> None:
        began = time.process_time()
        found = jax.device_get(solve())
        seconds = round(time.process_time() - began, 3)
        rows[way] = {**grid_errors(found.u, known), "cpu_seconds": seconds}
        kept[way] = found

    ensembles = {}

    def by_model(rounds: int) -> GridSolution:
        ensembles[rounds], found = solve_refined(
            learner, target.function, params, known.inputs, known.points, known.source, rounds
        )
        return found

    note("zero", lambda: GridSolution(np.zeros_like(known.source), -np.asarray(known.source)))
    for rounds in (0, *of.rounds):
        note(f"refined_{rounds}" if rounds else "model", functools.partial(by_model, rounds))
    most = max(of.rounds)
    num = (most + 1) * (target.width or WIDTH)
    few, as_many, twice = (random_of(number) for number in (NUM_RANDOM, num, 2 * num))
    ways: dict[str, Features] = {}
    shown = ["model", f"refined_{most}"]
    if target.width is not None:
        one, many = (
            HiddenFeatures(ensembles[rounds].weights, target.function) for rounds in (0, most)
        )
        ways["head"] = one
        ways[f"head_{most}"] = many
        ways[f"head_{most}_and_random"] = ConcatenatedFeatures((many, as_many))
        shown.append(f"head_{most}")
    ways |= {"random_equal": as_many, "random_twice": twice, "random": few}
    for way, features in ways.items():
        note(way, functools.partial(by_least_squares, known, features))
    return {
        "ways": rows,
        "by_round": by_round(target.function, known, ensembles[most]),
        "tuning": tuning(target, known, ensembles[0], of.finetune_steps),
        "maps": maps(known, {way: kept[way] for way in shown}),
    }


def by_round(target: PINN, known: PreparedBenchmark, ensemble: Ensemble) -> list[float]:
    """Mean squared errors after 0, 1, 2, ... rounds of refinement."""
    found = np.asarray(values_by_round(target, ensemble.weights))
    return [grid_errors(u, known)["mse"] for u in found]


@functools.partial(jax.jit, static_argnames="target")
def values_by_round(target: PINN, weights: Params) -> Float[Array, "rounds size size"]:
    """The sums of the first, the first two, ... networks, on the grid."""
    each = jax.lax.map(lambda one: solution(target, one, grid()).u, weights)
    return jnp.cumsum(each, axis=0).reshape(-1, REFERENCE_SIZE, REFERENCE_SIZE)


def tuning(
    target: Target, known: PreparedBenchmark, generated: Ensemble, steps: int
) -> dict[str, list[float]]:
    """Mean squared errors while a generated and a random network are fine-tuned.

    ``steps``, and by start the error after each. Empty where the target is an image.
    """
    if target.width is None or not steps:
        return {}
    one = jax.tree.map(lambda leaf: leaf[0], generated.weights)
    random = target.function.init(jax.random.key(EVAL_KEY), grid()[:1])
    starts = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, random)
    reference, scored = on_reference_grid(known.place, known.reference)
    problem = as_examples(known.inputs.coefficients, known.few)
    errors = tune(target.function, steps, starts, problem, reference, scored)
    at = list(range(0, steps + 1, records(steps)))
    named = zip(("generated", "random"), np.asarray(errors, float).tolist(), strict=True)
    return {"steps": at, **dict(named)}


def records(steps: int) -> int:
    """Steps between records of fine-tuning: about fifty of them, a divisor of all steps."""
    few = max(steps // 50, 1)
    return next(every for every in range(few, 0, -1) if steps % every == 0)


@functools.partial(jax.jit, static_argnames=("target", "steps"))
def tune(
    target: PINN,
    steps: int,
    starts: Params,
    problem: Examples,
    reference: Float[Array, "size size"],
    scored: Bool[Array, "size size"],
) -> Float[Array, "starts records"]:
    """The errors of :func:`tuning`."""

    def error(weights: Params) -> Array:
        off = target.apply(weights, grid())[:, 0] - reference.reshape(-1)
        return jnp.mean(off**2, where=scored.reshape(-1))

    rule, every = adam(steps, TUNING_RATE), records(steps)
    return tuning_curves(target, starts, problem, rule, error, steps=steps, every=every)[0]


def random_of(num: int) -> Features:
    """``num`` random features."""
    return random_features(jax.random.key(EVAL_KEY), num, RANDOM_SCALE)


def maps(known: PreparedBenchmark, kept: dict[str, GridSolution]) -> dict[str, Any]:
    """Reference, solutions and residuals on every second node, None outside the domain."""
    reference, inside = on_reference_grid(known.place, known.reference)

    def rows(values: np.ndarray) -> list[list[float | None]]:
        return [
            [float(f"{v:.4g}") if there else None for v, there in zip(*row, strict=True)]
            for row in zip(values[::2, ::2], inside[::2, ::2], strict=True)
        ]

    return {
        "reference": rows(reference),
        "ways": {
            way: {"u": rows(np.asarray(u)), "residual": rows(np.asarray(left))}
            for way, (u, left) in kept.items()
        },
    }
