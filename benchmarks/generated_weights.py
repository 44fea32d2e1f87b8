"""What generating ten million weights costs, compared with the matrix products in it.

    python benchmarks/generated_weights.py --out benchmarks/results/generated_weights.json

A target of 10 million weights is made by heads of three forms: dense, chunked and low-rank. Chunked
heads are measured a second time for a width whose kernels no chunk divides, so that the last chunk
is cut. Each form is compared with a program that has the same matrix products and nothing else.
Both sides take turns in one process on one thread, in float32; CPU seconds count, compared round by
round.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleaved, interval, shown, use_one_thread, write_result

from metajax.core import Params, count
from metajax.hypernet import chunked_head, generator, low_rank_head
from metajax.nn import mlp

WIDTH, PRIME = 1800, 1789
"""Of the target's four layers: three kernels of 3.2 million weights, and two small ones."""
CHUNKS = {"hidden": (64,), "head": chunked_head(8192)}
FORMS: dict[str, tuple[int, dict[str, Any]]] = {
    "dense": (WIDTH, {"hidden": (8,)}),
    "chunked": (WIDTH, CHUNKS),
    "chunked, cut": (PRIME, CHUNKS),
    "low_rank": (WIDTH, {"hidden": (32,), "head": low_rank_head(64)}),
}
"""The target's width, and options of the generator; hidden layers are small where the head has an
entry for each weight."""
LATENT = 16


def start(key: Any, width: int) -> Params:
    """The target, as it starts."""
    return mlp((width,) * 4, 10).init(key, jnp.zeros((1, 64)))


def products(form: str, params: Params, shapes: Any) -> Callable[[Params], Any]:
    """The matrix products of a generator, on operands of the same shapes."""
    names = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree.leaves_with_path(shapes)
    ]
    sizes = dict(zip(names, (leaf.shape for leaf in jax.tree.leaves(shapes)), strict=True))

    def one(head: Params, shape: tuple[int, ...]) -> list[Any]:
        rows = len(head["chunks"]) if "chunks" in head else 1
        x = jnp.broadcast_to(head["norm"]["scale"][None], (rows, len(head["norm"]["scale"])))
        made = x @ head["out"]["kernel"]
        found = [made]
        if form == "low_rank" and made.size != np.prod(shape):
            rank = made.size // sum(shape)
            left, right = jnp.split(made[0], [shape[0] * rank])
            found = [left.reshape(-1, rank) @ right.reshape(rank, -1)]
        return found

    return lambda params: [one(params[name], sizes[name]) for name in names]


def measured(form: str, rounds: int) -> dict[str, Any]:
    """One form, compared with its products."""
    width, options = FORMS[form]
    target = functools.partial(start, width=width)
    hypernet = generator(target, **options)
    latent = jax.random.normal(jax.random.key(0), (LATENT,))
    # the scales of the target's start cost eight targets and do not matter here
    shapes = jax.eval_shape(hypernet.init, jax.random.key(1), latent)
    leaves, tree = jax.tree.flatten(shapes)
    draw = np.random.default_rng(0)
    params = jax.tree.unflatten(
        tree, [jnp.asarray(draw.standard_normal(x.shape, np.float32)) for x in leaves]
    )
    made = jax.eval_shape(target, jax.random.key(0))
    whole, alone = jax.jit(hypernet.apply), jax.jit(products(form, params, made))
    sides = {"generator": lambda: whole(params, latent), "products": lambda: alone(params)}
    for side in sides.values():
        jax.block_until_ready(side())
    times = interleaved(sides, rounds)
    return {
        "weights": count(made),
        "parameters": count(params),
        "seconds": {name: interval(taken) for name, taken in times.items()},
        "ratio": interval(times["generator"] / times["products"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    result = use_one_thread()
    result |= {"rounds": options.rounds, "forms": {}}
    for form in FORMS:
        result["forms"][form] = measured(form, options.rounds)
        print(f"{form:14}{shown(result['forms'][form]['ratio'])}")
    write_result(options.out, result)


if __name__ == "__main__":
    main()
