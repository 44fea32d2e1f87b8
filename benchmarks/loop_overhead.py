"""What the training loop costs compared with a bare `lax.scan` of the same update.

    python benchmarks/loop_overhead.py --out benchmarks/results/loop_overhead.json

The GPICL Transformer's meta-step (batch 16, length 128, width 128, 4 layers) is run by `fit`, with
its guard, logging and progress bar, and by one jitted `lax.scan` over the same number of steps,
in interleaved pairs in one process. CPU time counts, of the steps alone: compilation is outside.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from common import write_result

from metajax.core import Evaluator, derive, gradient, task_keys
from metajax.data import noise_pool
from metajax.learners import in_context
from metajax.nn import causal_transformer
from metajax.systems.gpicl import projection_tasks
from metajax.train import fit, keep_freed_memory, provenance

TASKS_PER_STEP = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()  # as the command line does
    network = causal_transformer(
        num_outputs=10, width=128, layers=4, heads=8, key_size=16, max_length=128
    )
    learner = in_context(network, 10, label_scale=4.0)
    pool = noise_pool(jax.random.key(0), 10, (7, 7))
    tasks = projection_tasks(pool, jax.random.key(1), num_tasks=2**20, length=128)
    algorithm = gradient(learner.meta, optax.adam(1e-3))
    key = jax.random.key(2)
    read = time.process_time

    @jax.jit
    def scan(state, tasks, key):
        def body(state, step):
            keys = task_keys(derive(key, "tasks", step), TASKS_PER_STEP)
            state, metrics = algorithm.update(
                state, jax.vmap(tasks)(keys), derive(key, "update", step)
            )
            return state, metrics

        return jax.lax.scan(body, state, jnp.arange(options.steps))

    def bare() -> float:
        state = algorithm.init(derive(key, "init"), tasks(derive(key, "tasks")))
        jax.block_until_ready(state)
        start = read()
        jax.block_until_ready(scan(state, tasks, key))
        return read() - start

    def ours() -> float:
        """The later half of a run: `steps` steps in full swing."""
        times = []
        clock = Evaluator("clock", options.steps, lambda params, key: times.append(read()) or {})
        fit(
            algorithm,
            tasks,
            steps=2 * options.steps,
            tasks_per_step=TASKS_PER_STEP,
            key=key,
            evaluators=[clock],
            progress=True,
        )
        return times[1] - times[0]

    cache = tempfile.TemporaryDirectory()
    jax.config.update("jax_compilation_cache_dir", cache.name)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    bare(), ours()
    pairs = [(bare(), ours()) for _ in range(options.pairs)]
    ratios = np.array([loop / scan for scan, loop in pairs])
    result = {
        "benchmark": "loop overhead against lax.scan, ratio of CPU time",
        "median_ratio": round(float(np.median(ratios)), 4),
        "quartiles": [round(float(q), 4) for q in np.percentile(ratios, [25, 75])],
        "pairs": [[round(x, 3) for x in pair] for pair in pairs],
        "steps": options.steps,
        **provenance(),
    }
    print(result)
    write_result(options.out, result)


if __name__ == "__main__":
    main()
