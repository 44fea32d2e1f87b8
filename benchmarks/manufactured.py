"""What random problems with known solutions cost, and how their derivatives are best taken.

    python benchmarks/manufactured.py --out benchmarks/results/manufactured.json

1. `samples`: whole samples at the sizes of Bischof et al. 2025 (2048 interior and 2048 boundary
   points, five 224 x 224 images), in one vmapped batch and one after the other (`jax.lax.map`).
   Next to them are the authors' generator's CPU seconds as quoted from another run, on another
   machine: .67 a sample with a solution, .47 without.
2. `derivatives`: value, gradient and second derivatives of the same expressions at the same points
   by carrying jets forward (`expand`), by forward derivatives on each other (`differentiate`), by
   `jax.grad` and `jax.hessian`, and by `jax.experimental.jet` along three directions. Their results
   must agree before anything is timed.

Everything runs on one thread; CPU seconds count, sides take turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleaved, interval, use_one_thread, write_result
from jax.experimental.jet import jet

from metajax.physics.pde import differentiate, draw_expression, draw_sample, expand
from metajax.physics.pde.expressions import COMPOSE, MULTIPLY, outer

QUOTED = {"supervised": 0.67, "unsupervised": 0.47}
"""CPU seconds a sample of the official PyTorch generator, from another run."""
BATCH, EXPRESSIONS, POINTS = 32, 16, 2048


def compiled(name: str, function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """A compiled program and the CPU seconds it took to make."""
    begin = time.process_time()
    program = jax.jit(function).lower(*arguments).compile()
    seconds = time.process_time() - begin
    print(f"{name}: compiled in {seconds:.1f} CPU s", flush=True)
    return partial(program, *arguments), seconds


def samples(rounds: int) -> dict[str, Any]:
    """CPU seconds a sample."""
    keys = jax.random.split(jax.random.key(0), BATCH)
    result: dict[str, Any] = {"batch": BATCH, "quoted": QUOTED}
    sides: dict[str, Callable[[], Any]] = {}
    # the probability is traced, so both kinds are the same program
    batched = jax.vmap(lambda key, known: draw_sample(key, supervised=known), (0, None))

    def in_turn(keys, known):
        return jax.lax.map(lambda key: draw_sample(key, supervised=known), keys)

    for way, function in (("vmap", batched), ("map", in_turn)):
        program, seconds = compiled(way, function, keys, jnp.float32(1.0))
        result[f"{way}, compile"] = seconds
        for kind in QUOTED:
            known = jnp.float32(kind == "supervised")
            sides[f"{way}, {kind}"] = partial(program.func, keys, known)
    for name, side in sides.items():
        result[f"{name}, valid"] = float(np.mean(side().valid))
    for name, taken in interleaved(sides, rounds).items():
        each = interval(taken / BATCH)
        ratio = QUOTED[name.split(", ")[1]] / each["median"]
        result[name] = {**each, "quoted over it": ratio}
        print(f"{name}: {1e3 * each['median']:.2f} ms a sample, quoted is {ratio:.0f} times it")
    return result


def value(expression: Any, x: Any, y: Any, unroll: bool) -> Any:
    """An expression's value at one point, written without derivatives in mind."""

    def update(u: Any, read: Any) -> tuple[Any, None]:
        a, b, c, d, e = read.constants
        plane = a * x + b * y + c
        z = jnp.where(read.join == COMPOSE, u, plane)
        if unroll:  # jet has no rule for the rounding in ours
            choices = (z, jnp.sin(z), jnp.cos(z), jnp.tanh(z), jax.nn.sigmoid(z), 1 / (1 + z**2))
            found = sum(jnp.where(read.psi == n, one, 0.0) for n, one in enumerate(choices))
        else:
            found = outer(read.psi, z)[0]
        term = d * found + e
        joined = jnp.where(read.join == MULTIPLY, u * term, u + term)
        return jnp.where(read.join == COMPOSE, term, joined), None

    u = jnp.zeros_like(x)
    if not unroll:
        return jax.lax.scan(update, u, expression)[0]
    for number in range(len(expression.join)):
        u, _ = update(u, jax.tree.map(lambda leaf: leaf[number], expression))  # noqa: B023
    return u


def by_hessian(expression: Any, points: Any) -> tuple[Any, ...]:
    """Value, gradient and second derivatives by nested gradients."""

    def function(point):
        return value(expression, *point, unroll=False)

    u, slope = jax.vmap(jax.value_and_grad(function))(points)
    second = jax.vmap(jax.hessian(function))(points)
    return u, *slope.T, second[:, 0, 0], second[:, 0, 1], second[:, 1, 1]


def by_jet(expression: Any, points: Any) -> tuple[Any, ...]:
    """The same by Taylor series along x, y and both."""
    x, y = points.T
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)

    def along(p: Any, q: Any) -> tuple[Any, Any, Any]:
        def function(x, y):
            return value(expression, x, y, unroll=True)

        u, (first, second) = jet(function, (x, y), ((p, zero), (q, zero)))
        return u, first, second

    (u, first, xx), (_, other, yy), (_, _, both) = (
        along(one, zero),
        along(zero, one),
        along(one, one),
    )
    return u, first, other, xx, (both - xx - yy) / 2, yy


def derivatives(rounds: int) -> dict[str, Any]:
    """CPU seconds of every way, for a batch of expressions."""
    keys = jax.random.split(jax.random.key(1), EXPRESSIONS)
    expressions = jax.jit(jax.vmap(draw_expression))(keys)
    points = jax.random.uniform(jax.random.key(2), (POINTS, 2), minval=-1.0)

    def forward(one, points):
        return differentiate(lambda x, y: value(one, x, y, unroll=False), points)

    ways = {
        "jets carried forward": expand,
        "forward on forward": forward,
        "grad and hessian": by_hessian,
        "jax.experimental.jet": by_jet,
    }
    result: dict[str, Any] = {"expressions": EXPRESSIONS, "points": POINTS, "failed": {}}
    sides: dict[str, Callable[[], Any]] = {}
    for name, way in ways.items():
        try:
            sides[name], seconds = compiled(name, jax.vmap(way, (0, None)), expressions, points)
            result[f"{name}, compile"] = seconds
        except NotImplementedError as error:
            result["failed"][name] = str(error)
    wanted = [np.asarray(leaf) for leaf in sides["jets carried forward"]()]
    mild = np.abs(wanted).max((0, 2)) < 1e3
    for name, side in sides.items():
        for found, leaf in zip(side(), wanted, strict=True):
            apart = np.abs(np.asarray(found) - leaf)[mild].max(1)
            if not (apart <= 1e-3 * (1 + np.abs(wanted)[:, mild].max((0, 2)))).all():
                raise SystemExit(f"{name} differs by {apart}")
    taken = interleaved(sides, rounds)
    base = taken["jets carried forward"]
    for name, seconds in taken.items():
        ratio = interval(seconds / base)
        result[name] = {"seconds": float(np.median(seconds)), "over jets": ratio}
        each = 1e9 * np.median(seconds) / EXPRESSIONS / POINTS
        print(f"{name}: {each:.0f} ns a point, {ratio['median']:.2f} times jets carried forward")
    return result


def main() -> int:
    """Run the comparisons, print them and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parts", nargs="+", choices=("samples", "derivatives"), default=("samples", "derivatives")
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    result = use_one_thread()
    result["rounds"] = options.rounds
    if "derivatives" in options.parts:
        result["derivatives"] = derivatives(options.rounds)
    if "samples" in options.parts:
        result["samples"] = samples(options.rounds)
    write_result(options.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
