"""Adapt finished runs to new systems at several rates, where an evaluation takes one.

    python experiments/hamiltonian/rates.py runs/pendulum/runs/* \\
        --out experiments/hamiltonian/results/one_particle_pendulum.json

The runs are those of `metajax compare hamiltonian`, all with one type held out. Writes, for every
start and seed, relative errors on new systems of that type after 0, 10 and 50 gradient steps by SGD
and by Adam at each of `--rates`, as geometric means over time and systems. A start is called as
its run's folder without the seed; `direct` is MAML of the same network without an energy; `random`
has the weights that MAML starts from. The `polynomial` is that of the runs' own evaluation. What
is in FILE already, of the same rates, is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import jax

from metajax.core import Params
from metajax.systems import Setup, build, config_to_json, read_run, replace, split
from metajax.systems.hamiltonian import adapt_and_roll, errors, new_instances
from metajax.train import as_path, provenance, restore_params, write_json

RATES = ("sgd_0.1", "sgd_0.2", "sgd_0.4", "sgd_0.8", "adam_0.001", "adam_0.003")
"""What adapts to new systems: the optimizer and its rate."""
STEPS = (0, 10, 50)


def start_of(workdir: Path, config: Any) -> str:
    """What a run's start is called."""
    name = workdir.name.rpartition("-")[0] or config.method
    return name if config.structure != "direct" else name.replace("maml", "direct", 1)


def at_rates(run: Setup, params: Params, rates: list[str]) -> dict[str, Any]:
    """Adapt to new systems at each of the rates, and follow them in time."""
    config, found = run.config, {}
    instances = new_instances(config, config.held_out, config.eval_tasks)
    for name in rates:
        optimizer, rate = name.split("_")
        adapting = {"eval_optimizer": optimizer, "eval_lr": float(rate), "eval_steps": STEPS[-1]}
        how = replace(config, **adapting)
        rolled = adapt_and_roll(how, run.method, params, instances, STEPS, config.shots)
        scores = errors(rolled.coordinates, rolled.energy, instances)
        found[name] = {what: score._asdict() for what, score in scores.items()}
    return found


def polynomial(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The fitted polynomial of an evaluation; it takes no steps."""
    more = evaluation["more"]["polynomial"]
    rows = {"coordinates": evaluation["rows"]["polynomial"]}
    rows |= {what: more[what] for what in ("coordinates_early", "energy")}
    single = {
        what: {**{end: row[end][0] for end in ("mean", "low", "high")}, "n": row["n"]}
        for what, row in rows.items()
    }
    return {"degree": more["degree"], **single}


def of_problem(config: Any) -> Any:
    """The settings of the problem that all runs of a file have in common."""
    fixed = {"structure": "hamiltonian", "eval_optimizer": "sgd", "eval_lr": 0.1, "eval_steps": 50}
    return split(replace(config, **fixed)).settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdirs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--rates", nargs="*", default=list(RATES), choices=RATES)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    found = [(workdir, *read_run(as_path(workdir))[:2]) for workdir in options.workdirs]
    if any(system.name != "hamiltonian" for _, system, _ in found):
        parser.error("runs of hamiltonian alone")
    if any(of_problem(config) != of_problem(found[0][2]) for _, _, config in found):
        parser.error("the runs hold different types out, or have other problems")
    content = {"rates": options.rates, "starts": {}}
    if options.out.exists():
        content = json.loads(options.out.read_text())
        held_out = found[0][2].held_out
        if (content["rates"], content["config"]["held_out"]) != (options.rates, held_out):
            parser.error(f"{options.out} is of other --rates or another type: name another --out")
    for workdir, system, config in found:
        run, start, seed = build(config), start_of(workdir, config), str(config.seed)
        key = jax.random.key(config.seed)
        starts = content["starts"]
        if seed not in starts.setdefault(start, {}):
            print(f"{start}, seed {seed}", flush=True)
            params, _ = restore_params(workdir, run.algorithm, run.tasks, key)
            summary = json.loads((workdir / "summary.json").read_text())
            starts[start][seed] = {
                "train_cpu_seconds": summary["train_cpu_seconds"],
                **at_rates(run, params, options.rates),
            }
        if start == "maml" and seed not in starts.setdefault("random", {}):
            drawn = run.algorithm.params(run.algorithm.init(key, run.tasks(key)))
            starts["random"][seed] = at_rates(run, drawn, options.rates)
        evaluation = json.loads((workdir / "eval.json").read_text())
        content |= {"polynomial": polynomial(evaluation), **provenance()}
        content["config"] = config_to_json(system, config)["config"]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.out, content)


if __name__ == "__main__":
    main()
