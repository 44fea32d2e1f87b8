"""Decoders of a graph hypernetwork, compared on images and architectures kept from training.

    python experiments/weights/decoder_trials.py --out FILE.json

The architectures that the family trains on are split: KEPT of them are not trained on, and of the
training images one in EVERY is not. A score is the mean loss of the architectures kept, with their
weights as predicted, on the images kept. Test images, and the architectures that are measured on
them, play no part. One program trains all seeds and rates of a variant.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from metajax.core import Examples, MetaLearner, Task, accuracy, count, cross_entropy, gradient
from metajax.data import ImagePool, ImageSet, device_pool
from metajax.data.sources import read_digits
from metajax.hypernet import MLPArchitecture
from metajax.systems import configure
from metajax.systems.weights.architectures.problem import of_images
from metajax.train import write_json

KEPT, EVERY = 16, 5
RATES = (1e-3, 3e-3)


class Variant(NamedTuple):
    """A method with its options, and how many times the usual steps it trains."""

    options: dict[str, Any]
    longer: int = 1
    method: str = "graph_hypernetwork"


PUBLISHED, NONE, FULL = {"rectify": True}, {"rectify": False}, {"decoder": "full"}
VARIANTS = {
    "published, rank 16": Variant(PUBLISHED | {"rank": 16}),
    "published, rank 32": Variant(PUBLISHED | {"rank": 32}),
    "published, rank 64": Variant(PUBLISHED | {"rank": 64}),
    "rank 16": Variant(NONE | {"rank": 16}),
    "rank 32": Variant(NONE | {"rank": 32}),
    "rank 64": Variant(NONE | {"rank": 64}),
    "rank 16, 64 features": Variant(NONE | {"rank": 16, "state": 64}),
    "full": Variant(FULL),
    "shared table": Variant({}, 1, "shared_table"),
    "published, rank 16, longer": Variant(PUBLISHED | {"rank": 16}, 4),
    "rank 16, longer": Variant(NONE | {"rank": 16}, 4),
    "rank 32, longer": Variant(NONE | {"rank": 32}, 4),
    "rank 64, longer": Variant(NONE | {"rank": 64}, 4),
    "full, longer": Variant(FULL, 4),
    "shared table, longer": Variant({}, 4, "shared_table"),
}


class Split(NamedTuple):
    """What is trained on, and what is kept."""

    seen: Examples
    kept: Examples
    pool: MLPArchitecture
    unseen: MLPArchitecture


def digits(split: str) -> ImagePool:
    """The images of a split of scikit-learn's digits, which needs no folder of data sets."""
    images, labels = map(np.array, zip(*read_digits().splits[split], strict=True))
    return device_pool(ImageSet(images, labels.astype(np.int32), 10, "digits", split))


def split_of(problem: Any) -> Split:
    """Split the training images and the training architectures of a problem."""
    pool, architectures = problem.tasks.pool, problem.conditions.pool
    inputs, labels = pool.normalise(pool.images), pool.labels.astype(jnp.int32)
    kept = np.arange(len(labels)) % EVERY == 0
    return Split(
        Examples(inputs[~kept], labels[~kept]),
        Examples(inputs[kept], labels[kept]),
        jax.tree.map(lambda leaf: leaf[KEPT:], architectures),
        jax.tree.map(lambda leaf: leaf[:KEPT], architectures),
    )


def score(learner: MetaLearner, params: Any, of: Split, key: Array) -> tuple[Array, Array]:
    """The mean loss and accuracy of architectures kept from training, on images kept from it."""

    def one(architecture: MLPArchitecture) -> tuple[Array, Array]:
        adapted = learner.adapt(params, architecture, key)
        logits = learner.predict(params, adapted, of.kept.inputs)
        return cross_entropy(logits, of.kept.targets), accuracy(logits, of.kept.targets)

    losses, found = jax.lax.map(one, of.unseen)
    return jnp.mean(losses), jnp.mean(found)


def measure(variant: Variant, seeds: int) -> dict[str, Any]:
    """Train one variant from several seeds at several rates, and score it."""
    config: Any = configure("weights", "architectures", variant.method, **variant.options)
    problem = of_images(config, digits("train"), digits("test"))
    method = config.system.methods[variant.method]
    learner: Any = method(problem, config, **variant.options)
    steps = variant.longer * config.steps

    def train(of: Split, rate: Array, seed: Array) -> Any:
        rule = optax.chain(
            optax.clip_by_global_norm(config.clip_norm),
            optax.adam(lambda step: 0.5 * rate * (1 + jnp.cos(jnp.pi * step / steps))),
        )
        algorithm = gradient(learner, rule)

        def draw(key: Array) -> Task:
            first, second = jax.random.split(key)
            place = jax.random.randint(first, (), 0, len(of.pool.widths))
            rows = jax.random.randint(second, (config.examples,), 0, len(of.seen.targets))
            architecture = jax.tree.map(lambda leaf: leaf[place], of.pool)
            return Task(architecture, jax.tree.map(lambda leaf: leaf[rows], of.seen))

        key = jax.random.key(seed)
        state = algorithm.init(key, draw(key))

        def step(state: Any, number: Array) -> Any:
            now = jax.random.fold_in(key, number)
            keys = jax.random.split(now, config.tasks_per_step)
            return algorithm.update(state, jax.vmap(draw)(keys), now)[0], None

        state, _ = jax.lax.scan(step, state, jnp.arange(steps))
        return score(learner, algorithm.params(state), of, key)

    of = split_of(problem)
    over = jax.vmap(jax.vmap(train, (None, None, 0)), (None, 0, None))
    losses, found = jax.jit(over)(of, jnp.array(RATES), jnp.arange(seeds, dtype=jnp.uint32))
    first = jax.tree.map(lambda leaf: leaf[0], of.pool)
    sizes = jax.eval_shape(learner.init, jax.random.key(0), Task(first, of.seen))
    return {
        "steps": steps,
        "parameters": count(sizes),
        "loss": np.asarray(losses).tolist(),
        "accuracy": np.asarray(found).tolist(),
    }


def in_processes(names: list[str], seeds: int, jobs: int) -> dict[str, Any]:
    """Measure each variant in a process of its own, several at a time."""

    def one(name: str) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "one.json"
            words = [sys.executable, __file__, "--out", out, "--only", name, "--seeds", str(seeds)]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            return json.loads(out.read_text(encoding="utf-8"))["variants"][name]

    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="variants at a time")
    parser.add_argument("--only", nargs="*", choices=VARIANTS, help="these variants alone")
    options = parser.parse_args()
    start, names = time.time(), options.only or list(VARIANTS)
    if options.jobs > 1:
        found = in_processes(names, options.seeds, options.jobs)
    else:
        found = {name: measure(VARIANTS[name], options.seeds) for name in names}
    for name, of in found.items():
        print(f"{name}: loss by rate {np.mean(of['loss'], 1).round(4)}", flush=True)
    device = jax.devices()[0]
    cores = f"{os.cpu_count()} CPU cores"
    write_json(
        options.out,
        {
            "command": "python experiments/weights/decoder_trials.py",
            "hardware": cores if device.platform == "cpu" else f"one {device.device_kind}",
            "jax": jax.__version__,
            "rates": list(RATES),
            "seeds": options.seeds,
            "kept_architectures": KEPT,
            "kept_images": f"one of {EVERY}",
            "wall_seconds": time.time() - start,
            "variants": found,
        },
    )


if __name__ == "__main__":
    main()
