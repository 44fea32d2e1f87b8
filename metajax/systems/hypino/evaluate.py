"""How good solutions are: on new random problems, and on the seven published benchmarks."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import Params
from metajax.nn import Derivatives
from metajax.physics.pde import (
    PROBLEMS,
    Points,
    benchmark,
    mean_squared_error,
    rasterise,
    sample,
    smape,
)
from metajax.systems.hypino.config import Config
from metajax.systems.hypino.learner import make_learner
from metajax.systems.hypino.least_squares import (
    Features,
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
      where: the nodes at which it is scored.
      reference: u there.
    """

    inputs: Inputs
    points: Points
    where: Float[Array, "n 2"]
    reference: Float[Array, " n"]


def make_case(name: str, config: Config) -> Case:
    """Sample a benchmark's points and draw its images."""
    problem = benchmark(name)
    points = sample(problem.pde, jax.random.key(EVAL_KEY), *COLLOCATION)
    grids = rasterise(problem.pde, points, config.grid)
    inputs = Inputs(jnp.asarray(problem.pde.coefficients, jnp.float32), grids)
    return Case(inputs, points, problem.points, problem.reference)


def score(found: Float[Array | np.ndarray, " n"], case: Case) -> dict[str, float]:
    """MSE and SMAPE against the reference, inside the domain."""
    return {
        "mse": float(mean_squared_error(jnp.asarray(found), case.reference)),
        "smape": float(smape(jnp.asarray(found), case.reference)),
    }


def by_least_squares(case: Case, features: Features) -> np.ndarray:
    """The best combination of features, in float64 on the CPU, at the nodes that are scored."""
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        exact = lambda tree: jax.tree.map(  # noqa: E731
            lambda x: (
                jnp.asarray(np.asarray(x), jnp.float64)
                if jnp.issubdtype(x.dtype, jnp.floating)
                else jnp.asarray(np.asarray(x))
            ),
            tree,
        )
        full = with_constant(features)

        @jax.jit
        def solve(coefficients: Array, points: Points, where: Array) -> Array:
            return full(where).value @ solve_head(coefficients, points, full)

        found = solve(*exact((case.inputs.coefficients, case.points, case.where)))
        return np.asarray(found)


def in_float64(ensemble: Ensemble, config: Config) -> Features:
    """The last hidden layers of an ensemble as features, its weights cast to float64."""
    target = make_target(config)
    weights = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), ensemble.weights)
    return lambda points: Ensemble(weights).features(target, points)


def side_by_side(*parts: Features) -> Features:
    """Features of several kinds together."""

    def features(points: Float[Array, "n 2"]) -> Derivatives:
        found = [part(points) for part in parts]
        shapes = [one.value.shape for one in found]
        return Derivatives(
            *(
                jnp.concatenate(
                    [jnp.broadcast_to(leaf, s) for leaf, s in zip(leaves, shapes, strict=True)], -1
                )
                for leaves in zip(*found, strict=True)
            )
        )

    return features


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
        def run(params: Params, inputs: Inputs, points: Points, where: Array) -> Any:
            ensemble = refine(lambda x: network.apply(params, x), target, inputs, points, rounds)
            return ensemble, ensemble.derivatives(target, where).value[:, 0]

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
        ensembles[rounds], u = runs[rounds](params, case.inputs, case.points, case.where)
        return u

    note("zero", lambda: np.zeros(case.reference.shape, np.float32))
    for rounds in runs:
        note(f"refined_{rounds}" if rounds else "model", functools.partial(by_model, rounds))
    most = max(runs)
    one, many = (in_float64(ensembles[rounds], config) for rounds in (0, most))
    num = (most + 1) * config.target_width
    few, as_many, twice = (random_of(number) for number in (NUM_RANDOM, num, 2 * num))
    ways = {
        "head": one,
        f"head_{most}": many,
        f"head_{most}_and_random": side_by_side(many, as_many),
        "random_equal": as_many,
        "random_twice": twice,
        "random": few,
    }
    for way, features in ways.items():
        note(way, functools.partial(by_least_squares, case, features))
    shown = ("model", f"refined_{most}", f"head_{most}")
    return {"ways": rows, "maps": maps(case, {way: kept[way] for way in shown})}


def random_of(num: int) -> Features:
    """``num`` random features in float64."""
    with jax.enable_x64(True):
        return random_features(jax.random.key(EVAL_KEY), num, RANDOM_SCALE, jnp.float64)


def maps(case: Case, kept: dict[str, np.ndarray]) -> dict[str, Any]:
    """Solutions on the nodes of the benchmarks' grid for figures, NaN as None outside."""
    size = 129
    place = np.round((np.asarray(case.where) + 1) * (size - 1) / 2).astype(int)
    every = 2

    def on_grid(values: np.ndarray) -> list[list[float | None]]:
        image = np.full((size, size), np.nan)
        image[place[:, 1], place[:, 0]] = values
        image = image[::every, ::every]
        return [[None if np.isnan(v) else round(float(v), 5) for v in row] for row in image]

    return {
        "reference": on_grid(np.asarray(case.reference)),
        **{way: on_grid(u) for way, u in kept.items()},
    }
