"""Time the in-context learners: a meta-step, and the shipped reader on a large table.

    python benchmarks/in_context.py --out benchmarks/results/in_context.json

A meta-step (forward, backward, Adam) of a learner of preset `digits`, over 32 sequences, is
compared with that of the narrowest of some Transformers that counts as many operations. They are
XLA's count of the compiled step, in which LAPACK's work on the solved heads does not count. The
reader learns from 2,000 rows of 30 features and predicts 2,000: CPU seconds of all threads, wall
seconds and the largest memory of a process of its own, compiling from scratch included.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from common import interleaved, interval, shown, use_one_thread, write_result

from metajax.systems import build, configure

LEARNERS = ("symmetric", "symmetric_ridge")
WIDTHS = (16, 32, 48, 64, 80, 96, 112, 128, 160, 192)
"""Of Transformers, in this order; their heads are of width / 4."""
STEPS = 10
"""Meta-steps of one timing."""

READER = """
import json, resource, time
import numpy as np
from metajax.systems.tables import InContextClassifier
from metajax.train import keep_freed_memory
keep_freed_memory()
rows = np.random.default_rng(0).normal(size=(4000, 30))
labels = (rows[:, 0] + np.random.default_rng(1).normal(size=4000) > 0).astype(int)
found = {}
for turn in ("first", "again"):
    cpu, wall = time.process_time(), time.perf_counter()
    InContextClassifier().fit(rows[:2000], labels[:2000]).predict_proba(rows[2000:])
    found[turn] = {"cpu_seconds": round(time.process_time() - cpu, 2),
                   "wall_seconds": round(time.perf_counter() - wall, 2)}
found["largest_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps(found))
"""


def meta_steps(method: str, **options: Any) -> tuple[float, Callable[[], Any]]:
    """Operations of one meta-step in units of 1e6, and what takes several of them."""
    setup = build(configure("gpicl", "digits", method=method, **options))
    key = jax.random.key(0)
    batch = jax.vmap(setup.example_tasks)(jax.random.split(key, setup.tasks_per_step))
    state = setup.algorithm.init(key, setup.example_tasks(key))

    def step(state: Any, batch: Any) -> Any:
        return setup.algorithm.update(state, batch, key)[0]

    compiled = jax.jit(step).lower(state, batch).compile()

    def several() -> Any:
        at = state
        for _ in range(STEPS):
            at = compiled(at, batch)
        return at

    return (compiled.cost_analysis() or {}).get("flops", 0.0) / 1e6, several


def transformers() -> Iterator[tuple[int, float, Callable[[], Any]]]:
    """Transformers of growing width, each with its operations."""
    for width in WIDTHS:
        yield width, *meta_steps("transformer", width=width, key_size=width // 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    child = functools.partial(subprocess.run, capture_output=True, text=True, check=True)
    reader = json.loads(child([sys.executable, "-c", READER], env=environment).stdout)
    print("2,000 rows:", reader)
    result = use_one_thread()
    result |= {"rounds": options.rounds, "steps": STEPS, "reader": reader, "learners": {}}
    ours = {name: meta_steps(name) for name in LEARNERS}
    wanted = sorted(ours, key=lambda name: ours[name][0])
    grown = transformers()
    width, operations, peer = next(grown)
    for name in wanted:
        needed, run = ours[name]
        while operations < needed:
            width, operations, peer = next(grown)
        times = interleaved({"ours": run, "transformer": peer}, options.rounds)
        ratio = interval(times["ours"] / times["transformer"])
        result["learners"][name] = {
            "million_operations": round(needed, 1),
            "transformer_width": width,
            "transformer_million_operations": round(operations, 1),
            "milliseconds": interval(times["ours"] / STEPS * 1e3),
            "transformer_milliseconds": interval(times["transformer"] / STEPS * 1e3),
            "over_transformer": ratio,
        }
        print(f"{name} over a Transformer of width {width}: {shown(ratio)}")
    write_result(options.out, result)


if __name__ == "__main__":
    main()
