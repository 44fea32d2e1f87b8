"""What HyperDistill costs online: compared with plain training and gradhpo.

    python benchmarks/hypergradients.py --out benchmarks/results/hypergradients.json

1. `cost`: inner steps with a hyperparameter update from `distilled` after every k steps, compared
   with the same inner steps with only the outer loss's gradient after every k steps. CPU time in
   interleaved rounds of one compiled scan each; flops from XLA's analysis of one step.
2. `memory`: bytes that XLA's analysis of a compiled online run gives for 100 and 1000 inner steps.
3. `gradhpo`: gradhpo 0.1.3's HyperDistill on the problem of its own demo (per-parameter learning
   rates of an MLP 10-32-5, 20 inner steps, label noise), compared with ours. Both must give the
   same hyperparameters where their definitions coincide before anything is timed. Needs
   `pip install gradhpo==0.1.3`, without which the command says so and exits with 2;
   `--parts cost memory` does without it.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import interleaved, interval, write_result

from metajax.bilevel import (
    Estimate,
    Hypergradient,
    InnerProblem,
    OnlineParams,
    descend,
    full_batches,
    hypergradient,
    minibatches,
    online,
)
from metajax.bilevel.steps import advance, at, outer_gradients
from metajax.core import Examples, Task
from metajax.nn.perceptron import mlp
from metajax.train import provenance

EVERY = (1, 2, 5, 10)
GOAL = 1.35  # online HyperDistill over plain inner steps with the outer loss's gradient
GAMMA = 0.9
BATCH = 100
POOL = 500  # examples that batches are drawn from


# cost and memory: three problems on the same data


def pool() -> tuple[jax.Array, jax.Array]:
    """Inputs ``[POOL, 20]`` and targets ``[POOL, 1]``, a sine of a random direction."""
    keys = jax.random.split(jax.random.key(0))
    inputs = jax.random.normal(keys[0], (POOL, 20))
    return inputs, jnp.sin(inputs @ jax.random.normal(keys[1], (20, 1)))


def mean_square(outputs, targets):
    return jnp.mean(jnp.square(outputs - targets))


def weight_decays() -> tuple[InnerProblem, OnlineParams]:
    """MLP 20-64-64-1, SGD; hyperparameters: 6 log weight decays, one per array."""
    network = mlp((64, 64), 1)

    def outer_loss(params, hparams, batch):
        return mean_square(network.apply(params, batch[0]), batch[1])

    def inner_loss(params, hparams, batch):
        pairs = zip(jax.tree.leaves(hparams), jax.tree.leaves(params), strict=True)
        decay = sum(jnp.exp(log_decay) * jnp.sum(jnp.square(w)) for log_decay, w in pairs)
        return outer_loss(params, hparams, batch) + decay

    start = network.init(jax.random.key(1), jnp.zeros((1, 20)))
    hparams = jax.tree.map(lambda _: jnp.float32(-4), start)
    return descend(inner_loss, outer_loss, optax.sgd(0.05)), OnlineParams(hparams, start)


def lower_layers() -> tuple[InnerProblem, OnlineParams]:
    """The same MLP as in ANIL: the last layer adapts, momentum .9; hyperparameters: the others."""
    body = mlp((64,), 64)

    def loss(head, hparams, batch):
        features = jax.nn.relu(body.apply(hparams, batch[0]))
        return mean_square(features @ head["kernel"] + head["bias"], batch[1])

    hparams = body.init(jax.random.key(1), jnp.zeros((1, 20)))
    start = {"kernel": jnp.zeros((64, 1)), "bias": jnp.zeros(1)}
    return descend(loss, loss, optax.sgd(0.01, momentum=0.9)), OnlineParams(hparams, start)


def learning_rates() -> tuple[InnerProblem, OnlineParams]:
    """The same MLP, momentum .9; hyperparameters: 6 log learning rates, one per array."""
    network = mlp((64, 64), 1)

    def loss(params, hparams, batch):
        return mean_square(network.apply(params, batch[0]), batch[1])

    def optimizer(hparams):
        def scale(g, log_rate):
            return -jnp.exp(log_rate) * g

        scaled = optax.stateless(lambda updates, _: jax.tree.map(scale, updates, hparams))
        return optax.chain(optax.trace(0.9), scaled)

    start = network.init(jax.random.key(1), jnp.zeros((1, 20)))
    hparams = jax.tree.map(lambda _: jnp.float32(-5), start)
    return descend(loss, loss, optimizer), OnlineParams(hparams, start)


PROBLEMS = {
    "6 log weight decays": weight_decays,
    "lower layers (ANIL)": lower_layers,
    "6 log learning rates": learning_rates,
}


def plain() -> Hypergradient:
    """No estimator: inner steps, then the outer loss's gradient by the state and by hparams.

    Its memory sums the gradient's norms, so that no compiler leaves out what nothing else reads.
    """

    def init(problem, hparams, start, batch, key, calibration):
        return jnp.float32(0), problem.init(hparams, start)

    def update(problem, memory, hparams, state, batches, outer_batch, key):
        state = advance(problem, hparams, state, batches)
        loss, alpha, direct = outer_gradients(problem, state, hparams, outer_batch)
        return Estimate(direct, state, memory + optax.tree.norm(alpha), loss, None, {})

    return Hypergradient("plain", init, update)


def make_run(estimator: Hypergradient, problem: InnerProblem, steps: int, every: int):
    """``run(params, examples, key)``: inner steps that move hparams every ``every``-th."""
    draw = minibatches(BATCH)

    def run(params, examples, key):
        first = at(draw(examples, key, 1), 0)
        hparams, start = params
        carry = estimator.init(problem, hparams, start, first, key, estimator.calibration)

        def window(carry, index):
            hparams, memory, state = carry
            inner_key, outer_key, key_ = jax.random.split(jax.random.fold_in(key, index), 3)
            batches, outer = draw(examples, inner_key, every), at(draw(examples, outer_key, 1), 0)
            found = estimator.update(problem, memory, hparams, state, batches, outer, key_)
            hparams = jax.tree.map(lambda h, g: h - 1e-3 * g, hparams, found.hypergradient)
            return (hparams, found.memory, found.state), found.outer_loss

        return jax.lax.scan(window, (hparams, *carry), jnp.arange(steps // every))

    return run


def flops(function: Callable[..., Any], *args: Any) -> float:
    """Floating-point operations of one call, as XLA counts them after compiling."""
    return float(jax.jit(function).lower(*args).compile().cost_analysis()["flops"])


def window_flops(estimator: Hypergradient, problem: InnerProblem, params: OnlineParams) -> float:
    """Flops of one online step: one inner step, its outer gradient, the estimate."""
    batch, key = jax.tree.map(lambda x: x[:BATCH], pool()), jax.random.key(0)
    hparams, start = params
    memory, state = estimator.init(problem, hparams, start, batch, key, estimator.calibration)

    def step(memory, hparams, state, batch, outer, key):
        batches = jax.tree.map(lambda x: x[None], batch)
        found = estimator.update(problem, memory, hparams, state, batches, outer, key)
        return found.hypergradient, found.state, found.memory, found.outer_loss

    return flops(step, memory, hparams, state, batch, batch, key)


def cost(name: str, rounds: int, steps: int) -> dict[str, Any]:
    """Of ``distilled`` and ``one_step`` over ``plain``, for updates every k inner steps."""
    problem, params = PROBLEMS[name]()
    estimators = {
        "plain": plain(),
        "distilled": hypergradient("distilled", gamma=GAMMA),
        "one_step": hypergradient("one_step"),
    }
    batch, state = jax.tree.map(lambda x: x[:BATCH], pool()), problem.init(*params)
    step = flops(problem.update, state, params.hparams, batch)
    first = {side: window_flops(estimators[side], problem, params) for side in estimators}

    data, key = pool(), jax.random.key(2)
    calls = {}
    for side, estimator in estimators.items():
        for every in EVERY:
            run = jax.jit(make_run(estimator, problem, steps, every))
            calls[side, every] = lambda run=run: run(params, data, key)
    calibrate = estimators["distilled"].calibrate
    batches = minibatches(BATCH)(data, key, steps)
    theta = jax.jit(
        lambda hparams, state, batches, outer: calibrate(
            problem, hparams, state, batches, outer, key, jnp.float32(1)
        )
    )
    calls["theta", 1] = lambda: theta(params.hparams, state, batches, batch)
    times = interleaved(calls, rounds)

    rows = []
    for every in EVERY:
        base = times["plain", every]
        base_flops = (every - 1) * step + first["plain"]
        row: dict[str, Any] = {"every": every, "plain_us": float(np.median(base) / steps * 1e6)}
        for side in ("distilled", "one_step"):
            taken = times[side, every]
            row[side] = {
                "us": float(np.median(taken) / steps * 1e6),
                "cpu_ratio": interval(taken / base),
                "flops_ratio": ((every - 1) * step + first[side]) / base_flops,
                "cpu_ratio_to_outer_gradient_each_step": interval(taken / times["plain", 1]),
            }
        row["goal_met"] = row["distilled"]["cpu_ratio"]["median"] <= GOAL
        rows.append(row)
        ours = row["distilled"]
        print(
            f"{name:22} every {every:2}: plain {row['plain_us']:.0f} us, distilled "
            f"{ours['us']:.0f} us, CPU x{ours['cpu_ratio']['median']:.2f} "
            f"[{ours['cpu_ratio']['low']:.2f}, {ours['cpu_ratio']['high']:.2f}], "
            f"flops x{ours['flops_ratio']:.2f}",
            flush=True,
        )
    return {
        "inner_step_flops": step,
        "online_step_flops": first,
        "rows": rows,
        "theta_over_distilled_run_every_1": interval(times["theta", 1] / times["distilled", 1]),
    }


def memory() -> dict[str, Any]:
    """Temporary and output bytes of one compiled online meta-step of T inner steps."""
    cases = {
        "distilled, every 1": ("distilled", 1, None),
        "distilled, every 10": ("distilled", 10, None),
        "distilled, every 1, theta estimated each time": ("distilled", 1, 1),
        "unrolled over all T steps": ("unrolled", 0, None),
        "unrolled over the last 10, every 10": ("unrolled", 10, None),
    }
    problem, params = learning_rates()
    examples = jax.tree.map(lambda x: x[None], pool())
    tasks = Task(examples, examples)
    rows = {}
    for name, (method, every, calibrate_every) in cases.items():
        sizes = []
        for steps in (100, 1000):
            algorithm = online(
                hypergradient(method),
                problem,
                optax.sgd(1e-3),
                init=lambda key, task: params,
                inner_batches=minibatches(BATCH),
                outer_batches=minibatches(BATCH),
                inner_steps=steps,
                every=every or steps,
                calibrate_every=calibrate_every,
            )
            state = algorithm.init(jax.random.key(0), at(tasks, 0))
            compiled = jax.jit(algorithm.update).lower(state, tasks, jax.random.key(1)).compile()
            found = compiled.memory_analysis()
            sizes.append(found.temp_size_in_bytes + found.output_size_in_bytes)
        rows[name] = {"bytes_100": sizes[0], "bytes_1000": sizes[1], "ratio": sizes[1] / sizes[0]}
        print(f"{name:46}", rows[name])
    return rows


# gradhpo: the problem of its demo

FEATURES, HIDDEN, CLASSES = 10, 32, 5
INNER_STEPS, OUTER_RATE, FIRST_RATE = 20, 3e-3, 0.05
DEMO_BATCH, DEMO_GAMMA, THETA_EVERY = 128, 0.99, 10
CHECK_RATE = (
    1.0  # of the hyperparameters where the two sides are compared: moves far above rounding
)
TOLERANCE = 1e-4  # largest difference of hyperparameters there, over the largest move of any


def demo_data() -> Task:
    """500 examples with a fifth of the labels drawn again, and 200 clean ones; labels one-hot."""
    keys = iter(jax.random.split(jax.random.key(0), 9))
    centres = 2 * jax.random.normal(next(keys), (CLASSES, FEATURES))

    def draw(num: int, noise: float) -> Examples:
        labels = jax.random.randint(next(keys), (num,), 0, CLASSES)
        inputs = centres[labels] + 0.5 * jax.random.normal(next(keys), (num, FEATURES))
        noisy = jax.random.bernoulli(next(keys), noise, (num,))
        drawn = jax.random.randint(next(keys), (num,), 0, CLASSES)
        return Examples(inputs, jax.nn.one_hot(jnp.where(noisy, drawn, labels), CLASSES))

    return Task(draw(500, 0.2), draw(200, 0.0))


def demo_loss(params, hparams, batch):
    hidden = jax.nn.relu(batch[0] @ params["w1"] + params["b1"])
    return jnp.mean(optax.softmax_cross_entropy(hidden @ params["w2"] + params["b2"], batch[1]))


def scaled_gradient(gradient, raw_rates):
    return jax.tree.map(lambda g, raw: -jax.nn.softplus(raw) * g, gradient, raw_rates)


def demo_params() -> OnlineParams:
    keys = jax.random.split(jax.random.key(1))
    start = {
        "w1": jax.random.normal(keys[0], (FEATURES, HIDDEN)) * np.sqrt(2 / FEATURES),
        "b1": jnp.zeros(HIDDEN),
        "w2": jax.random.normal(keys[1], (HIDDEN, CLASSES)) * np.sqrt(2 / HIDDEN),
        "b2": jnp.zeros(CLASSES),
    }
    start = jax.tree.map(lambda x: x.astype(jnp.float32), start)
    raw = float(np.log(np.expm1(FIRST_RATE)))
    return OnlineParams(jax.tree.map(lambda x: jnp.full_like(x, raw), start), start)


def make_ours(episodes: int, gamma: float, batches: Any, calibrate_every: int | None, rate: Any):
    """``run(task) -> OnlineParams`` by :func:`metajax.bilevel.online` in one compiled scan."""
    problem = descend(
        demo_loss,
        demo_loss,
        lambda raw: optax.stateless(lambda gradient, _: scaled_gradient(gradient, raw)),
    )
    algorithm = online(
        hypergradient("distilled", gamma=gamma),
        problem,
        optax.sgd(rate),
        init=lambda key, task: demo_params(),
        inner_batches=batches,
        outer_batches=batches,
        inner_steps=INNER_STEPS,
        reptile_rate=1.0,
        calibrate_every=calibrate_every,
    )

    @jax.jit
    def episodes_from(state, task, key):
        def episode(state, index):
            tasks = jax.tree.map(lambda x: x[None], task)
            return algorithm.update(state, tasks, jax.random.fold_in(key, index))[0], None

        return jax.lax.scan(episode, state, jnp.arange(episodes))[0]

    def run(task: Task) -> OnlineParams:
        state = algorithm.init(jax.random.key(2), task)
        return episodes_from(state, task, jax.random.key(3)).params

    return run


def make_theirs(
    gradhpo: Any, episodes: int, gamma: float, batches: Any, estimates: bool, rate: Any
):
    """``run(task) -> OnlineParams`` by gradhpo's own ``run``.

    ``rate`` is a constant, given as optax's SGD (gradhpo compiles 20 programs, one per inner
    step), or "demo": the demo's rate that falls linearly, which gradhpo takes as a static argument.
    """

    def update(w, raw, batch):
        step = scaled_gradient(jax.grad(demo_loss)(w, raw, batch), raw)
        return optax.apply_updates(w, step)

    demo = rate == "demo"
    optimizer = gradhpo.OnlineHypergradientOptimizer(
        update_fn=update,
        gamma=gamma,
        estimation_period=THETA_EVERY,
        T=INNER_STEPS,
        outer_optimizer=None if demo else optax.sgd(rate),
    )
    if not estimates:
        optimizer.estimate_theta = lambda *args: 1.0

    def run(task: Task) -> OnlineParams:
        train, validation = batches(task)
        params = demo_params()
        state = optimizer.init(params.start, params.hparams)
        state = optimizer.run(
            state,
            episodes,
            train,
            validation,
            demo_loss,
            demo_loss,
            lr_hyper=OUTER_RATE if demo else None,
        )
        return OnlineParams(state.hyperparams, state.params)

    return run


def all_examples(task: Task):
    """gradhpo's two batch functions: everything, each time."""
    return (lambda: tuple(task.support)), (lambda: tuple(task.query))


def drawn_each_step(task: Task):
    """As gradhpo's demo does: each call draws a batch."""

    def source(examples: Examples, seed: int):
        keys = {"key": jax.random.key(seed)}

        def draw():
            keys["key"], key = jax.random.split(keys["key"])
            indices = jax.random.randint(key, (DEMO_BATCH,), 0, examples.inputs.shape[0])
            return examples.inputs[indices], examples.targets[indices]

        return draw

    return source(task.support, 4), source(task.query, 5)


READY: list[list[Any]] = []


def drawn_before(task: Task):
    """The same without the cost of drawing: 20 of each lie ready, and come again and again."""
    if not READY:
        READY.extend([draw() for _ in range(INNER_STEPS)] for draw in drawn_each_step(task))
    return tuple(itertools.cycle(batches).__next__ for batches in READY)


def agreement(gradhpo: Any, task: Task, gamma: float) -> float:
    """Largest difference of the two sides' hyperparameters, over the largest move of any.

    With all examples in every batch D* is the batch, and with theta = 1 the definitions of the two
    sides are the same for any gamma.
    """
    ours = make_ours(3, gamma, full_batches, None, CHECK_RATE)(task)
    theirs = make_theirs(gradhpo, 3, gamma, all_examples, False, CHECK_RATE)(task)
    first = demo_params().hparams

    def largest(a, b):
        return optax.tree.norm(optax.tree.sub(a, b), ord="inf")

    move = largest(theirs.hparams, first)
    print(f"gamma {gamma}: hyperparameters move by up to {move:.3g}", flush=True)
    return float(largest(ours.hparams, theirs.hparams) / move)


def against_gradhpo(
    gradhpo: Any, rounds: int, episodes: int, cold_rounds: int, cold_episodes: int
) -> dict[str, Any]:
    """Check that both do the same work, then time them compiled, and with all compilation."""
    task = demo_data()
    differences = {f"gamma {gamma}": agreement(gradhpo, task, gamma) for gamma in (0.0, DEMO_GAMMA)}
    print("difference of hyperparameters over their largest move:", differences)
    if not max(differences.values()) <= TOLERANCE:
        raise SystemExit("gradhpo and metajax disagree: not timed")

    batches = minibatches(DEMO_BATCH)

    def side(*args):
        return make_theirs(gradhpo, episodes, DEMO_GAMMA, *args)

    runs = {
        "metajax, theta 1": make_ours(episodes, DEMO_GAMMA, batches, None, OUTER_RATE),
        "metajax, theta every 10": make_ours(
            episodes, DEMO_GAMMA, batches, THETA_EVERY, OUTER_RATE
        ),
        "gradhpo, theta 1, batches lie ready": side(drawn_before, False, OUTER_RATE),
        "gradhpo, theta 1": side(drawn_each_step, False, OUTER_RATE),
        "gradhpo, theta every 10": side(drawn_each_step, True, OUTER_RATE),
    }
    ends = {}

    def keep(name):
        ends[name] = runs[name](task)
        return ends[name]

    times = interleaved({name: functools.partial(keep, name) for name in runs}, rounds)
    pairs = {
        name: f"metajax, theta {'1' if 'theta 1' in name else 'every 10'}"
        for name in runs
        if name.startswith("gradhpo")
    }
    result: dict[str, Any] = {
        "problem": "demo_hyperdistill.py of gradhpo: MLP 10-32-5, a learning rate per parameter",
        "hyperparameter_updates": episodes * INNER_STEPS,
        "differences_where_definitions_coincide": differences,
        "compiled_cpu_seconds": {name: float(np.median(taken)) for name, taken in times.items()},
        "compiled_cpu_ratio_metajax_over_gradhpo": {
            name: interval(times[ours] / times[name]) for name, ours in pairs.items()
        },
        "validation_loss": {
            name: float(demo_loss(end.start, None, task.query)) for name, end in ends.items()
        },
    }

    def falling(count):
        return OUTER_RATE * (1 - (count // INNER_STEPS) / cold_episodes)

    makers = {
        "metajax": lambda: make_ours(cold_episodes, DEMO_GAMMA, batches, THETA_EVERY, falling),
        "gradhpo, constant rate": lambda: make_theirs(
            gradhpo, cold_episodes, DEMO_GAMMA, drawn_each_step, True, OUTER_RATE
        ),
        "gradhpo, the demo's rate": lambda: make_theirs(
            gradhpo, cold_episodes, DEMO_GAMMA, drawn_each_step, True, "demo"
        ),
    }
    cold: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(cold_rounds):
        for name, maker in makers.items():
            jax.clear_caches()
            begin = time.process_time()
            jax.block_until_ready(maker()(task))
            cold[name].append(time.process_time() - begin)
    result["cold_episodes"] = cold_episodes
    result["cold_cpu_seconds_with_compilation"] = cold
    result["cold_cpu_ratio_metajax_over_gradhpo"] = {
        name: [ours / theirs for ours, theirs in zip(cold["metajax"], taken, strict=True)]
        for name, taken in cold.items()
        if name != "metajax"
    }
    for name, value in result.items():
        print(name, value)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("cost", "memory", "gradhpo")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--rounds", type=int, default=31, help="interleaved rounds of `cost`")
    parser.add_argument("--steps", type=int, default=200, help="inner steps of a timed run")
    parser.add_argument("--gradhpo-rounds", type=int, default=7)
    parser.add_argument("--episodes", type=int, default=60, help="of gradhpo's demo, compiled")
    parser.add_argument("--cold-rounds", type=int, default=3)
    parser.add_argument("--cold-episodes", type=int, default=2, help="with compilation")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    gradhpo = None
    if "gradhpo" in options.parts:
        try:
            import gradhpo
        except ModuleNotFoundError as error:
            if error.name != "gradhpo":
                raise
            print(
                "gradhpo is not installed; `pip install gradhpo==0.1.3`, or --parts cost memory",
                file=sys.stderr,
            )
            return 2

    result = provenance()
    if "cost" in options.parts:
        result["cost"] = {
            "goal": GOAL,
            "problems": {name: cost(name, options.rounds, options.steps) for name in PROBLEMS},
        }
    if "memory" in options.parts:
        result["memory"] = memory()
    if gradhpo is not None:
        result["versions"]["gradhpo"] = importlib.metadata.version("gradhpo")
        result["gradhpo"] = against_gradhpo(
            gradhpo,
            options.gradhpo_rounds,
            options.episodes,
            options.cold_rounds,
            options.cold_episodes,
        )
    write_result(options.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
