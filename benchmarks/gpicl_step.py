"""Time one GPICL meta-training step and eager PyTorch's on the same arrays.

A step is forward, backward and Adam of a causal Transformer over a batch of sequences. Ours is
`metajax.core.gradient` over one task per sequence, several steps per dispatch as the training
loop runs them; theirs is an `nn.Module` of the same architecture with the same initial weights.
Losses must agree before anything is timed. `torch_erf` is the same module with the GELU that
PyTorch is fastest at (erf, where ours is the tanh form), for a stricter comparison. Times are
CPU seconds of this process (all sides run in it, in turn, on as many threads as it may use),
compared pair by pair.

    python benchmarks/gpicl_step.py --size base --out results.json
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import cpu_name, import_torch, layer_norm, linear, write_result

from metajax.core import MetaLearner, gradient
from metajax.nn.transformer import causal_transformer

LEARNING_RATE = 1e-3
TOLERANCE = 1e-4  # largest difference of the losses of the first steps
CHECKED_STEPS = 5


@dataclasses.dataclass(frozen=True)
class Size:
    """Sizes of the work: sequences a step, tokens a sequence, numbers a token, and the network."""

    batch: int
    length: int
    features: int
    width: int
    layers: int
    heads: int
    key_size: int
    classes: int = 10


SIZES = {
    "base": Size(16, 128, 60, width=128, layers=4, heads=8, key_size=16),
    "key32": Size(16, 128, 60, width=128, layers=4, heads=8, key_size=32),
    "small": Size(64, 32, 59, width=64, layers=2, heads=4, key_size=16),
    "tiny": Size(32, 24, 26, width=64, layers=2, heads=4, key_size=16),
}


def make_batches(size: Size, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens `[steps, batch, length, features]` and labels `[steps, batch, length]`."""
    draw = np.random.default_rng(seed)
    shape = (steps, size.batch, size.length)
    tokens = draw.standard_normal((*shape, size.features), dtype=np.float32)
    return tokens, draw.integers(0, size.classes, shape)


class Ours:
    """The metajax side: `run()` takes as many steps as there are batches, in one dispatch."""

    def __init__(self, size: Size, batches: Any, seed: int, tasks_at_once: int | None):
        network = causal_transformer(
            num_outputs=size.classes,
            width=size.width,
            layers=size.layers,
            heads=size.heads,
            key_size=size.key_size,
            max_length=size.length,
        )

        def loss(params, task, key):
            tokens, labels = task
            outputs = network.apply(params, tokens)
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs, labels)
            return jnp.mean(losses), {}

        learner = MetaLearner(lambda key, task: network.init(key, task[0]), None, None, loss)
        algorithm = gradient(learner, optax.adam(LEARNING_RATE), tasks_at_once=tasks_at_once)

        def steps(state, batches):
            def step(state, batch):
                state, metrics = algorithm.update(state, batch, jax.random.key(0))
                return state, metrics["loss"]

            return jax.lax.scan(step, state, batches)

        tokens, labels = batches
        self.batches = jnp.asarray(tokens), jnp.asarray(labels, jnp.int32)
        first_task = jax.tree.map(lambda x: x[0, 0], self.batches)
        self.state = algorithm.init(jax.random.key(seed), first_task)
        self.params = jax.tree.map(np.array, self.state.params)
        start = time.process_time()
        compiled = jax.jit(steps, donate_argnums=0).lower(self.state, self.batches).compile()
        self.compile_seconds = time.process_time() - start
        self.compiled = compiled

    def run(self) -> np.ndarray:
        """Take the steps and return their losses."""
        self.state, losses = self.compiled(self.state, self.batches)
        return np.asarray(losses)


def make_theirs(torch: Any, size: Size, batches: Any, params: Any, gelu: str):
    """The PyTorch side, from our initial parameters: a function like `Ours.run`.

    `gelu` is "tanh", the function that ours computes, or "none", with erf: another function, but
    the one that PyTorch is fastest at.
    """
    nn, functional = torch.nn, torch.nn.functional

    dense, norm = functools.partial(linear, torch), functools.partial(layer_norm, torch)

    class Block(nn.Module):
        def __init__(self, weights):
            super().__init__()
            self.norm1, self.norm2 = norm(weights["norm1"]), norm(weights["norm2"])
            self.qkv, self.out = dense(weights["qkv"]), dense(weights["out"])
            self.up, self.down = dense(weights["up"]), dense(weights["down"])

        def forward(self, x):
            batch, length, _ = x.shape
            qkv = self.qkv(self.norm1(x)).view(batch, length, 3, size.heads, size.key_size)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(attended.transpose(1, 2).reshape(batch, length, -1))
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate=gelu))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = dense(params["embed"]), dense(params["head"])
            self.positions = nn.Parameter(torch.from_numpy(params["positions"].copy()))
            self.blocks = nn.ModuleList(Block(params[f"blocks_{i}"]) for i in range(size.layers))
            self.norm = norm(params["norm"])

        def forward(self, x):
            x = self.embed(x) + self.positions
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    model = Transformer()
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    tokens, labels = (torch.from_numpy(x) for x in batches)

    def run() -> np.ndarray:
        losses = []
        for x, y in zip(tokens, labels, strict=True):
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return np.array(losses)

    return run


def timed(function: Any) -> tuple[float, float]:
    """CPU and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.process_time() - cpu, time.perf_counter() - wall


def median_interval(values: np.ndarray, seed: int) -> list[float]:
    """Bootstrap 95% interval of the median."""
    draws = np.random.default_rng(seed).choice(values, (2000, len(values)))
    return np.quantile(np.median(draws, axis=1), [0.025, 0.975]).tolist()


def main() -> int:
    """Run the comparison, print it and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="base")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="steps per timing and per dispatch")
    parser.add_argument("--tasks-at-once", type=int, help="ours: of a step; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    args = parser.parse_args()
    if args.steps < CHECKED_STEPS:
        parser.error(f"--steps: at least the {CHECKED_STEPS} whose losses are compared")
    torch = import_torch()
    jax.config.update("jax_platforms", "cpu")
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)

    size = SIZES[args.size]
    batches = make_batches(size, args.steps, args.seed)
    ours = Ours(size, batches, args.seed, args.tasks_at_once)
    sides = {
        "metajax": ours.run,
        "torch": make_theirs(torch, size, batches, ours.params, "tanh"),
        "torch_erf": make_theirs(torch, size, batches, ours.params, "none"),
    }
    losses = {name: run()[:CHECKED_STEPS] for name, run in sides.items()}
    for name, values in losses.items():
        print(f"{name:10s} losses", *(f"{x:.6f}" for x in values))
    difference = float(np.max(np.abs(losses["metajax"] - losses["torch"])))
    if not difference <= TOLERANCE:
        print(f"losses differ by {difference:.2e} > {TOLERANCE}: not timed", file=sys.stderr)
        return 1
    print(f"largest difference of metajax and torch: {difference:.1e}\n")

    rounds: list[dict[str, tuple[float, float]]] = []
    for turn in range(args.pairs + 1):
        # the order alternates, so that no side always runs in another's wake
        names = list(sides) if turn % 2 else list(sides)[::-1]
        rounds.append({name: timed(sides[name]) for name in names})
    times = {name: np.array([r[name] for r in rounds[1:]]) / args.steps * 1e3 for name in sides}
    result: dict[str, Any] = {
        "size": {"name": args.size, **dataclasses.asdict(size)},
        "seed": args.seed,
        "pairs": args.pairs,
        "steps_per_timing": args.steps,
        "tasks_at_once": args.tasks_at_once,
        "threads": threads,
        "max_loss_difference": difference,
        "compile_cpu_seconds": ours.compile_seconds,
        "hardware": {"cpu": cpu_name(), "cores": os.cpu_count(), "system": platform.platform()},
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "flax")},
            "torch": torch.__version__,
        },
    }
    print(f"{args.size}: {size}")
    print(f"{args.pairs} pairs of {args.steps} steps, {threads} threads, {cpu_name()}")
    print("ms a step   metajax   torch   ratio  95% interval")
    for column, clock in enumerate(("cpu", "wall")):
        medians = {name: float(np.median(t[:, column])) for name, t in times.items()}
        result[f"{clock}_ms_per_step"] = medians
        for name in ("torch", "torch_erf"):
            ratios = times["metajax"][:, column] / times[name][:, column]
            low, high = median_interval(ratios, args.seed)
            result[f"{clock}_ratio_to_{name}"] = {
                "median": float(np.median(ratios)),
                "interval_95": [low, high],
            }
            print(
                f"{clock:9s} {medians['metajax']:9.2f} {medians[name]:7.2f} "
                f"{np.median(ratios):7.3f}  {low:.3f} to {high:.3f}  ({name})"
            )
    print(f"compiling ours took {ours.compile_seconds:.1f} CPU seconds")
    write_result(args.out, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
