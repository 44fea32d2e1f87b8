"""Features that a hypernetwork makes, trained through the solve, against as many random ones.

    python experiments/hypino/solved_features.py runs/hypino-solved runs/hypino-solved-shipped \\
        runs/hypino-distribution

Writes `solved_features.json`, on the problems, at the points and by the ratios of
`few_features.py`: the features of the network of each run (the 32 that it has), those drawn from
a run's distribution (any number of them), the features chosen among 512 that are drawn from it,
and these moved by Gauss-Newton steps, compared with the same from random features. Draws differ
between the seeds; a run is trained once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from few_features import (
    SCALES,
    SCORED,
    Case,
    Clock,
    benchmark_cases,
    choose,
    compared,
    draw_random,
    error,
    improve,
    new_cases,
)

from metajax.core import cast_floats, float64_on_cpu
from metajax.physics.pde import PUBLISHED, draw_sample
from metajax.physics.solver import solve_head, with_constant
from metajax.systems import build, replace
from metajax.systems.hypino import (
    Inputs,
    Model,
    shipped,
    trained,
)
from metajax.systems.hypino.benchmarking import EVAL_KEY, prepare_benchmark
from metajax.systems.hypino.features import HiddenFeatures
from metajax.train import provenance, write_json

CANDIDATES = 512
"""Draws of a distribution among which features are chosen."""
PADDED = 224 * 224
"""Points at which a network is scored, at most: one program for all benchmarks."""


def new_inputs(num: int, of: Any) -> list[Inputs]:
    """What a hypernetwork reads of the problems of `new_cases`."""

    @jax.jit
    def inputs(key: Any) -> Inputs:
        found = draw_sample(key, interior=of.interior, boundary=of.boundary, size=of.grid)
        return Inputs(found.coefficients, found.grids, found.points)

    return [jax.device_get(inputs(key)) for key in jax.random.split(jax.random.key(EVAL_KEY), num)]


def benchmark_inputs(of: Any) -> list[Inputs]:
    """The same of the benchmarks."""
    prepared = (prepare_benchmark(name, of.grid) for name in PUBLISHED)
    return [jax.device_get(one.inputs._replace(points=one.few)) for one in prepared]


def maker(model: Model) -> Any:
    """Return ``make(inputs, key) -> weights``: a network's, or a and b and c that are drawn."""
    config = model.config
    if config.method == "distribution":
        config = replace(config, features=CANDIDATES)
    learner = build(config).method.learner
    assert learner is not None

    @jax.jit
    def weights(params: Any, inputs: Inputs, key: Any) -> Any:
        # the head is solved for later, in float64: here its solve is left out of the program
        made = learner.adapt(params, inputs, key)
        return {**made, "head": jax.tree.map(jnp.zeros_like, made["head"])}

    def make(inputs: Inputs, key: Any) -> Any:
        return jax.device_get(weights(model.params, inputs, key))

    return make


def first_drawn(config: Any) -> Model:
    """A model as its training starts."""
    run = build(config)
    learner = run.method.learner
    assert learner is not None
    init = jax.jit(lambda key, tasks: learner.init(key, tasks(key)))
    return Model(config, init(jax.random.key(config.seed), run.example_tasks))


@partial(jax.jit, static_argnames="target")
def values(weights: Any, case: Case, target: Any) -> Any:
    """The best combination of a network's last hidden layer and a constant, where it is scored."""
    layers = jax.tree.map(lambda leaf: leaf[None], weights)
    features = with_constant(HiddenFeatures(layers, target))
    return features(case.at).u @ solve_head(case.coefficients, case.fitted, features)


def network_error(weights: Any, case: Case, target: Any) -> float:
    """The relative L2 error of that."""
    num = case.true.size
    padded = np.resize(case.at, (num if num == SCORED else PADDED, 2))
    u = np.asarray(values(weights, case._replace(at=padded, true=None), target))[:num]
    return float(np.sqrt(np.mean((u - case.true) ** 2) / np.mean(case.true**2)))


def drawn_errors(way: str, inner: Any, case: Case, options: Any, clock: Clock) -> dict[str, float]:
    """Errors of draws from a distribution: as they are, chosen among them, and these moved."""
    given = case._replace(at=None, true=None)
    chosen = clock(f"{way}_chosen", partial(choose, given, inner, max(options.features)))
    found = {}
    for num in options.features:
        ways = {way: inner[:, :num], f"{way}_chosen": chosen[:, :num]}
        if num <= options.improve_up_to:
            ways[f"{way}_chosen_improved"] = improve(given, chosen[:, :num], options.steps)
        found |= {f"{name} {num}": error(each, case) for name, each in ways.items()}
    return found


def run_of(workdir: Path) -> tuple[str, Model, dict[str, Any]]:
    """A run by name, its model, and what its training was."""
    model = trained(workdir)
    summary = json.loads((workdir / "summary.json").read_text())
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    losses = [row["log_error"] for row in rows if "log_error" in row]
    return (
        "_".join([model.config.method, *(["shipped"] if of_shipped(model.config) else [])]),
        model,
        {
            "config": dataclasses.asdict(model.config),
            "train_cpu_seconds": summary["train_cpu_seconds"],
            "command": summary["command"],
            "log_error": losses,  # a mean over each hundred steps
        },
    )


def of_shipped(config: Any) -> bool:
    """Whether a training started from the shipped weights."""
    return getattr(config, "start", "drawn") == "shipped"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="of methods solved and distribution")
    parser.add_argument("--problems", type=int, default=160, help="new problems")
    parser.add_argument("--features", type=int, nargs="*", default=[32, 64, 128])
    parser.add_argument("--steps", type=int, default=10, help="Gauss-Newton steps")
    parser.add_argument("--improve-up-to", type=int, default=32, help="features that are improved")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=Path("experiments/hypino/results/solved_features.json")
    )
    options = parser.parse_args()
    found = [run_of(workdir) for workdir in options.runs]
    models = {name: model for name, model, _ in found}
    for name, model in list(models.items()):
        start = shipped() if of_shipped(model.config) else first_drawn(model.config)
        models[f"{name}_before"] = start
    of = found[0][1].config
    inputs = {"new_problems": new_inputs(options.problems, of), "benchmarks": benchmark_inputs(of)}
    drawn = [name for name, model in models.items() if model.config.method == "distribution"]
    # in float32, as trained: of networks once, of distributions for each seed
    made: dict[str, Any] = {}
    for name, model in models.items():
        make = maker(model)
        for kind, given in inputs.items():
            for seed in range(options.seeds if name in drawn else 1):
                keys = jax.random.split(jax.random.key(seed), len(given))
                made[name, kind, seed] = list(map(make, given, keys))
    targets = {name: model.method.parts for name, model in models.items()}
    clock = Clock()
    with float64_on_cpu():
        cases = {"new_problems": new_cases(options.problems), "benchmarks": benchmark_cases()}
        errors: dict[str, list[list[dict[str, float]]]] = {kind: [] for kind in cases}
        for seed in range(options.seeds):
            for kind, given in cases.items():
                assert len(given) == len(inputs[kind])  # all of the new problems are valid
                keys = jax.random.split(jax.random.key(seed), len(given))
                errors[kind].append([])
                for place, (case, key) in enumerate(zip(given, keys, strict=True)):
                    row = {
                        f"random_{scale:g} {num}": error(draw_random(key, num, scale), case)
                        for num in options.features
                        for scale in SCALES
                    }
                    for name, target in targets.items():
                        if name in drawn:
                            inner = np.asarray(made[name, kind, seed][place]["inner"], float)
                            row |= drawn_errors(name, inner, case, options, clock)
                            continue
                        way = f"{name} {target.width}"
                        if seed == 0:
                            weights = cast_floats(made[name, kind, 0][place], np.float64)
                            row[way] = network_error(weights, case, target.function)
                        else:  # nothing of it is drawn again
                            row[way] = errors[kind][0][place][way]
                    errors[kind][-1].append(row)
            result = summary(errors, options)
            more = {"trained": {name: kept for name, _, kept in found}}
            more["cpu_milliseconds"] = {k: float(np.median(v)) for k, v in clock.times.items()}
            write_json(options.out, result | more | provenance())
            print(f"seed {seed}: {time.process_time():.0f} CPU s", flush=True)


def summary(errors: dict[str, Any], options: Any) -> dict[str, Any]:
    """Errors by number and way, with their ratios to random features, and what was compared."""
    found: dict[str, Any] = {}
    for kind, seeds in errors.items():
        ways = {w: np.array([[case[w] for case in cases] for cases in seeds]) for w in seeds[0][0]}
        found[kind] = {"by_number": {}}
        for num in options.features:
            of_num = {w.split()[0]: e for w, e in ways.items() if w.split()[1] == str(num)}
            found[kind]["by_number"][str(num)] = compared(of_num)
            for way, row in found[kind]["by_number"][str(num)]["ways"].items():
                print(kind, num, way, *(f"{k} {np.round(v, 3)}" for k, v in row.items()))
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "runs")}
    return found | {"options": settings | {"seeds": len(errors["benchmarks"])}}


if __name__ == "__main__":
    main()
