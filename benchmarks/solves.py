"""What solving a head costs: compared with SGD; mapped solves compared with LAPACK.

    python benchmarks/solves.py --out benchmarks/results/solves.json

1. `adapt`: design and solve of 64 features at 50 points, for values (50 equations) and for values
   and both slopes (150 equations), compared with 50 steps of SGD of the same network with
   a linear output on the values. One task, compiled, float32. Goal: below 1 ms.
2. `solves`: what metajax maps one system at a time and one batched LAPACK call by JAX, forward
   and with the gradient. CPU time of one thread, so the ratio is that of the work; the batched call
   would use several threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import interleaved, interval, shown, use_one_thread, write_result

from metajax.core import Examples, Task
from metajax.learners import linear_head, maml, mean_squared_error
from metajax.nn import cholesky, damped_least_squares, mlp

POINTS, FEATURES, SGD_STEPS = 50, 64, 50
GOAL_MS = 1.0
FACTORED = ((144, 100), (144, 40), (512, 32), (32, 256))
FITTED = ((16, 50, 64), (16, 200, 64), (16, 1000, 128))
KEY = jax.random.key(0)


def task() -> Task:
    """A smooth function of two numbers at fifty points, and at fifty more."""
    inputs = jax.random.normal(KEY, (2 * POINTS, 2))
    targets = jnp.sin(inputs[:, :1] - 2 * inputs[:, 1:])
    return Task(*(Examples(inputs[i::2], targets[i::2]) for i in (0, 1)))


def adapting() -> dict[str, Callable[[], Any]]:
    """Adapting to the task: heads solved for values, and for slopes too, and SGD."""
    body, whole = mlp((64, 64), FEATURES), mlp((64, 64, FEATURES), 1)
    example = task()

    def values(params, inputs):
        return jnp.tanh(body.apply(params, inputs))

    def with_slopes(params, inputs):
        def at(x):
            return values(params, x[None])[0]

        slopes = jax.vmap(jax.jacfwd(at))(inputs)
        return jnp.concatenate([values(params, inputs), slopes[..., 0], slopes[..., 1]])

    def thrice(support):
        return jnp.tile(support.targets, (3, 1))

    def init(key, task):
        return body.init(key, task.support.inputs)

    learners = {
        "values": linear_head(init, values, mean_squared_error),
        "values_and_slopes": linear_head(
            init, with_slopes, mean_squared_error, targets=thrice, predict=lambda *_: None
        ),
        "sgd": maml(whole, mean_squared_error, optax.sgd(0.01), steps=SGD_STEPS),
    }
    sides = {}
    for name, learner in learners.items():
        given = learner.init(KEY, example), example.support, KEY
        adapt = jax.jit(learner.adapt).lower(*given).compile()
        sides[name] = lambda adapt=adapt, given=given: [adapt(*given) for _ in range(20)]
    return sides


def lapack_least_squares(design, targets, strength):
    """By QR of the stacked rows, through the derivative of JAX's QR."""
    num = design.shape[1]
    rows = jnp.concatenate([design, jnp.sqrt(strength) * jnp.eye(num)])
    q, r = jnp.linalg.qr(rows)
    return jax.scipy.linalg.solve_triangular(r, q[: len(design)].T @ targets)


def solving() -> dict[str, dict[str, Callable[[], Any]]]:
    """For every size, our solve and the batched one, forward and with the gradient."""
    cases: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {}
    for batch, n in FACTORED:
        x = jax.random.normal(KEY, (batch, n, n))
        gram = x @ x.swapaxes(-1, -2) / n + jnp.eye(n)[None]
        cases[f"cholesky {batch}x{n}x{n}"] = cholesky, jnp.linalg.cholesky, (gram,)
    for batch, m, num in FITTED:
        given = jax.random.normal(KEY, (batch, m, num)), jax.random.normal(KEY, (batch, m, 1))

        def ours(design, targets):
            return damped_least_squares(design, targets, 0.1)

        def theirs(design, targets):
            return lapack_least_squares(design, targets, 0.1)

        cases[f"least squares {batch}x{m}x{num}"] = ours, theirs, given
    sides: dict[str, dict[str, Callable[[], Any]]] = {}
    for name, (ours, theirs, given) in cases.items():
        sides[name] = {}
        for who, function in (("mapped", ours), ("batched", theirs)):

            def total(*given, function=function):
                return jnp.sum(jax.vmap(function)(*given) ** 2)

            for what, compiled in (
                ("forward", jax.jit(jax.vmap(function))),
                ("gradient", jax.jit(jax.grad(total))),
            ):
                sides[name][f"{who} {what}"] = lambda f=compiled, given=given: f(*given)
    return sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = use_one_thread()
    result |= {"rounds": arguments.rounds, "goal_ms": GOAL_MS, "adapt": {}, "solves": {}}

    taken = interleaved(adapting(), arguments.rounds)
    for name, seconds in taken.items():
        milliseconds = interval(seconds * 1e3 / 20)
        ratio = interval(taken["sgd"] / seconds)
        result["adapt"][name] = {"milliseconds": milliseconds, "sgd_over_this": ratio}
        print(
            f"adapt, {name}: {milliseconds['median']:.3f} ms, SGD takes {shown(ratio)} times that"
        )
    for name, sides in solving().items():
        taken = interleaved(sides, arguments.rounds)
        result["solves"][name] = {}
        for what in ("forward", "gradient"):
            ours, theirs = taken[f"mapped {what}"], taken[f"batched {what}"]
            result["solves"][name][what] = {
                "mapped_ms": float(np.median(ours) * 1e3),
                "batched_ms": float(np.median(theirs) * 1e3),
                "mapped_over_batched": interval(ours / theirs),
            }
            ratio = result["solves"][name][what]["mapped_over_batched"]
            print(
                f"{name}, {what}: {np.median(ours) * 1e3:.2f} ms, {shown(ratio)} of batched LAPACK"
            )
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
