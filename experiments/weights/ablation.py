"""Loss and accuracy of magnitude invariant hypernetworks and of what lacks a part of them.

    python experiments/weights/ablation.py --out experiments/weights/results/ablation.json

Digits turned by up to 60 degrees, Adam 1e-3, one program for all seeds of a variant.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from metajax import learners
from metajax.core import Network, gradient
from metajax.hypernet import generator, magnitude_invariant, unit_encoding
from metajax.systems import build, configure
from metajax.systems.weights.evaluate import right
from metajax.train import write_json

PLACES = (0.0, 0.25, 0.5, 1.0)
"""Latents at which the first generated weights are measured."""
LAST = 20
"""Steps over which a loss is averaged."""


def with_encoding(network: Network) -> Network:
    """A hypernetwork that reads encoded latents."""
    return Network(
        lambda key, latents: network.init(key, unit_encoding(latents)),
        lambda params, latents: network.apply(params, unit_encoding(latents)),
    )


def variants(start: Callable[..., Any]) -> dict[str, Network]:
    """Every hypernetwork that is compared."""
    made = functools.partial(magnitude_invariant, start)
    usual = generator(start, hidden=(16, 64))
    return {
        "raw": made(encoding=False, base=None),
        "raw, residual": made(encoding=False),
        "encoding": made(base=None),
        "MIP": made(),
        "raw, RMS norm": made(encoding=False, base=None, norm=True),
        "raw, residual, RMS norm": made(encoding=False, norm=True),
        "encoding, RMS norm": made(base=None, norm=True),
        "MIP, RMS norm": made(norm=True),
        "generator": usual,
        "generator, encoding": with_encoding(usual),
    }


def measure(setup: Any, hypernet: Network, seeds: int, steps: int) -> dict[str, Any]:
    """Train one variant from several seeds, and measure it."""
    problem = setup.problem
    learner = learners.generated_network(hypernet, problem.network)
    algorithm = gradient(learner, optax.adam(setup.config.learning_rate))

    def train(tasks: Any, test: Any, seed: Array) -> Any:
        key = jax.random.key(seed)
        state = algorithm.init(key, tasks(key))
        latents = jnp.asarray(PLACES)[:, None]
        first = hypernet.apply(algorithm.params(state), latents)["Dense_0"]["kernel"]

        def step(state: Any, number: Array) -> Any:
            key_now = jax.random.fold_in(key, number)
            keys = jax.random.split(key_now, setup.tasks_per_step)
            state, metrics = algorithm.update(state, jax.vmap(tasks)(keys), key_now)
            return state, metrics["loss"]

        state, losses = jax.lax.scan(step, state, jnp.arange(steps))
        found = right(learner, algorithm.params(state), test, problem.conditions, key)
        return jnp.sqrt(jnp.mean(first**2, axis=(1, 2))), losses, jnp.mean(found, axis=1)

    runs = jax.jit(jax.vmap(train, (None, None, 0)))(
        problem.tasks, problem.test, jnp.arange(seeds, dtype=jnp.uint32)
    )
    scales, losses, accuracy = map(np.asarray, runs)
    return {
        "start_scale": scales.tolist(),
        "loss": losses.reshape(seeds, -1, LAST).mean(2).tolist(),
        "accuracy": accuracy.tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200, help=f"a multiple of {LAST}")
    options = parser.parse_args()
    setup = build(configure("weights", "angles", "mip"))
    start = time.process_time()
    found = {
        name: measure(setup, hypernet, options.seeds, options.steps)
        for name, hypernet in variants(setup.problem.start).items()
    }
    write_json(
        options.out,
        {
            "command": "python experiments/weights/ablation.py",
            "hardware": "2 CPU cores, jax " + jax.__version__,
            "steps": options.steps,
            "learning_rate": setup.config.learning_rate,
            "places": list(PLACES),
            "angles": setup.problem.conditions.points,
            "test_images": len(setup.problem.test.labels),
            "cpu_seconds": time.process_time() - start,
            "variants": found,
        },
    )


if __name__ == "__main__":
    main()
