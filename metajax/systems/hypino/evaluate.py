"""How good solutions are: on new random problems, and on the seven published benchmarks."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

from metajax.core import Params, cast_floats, float64_on_cpu
from metajax.nn import Jet
from metajax.physics.pde import (
    PUBLISHED,
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
from metajax.systems.hypino.config import Config
from metajax.systems.hypino.finetuning import adam, as_examples, tuning_curves
from metajax.systems.hypino.learner import make_learner
from metajax.systems.hypino.least_squares import (
    Features,
    Together,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.hypino.network import Inputs, make_network, make_target, solution
from metajax.systems.hypino.refinement import Ensemble, refine
from metajax.systems.hypino.tasks import make_tasks

EVAL_KEY = 2509_05117
"""Seed of the problems that are evaluated on: the same for every run."""
COLLOCATION = 2048, 2048
"""Interior and boundary points of a benchmark."""
RANDOM_SCALE = 4.0
"""Of the random features; the best differs from problem to problem."""
NUM_RANDOM = 2000
"""Random features of the trivial baseline."""
TUNING_POINTS = 512, 512
"""Interior and boundary points that a network is fine-tuned on."""
TUNING_RATE = 1e-3
"""Largest learning rate of fine-tuning; the published 1e-4 is for 10,000 steps."""


class Errors(NamedTuple):
    """Of solutions of new random problems; see :func:`new_problems`.

    Attributes:
      relative: L2 error over the solution's L2 norm.
      constant: the same of the best constant, the solution's own mean.
      squared: mean squared error.
      zero: mean square of the solution, the error of 0.
    """

    relative: Float[Array, " problems"]
    constant: Float[Array, " problems"]
    squared: Float[Array, " problems"]
    zero: Float[Array, " problems"]


def new_problems(config: Config, params: Params, num: int, homogeneous: float = 0.0) -> Errors:
    """Solve ``num`` new random problems with a known solution, by one pass each.

    Errors over the interior points. Problems out of the limits are left out.
    """
    learner = make_learner(config)
    tasks = dataclasses.replace(make_tasks(config), homogeneous=jnp.float32(homogeneous))

    @jax.jit
    def errors(params: Params, keys: Array) -> Any:
        def one(key: Array) -> Any:
            task = tasks(key)
            adapted = learner.adapt(params, task.support, key)
            found = learner.predict(params, adapted, task.query.points.interior).u
            true = task.query.solution.u
            squared, zero = jnp.mean((found - true) ** 2), jnp.mean(true**2)
            relative, constant = jnp.sqrt(squared / zero), jnp.sqrt(jnp.var(true) / zero)
            return relative, constant, squared, zero, task.query.valid

        return jax.lax.map(one, keys, batch_size=16)

    keys = jax.random.split(jax.random.key(EVAL_KEY), num)
    *found, valid = map(np.asarray, errors(params, keys))
    return Errors(*(values[valid] for values in found))


class Case(NamedTuple):
    """A benchmark, ready for a model.

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


def make_case(name: str, config: Config) -> Case:
    """Sample a benchmark's points and draw its images."""
    problem = benchmark(name)
    points = sample(problem.pde, jax.random.key(EVAL_KEY), *COLLOCATION)
    grids = rasterise(problem.pde, points, config.grid)
    inputs = Inputs(jnp.asarray(problem.pde.coefficients, jnp.float32), grids)
    source = problem.pde.source(grid()).reshape(REFERENCE_SIZE, REFERENCE_SIZE)
    few = sample(problem.pde, jax.random.key(EVAL_KEY), *TUNING_POINTS)
    return Case(inputs, points, few, source, problem.place, problem.reference)


def score(found: Float[Array | np.ndarray, "size size"], case: Case) -> dict[str, float]:
    """MSE and SMAPE of a solution on the grid against the reference, inside the domain.

    ``mse_square`` is the MSE as published: a mean over the whole square, with 0 outside the domain
    in solution and reference, and so smaller by the domain's share of the square.
    """
    values = jnp.asarray(np.asarray(found)[case.place])
    mse = float(mean_squared_error(values, case.reference))
    return {
        "mse": mse,
        "mse_square": mse * case.reference.size / REFERENCE_SIZE**2,
        "smape": float(smape(values, case.reference)),
    }


@register_dataclass
@dataclass(frozen=True)
class GeneratedFeatures:
    """The last hidden layers of generated networks, side by side.

    Attributes:
      weights: of the networks, on a leading axis.
      config: what they were generated with. Static.
    """

    weights: Params
    config: Config = field(metadata={"static": True})

    def __call__(self, points: Float[Array, "n 2"]) -> Jet:
        return Ensemble(self.weights).features(make_target(self.config), points)


def grid() -> Float[Array, "nodes 2"]:
    """The nodes at which solutions are compared with references."""
    return nodes(REFERENCE_SIZE).reshape(-1, 2)


class Solution(NamedTuple):
    """A solution on the nodes of a grid.

    Attributes:
      u: its values.
      residual: what it leaves of the equation.
    """

    u: Float[Array | np.ndarray, "size size"]
    residual: Float[Array | np.ndarray, "size size"]


def on_grid(coefficients: Array, source: Float[Array, "size size"], jet: Jet) -> Solution:
    """The solution that has this jet at the nodes."""
    residual = apply_operator(coefficients, jet).reshape(source.shape) - source
    return Solution(jet.u.reshape(source.shape), residual)


@jax.jit
def combined(
    coefficients: Array, points: Points, source: Float[Array, "size size"], features: Features
) -> Solution:
    """The best combination of features, on the grid."""
    full = with_constant(features)
    weights = solve_head(coefficients, points, full)
    jet = jax.tree.map(lambda leaf: leaf @ weights, full(grid().astype(source.dtype)))
    return on_grid(coefficients, source, jet)


def by_least_squares(case: Case, features: Features) -> Solution:
    """The best combination of features, in float64 on the CPU, on the grid."""
    with float64_on_cpu():
        given = jax.device_get((case.inputs.coefficients, case.points, case.source, features))
        return jax.device_get(combined(*cast_floats(given, np.float64)))


def benchmarks(
    config: Config, params: Params, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Every way to solve the seven benchmarks, each with MSE, SMAPE and seconds of CPU.

    ``zero``; the model alone, ``model``, and refined, ``refined_N``; the closed-form head on the
    features of one network, of all rounds, and of these and as many random ones (``head``,
    ``head_N``, ``head_N_and_random``); random features alone at equal number (``random_equal``),
    at twice that, and 2000 of them (``random``). A decoder that makes images has no features, and
    no closed-form heads. Seconds of the first benchmark include compiling.
    """
    network, target = make_network(config), make_target(config)

    def refined(rounds: int) -> Any:
        def run(params: Params, inputs: Inputs, points: Points, source: Array) -> Any:
            ensemble = refine(lambda x: network.apply(params, x), target, inputs, points, rounds)
            found = on_grid(inputs.coefficients, source, ensemble.derivatives(target, grid()))
            return ensemble, found

        return jax.jit(run)

    runs = {rounds: refined(rounds) for rounds in (0, *config.rounds)}
    found = {}
    for name in PUBLISHED:
        if progress is not None:
            progress(name)
        found[name] = every_way(config, params, make_case(name, config), runs)
    return found


def every_way(config: Config, params: Params, case: Case, runs: dict[int, Any]) -> dict[str, Any]:
    """The rows and maps of one benchmark; ``runs`` solve it with so many rounds."""
    rows: dict[str, Any] = {}
    kept: dict[str, Solution] = {}

    def note(way: str, solve: Callable[[], Solution]) -> None:
        began = time.process_time()
        found = jax.device_get(solve())
        seconds = round(time.process_time() - began, 3)
        rows[way] = {**score(found.u, case), "cpu_seconds": seconds}
        kept[way] = found

    ensembles = {}

    def by_model(rounds: int) -> Solution:
        ensembles[rounds], found = runs[rounds](params, case.inputs, case.points, case.source)
        return found

    note("zero", lambda: Solution(np.zeros_like(case.source), -np.asarray(case.source)))
    for rounds in runs:
        note(f"refined_{rounds}" if rounds else "model", functools.partial(by_model, rounds))
    most = max(runs)
    num = (most + 1) * config.target_width
    few, as_many, twice = (random_of(number) for number in (NUM_RANDOM, num, 2 * num))
    ways: dict[str, Features] = {}
    shown = ["model", f"refined_{most}"]
    if config.decoder == "weights":  # an image has no features
        one, many = (GeneratedFeatures(ensembles[rounds].weights, config) for rounds in (0, most))
        ways["head"] = one
        ways[f"head_{most}"] = many
        ways[f"head_{most}_and_random"] = Together((many, as_many))
        shown.append(f"head_{most}")
    ways |= {"random_equal": as_many, "random_twice": twice, "random": few}
    for way, features in ways.items():
        note(way, functools.partial(by_least_squares, case, features))
    return {
        "ways": rows,
        "by_round": by_round(config, case, ensembles[most]),
        "tuning": tuning(config, case, ensembles[0]),
        "maps": maps(case, {way: kept[way] for way in shown}),
    }


def by_round(config: Config, case: Case, ensemble: Ensemble) -> list[float]:
    """Mean squared errors after 0, 1, 2, ... rounds of refinement."""
    found = np.asarray(values_by_round(config, ensemble.weights))
    return [score(u, case)["mse"] for u in found]


@functools.partial(jax.jit, static_argnums=0)
def values_by_round(config: Config, weights: Params) -> Float[Array, "rounds size size"]:
    """The sums of the first, the first two, ... networks, on the grid."""
    target = make_target(config)
    each = jax.lax.map(lambda one: solution(target, one, grid()).u, weights)
    return jnp.cumsum(each, axis=0).reshape(-1, REFERENCE_SIZE, REFERENCE_SIZE)


def tuning(config: Config, case: Case, generated: Ensemble) -> dict[str, list[float]]:
    """Mean squared errors while a generated and a random network are fine-tuned.

    ``steps``, and by start the error after each. Empty where the decoder makes an image.
    """
    if config.decoder != "weights" or not config.finetune_steps:
        return {}
    one = jax.tree.map(lambda leaf: leaf[0], generated.weights)
    random = make_target(config).init(jax.random.key(EVAL_KEY), grid()[:1])
    starts = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, random)
    reference, scored = on_reference_grid(case.place, case.reference)
    errors = tune(
        config, starts, as_examples(case.inputs.coefficients, case.few), reference, scored
    )
    steps = list(range(0, config.finetune_steps + 1, records(config)))
    named = zip(("generated", "random"), np.asarray(errors, float).tolist(), strict=True)
    return {"steps": steps, **dict(named)}


def records(config: Config) -> int:
    """Steps between records of fine-tuning: about fifty of them, a divisor of all steps."""
    few = max(config.finetune_steps // 50, 1)
    return next(every for every in range(few, 0, -1) if config.finetune_steps % every == 0)


@functools.partial(jax.jit, static_argnums=0)
def tune(config: Config, starts: Params, problem: Any, reference: Array, scored: Array) -> Array:
    """The errors of :func:`tuning`, ``[starts, records]``."""
    target, steps = make_target(config), config.finetune_steps

    def error(weights: Params) -> Array:
        off = target.apply(weights, grid())[:, 0] - reference.reshape(-1)
        return jnp.mean(off**2, where=scored.reshape(-1))

    rule = adam(steps, TUNING_RATE)
    return tuning_curves(target, starts, problem, rule, error, steps=steps, every=records(config))[
        0
    ]


def random_of(num: int) -> Features:
    """``num`` random features."""
    return random_features(jax.random.key(EVAL_KEY), num, RANDOM_SCALE)


def maps(case: Case, kept: dict[str, Solution]) -> dict[str, Any]:
    """Reference, solutions and residuals on every second node, None outside the domain."""
    reference, inside = on_reference_grid(case.place, case.reference)

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
