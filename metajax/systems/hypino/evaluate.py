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
    PROBLEMS,
    REFERENCE_SIZE,
    Points,
    benchmark,
    mean_squared_error,
    nodes,
    rasterise,
    sample,
    smape,
)
from metajax.systems.hypino.config import Config
from metajax.systems.hypino.learner import make_learner
from metajax.systems.hypino.least_squares import (
    Features,
    Together,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.hypino.network import Inputs, make_network, make_target
from metajax.systems.hypino.refine import Ensemble, refine
from metajax.systems.hypino.tasks import make_tasks

EVAL_KEY = 2509_05117
"""Seed of the problems that are evaluated on: the same for every run."""
COLLOCATION = 2048, 2048
"""Interior and boundary points of a benchmark."""
RANDOM_SCALE = 4.0
"""Of the random features; the best differs from problem to problem."""
NUM_RANDOM = 2000
"""Random features of the trivial baseline."""


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
      place: row and column of the nodes at which it is scored, in a grid of ``REFERENCE_SIZE``.
      reference: u there.
    """

    inputs: Inputs
    points: Points
    place: tuple[np.ndarray, np.ndarray]
    reference: Float[Array, " n"]


def make_case(name: str, config: Config) -> Case:
    """Sample a benchmark's points and draw its images."""
    problem = benchmark(name)
    points = sample(problem.pde, jax.random.key(EVAL_KEY), *COLLOCATION)
    grids = rasterise(problem.pde, points, config.grid)
    inputs = Inputs(jnp.asarray(problem.pde.coefficients, jnp.float32), grids)
    return Case(inputs, points, problem.place, problem.reference)


def score(found: Float[Array | np.ndarray, "size size"], case: Case) -> dict[str, float]:
    """MSE and SMAPE of a solution on the grid against the reference, inside the domain."""
    values = jnp.asarray(np.asarray(found)[case.place])
    return {
        "mse": float(mean_squared_error(values, case.reference)),
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


@jax.jit
def combined(coefficients: Array, points: Points, features: Features) -> Float[Array, "size size"]:
    """The best combination of features, on the grid."""
    full = with_constant(features)
    weights = solve_head(coefficients, points, full)
    return (full(nodes(REFERENCE_SIZE).reshape(-1, 2)).u @ weights).reshape(
        REFERENCE_SIZE, REFERENCE_SIZE
    )


def by_least_squares(case: Case, features: Features) -> np.ndarray:
    """The best combination of features, in float64 on the CPU, on the grid."""
    with float64_on_cpu():
        given = jax.device_get((case.inputs.coefficients, case.points, features))
        return np.asarray(combined(*cast_floats(given, np.float64)))


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
        def run(params: Params, inputs: Inputs, points: Points) -> Any:
            ensemble = refine(lambda x: network.apply(params, x), target, inputs, points, rounds)
            u = ensemble.derivatives(target, nodes(REFERENCE_SIZE).reshape(-1, 2)).u
            return ensemble, u.reshape(REFERENCE_SIZE, REFERENCE_SIZE)

        return jax.jit(run)

    runs = {rounds: refined(rounds) for rounds in (0, *config.rounds)}
    found = {}
    for name in PROBLEMS:
        if progress is not None:
            progress(name)
        found[name] = every_way(config, params, make_case(name, config), runs)
    return found


def every_way(config: Config, params: Params, case: Case, runs: dict[int, Any]) -> dict[str, Any]:
    """The rows and maps of one benchmark; ``runs`` solve it with so many rounds."""
    rows: dict[str, Any] = {}
    kept: dict[str, np.ndarray] = {}

    def note(way: str, solve: Callable[[], Any]) -> None:
        began = time.process_time()
        u = np.asarray(solve())
        seconds = round(time.process_time() - began, 3)
        rows[way] = {**score(u, case), "cpu_seconds": seconds}
        kept[way] = u

    ensembles = {}

    def by_model(rounds: int) -> Any:
        ensembles[rounds], u = runs[rounds](params, case.inputs, case.points)
        return u

    note("zero", lambda: np.zeros((REFERENCE_SIZE, REFERENCE_SIZE), np.float32))
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
    return {"ways": rows, "maps": maps(case, {way: kept[way] for way in shown})}


def random_of(num: int) -> Features:
    """``num`` random features."""
    return random_features(jax.random.key(EVAL_KEY), num, RANDOM_SCALE)


def maps(case: Case, kept: dict[str, np.ndarray]) -> dict[str, Any]:
    """Reference and solutions on every second node for figures, None outside the domain."""
    inside = np.zeros((REFERENCE_SIZE, REFERENCE_SIZE), bool)
    inside[case.place] = True
    reference = np.zeros((REFERENCE_SIZE, REFERENCE_SIZE))
    reference[case.place] = np.asarray(case.reference)

    def rows(values: np.ndarray) -> list[list[float | None]]:
        return [
            [round(float(v), 5) if there else None for v, there in zip(*row, strict=True)]
            for row in zip(values[::2, ::2], inside[::2, ::2], strict=True)
        ]

    return {"reference": rows(reference), **{way: rows(u) for way, u in kept.items()}}
