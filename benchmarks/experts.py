"""What experts cost: all rows by all experts, and gathered rows, compared with one layer.

    python benchmarks/experts.py --out benchmarks/results/experts.json

A feed-forward layer is copied and split into experts, of which each row uses as much as the layer
is (`metajax.units.upcycle`). The router's rows are drawn again for every expert, as training makes
them differ. `dense` evaluates every expert on every row. `gathered` evaluates the rows that an
expert has room for: its even share and a quarter more, the usual capacity, or as many as the
fullest expert needs, which is exact. `layer` is the layer itself. Forward, and forward with the
gradient of a mean square in parameters and inputs. Sides take turns in one process on one thread,
in float32; CPU seconds count, compared round by round.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleaved, interval, shown, use_one_thread, write_result

from metajax.units import expert_ffn, top_k_gates, upcycle

ROWS, WIDTH = 512, 64
LAYERS = ((256, 4, 2), (256, 16, 2))  # hidden units, copies, parts
SLACK = 1.25
KEY = jax.random.key(0)


def sides_of(hidden: int, copies: int, parts: int) -> tuple[dict[str, Callable[[], Any]], int]:
    """What is compared, and how many rows the fullest expert has."""
    draw = np.random.default_rng(0)

    def array(*shape: int) -> Any:
        return jnp.asarray(draw.normal(size=shape) * shape[0] ** -0.5, jnp.float32)

    layer = {
        "up": {"kernel": array(WIDTH, hidden), "bias": jnp.zeros(hidden)},
        "down": {"kernel": array(hidden, WIDTH), "bias": jnp.zeros(WIDTH)},
    }
    experts, x = upcycle(layer, copies, parts, KEY), array(ROWS, WIDTH)
    num = copies * parts
    weights = top_k_gates(x @ array(WIDTH, num), parts, total=parts)
    fullest = int(jnp.max(jnp.sum(weights != 0, axis=0)))
    even = int(np.ceil(SLACK * ROWS * parts / num))

    def of_layer(params, x, weights):
        hidden = jax.nn.relu(x @ params["up"]["kernel"] + params["up"]["bias"])
        return hidden @ params["down"]["kernel"] + params["down"]["bias"]

    def of_experts(capacity):
        return lambda params, x, weights: expert_ffn(params, x, weights, capacity=capacity)

    functions = {
        "layer": (of_layer, layer),
        "dense": (of_experts(None), experts),
        "gathered": (of_experts(even), experts),
        "gathered, exact": (of_experts(fullest), experts),
    }
    reference = of_experts(None)(experts, x, weights)
    exact = of_experts(fullest)(experts, x, weights)
    np.testing.assert_allclose(exact, reference, rtol=1e-4, atol=1e-5)

    sides: dict[str, Callable[[], Any]] = {}
    for name, (function, params) in functions.items():

        def square(params, x, weights, function=function):
            return jnp.mean(function(params, x, weights) ** 2)

        for what, compiled in (
            ("forward", jax.jit(function)),
            ("gradient", jax.jit(jax.value_and_grad(square, (0, 1)))),
        ):
            given = params, x, weights
            sides[f"{name} {what}"] = lambda f=compiled, g=given: [f(*g) for _ in range(5)]
    return sides, fullest


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = use_one_thread() | {"rows": ROWS, "width": WIDTH, "rounds": args.rounds, "layers": []}
    for hidden, copies, parts in LAYERS:
        sides, fullest = sides_of(hidden, copies, parts)
        times = interleaved(sides, args.rounds)
        found: dict[str, Any] = {
            "hidden": hidden,
            "experts": copies * parts,
            "used": parts,
            "rows_of_the_fullest": fullest,
            "milliseconds": {k: interval(v * 1000 / 5) for k, v in times.items()},
        }
        for what in ("forward", "gradient"):
            found[f"dense_over_{what}"] = {
                name: interval(times[f"dense {what}"] / times[f"{name} {what}"])
                for name in ("layer", "gathered", "gathered, exact")
            }
            for name, ratio in found[f"dense_over_{what}"].items():
                print(f"{copies * parts} experts, {what}: dense takes {shown(ratio)} of {name}")
        result["layers"].append(found)
    write_result(args.out, result)


if __name__ == "__main__":
    main()
