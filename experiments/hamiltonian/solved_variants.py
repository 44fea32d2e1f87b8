"""Evaluate runs of `solved.py` otherwise: at other ridges, on noisy points, of a damped pendulum.

    python experiments/hamiltonian/solved_variants.py --data-dir runs/motions \\
        --workdir runs/solved --out experiments/hamiltonian/results/solved_variants.json

Nothing is trained: what was learned without noise, damping and at one ridge is used so. What is in
FILE already is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jax

from metajax.systems import build, configure, replace
from metajax.systems.hamiltonian import SIX
from metajax.systems.setup import make_method
from metajax.train import provenance, restore_params, write_json

DAMPED = {
    "held_out": "damped_pendulum",
    "mechanics": (*(name for name in SIX if name != "pendulum"), "damped_pendulum"),
    "structure": "port",
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "two_body, ridge fixed": ("two_body", {"ridge": "fixed"}),
    "three_body, ridge fixed": ("three_body", {"ridge": "fixed"}),
    "pendulum, ridge fixed": ("pendulum", {"ridge": "fixed"}),
    "henon_heiles, ridge fixed": ("henon_heiles", {"ridge": "fixed"}),
    "magnetic_mirror, ridge fixed": ("magnetic_mirror", {"ridge": "fixed"}),
    "mass_spring, ridge fixed": ("mass_spring", {"ridge": "fixed"}),
    "pendulum, noise .001": ("pendulum", {"noise": 0.001}),
    "pendulum, noise .01": ("pendulum", {"noise": 0.01}),
    "damped_pendulum, port": ("pendulum", DAMPED),
}
"""By name: the type that was held out in training, and what is changed after it."""


def evaluate(held_out: str, changed: dict[str, Any], seed: int, options: Any) -> dict[str, Any]:
    """Evaluate one variant of a run."""
    config = configure("hamiltonian", "solved", held_out=held_out, seed=seed, prepared=True)
    setup, key = build(config, options.data_dir), jax.random.key(seed)
    workdir = options.workdir / f"{held_out}-{seed}"
    params, _ = restore_params(workdir, setup.algorithm, setup.tasks, key)
    config = replace(config, **changed)
    settings = type(setup.problem.settings)
    fields = {name: getattr(config, name) for name in settings.__dataclass_fields__}
    problem = setup.problem._replace(settings=settings(**fields))
    method = make_method(config, problem)
    found = config.system.evaluate(problem, method, params, config, False).to_json()
    return {
        name: {**row, "energy": found["more"][name]["energy"]}
        for name, row in found["rows"].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--workdir", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    content: dict[str, Any] = {"seed": options.seed, "variants": {}}
    if options.out.exists():
        content = json.loads(options.out.read_text())
    for name in options.variants:
        if name not in content["variants"]:
            content["variants"][name] = evaluate(*VARIANTS[name], options.seed, options)
            content |= provenance()
            write_json(options.out, content)
            print(name, content["variants"][name]["adapted"]["mean"], flush=True)


if __name__ == "__main__":
    main()
