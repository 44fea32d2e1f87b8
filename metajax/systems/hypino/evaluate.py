"""How good solutions are: on new random problems, and on the seven published benchmarks."""

from __future__ import annotations

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

from metajax.core import Params
from metajax.nn import Derivatives
from metajax.physics.pde import (
    PROBLEMS,
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
SIZE = 129
"""Nodes along a side of the grid on which the benchmarks' references are given."""
RANDOM_SCALE = 4.0
"""Of the random features; the best differs from problem to problem."""
NUM_RANDOM = 2000
"""Random features of the trivial baseline."""


class Errors(NamedTuple):
    """Of solutions of new random problems; see :func:`new_problems`."""

    relative: Float[Array, " problems"]
    squared: Float[Array, " problems"]
    zero: Float[Array, " problems"]


def new_problems(config: Config, params: Params, num: int, homogeneous: float = 0.0) -> Errors:
    """Solve ``num`` new random problems with a known solution, by one pass each.

    Relative L2 errors and mean squared errors over the interior points, beside the mean square of
    the solution, which is the error of 0. Problems out of the limits are left out.
    """
    learner = make_learner(config)
    tasks = make_tasks(config)
    tasks = type(tasks)(
        tasks.supervised, jnp.float32(homogeneous), tasks.grid, tasks.interior, tasks.boundary
    )

    @jax.jit
    def errors(params: Params, keys: Array) -> Any:
        def one(key: Array) -> Any:
            task = tasks(key)
            adapted = learner.adapt(params, task.support, key)
            found = learner.predict(params, adapted, task.query.points.interior).value[:, 0]
            true = task.query.solution.u
            squared, zero = jnp.mean((found - true) ** 2), jnp.mean(true**2)
            return jnp.sqrt(squared / zero), squared, zero, task.query.valid

        return jax.lax.map(one, keys, batch_size=16)

    keys = jax.random.split(jax.random.key(EVAL_KEY), num)
    *found, valid = map(np.asarray, errors(params, keys))
    return Errors(*(values[valid] for values in found))


class Case(NamedTuple):
    """A benchmark, ready for a model.

    Attributes:
      inputs: what the hypernetwork reads.
      points: collocation points with data.
      place: row and column, of a grid of ``SIZE`` a side, of the nodes at which it is scored.
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
    column, row = np.round((np.asarray(problem.points).T + 1) * (SIZE - 1) / 2).astype(int)
    return Case(inputs, points, (row, column), problem.reference)


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

    def __call__(self, points: Float[Array, "n 2"]) -> Derivatives:
        return Ensemble(self.weights).features(make_target(self.config), points)


def to_float64(tree: Any) -> Any:
    """All floats of a pytree in float64; call it under ``jax.enable_x64``."""
    wide = lambda x: np.asarray(x, np.float64) if x.dtype == np.float32 else np.asarray(x)  # noqa: E731
    return jax.tree.map(wide, tree)


@jax.jit
def combined(coefficients: Array, points: Points, features: Features) -> Float[Array, "size size"]:
    """The best combination of features, on the grid."""
    full = with_constant(features)
    weights = solve_head(coefficients, points, full)
    return (full(nodes(SIZE).reshape(-1, 2)).value @ weights).reshape(SIZE, SIZE)


def by_least_squares(case: Case, features: Features) -> np.ndarray:
    """The best combination of features, in float64 on the CPU, on the grid."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        given = to_float64((case.inputs.coefficients, case.points, features))
        return np.asarray(combined(*given))


def benchmarks(
    config: Config, params: Params, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Every way to solve the seven benchmarks, each with MSE, SMAPE and seconds of CPU.

    ``zero``; the model alone, ``model``, and refined, ``refined_N``; the closed-form head on the
    features of one network, of all rounds, and of these and as many random ones (``head``,
    ``head_N``, ``head_N_and_random``); random features alone at equal number (``random_equal``),
    at twice that, and 2000 of them (``random``). Seconds of the first benchmark include compiling.
    """
    network, target = make_network(config), make_target(config)

    def refined(rounds: int) -> Any:
        def run(params: Params, inputs: Inputs, points: Points) -> Any:
            ensemble = refine(lambda x: network.apply(params, x), target, inputs, points, rounds)
            u = ensemble.derivatives(target, nodes(SIZE).reshape(-1, 2)).value
            return ensemble, u.reshape(SIZE, SIZE)

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

    note("zero", lambda: np.zeros((SIZE, SIZE), np.float32))
    for rounds in runs:
        note(f"refined_{rounds}" if rounds else "model", functools.partial(by_model, rounds))
    most = max(runs)
    one, many = (GeneratedFeatures(ensembles[rounds].weights, config) for rounds in (0, most))
    num = (most + 1) * config.target_width
    few, as_many, twice = (random_of(number) for number in (NUM_RANDOM, num, 2 * num))
    ways: dict[str, Features] = {
        "head": one,
        f"head_{most}": many,
        f"head_{most}_and_random": Together((many, as_many)),
        "random_equal": as_many,
        "random_twice": twice,
        "random": few,
    }
    for way, features in ways.items():
        note(way, functools.partial(by_least_squares, case, features))
    shown = ("model", f"refined_{most}", f"head_{most}")
    return {"ways": rows, "maps": maps(case, {way: kept[way] for way in shown})}


def random_of(num: int) -> Features:
    """``num`` random features."""
    return random_features(jax.random.key(EVAL_KEY), num, RANDOM_SCALE)


def maps(case: Case, kept: dict[str, np.ndarray]) -> dict[str, Any]:
    """Reference and solutions on every second node for figures, None outside the domain."""
    inside = np.zeros((SIZE, SIZE), bool)
    inside[case.place] = True
    reference = np.zeros((SIZE, SIZE))
    reference[case.place] = np.asarray(case.reference)

    def rows(values: np.ndarray) -> list[list[float | None]]:
        return [
            [round(float(v), 5) if there else None for v, there in zip(*row, strict=True)]
            for row in zip(values[::2, ::2], inside[::2, ::2], strict=True)
        ]

    return {"reference": rows(reference), **{way: rows(u) for way, u in kept.items()}}
