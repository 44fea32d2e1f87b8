"""Meta-train energies with a solved head, one type held out at a time, and evaluate them.

    python experiments/hamiltonian/solved.py --data-dir runs/motions --workdir runs/solved \\
        --out experiments/hamiltonian/results/solved.json

Simulates 300 trajectories of each of the paper's six types where they are not in `--data-dir`, and
trains preset `solved` of `metajax train hamiltonian` from every seed on five of them. What is in
FILE already is kept: given again, with more types or seeds, it runs only those. Seeds differ in
weights and in the order of tasks; all train on the same trajectories and are evaluated on the same
100 new systems.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import jax

from metajax.systems import build, config_to_json, configure, get_system, replace
from metajax.systems.hamiltonian import SIX, prepare
from metajax.train import fit, provenance, write_json

KEPT = ("coordinates_early", "energy", "degree")
"""Parts of the evaluation's rows that are kept in addition to scores."""


def run(held_out: str, seed: int, options: Any) -> dict[str, Any]:
    """Train and evaluate one seed of one held-out type."""
    config = configure("hamiltonian", "solved", held_out=held_out, seed=seed, prepared=True)
    if options.steps is not None:
        config = replace(config, steps=options.steps)
    setup, start = build(config, options.data_dir), time.process_time()
    result = fit(
        setup.algorithm,
        setup.tasks,
        steps=setup.steps,
        tasks_per_step=setup.tasks_per_step,
        key=jax.random.key(seed),
        progress=False,
        workdir=options.workdir / f"{held_out}-{seed}",
    )
    spent = time.process_time() - start
    found = setup.evaluate(result.params, False)
    more = found["more"]
    rows = {
        name: {
            **row,
            **{what: more[name][what] for what in KEPT if what in more[name]},
            "by_shots": more["rows_by_shots"][name],
        }
        for name, row in found["rows"].items()
    }
    return {
        "rows": rows,
        "degree": more["degree"],
        "loss": [float(result.history[at]["loss"]) for at in (0, -1)],
        "train_cpu_seconds": round(spent, 1),
        **config_to_json(get_system("hamiltonian"), config),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--held-out", nargs="*", default=list(SIX), choices=SIX)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    prepare(options.data_dir, 300)
    content: dict[str, Any] = {"runs": {}}
    if options.out.exists():
        content = json.loads(options.out.read_text())
    for seed in options.seeds:
        for held_out in options.held_out:
            runs = content["runs"].setdefault(held_out, {})
            if str(seed) in runs:
                continue
            runs[str(seed)] = run(held_out, seed, options)
            content |= provenance(shlex.join(["python", *sys.argv]))
            options.out.parent.mkdir(parents=True, exist_ok=True)
            write_json(options.out, content)
            score = runs[str(seed)]["rows"]["adapted"]["mean"][0]
            print(f"{held_out}, seed {seed}: {score:.4f}", flush=True)


if __name__ == "__main__":
    main()
