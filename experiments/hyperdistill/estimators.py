"""How good every hypergradient is along a training of hyperparameters, and what it costs.

    python experiments/hyperdistill/estimators.py --seeds 10

An MLP 10-64-64-1 is fitted to 100 of scikit-learn's 442 diabetes patients in 100 full-batch steps;
the other 342 validate it. Six hyperparameters, one per array of the network, either log weight
decays (plain SGD inside) or log learning rates (momentum .9 inside), are trained by Adam on the
exact hypergradient (`unrolled`). Along that training every estimator sees the same
hyperparameters; what it finds is compared with the exact one. Seeds draw the split and the
weights. Writes `results/estimators.json` and the figure `figures/estimators.png`.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
import scipy.stats
from sklearn.datasets import load_diabetes
from tqdm import tqdm

from metajax.bilevel import (
    InnerProblem,
    descend,
    estimate,
    estimate_theta,
    full_batches,
    hypergradient,
)
from metajax.nn.perceptron import mlp
from metajax.train import provenance, write_json

INNER_STEPS, TRAIN_EXAMPLES, OUTER_RATE = 100, 100, 0.1
EARLY = 10  # outer updates that count as early in training
NETWORK = mlp((64, 64), 1)
GAMMAS = {"distilled, gamma .9": 0.9, "distilled, gamma .99": 0.99}


@dataclasses.dataclass(frozen=True)
class Row:
    """One estimator as it is asked for; ``windows`` are what the inner steps are cut into."""

    method: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    windows: int = 1


ROWS = {
    "unrolled": Row("unrolled"),
    "forward": Row("forward"),
    "first-order": Row("first_order"),
    "one-step": Row("one_step"),
    "DrMAD": Row("drmad"),
    "Neumann, 20 terms": Row("neumann", {"terms": 20}),
    "conjugate gradient, 10": Row("conjugate_gradient", {"iterations": 10}),
    **{name: Row("distilled", {"gamma": gamma}) for name, gamma in GAMMAS.items()},
    "ES, 16 pairs": Row("es", {"pairs": 16}),
    "PES, 16 pairs, 10 windows": Row("pes", {"pairs": 16}, windows=10),
}


def squared_error(params, hparams, batch):
    inputs, targets = batch
    return jnp.mean(jnp.square(NETWORK.apply(params, inputs) - targets))


def weight_decays() -> tuple[InnerProblem, float]:
    """SGD at rate .05; the problem and every log weight decay's first value."""

    def penalised(params, hparams, batch):
        pairs = zip(jax.tree.leaves(hparams), jax.tree.leaves(params), strict=True)
        decay = sum(jnp.exp(log_decay) * jnp.sum(jnp.square(w)) for log_decay, w in pairs)
        return squared_error(params, hparams, batch) + decay

    return descend(penalised, squared_error, optax.sgd(0.05)), -4.0


def learning_rates() -> tuple[InnerProblem, float]:
    """Momentum .9; the problem and every log learning rate's first value."""

    def optimizer(log_rates):
        def scale(g, log_rate):
            return -jnp.exp(log_rate) * g

        scaled = optax.stateless(lambda updates, _: jax.tree.map(scale, updates, log_rates))
        return optax.chain(optax.trace(0.9), scaled)

    return descend(squared_error, squared_error, optimizer), -5.0


PROBLEMS = {"log weight decays": weight_decays, "log learning rates": learning_rates}


def examples(seed: int) -> tuple[Any, Any]:
    """Training and validation ``(inputs, targets)``, features and targets of deviation 1."""
    inputs, targets = load_diabetes(return_X_y=True)
    inputs, targets = inputs / inputs.std(0), (targets - targets.mean()) / targets.std()
    order = np.random.default_rng(seed).permutation(len(inputs))
    whole = jnp.asarray(inputs[order], jnp.float32), jnp.asarray(targets[order, None], jnp.float32)

    def cut(part):
        return tuple(x[part] for x in whole)

    return cut(slice(None, TRAIN_EXAMPLES)), cut(slice(TRAIN_EXAMPLES, None))


def first_weights(seed: int) -> Any:
    return NETWORK.init(jax.random.key(seed), examples(seed)[0][0])


def make_estimate(problem: InnerProblem, row: Row, **options: Any) -> Callable[..., Any]:
    """``f(hparams, start, train, validation, key) -> (hypergradient, outer loss)``, not compiled.

    The loss is asked for because a compiler that is not drops the inner loop where the
    hypergradient does not depend on it.
    """
    estimator = hypergradient(row.method, **row.options, **options)

    def run(hparams, start, train, validation, key):
        found = estimate(
            estimator,
            problem,
            hparams,
            start,
            full_batches(train, key, INNER_STEPS),
            validation,
            key=key,
            windows=row.windows,
        )
        return found.hypergradient, found.outer_loss

    return run


def make_theta(problem: InnerProblem, gamma: float) -> Callable[..., Any]:
    """``theta(hparams, start, train, validation, key)``, HyperDistill's scale, not compiled."""

    def theta(hparams, start, train, validation, key):
        return estimate_theta(
            problem,
            hparams,
            problem.init(hparams, start),
            full_batches(train, key, INNER_STEPS),
            validation,
            key,
            gamma=gamma,
        )

    return theta


def quality(kind: str, seeds: int, updates: int, stride: int) -> dict[str, Any]:
    """Cosine and norm ratio of every row at every ``stride``-th of ``updates`` outer updates.

    Returns arrays ``[seeds, points]`` by row, NaN where a vector is zero; HyperDistill's are with
    theta = 1 (its outer loss has no direct term, so theta scales it and no more), compared with the
    thetas estimated at the same hyperparameters.
    """
    problem, first = PROBLEMS[kind]()

    def flat(tree):
        return jax.flatten_util.ravel_pytree(tree)[0]

    functions = {name: jax.jit(make_estimate(problem, row)) for name, row in ROWS.items()}
    thetas = {name: jax.jit(make_theta(problem, gamma)) for name, gamma in GAMMAS.items()}
    exact, optimizer = functions["unrolled"], optax.adam(OUTER_RATE)
    points = range(0, updates + 1, stride)
    shape = (seeds, len(points))
    found = {name: {"cosine": np.empty(shape), "norm_ratio": np.empty(shape)} for name in ROWS}
    found |= {f"theta {name}": {"theta": np.empty(shape)} for name in GAMMAS}
    norms = np.empty(shape)
    for seed in range(seeds):
        start, (train, validation) = first_weights(seed), examples(seed)
        hparams = jax.tree.map(lambda _: jnp.float32(first), start)
        opt_state = optimizer.init(hparams)
        for update in tqdm(range(updates + 1), f"{kind}, seed {seed}", mininterval=10):
            key = jax.random.fold_in(jax.random.key(seed), update)
            grads, _ = exact(hparams, start, train, validation, key)
            if update % stride == 0:
                at, reference = (seed, update // stride), flat(grads)
                norms[at] = np.linalg.norm(reference)
                for name, function in functions.items():
                    value = flat(function(hparams, start, train, validation, key)[0])
                    size = np.linalg.norm(value)
                    cosine = np.dot(value, reference) / (size * norms[at]) if size > 0 else np.nan
                    found[name]["cosine"][at] = cosine
                    found[name]["norm_ratio"][at] = size / norms[at]
                for name, theta in thetas.items():
                    value = theta(hparams, start, train, validation, key)
                    found[f"theta {name}"]["theta"][at] = value
            moves, opt_state = optimizer.update(grads, opt_state)
            hparams = optax.apply_updates(hparams, moves)
    return {"points": list(points), "exact_norm": norms, "rows": found}


def interval(values: np.ndarray) -> dict[str, float] | None:
    """Median over seeds with its 95% interval by order statistics; None where undefined."""
    if not np.isfinite(values).all():
        return None
    ranked = np.sort(values)
    low = max(1, int(scipy.stats.binom.ppf(0.025, len(ranked), 0.5)))
    ends = ranked[low - 1], ranked[len(ranked) - low]
    return {"median": float(np.median(ranked)), "low": float(ends[0]), "high": float(ends[1])}


def summary(measured: dict[str, Any]) -> dict[str, Any]:
    """Per row: each seed's median along training, then the median of these with its interval.

    ``cosine_early`` is over the first ``EARLY`` outer updates, where the exact hypergradient is
    large. HyperDistill's norm ratio is with theta estimated at the same hyperparameters.
    """
    early = np.array(measured["points"]) <= EARLY
    rows = {}
    for name in ROWS:
        found = dict(measured["rows"][name])
        if name in GAMMAS:
            ratio, theta = found.pop("norm_ratio"), measured["rows"][f"theta {name}"]["theta"]
            found["theta"] = theta
            found["norm_ratio"] = ratio * np.abs(theta)
            found["norm_ratio_theta_from_first_update"] = ratio * np.abs(theta[:, :1])
            found["norm_ratio_theta_1"] = ratio
        found["cosine_early"] = found["cosine"][:, early]
        rows[name] = {key: interval(np.median(value, axis=1)) for key, value in found.items()}
    return rows


def cost(kind: str, rounds: int) -> dict[str, Any]:
    """CPU time of one compiled estimate in interleaved rounds, and the bytes XLA says it needs."""
    problem, first = PROBLEMS[kind]()
    start, (train, validation) = first_weights(0), examples(0)
    hparams = jax.tree.map(lambda _: jnp.float32(first), start)
    arguments = (hparams, start, train, validation, jax.random.key(0))

    def inner_loop(hparams, start, train, validation, key):
        state = problem.init(hparams, start)
        batches = full_batches(train, key, INNER_STEPS)

        def step(state, batch):
            return (problem.update(state, hparams, batch), None)

        state, _ = jax.lax.scan(step, state, batches)
        return problem.outer_loss(state, hparams, validation)

    functions = {"inner loop alone": inner_loop}
    functions |= {name: make_estimate(problem, row) for name, row in ROWS.items()}
    functions["unrolled, all states kept"] = make_estimate(
        problem, ROWS["unrolled"], segment=INNER_STEPS
    )
    functions["estimating theta"] = make_theta(problem, 0.9)
    compiled = {
        name: jax.jit(function).lower(*arguments).compile() for name, function in functions.items()
    }
    times: dict[str, list[float]] = {name: [] for name in compiled}
    for turn in tqdm(range(rounds + 1), f"{kind}, costs", mininterval=10):
        for name in list(compiled) if turn % 2 else list(compiled)[::-1]:
            begin = time.process_time()
            jax.block_until_ready(compiled[name](*arguments))
            times[name].append(time.process_time() - begin)
    alone = np.array(times["inner loop alone"][1:])
    rows = {}
    for name, function in compiled.items():
        taken, memory = np.array(times[name][1:]), function.memory_analysis()
        rows[name] = {
            "cpu_ms": float(np.median(taken) * 1e3),
            "ratio_to_inner_loop": interval(taken / alone),
            "bytes": memory.temp_size_in_bytes + memory.output_size_in_bytes,
        }
    return rows


STYLES = {
    "one-step": ("0.55", ":", "one-step"),
    "DrMAD": ("0.0", ":", "DrMAD"),
    "Neumann, 20 terms": ("0.0", "--", "Neumann"),
    "conjugate gradient, 10": ("0.55", "--", "conjugate gradient"),
    "distilled, gamma .9": ("tab:blue", "-", "distilled .9"),
    "distilled, gamma .99": ("tab:red", "-", "distilled .99"),
    "ES, 16 pairs": ("0.55", "-.", "ES"),
    "PES, 16 pairs, 10 windows": ("0.0", "-.", "PES"),
}
"""Color, line and label of each row in the figure; the lines tell them apart in gray."""


def spread(heights: np.ndarray, gap: float, ceiling: float) -> np.ndarray:
    """Move label heights apart to at least ``gap``, in their order, none above ``ceiling``."""
    order = np.argsort(-heights)
    placed = heights.astype(float).copy()
    for i, index in enumerate(order):
        limit = ceiling if i == 0 else placed[order[i - 1]] - gap
        placed[index] = min(placed[index], limit)
    return placed


def draw_training(measured: dict[str, Any], path: Path) -> None:
    """Cosine along training: the median over seeds, one panel per kind of hyperparameter."""
    figure, panels = plt.subplots(1, len(measured), figsize=(12, 4.6), sharey=True)
    for panel, kind in zip(panels, PROBLEMS, strict=True):
        found = measured[kind]
        points, ends = found["points"], {}
        for name, (colour, line, _) in STYLES.items():
            cosine = np.median(found["rows"][name]["cosine"], axis=0)
            if not np.isfinite(cosine).all():
                continue
            width = 2.4 if name in GAMMAS else 1.4
            marker = "s" if name == "distilled, gamma .99" else None
            panel.plot(points, cosine, line, color=colour, linewidth=width, marker=marker)
            ends[name] = cosine[-1]
        heights = spread(np.array(list(ends.values())), 0.085, 1.0)
        for (name, end), height in zip(ends.items(), heights, strict=True):
            colour, _, label = STYLES[name]
            panel.annotate(
                label,
                (points[-1], end),
                (points[-1] * 1.1, height),
                color=colour,
                fontsize=9,
                va="center",
                annotation_clip=False,
                arrowprops={
                    "arrowstyle": "-",
                    "color": colour,
                    "linewidth": 0.6,
                    "relpos": (0, 0.5),
                },
            )
        panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        panel.set(title=kind, xlabel="outer update", xlim=(0, points[-1]))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("cosine to the exact hypergradient")
    figure.tight_layout(w_pad=6)
    figure.savefig(path, dpi=150)


def as_json(tree: Any) -> Any:
    """Arrays as lists rounded to 6 digits, what is not finite as None."""

    def number(x):
        return float(f"{x:.6g}") if np.isfinite(x) else None

    return jax.tree.map(
        lambda x: [[number(y) for y in row] for row in x] if isinstance(x, np.ndarray) else x, tree
    )


def from_json(measured: Any) -> Any:
    """What :func:`as_json` wrote, as arrays again."""
    rows = {
        name: {key: np.array(value, float) for key, value in row.items()}
        for name, row in measured["rows"].items()
    }
    return measured | {"rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--updates", type=int, default=50, help="outer updates")
    parser.add_argument("--stride", type=int, default=2, help="updates between comparisons")
    parser.add_argument("--rounds", type=int, default=21, help="timings of each estimator")
    parser.add_argument("--out", type=Path, default=Path("experiments/hyperdistill"))
    parser.add_argument("--redraw", action="store_true", help="figure of the results there are")
    options = parser.parse_args()
    path = options.out / "results" / "estimators.json"
    if options.redraw:
        result = json.loads(path.read_text())
        measured = {kind: from_json(found) for kind, found in result["along_training"].items()}
        costs = {kind: found["cost"] for kind, found in result["summary"].items()}
    else:
        measure = functools.partial(
            quality, seeds=options.seeds, updates=options.updates, stride=options.stride
        )
        costs = {kind: cost(kind, options.rounds) for kind in PROBLEMS}
        measured = {kind: measure(kind) for kind in PROBLEMS}
        result = {
            **provenance(),
            "data": "scikit-learn diabetes: 100 patients to train on, 342 to validate, 10 features",
            "seeds": options.seeds,
            "inner_steps": INNER_STEPS,
            "along_training": as_json(measured),
        }
    result["summary"] = {
        kind: {"quality": summary(measured[kind]), "cost": costs[kind]} for kind in PROBLEMS
    }
    for kind, found in result["summary"].items():
        print(f"\n{kind}: cosine early, throughout, norm ratio, CPU ms, times inner loop, bytes")
        for name, row in found["cost"].items():
            seen = found["quality"].get(name, {})
            print(
                f"{name:28}",
                *map(short, map(seen.get, ("cosine_early", "cosine", "norm_ratio"))),
                f"{row['cpu_ms']:8.1f}",
                short(row["ratio_to_inner_loop"]),
                row["bytes"],
            )
    for folder in ("results", "figures"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    write_json(path, result)
    draw_training(measured, options.out / "figures" / "estimators.png")


def short(value: dict[str, float] | None) -> str:
    if value is None:
        return f"{'-':24}"
    return f"{value['median']:7.3f} [{value['low']:6.3f}, {value['high']:6.3f}]"


if __name__ == "__main__":
    main()
