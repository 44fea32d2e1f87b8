"""Write the reader of a finished run of tables as the file that comes with the package.

metajax train tables --preset cpu --warmup-steps 100 --workdir runs/tables-cpu-0
python experiments/tables/ship.py runs/tables-cpu-0 --out metajax/systems/tables/cpu.msgpack
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import jax

from metajax.systems import build, configure, read_run
from metajax.systems.tables import Model, save_model
from metajax.train import restore_params


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    _, config, _ = read_run(options.run)
    setup, key = build(config), jax.random.key(0)
    params, step = restore_params(options.run, setup.algorithm, setup.example_tasks, key)
    origin = {"steps": int(step), "seed": config.seed}
    summary = json.loads((options.run / "summary.json").read_text())
    kept = ("hardware", "versions", "params_sha256")
    origin |= {name: summary[name] for name in kept}
    usual = dataclasses.asdict(configure("tables", "cpu"))
    changed = {
        name: value for name, value in dataclasses.asdict(config).items() if value != usual[name]
    }
    words = [f"--{name.replace('_', '-')} {value}" for name, value in changed.items()]
    origin["command"] = " ".join(["metajax train tables --preset cpu", *words])
    save_model(options.out, Model(config, params, origin))


if __name__ == "__main__":
    main()
