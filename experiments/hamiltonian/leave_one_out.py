"""Leave one type of system out: adapt to it from every start, compared with a polynomial.

    python experiments/hamiltonian/leave_one_out.py --preset one_particle --held-out pendulum
    python experiments/hamiltonian/leave_one_out.py --seeds 3                    # every type
    python experiments/hamiltonian/leave_one_out.py --preset paper --seeds 3     # for a GPU
    python experiments/hamiltonian/leave_one_out.py --held-out pendulum --starts rate_1e-3 ...

Writes `PRESET_TYPE.json`: for every start and seed, relative errors on 100 new systems of the type
after 0, 10 and 50 gradient steps by SGD and by Adam at each of `--rates`, as geometric means over
time and systems; over seeds the geometric mean with a 95% interval (Student's t over seeds, or over
systems where there is one seed). `maml`, `joint` (pre-trained) and `random` (weights as first
drawn) are energies; `direct` is MAML of the same network without one; `polynomial` is the energy
fitted by ridge regression. The others vary how MAML adapts in training. A run that is there already
is not repeated, so an interrupted command can be given again. `--show` only prints what is there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import scipy.stats

from metajax.physics import get_mechanics
from metajax.systems import build, configure, replace
from metajax.systems.hamiltonian import (
    PRESETS,
    adapt_and_roll,
    choose_degree,
    errors,
    fit_and_roll,
    new_instances,
)
from metajax.train import fit, provenance, write_json

STARTS: dict[str, dict[str, Any]] = {
    "maml": {},
    "joint": {"method": "joint"},
    "random": {},
    "direct": {"structure": "direct"},
    "anil": {"method": "anil"},
    "meta_sgd": {"method": "meta_sgd"},
    "rate_1e-3": {"inner_lr": 1e-3},
    "rate_.05": {"inner_lr": 0.05},
    "rate_.1": {"inner_lr": 0.1},
    "rate_.4": {"inner_lr": 0.4},
    "rate_1": {"inner_lr": 1.0},
    "sum_1e-3": {"inner_lr": 1e-3, "reduction": "sum"},
    "one_step": {"inner_steps": 1, "inner_lr": 0.2},
    "first_order": {"method": "first_order_maml"},
}
"""What each start changes in the preset."""
BY_DEFAULT = ("maml", "joint", "random", "direct")
RATES = ("sgd_0.1", "sgd_0.2", "sgd_0.4", "sgd_0.8", "adam_0.001", "adam_0.003")
"""What adapts to new systems: the optimizer and its rate."""
STEPS = (0, 10, 50)


def one_run(start: str, config: Any, rates: list[str]) -> dict[str, Any]:
    """Train, adapt to new systems at each of the rates, and follow them in time."""
    config = replace(config, **STARTS[start])
    run, key = build(config), jax.random.key(config.seed)
    began = time.process_time()
    if start == "random":
        params = run.algorithm.params(run.algorithm.init(key, run.tasks(key)))
    else:
        params = fit(
            run.algorithm,
            run.tasks,
            steps=run.steps,
            tasks_per_step=run.tasks_per_step,
            key=key,
        ).params
    found: dict[str, Any] = {"train_cpu_seconds": round(time.process_time() - began, 1)}
    instances = new_instances(config, config.held_out, config.eval_tasks)
    for name in rates:
        optimizer, rate = name.split("_")
        adapting: dict[str, Any] = {"eval_optimizer": optimizer, "eval_lr": float(rate)}
        how = replace(config, **adapting)
        rolled = adapt_and_roll(how, run.method, params, instances, STEPS, config.shots)
        scores = errors(rolled.coordinates, rolled.energy, instances)
        found[name] = {what: score._asdict() for what, score in scores.items()}
    return found


def polynomial(config: Any) -> dict[str, Any]:
    """The fitted polynomial on the same points; it takes no steps."""
    config = replace(config, trajectories=20)
    degree = choose_degree(config, build(config).tasks)
    instances = new_instances(config, config.held_out, config.eval_tasks)
    coordinates, energy, _ = fit_and_roll(instances, config.held_out, degree, config.shots)
    scores = errors(coordinates, energy, instances)
    single = {
        what: {"mean": mean[0], "low": low[0], "high": high[0], "n": n}
        for what, (mean, low, high, n) in scores.items()
    }
    return {"degree": degree, **single}


def same_settings(config: Any, kept: dict[str, Any]) -> bool:
    """Return whether a result's settings are a config's, but for the seed.

    Results of older versions hold fewer settings, and some of them by older names.
    """
    given = json.loads(json.dumps(dataclasses.asdict(config)))
    kept = {config.system.renamed.get(name, name): value for name, value in kept.items()}
    known = given.keys() & kept.keys() - {"seed"}
    return all(given[name] == kept[name] for name in known)


def geometric_mean(values: list[float]) -> list[float]:
    """Geometric mean and its 95% interval, by Student's t of the logarithms."""
    logs = np.log(values)
    half = scipy.stats.t.ppf(0.975, len(logs) - 1) * scipy.stats.sem(logs)
    return np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]).tolist()


def over_seeds(runs: list[dict[str, Any]], optimizer: str, what: str, step: int) -> list[float]:
    """Geometric mean over seeds and its 95% interval."""
    rows = [run[optimizer][what] for run in runs]
    if len(rows) == 1:
        return [rows[0][bound][step] for bound in ("mean", "low", "high")]
    return geometric_mean([row["mean"][step] for row in rows])


def ratio(content: dict[str, Any], start: str, optimizer: str, what: str) -> list[float] | None:
    """MAML's error over another start's after the last step, seed by seed, with its interval."""
    both = content["starts"]["maml"].keys() & content["starts"].get(start, {}).keys()
    if start == "maml" or len(both) < 2:
        return None

    def last(name, seed):
        return content["starts"][name][seed][optimizer][what]["mean"][-1]

    return geometric_mean([last("maml", seed) / last(start, seed) for seed in sorted(both)])


def show(content: dict[str, Any]) -> None:
    """Print, as Markdown, the errors by gradient step."""
    fitted = content["polynomial"]
    for optimizer in content["rates"]:
        for what in ("coordinates", "coordinates_early", "energy"):
            print(f"\n{content['config']['held_out']}, {what}, {optimizer}\n")
            print("| start | seeds | " + " | ".join(f"{n} steps" for n in STEPS) + " | maml over |")
            print("|---" * (len(STEPS) + 3) + "|")
            for start, runs in content["starts"].items():
                cells = [
                    "{:.4f} [{:.4f}, {:.4f}]".format(
                        *over_seeds(list(runs.values()), optimizer, what, n)
                    )
                    for n in range(len(STEPS))
                ]
                over = ratio(content, start, optimizer, what)
                cells.append("" if over is None else "{:.2f} [{:.2f}, {:.2f}]".format(*over))
                print(f"| {start} | {len(runs)} | " + " | ".join(cells) + " |")
            error = fitted[what]["mean"]
            print(f"| polynomial of degree {fitted['degree']} | | {error:.4f} | | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="cpu", choices=list(PRESETS))
    parser.add_argument("--held-out", nargs="*", help="types; all of the preset by default")
    parser.add_argument("--starts", nargs="*", default=BY_DEFAULT, choices=list(STARTS))
    parser.add_argument("--rates", nargs="*", default=list(RATES), choices=RATES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="meta-steps, in place of the preset's")
    parser.add_argument("--show", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, default=Path("experiments/hamiltonian/results"))
    options = parser.parse_args()
    preset = configure("hamiltonian", options.preset, eval_every=10**9)
    preset = replace(preset, steps=options.steps or preset.steps)
    for held_out in options.held_out or preset.mechanics:
        config = replace(preset, held_out=get_mechanics(held_out).name)
        path = options.out / f"{options.preset}_{held_out}.json"
        for seed in range(0 if options.show else options.seeds):
            for start in options.starts:
                empty = {"rates": options.rates, "polynomial": None, "starts": {}}
                content = json.loads(path.read_text()) if path.exists() else empty
                same = content["rates"] == options.rates
                if not same or not same_settings(config, content.get("config", {})):
                    parser.error(f"{path} has other --rates or settings: give another --out")
                if str(seed) in content["starts"].setdefault(start, {}):
                    continue
                print(f"{held_out} held out, {start}, seed {seed}", flush=True)
                content["polynomial"] = content["polynomial"] or polynomial(config)
                run = one_run(start, replace(config, seed=seed), options.rates)
                content["starts"][start][str(seed)] = run
                content |= {"config": dataclasses.asdict(config), **provenance()}
                options.out.mkdir(parents=True, exist_ok=True)
                write_json(path, content)
        if path.exists():
            show(json.loads(path.read_text()))


if __name__ == "__main__":
    main()
