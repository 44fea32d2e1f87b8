"""Which of the choices that the paper leaves unstated gives the sinusoid test-bed's .327?

    python experiments/hyperdistill/sinusoid_search.py screen     # seeds 0-9, one change at a time
    python experiments/hyperdistill/sinusoid_search.py combine    # seeds 0-9, changes together
    python experiments/hyperdistill/sinusoid_search.py curve      # seeds 0-9, up to 100 meta-steps
    python experiments/hyperdistill/sinusoid_search.py confirm    # seeds 100-119, the chosen few

Written down before the first run: a choice is judged by HyperDistill's median over seeds 0 to 9 of
the error on 200 validation tasks, and first-order is run with it, so that what helps both is told
from what helps HyperDistill. What is chosen is run once on seeds 100 to 119, every rival with the
same choice, and scored on 1,000 tasks that no run has seen. Settings that the paper does state
(30 meta-steps, Adam 1e-3, T = 30, 10 tasks) are varied too, but apart. Writes
`results/sinusoid_search.json`: errors of every seed, intervals, config, CPU time.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.stats
from jax.nn.initializers import variance_scaling

from metajax.bilevel import (
    InnerProblem,
    OnlineParams,
    descend,
    distilled,
    estimate_theta,
    full_batches,
    hypergradient,
    minibatches,
    online,
)
from metajax.core import Examples, Task, derive, task_keys
from metajax.data import sinusoid_tasks
from metajax.train import provenance, write_json

WIDTHS, SHOTS, INNER_STEPS, EVAL_QUERIES = (1, 100, 100, 100, 1), 10, 30, 100


@dataclass(frozen=True)
class Choice:
    """One reading of the paper; the defaults are those of the preset `sinusoid`."""

    method: str = "distilled"
    gamma: float = 0.9
    theta: float = 1.0
    scale: str = "distilled"
    """Or unit: the second-order term has length 1 times theta."""
    calibrate_every: int | None = None
    """Meta-steps between estimates of theta; None: it stays."""
    stored: bool = False
    """Whether theta is estimated along the real trajectory, not DrMAD's line."""
    theta_max: float = float("inf")
    every: int = 1
    terms: int = 5
    learning_rate: float = 1e-3
    decay: bool = False
    """Whether the outer rate falls to 0 linearly."""
    adam_b2: float = 0.999
    steps: int = 30
    tasks_per_step: int = 10
    queries: int = 10
    outer: str = "query"
    """Examples of the outer loss: query, support (the same as the inner loss), both, or fresh: so
    many new ones at every update."""
    fresh: bool = False
    """Whether every inner step draws 10 new examples, in training and on new tasks."""
    init: str = "uniform"
    input_scale: float = 1.0
    momentum_in_phi: bool = True
    """Whether derivatives run through the inner momentum, or it counts as constant."""
    inner_momentum: float = 0.9
    reptile_rate: float = 1.0


NUMBERS = (
    "gamma",
    "theta",
    "theta_max",
    "learning_rate",
    "adam_b2",
    "input_scale",
    "inner_momentum",
    "reptile_rate",
)
"""Traced: choices that differ in these alone share one compiled program."""

INITS = {
    "uniform": (1 / 3, "fan_in", "uniform", True, 1.0),  # PyTorch's default
    "zero head": (1 / 3, "fan_in", "uniform", True, 0.0),
    "lecun": (1.0, "fan_in", "truncated_normal", False, 1.0),
    "glorot": (1.0, "fan_avg", "uniform", False, 1.0),
    "he, head 0": (2.0, "fan_in", "truncated_normal", False, 0.0),
}
"""Scale, mode and distribution of the kernels, whether biases are drawn, a factor of the head."""


def init(choice: Choice, key) -> OnlineParams:
    scale, mode, distribution, biases, head = INITS[choice.init]
    kernel = variance_scaling(scale, mode, distribution)
    layers = []
    for index, (rows, columns) in enumerate(itertools.pairwise(WIDTHS)):
        kernel_key, bias_key = jax.random.split(jax.random.fold_in(key, index))
        bound = rows**-0.5 if biases else 0.0
        layers.append(
            {
                "kernel": kernel(kernel_key, (rows, columns), jnp.float32),
                "bias": jax.random.uniform(bias_key, (columns,), minval=-bound, maxval=bound),
            }
        )
    return OnlineParams(layers[:-1], jax.tree.map(lambda leaf: head * leaf, layers[-1]))


def features(body, inputs):
    x = inputs
    for layer in body:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    return x


def head_error(head, hidden, targets):
    return jnp.mean(jnp.square(hidden @ head["kernel"] + head["bias"] - targets))


def make_problem(choice: Choice, numbers) -> InnerProblem:
    def squared_error(head, body, batch: Examples):
        return head_error(head, features(body, batch.inputs), batch.targets)

    problem = descend(squared_error, squared_error, optax.sgd(0.01, numbers["inner_momentum"]))
    if choice.momentum_in_phi:
        return problem

    def update(state, hparams, batch):
        held = state._replace(opt_state=jax.lax.stop_gradient(state.opt_state))
        return problem.update(held, hparams, batch)

    return problem._replace(update=update)


def make_estimator(choice: Choice, numbers):
    if choice.method != "distilled":
        options = {"terms": choice.terms} if choice.method == "neumann" else {}
        return hypergradient(choice.method, **options)
    gamma, theta = numbers["gamma"], numbers["theta"]
    estimator = distilled(gamma=gamma, theta=theta, scale=choice.scale)

    def calibrate(problem, hparams, state, batches, outer_batch, key, calibration):
        found = estimate_theta(
            problem,
            hparams,
            state,
            batches,
            outer_batch,
            key,
            gamma=gamma,
            fallback=calibration,
            stored=choice.stored,
        )
        return jnp.clip(found, -numbers["theta_max"], numbers["theta_max"])

    return estimator if choice.scale == "unit" else estimator._replace(calibrate=calibrate)


def make_tasks(choice: Choice, input_scale, queries: int):
    """Tasks with scaled inputs; what is fresh is drawn from as much as all inner steps need."""
    queries *= INNER_STEPS if choice.outer == "fresh" else 1
    draw = sinusoid_tasks(SHOTS * INNER_STEPS if choice.fresh else SHOTS, queries)

    def tasks(key):
        task = draw(key)
        scaled = [Examples(part.inputs * input_scale, part.targets) for part in task]
        if choice.outer == "support":
            scaled[1] = scaled[0]
        elif choice.outer == "both":
            scaled[1] = jax.tree.map(lambda *x: jnp.concatenate(x), *scaled)
        return Task(*scaled)

    return tasks


def errors_on_new(choice: Choice, numbers, params: OnlineParams, key, num: int):
    """Query error of ``num`` new tasks before the first inner step and after each."""
    body, start = params
    tasks = make_tasks(
        dataclasses.replace(choice, outer="query"), numbers["input_scale"], EVAL_QUERIES
    )
    optimizer = optax.sgd(0.01, numbers["inner_momentum"])

    def one(key):
        support, query = tasks(key)
        hidden, new_hidden = features(body, support.inputs), features(body, query.inputs)
        parts = (hidden.reshape(-1, SHOTS, hidden.shape[-1]), support.targets.reshape(-1, SHOTS, 1))
        if not choice.fresh:
            parts = jax.tree.map(lambda x: jnp.broadcast_to(x, (INNER_STEPS, *x.shape[1:])), parts)

        def step(carry, part):
            head, opt_state = carry
            moves, opt_state = optimizer.update(jax.grad(head_error)(head, *part), opt_state)
            head = optax.apply_updates(head, moves)
            return (head, opt_state), head_error(head, new_hidden, query.targets)

        first = head_error(start, new_hidden, query.targets)
        _, errors = jax.lax.scan(step, (start, optimizer.init(start)), parts)
        return jnp.concatenate([first[None], errors])

    return jax.lax.map(one, jax.random.split(key, num), batch_size=50)


@functools.partial(jax.jit, static_argnames=("choice", "marks", "purpose", "num"))
def population(choice: Choice, numbers, keys, marks: tuple[int, ...], purpose: str, num: int):
    """Train all seeds; score each after so many meta-steps as ``marks`` says."""
    problem = make_problem(choice, numbers)
    tasks = make_tasks(choice, numbers["input_scale"], choice.queries)
    rate = numbers["learning_rate"]
    if choice.decay:
        total = choice.steps * INNER_STEPS // choice.every

        def rate(count):
            return numbers["learning_rate"] * (1 - count / total)

    algorithm = online(
        make_estimator(choice, numbers),
        problem,
        optax.adam(rate, b2=numbers["adam_b2"]),
        init=lambda key, task: init(choice, key),
        inner_batches=minibatches(SHOTS) if choice.fresh else full_batches,
        outer_batches=minibatches(choice.queries) if choice.outer == "fresh" else full_batches,
        inner_steps=INNER_STEPS,
        every=choice.every,
        reptile_rate=numbers["reptile_rate"],
        calibrate_every=choice.calibrate_every,
    )

    def of_seed(key):
        state = algorithm.init(derive(key, "init"), tasks(derive(key, "tasks")))

        def meta_step(state, step):
            keys = task_keys(derive(key, "tasks", step), choice.tasks_per_step)
            state, metrics = algorithm.update(
                state, jax.vmap(tasks)(keys), derive(key, "update", step)
            )
            return state, metrics.get("calibration", jnp.float32(jnp.nan))

        found, before = [], 0
        for mark in marks:
            state, thetas = jax.lax.scan(meta_step, state, jnp.arange(before, mark))
            errors = errors_on_new(
                choice, numbers, algorithm.params(state), derive(key, purpose), num
            )
            mean = jnp.mean(errors, axis=0)
            found.append(
                {
                    "error": mean[-1],
                    "median over tasks": jnp.median(errors[:, -1]),
                    "best step": jnp.min(mean),
                    "theta": thetas[-1],
                }
            )
            before = mark
        return found

    return jax.vmap(of_seed)(keys)


def statistics(errors: np.ndarray) -> dict[str, Any]:
    """Of one method over seeds; a run that diverged counts as the largest error in the median.

    The median's interval is that of order statistics: the ranks between which it lies in 95% of
    samples of this size, whatever the distribution.
    """
    ranked = np.sort(np.where(np.isfinite(errors), errors, np.inf))
    low = int(scipy.stats.binom.ppf(0.025, len(ranked), 0.5))
    found = {
        "median": np.median(ranked),
        "median_ci95_low": ranked[low - 1],
        "median_ci95_high": ranked[len(ranked) - low],
        "mean": np.mean(errors),
        "mean_ci95": 1.96 * np.std(errors, ddof=1) / np.sqrt(len(errors)),
    }

    def number(x):
        return float(x) if np.isfinite(x) else None

    return {
        **{name: number(value) for name, value in found.items()},
        "above_10": int(np.sum(ranked > 10.0)),
        "errors": [number(e) for e in errors],
    }


def run(choice: Choice, seeds: range, marks: tuple[int, ...], purpose: str, num: int):
    """Statistics over seeds at each mark."""
    start = time.process_time()
    numbers = {name: jnp.float32(getattr(choice, name)) for name in NUMBERS}
    static = dataclasses.replace(choice, **dict.fromkeys(NUMBERS, 0.0))
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds.start, seeds.stop))
    found = jax.device_get(population(static, numbers, keys, marks, purpose, num))
    seconds = time.process_time() - start
    rows = {}
    for mark, scores in zip(marks, found, strict=True):
        row: dict[str, Any] = statistics(np.asarray(scores["error"], float))
        for name in ("median over tasks", "best step", "theta"):
            value = float(np.median(scores[name]))
            row[name] = value if np.isfinite(value) else None
        rows[str(mark)] = row
    return {
        "at": rows,
        "seeds": f"{seeds.start}-{seeds.stop - 1}",
        "tasks": f"{num} ({purpose})",
        "cpu_seconds": round(seconds, 1),
        "config": {
            name: value if value != float("inf") else None
            for name, value in dataclasses.asdict(choice).items()
        },
    }


SHARED = {
    "as the preset": {},
    "outer loss on 100 queries": {"queries": 100},
    "outer loss on the support": {"outer": "support"},
    "outer loss on support and query": {"outer": "both"},
    "fresh examples each inner step": {"fresh": True},
    "update every 2 steps": {"every": 2},
    "update every 5 steps": {"every": 5},
    "head from 0": {"init": "zero head"},
    "LeCun": {"init": "lecun"},
    "Glorot": {"init": "glorot"},
    "inputs / 5": {"input_scale": 0.2},
    "He, head from 0, inputs / 5": {"init": "he, head 0", "input_scale": 0.2},
    "outer rate to 0": {"decay": True},
    "Adam b2 .9": {"adam_b2": 0.9},
    "Reptile .5": {"reptile_rate": 0.5},
    "stated: outer rate 3e-4": {"learning_rate": 3e-4},
    "stated: outer rate 3e-3": {"learning_rate": 3e-3},
    "stated: outer rate 1e-2": {"learning_rate": 1e-2},
    "stated: outer rate 3e-3, to 0": {"learning_rate": 3e-3, "decay": True},
    "stated: one task at a time, 300 times": {"tasks_per_step": 1, "steps": 300},
}
"""Choices that HyperDistill and first-order can both make; "stated" ones differ from the paper."""

ESTIMATED = {"calibrate_every": 1}
SCALES = {
    "gamma 0": {"gamma": 0.0},
    "gamma .5": {"gamma": 0.5},
    "gamma .99": {"gamma": 0.99},
    "gamma .999": {"gamma": 0.999},
    "gamma .9999": {"gamma": 0.9999},
    "theta .3": {"theta": 0.3},
    "theta 2": {"theta": 2.0},
    "theta 5": {"theta": 5.0},
    "gamma .99, theta .3": {"gamma": 0.99, "theta": 0.3},
    "gamma .99, theta 2": {"gamma": 0.99, "theta": 2.0},
    "second-order term of length 1": {"scale": "unit"},
    "theta estimated, gamma .99": {**ESTIMATED, "gamma": 0.99},
    "theta estimated, real trajectory": {**ESTIMATED, "stored": True},
    "theta estimated, at most 1": {**ESTIMATED, "theta_max": 1.0},
    "theta estimated, momentum constant": {**ESTIMATED, "momentum_in_phi": False},
    "theta estimated, momentum constant, gamma .99": {
        **ESTIMATED,
        "momentum_in_phi": False,
        "gamma": 0.99,
    },
    "theta estimated, momentum constant, gamma .999": {
        **ESTIMATED,
        "momentum_in_phi": False,
        "gamma": 0.999,
    },
    "theta estimated once, momentum constant, gamma .99": {
        "calibrate_every": 1000,
        "momentum_in_phi": False,
        "gamma": 0.99,
    },
    "theta estimated, real trajectory, momentum constant, gamma .99": {
        **ESTIMATED,
        "momentum_in_phi": False,
        "gamma": 0.99,
        "stored": True,
    },
}
"""What is HyperDistill's alone: gamma, and how large its second-order term is."""


def screen() -> dict[str, Choice]:
    chosen = {f"distilled: {name}": Choice(**change) for name, change in SCALES.items()}
    for name, change in SHARED.items():
        chosen[f"distilled: {name}"] = Choice(**change)
        chosen[f"first_order: {name}"] = Choice(method="first_order", **change)
    return chosen


MANY = {"queries": 100}
"""What the screening chose."""
HELD = {**MANY, **ESTIMATED, "momentum_in_phi": False}
RIVALS = {
    "first_order": {},
    "one_step": {},
    "drmad": {"every": 30},
    "neumann": {"every": 10},
}


def combine() -> dict[str, Choice]:
    distilled = {
        "fresh queries": {"outer": "fresh"},
        "100 queries, gamma 0": {**MANY, "gamma": 0.0},
        "100 queries, gamma .99": {**MANY, "gamma": 0.99},
        "100 queries, gamma .999": {**MANY, "gamma": 0.999},
        "100 queries, theta estimated, momentum constant": HELD,
        "100 queries, theta estimated, momentum constant, gamma .99": {**HELD, "gamma": 0.99},
        "100 queries, theta estimated, momentum constant, gamma .999": {**HELD, "gamma": 0.999},
        "100 queries, theta estimated": {**MANY, **ESTIMATED},
        "100 queries, theta estimated, gamma .99": {**MANY, **ESTIMATED, "gamma": 0.99},
        "100 queries, update every 2 steps": {**MANY, "every": 2},
        "100 queries, head from 0": {**MANY, "init": "zero head"},
    }
    rivals = {
        "first_order: fresh queries": Choice(method="first_order", outer="fresh"),
        "first_order: 100 queries, update every 2 steps": Choice("first_order", every=2, **MANY),
        "first_order: 100 queries, head from 0": Choice("first_order", init="zero head", **MANY),
        **{
            f"{name}: 100 queries": Choice(name, **options, **MANY)
            for name, options in RIVALS.items()
            if name != "first_order"
        },
        "neumann: 100 queries, momentum constant": Choice(
            "neumann", every=10, momentum_in_phi=False, **MANY
        ),
    }
    return {f"distilled: {name}": Choice(**change) for name, change in distilled.items()} | rivals


CHOSEN = {
    "100 queries, theta 1": MANY,
    "100 queries, theta estimated, momentum constant": HELD,
    "fresh queries, theta 1": {"outer": "fresh"},
}


def confirm() -> dict[str, Choice]:
    chosen = {f"distilled: {name}": Choice(**change) for name, change in CHOSEN.items()}
    rivals = {
        f"{name}: 100 queries": Choice(name, **options, **MANY) for name, options in RIVALS.items()
    }
    rivals["neumann: 100 queries"] = Choice("neumann", every=10, momentum_in_phi=False, **MANY)
    rivals["first_order: fresh queries"] = Choice("first_order", outer="fresh")
    return chosen | rivals


def curve() -> dict[str, Choice]:
    return {
        "first_order: as the preset": Choice("first_order", steps=100),
        "distilled: as the preset": Choice(steps=100),
        "drmad: as the preset": Choice("drmad", every=30, steps=100),
    }


VALIDATION = (range(10), "validation tasks", 200)
STAGES = {
    "screen": (screen, *VALIDATION),
    "combine": (combine, *VALIDATION),
    "curve": (curve, *VALIDATION),
    "confirm": (confirm, range(100, 120), "new tasks", 1000),
}
"""What is run, on which seeds, and what scores it: the purpose of the tasks' keys and how many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=tuple(STAGES))
    parser.add_argument("--only", nargs="*", help="parts of the names of what to run")
    parser.add_argument("--out", type=Path, default=Path("experiments/hyperdistill/results"))
    options = parser.parse_args()
    choices, seeds, purpose, num = STAGES[options.stage]
    path = options.out / "sinusoid_search.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for name, choice in choices().items():
        if options.only and not any(part in name for part in options.only):
            continue
        marks = (30, 60, 100) if options.stage == "curve" else (choice.steps,)
        row = run(choice, seeds, marks, purpose, num)
        found.setdefault(options.stage, {})[name] = row
        medians = "  ".join(f"{r['median'] or np.inf:.3f}" for r in row["at"].values())
        print(f"{name:70} {medians}  {row['cpu_seconds']} CPU s", flush=True)
        found |= provenance(f"python {sys.argv[0]} STAGE")
        write_json(path, found)


if __name__ == "__main__":
    main()
