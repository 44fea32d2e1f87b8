"""Train a source network with EcoTTA's networks once a seed, and run every method on its stream.

    python experiments/shift/one_network.py fashion --out experiments/shift/results/fashion.json

The same as `metajax compare shift`, at a third of its cost: methods of a seed share what is
trained. The file is written after every seed, in the layout of `experiments/collect.py`, without
the accuracy of single batches; seeds that it has are not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import jax

from metajax.systems import build, configure, replace
from metajax.train import fit, write_json

METHODS = ("ecotta", "warmed_networks", "tent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    config = configure("shift", options.preset, METHODS[0])
    setups = {name: build(replace(config, method=name)) for name in METHODS}
    runs = json.loads(options.out.read_text()) if options.out.exists() else []
    done = {run["config"]["seed"] for run in runs}
    for seed in sorted(set(range(options.seeds)) - done):
        started = time.process_time()
        setup = setups[METHODS[0]]
        key = jax.random.key(seed)
        per_step = {"steps": setup.steps, "tasks_per_step": setup.tasks_per_step}
        params = fit(setup.algorithm, setup.tasks, key=key, progress=False, **per_step).params
        trained = time.process_time() - started
        for name in METHODS:
            evaluation = setups[name].evaluate(params, False)
            del evaluation["more"]["before_update"]
            of = {"method": name, "preset": options.preset, "seed": seed}
            runs.append(
                {"config": of, "summary": {"train_cpu_seconds": trained}, "eval": evaluation}
            )
            means = {row: found["mean"][-1] for row, found in evaluation["rows"].items()}
            print(seed, name, means, time.process_time() - started, flush=True)
        write_json(options.out, runs)


if __name__ == "__main__":
    main()
