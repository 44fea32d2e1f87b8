"""Every few-shot learner from the same seeds: its score on new tasks by gradient step.

    python experiments/fewshot/curves.py --preset sinusoid --seeds 3
    python experiments/fewshot/curves.py --preset omniglot_small --shots 5 --steps 500 --seeds 2

Writes `PRESET_SHOTSshot.json`: for every learner the mean score over the new tasks of each seed, by
gradient step (one figure for learners that take none), with the mean over seeds and the larger of
two 95% half-widths: over seeds (Student's t) and over tasks. `untrained` is MAML's adaptation from
weights as first drawn, `nearest_mean` the class whose mean image is nearest. A run that is there
already is not repeated, so an interrupted command goes on. `--draw` only draws what is there.
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

from metajax.systems.axes import make_axes
from metajax.systems.fewshot import (
    CLASSIFIERS,
    CLOSED_FORM,
    LEARNERS,
    PRESETS,
    Config,
    build,
    make_learner,
    make_loss,
    make_tasks,
    nearest_mean,
    scores,
    summarise,
)
from metajax.train import NonFiniteError, fit, provenance, write_json

TASKS_KEY = 2022
BASELINES = ("untrained", "nearest_mean")
SETTINGS: dict[tuple[str, str], dict[str, Any]] = {
    # an implicit gradient is that of a minimum: smaller steps, which come nearer, and more of them
    ("imaml", "sinusoid"): {"inner_steps": 16, "inner_lr": 0.003, "strength": 0.5},
    # 16 damped steps ended at 70% with one shot, where these reach 77% and 70%
    ("imaml", "images"): {"damping": 0.0},
}
"""What a learner needs other than the preset's, by the kind of tasks."""


def names(config: Config) -> list[str]:
    """The learners of a bed, after the baselines that need no training."""
    if config.tasks == "sinusoid":
        return ["untrained", *(name for name in LEARNERS if name not in CLASSIFIERS)]
    return [*BASELINES, *LEARNERS]


def one_run(name: str, config: Config) -> dict[str, Any]:
    """Meta-train a learner, unless it is a baseline, and score it on new tasks."""
    if name not in BASELINES:
        changed = SETTINGS.get((name, config.tasks), {})
        config = dataclasses.replace(config, learner=name, **changed)
    learner = nearest_mean(config) if name == "nearest_mean" else make_learner(config)
    key, tasks = jax.random.key(config.seed), make_tasks(config)
    start = time.process_time()
    if name in BASELINES:
        params = learner.init(key, tasks.test(key))
    else:
        run = build(config)
        try:
            params = fit(
                run.algorithm,
                run.tasks,
                steps=run.steps,
                tasks_per_step=run.tasks_per_step,
                key=key,
            ).params
        except NonFiniteError as error:
            return {"score": None, "error": str(error)}
    trained = round(time.process_time() - start, 1)
    metric = "accuracy" if config.tasks == "images" else "query_loss"
    steps = None if name in (*CLOSED_FORM, "nearest_mean") else config.eval_steps
    summary = summarise(
        scores(
            learner,
            make_loss(config),
            params,
            tasks.test,
            jax.random.fold_in(jax.random.key(TASKS_KEY), config.seed),
            config.eval_tasks,
            metric,
            steps,
        )
    )
    if not np.isfinite(summary["score"]).all():
        return {
            "score": None,
            "error": "adapting to new tasks diverges",
            "train_cpu_seconds": trained,
        }
    return {
        "score": summary["score"],
        "ci95": summary["ci95"],
        "tasks": summary["n"],
        "train_cpu_seconds": trained,
    }


def summary(row: dict[str, Any]) -> None:
    """Put the statistics over seeds beside a learner's runs."""
    good = [run for run in row["runs"].values() if run["score"] is not None]
    row["diverged"] = len(row["runs"]) - len(good)
    if not good:
        return
    found = np.array([run["score"] for run in good])
    over_tasks = np.array([run["ci95"] for run in good])
    half = np.sqrt((over_tasks**2).mean(0) / len(good))
    if len(good) > 1:
        quantile = scipy.stats.t.ppf(0.975, len(good) - 1)
        half = np.maximum(half, quantile * scipy.stats.sem(found, axis=0))
    row["mean"], row["ci95"] = found.mean(0).tolist(), half.tolist()


def print_table(content: dict[str, Any]) -> None:
    """Print, as Markdown, the score after 0, 1, 5 and 10 steps."""
    shown = (0, 1, 5, 10)
    print("| learner | " + " | ".join(f"{n} steps" for n in shown) + " | CPU s |")
    print("|---" * (len(shown) + 2) + "|")
    for name, row in content["learners"].items():
        taken = [run.get("train_cpu_seconds") for run in row["runs"].values()]
        seconds = np.mean([s for s in taken if s is not None] or [np.nan])
        if row["diverged"]:
            name += f" ({row['diverged']} of {len(row['runs'])} diverged)"
        if "mean" not in row:
            cells = ["diverged"] * len(shown)
        elif len(row["mean"]) == 1:
            cells = [f"{row['mean'][0]:.3f} ±{row['ci95'][0]:.3f}", *[""] * (len(shown) - 1)]
        else:
            cells = [f"{row['mean'][n]:.3f} ±{row['ci95'][n]:.3f}" for n in shown]
        print(f"| {name} | " + " | ".join(cells) + f" | {seconds:.0f} |")


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw the score of every learner by gradient step."""
    sinusoid = content["config"]["tasks"] == "sinusoid"
    canvas, axes = make_axes(
        "gradient steps",
        "squared error on the query" if sinusoid else "accuracy on the query",
        "log" if sinusoid else "linear",
    )
    for i, (name, row) in enumerate(content["learners"].items()):
        style = {"color": f"C{i % 10}", "ls": ("-", "--")[i // 10], "label": name}
        if len(row.get("mean", ())) > 1:
            axes.errorbar(
                range(len(row["mean"])), row["mean"], row["ci95"], elinewidth=0.7, **style
            )
        elif "mean" in row:
            axes.axhline(row["mean"][0], alpha=0.7, **style)
    axes.legend(frameon=False, fontsize=7, ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", required=True, choices=list(PRESETS))
    parser.add_argument("--shots", type=int, help="in place of the preset's")
    parser.add_argument("--steps", type=int, help="meta-steps, in place of the preset's")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="learners to run, by name")
    parser.add_argument("--draw", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, default=Path("experiments/fewshot/results"))
    options = parser.parse_args()
    config = PRESETS[options.preset]
    config = dataclasses.replace(
        config,
        shots=options.shots or config.shots,
        steps=options.steps or config.steps,
        eval_every=10**9,
    )
    stem = f"{options.preset}_{config.shots}shot"
    path = options.out / f"{stem}.json"
    seeds = 0 if options.draw else options.seeds
    for seed in range(seeds):
        for name in names(config):
            if options.only and name not in options.only:
                continue
            content = json.loads(path.read_text()) if path.exists() else {"learners": {}}
            row = content["learners"].setdefault(name, {"runs": {}})
            if str(seed) in row["runs"]:
                continue
            print(f"{stem}, {name}, seed {seed}", flush=True)
            row["runs"][str(seed)] = one_run(name, dataclasses.replace(config, seed=seed))
            summary(row)
            done = content["learners"]
            content["learners"] = {name: done[name] for name in names(config) if name in done}
            content |= {"config": dataclasses.asdict(config), **provenance()}
            options.out.mkdir(parents=True, exist_ok=True)
            write_json(path, content)
    content = json.loads(path.read_text())
    print_table(content)
    draw(content, options.out.parent / "figures" / f"{stem}.png")


if __name__ == "__main__":
    main()
