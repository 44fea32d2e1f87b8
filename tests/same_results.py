"""Whether the systems still compute what they computed: short runs of every preset and method.

    python tests/same_results.py OLD NEW [--only TEXT] [--workers N]
    python tests/same_results.py --agreed check

OLD and NEW are commits. Each is checked out, every run below is made with it on this machine, and
the digests of the parameters and all numbers of ``eval.json`` are compared, bit for bit: a change
that is to move code alone leaves them equal. Methods and settings are named in full, so a changed
default does not change a run. Exits with 1 where one differs.

Bits are those of one machine: what must agree within 2% on any stands in ``agreed_results.json``,
which ``--agreed check`` compares the working tree with.

All runs take about a quarter of an hour on one quiet core for each commit; ``--only`` takes those
with TEXT in their names.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Case(NamedTuple):
    """One run: ``metajax train SYSTEM --preset PRESET --method METHOD``, with settings."""

    name: str
    system: str
    preset: str
    method: str
    settings: dict[str, Any]


# What an older command line calls the method, by system; hyperdistill has always called it so.
OLDER_WORD = {
    "gpicl": "learner",
    "fewshot": "learner",
    "hamiltonian": "learner",
    "hypino": "decoder",
}
# What it calls settings.
OLDER_SETTINGS = {"hamiltonian": {"eval_tasks": "eval_instances"}}

GPICL = {"steps": 60, "eval_every": 60, "eval_tasks": 32, "tasks_per_step": 4, "seed": 0}
GPICL_TASKS = GPICL | {
    "base_set": "digits",
    "image_size": 4,
    "ways": 5,
    "examples": 16,
    "other_sets": "random",
}
GPICL_SMALL = GPICL_TASKS | {"width": 32, "layers": 1, "heads": 2, "key_size": 16}
SINUSOIDS = {
    "steps": 60,
    "eval_every": 60,
    "eval_tasks": 20,
    "tasks_per_step": 5,
    "eval_steps": 3,
    "seed": 0,
}
IMAGES = SINUSOIDS | {
    "base_set": "digits",
    "split": "train+test",
    "image_size": 8,
    "image_channels": 1,
    "rotations": True,
    "classes": (5, 2, 3),
    "tasks_per_step": 2,
    "channels": 8,
    "queries": 5,
}
ONLINE = {"steps": 3, "eval_every": 3, "eval_tasks": 4, "tasks_per_step": 2, "seed": 0}
# a search of a trial a step; steps between updates without which the series' sum diverges; few
# hyperparameters, each of which forward carries a derivative of the state for
OF_ESTIMATOR = {
    "random_search": {"trial_steps": 1},
    "neumann": {"every": 10},
    "forward": {"width": 8},
}
ONLINE_IMAGES = ONLINE | {
    "base_set": "digits",
    "split": "train+test",
    "image_size": 8,
    "image_channels": 1,
    "crop": 1,
    "rotations": True,
    "classes": (5, 2, 3),
    "ways": 8,
    "shots": 20,
    "queries": 20,
    "batch_size": 20,
    "channels": 8,
    "inner_steps": 20,
    "width": 20,
    "layers": 2,
}
MECHANICS = {
    "steps": 50,
    "eval_every": 50,
    "trajectories": 20,
    "points": 40,
    "width": 16,
    "eval_tasks": 4,
    "eval_steps": 5,
    "shots": 10,
    "queries": 10,
    "seed": 0,
}
PDES = {
    "steps": 50,
    "eval_every": 50,
    "grid": 16,
    "interior": 64,
    "boundary": 64,
    "width": 16,
    "depths": (1, 1),
    "heads": (2, 2),
    "window": 4,
    "tasks_per_step": 2,
    "eval_tasks": 4,
    "finetune_steps": 2,
    "rounds": (2,),
    "seed": 0,
}

FEWSHOT = (
    "maml",
    "first_order_maml",
    "anil",
    "meta_sgd",
    "maml_plus_plus",
    "imaml",
    "cavia",
    "reptile",
    "evolution",
    "ridge",
)
ESTIMATORS = (
    "distilled",
    "one_step",
    "first_order",
    "drmad",
    "neumann",
    "unrolled",
    "forward",
    "es",
    "pes",
    "random_search",
)
SEQUENCES = ("lstm", "outer_product_lstm", "mlp", "maml", "sgd")


def cases() -> Iterator[Case]:
    """Every preset and every method of the five systems, at sizes that a CPU core bears."""

    def case(system, preset, method, settings, mark=""):
        return Case(f"{system}-{preset}-{method}{mark}", system, preset, method, settings)

    yield case("gpicl", "digits", "transformer", GPICL)
    for preset in ("cpu", "paper", "memorise"):
        yield case("gpicl", preset, "transformer", GPICL_SMALL)
    for method in SEQUENCES:
        yield case("gpicl", "digits", method, GPICL_TASKS | {"width": 32})
    yield case("gpicl", "digits", "nearest_neighbour", GPICL_TASKS)
    for method in FEWSHOT:
        yield case("fewshot", "sinusoid", method, SINUSOIDS)
    yield case("fewshot", "sinusoid_quick", "maml", SINUSOIDS)
    for method in (*FEWSHOT, "prototypical", "matching"):
        yield case("fewshot", "digits", method, IMAGES)
    for preset in (
        "fashion",
        "omniglot_small",
        "omniglot",
        "omniglot_5shot",
        "mini_imagenet",
        "mini_imagenet_5shot",
    ):
        yield case("fewshot", preset, "maml", IMAGES)
    for method in ESTIMATORS:
        yield case("hyperdistill", "sinusoid", method, ONLINE | OF_ESTIMATOR.get(method, {}))
    yield case("hyperdistill", "sinusoid_drmad", "drmad", ONLINE)
    yield case("hyperdistill", "sinusoid_unrolled", "unrolled", ONLINE)
    for testbed in ("anil", "warpgrad", "weights"):
        for data in ("digits", "fashion", "cifar100"):
            yield case("hyperdistill", f"{testbed}_{data}", "distilled", ONLINE_IMAGES)
    for testbed in ("anil", "warpgrad"):
        yield case("hyperdistill", f"{testbed}_tiny_imagenet", "distilled", ONLINE_IMAGES)
    for preset in ("cpu", "quick", "one_particle", "paper"):
        yield case("hamiltonian", preset, "maml", MECHANICS)
    for method in ("first_order_maml", "anil", "meta_sgd", "joint"):
        yield case("hamiltonian", "cpu", method, MECHANICS)
    for structure in ("port", "driven", "direct"):
        settings = MECHANICS | {"structure": structure}
        yield case("hamiltonian", "cpu", "maml", settings, f"-{structure}")
    for preset in ("tiny", "cpu", "paper"):
        yield case("hypino", preset, "weights", PDES | {"head_hidden": 16})
    for method in ("unet", "pino"):
        yield case("hypino", "tiny", method, PDES)


def settings_words(settings: dict[str, Any], renamed: dict[str, str]) -> list[str]:
    """Return settings as words of a command line that calls some of them by other names."""
    words = []
    for field, value in settings.items():
        name = renamed.get(field, field).replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{name}", *map(str, values)]
    return words


def run_case(case: Case, tree: Path, cache: Path) -> dict[str, Any]:
    """Make one run by the command line of ``tree``; its digest and its evaluation's numbers."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "JAX_PLATFORMS": "cpu"}
    train = [sys.executable, "-m", "metajax.cli.main", "train", case.system]
    train += ["--preset", case.preset]
    with tempfile.TemporaryDirectory() as folder:
        train += [
            "--workdir",
            f"{folder}/run",
            "--compilation-cache",
            str(cache),
            "--no-progress",
        ]
        words: tuple[tuple[str, dict[str, str]], ...] = (("method", {}),)
        if case.system in OLDER_WORD:
            words += ((OLDER_WORD[case.system], OLDER_SETTINGS.get(case.system, {})),)
        for word, renamed in words:
            command = [*train, *settings_words(case.settings, renamed), f"--{word}", case.method]
            # in an empty folder: Python looks for a package in the current one first
            done = subprocess.run(
                command, env=environment, cwd=folder, capture_output=True, text=True
            )
            if done.returncode != 2:  # else this command line has the other word
                break
        if done.returncode:
            return {"error": done.stderr[-2000:]}
        summary = json.loads(Path(folder, "run", "summary.json").read_text(encoding="utf-8"))
        evaluation = json.loads(Path(folder, "run", "eval.json").read_text(encoding="utf-8"))
    return {
        "params_sha256": summary["params_sha256"],
        "loss": (summary["final"] or {}).get("loss"),
        "evaluation": dict(numbers(by_row(evaluation))),
    }


NEWER_NAMES = {"new": "first_drawn"}
"""Rows of an evaluation by older names."""
FIGURES = ("last", "gain", "gain_ci95")
"""What gpicl's rows come with besides."""
NEW_INTERVALS = {"best_constant"}
"""Rows whose interval older commits did not measure."""


def by_row(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return an evaluation of an older commit as one of today: rows of a mean with its interval."""
    if "rows" in evaluation:
        return {
            "rows": {
                name: {
                    end: row[end]
                    for end in (("mean",) if name in NEW_INTERVALS else ("mean", "low", "high"))
                }
                for name, row in evaluation["rows"].items()
            },
            **intervals(evaluation["more"]),
        }
    rows: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, part in older_parts(evaluation):
        mean = part.get("score", part.get("accuracy")) if isinstance(part, dict) else None
        if name == "new_problems":  # of hypino
            ends = {"mean": "median_relative", "low": "low", "high": "high"}
            rows[name] = {end: [part[older]] for end, older in ends.items()}
            rows["best_constant"] = {"mean": [part["constant_relative"]]}
            more |= {"mse": part["mse"], "zero_mse": part["zero_mse"]}
        elif isinstance(part, dict) and "coordinates" in part:  # a start of the Hamiltonian family
            rows[name] = intervals(part["coordinates"])
            rest = {
                key: value for key, value in part.items() if key not in ("coordinates", "steps")
            }
            more[name] = intervals(rest)
        elif mean is not None and "ci95" in part:
            ends = list(zip(mean, part["ci95"], strict=True))
            name = NEWER_NAMES.get(name, name)
            if "last_median" in part:
                more.setdefault("last_median", {})[name] = part["last_median"]
            rows[name] = {
                "mean": mean,
                "low": [mean - half for mean, half in ends],
                "high": [mean + half for mean, half in ends],
            }
            if "accuracy" in part:
                more[name] = {figure: part[figure] for figure in FIGURES}
        else:
            more[name] = intervals(part)
    return {"rows": rows, **more}


def older_parts(evaluation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parts of an older evaluation by today's names; gpicl's baselines lay one level deeper."""
    for name, part in evaluation.items():
        if name == "baselines":
            yield from part.items()
        elif name == "other_sets":
            for other, found in part.items():
                for inner, score in older_parts(found or {}):
                    if isinstance(score, dict):
                        yield f"other.{other}.{inner}", score
                if found:
                    yield f"other.{other}", found
        else:
            yield name, part


def intervals(value: Any) -> Any:
    """Return nested values in which the ends of every interval are lists, as they are today."""
    if not isinstance(value, dict):
        return value
    if {"mean", "low", "high"} <= value.keys():
        ends = {end: value[end] for end in ("mean", "low", "high")}
        return {end: at if isinstance(at, list) else [at] for end, at in ends.items()}
    return {key: intervals(inner) for key, inner in value.items()}


def numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of nested JSON values with their paths, but for times and settings."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if "seconds" not in name and name != "settings":
                yield from numbers(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(inner, f"{path}[{index}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value


def run_cases(
    tree: Path, only: str, workers: int, names: Iterable[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Make all runs by ``tree``, or those of some ``names``, by name."""
    chosen = [case for case in cases() if only in case.name]
    chosen = [case for case in chosen if names is None or case.name in names]
    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(workers) as pool:
        found = {}
        results = pool.map(lambda case: run_case(case, tree, Path(cache)), chosen)
        for case, result in zip(chosen, results, strict=True):
            found[case.name] = result
            print(case.name, result.get("params_sha256", result.get("error", ""))[:12], flush=True)
    return found


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What differs between a run's results."""
    if "error" in old or "error" in new:
        yield f"failed: {old.get('error', '')}{new.get('error', '')}"
        return
    if old["params_sha256"] != new["params_sha256"]:
        yield f"parameters: {old['params_sha256'][:12]} then, {new['params_sha256'][:12]} now"
    before, after = old["evaluation"], new["evaluation"]
    if missing := sorted(before.keys() ^ after.keys()):
        yield f"only in one evaluation: {', '.join(missing[:5])} ({len(missing)} in all)"
    for path in sorted(before.keys() & after.keys()):
        if before[path] != after[path]:
            yield f"{path}: {before[path]!r} then, {after[path]!r} now"


def run_commit(commit: str, only: str, workers: int) -> dict[str, dict[str, Any]]:
    """Check a commit out and make all runs with it, by name."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "tree")
        add = ["git", "worktree", "add", "--detach", str(tree), commit]
        subprocess.run(add, cwd=ROOT, check=True, capture_output=True)
        try:
            return run_cases(tree, only, workers)
        finally:
            remove = ["git", "worktree", "remove", "--force", str(tree)]
            subprocess.run(remove, cwd=ROOT, check=True)


AGREED = ROOT / "tests" / "agreed_results.json"
"""What the runs give on any machine, within ``CLOSE``."""
CLOSE = 0.02
"""Relative difference of a loss or score, of which rounding alone makes less in so few steps."""


def in_short(result: dict[str, Any]) -> dict[str, float]:
    """The last loss of a run, and the last mean of each of its rows."""
    last = {"loss": result["loss"]} if result["loss"] is not None else {}
    for path, value in result["evaluation"].items():
        if path.startswith("rows.") and ".mean[" in path:
            last[path.partition(".mean[")[0]] = value
    return last


def disagreements(agreed: dict[str, float], found: dict[str, float]) -> Iterator[str]:
    """What of a run is not close to what was agreed; new rows may join."""
    for name in sorted(agreed):
        if name not in found:
            yield f"{name} is only agreed"
        elif not abs(found[name] - agreed[name]) <= CLOSE * max(abs(agreed[name]), 0.5):
            yield f"{name}: {agreed[name]!r} agreed, {found[name]!r} here"


def check_agreed(only: str, workers: int, write: bool) -> int:
    """Run the working tree and compare it with the committed results, or add to these."""
    agreed = json.loads(AGREED.read_text(encoding="utf-8")) if AGREED.exists() else {}
    results = run_cases(ROOT, only, workers, None if write else agreed)
    if write:
        found = {name: in_short(one) for name, one in results.items() if "error" not in one}
        text = json.dumps({**agreed, **found}, indent=1, sort_keys=True)
        AGREED.write_text(text + "\n", encoding="utf-8")
        return int(len(found) < len(results))
    different = 0
    for name, here in results.items():
        lines = [here["error"]] if "error" in here else []
        lines = lines or list(disagreements(agreed[name], in_short(here)))
        if lines:
            different += 1
            print(f"{name}:\n  " + "\n  ".join(lines[:6]))
    print(f"{len(results)} runs, {different} disagree")
    return int(different > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs="*", help="two of them, compared bit for bit")
    parser.add_argument(
        "--agreed",
        choices=("check", "write"),
        help="compare the working tree with tests/agreed_results.json, or write that",
    )
    parser.add_argument("--only", default="", help="runs with this in their names")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    options = parser.parse_args()
    if options.agreed:
        return check_agreed(options.only, options.workers, options.agreed == "write")
    if len(options.commits) != 2:
        parser.error("name two commits, or --agreed")
    old, new = (run_commit(commit, options.only, options.workers) for commit in options.commits)
    different = 0
    for name in old:
        lines = list(differences(old[name], new[name]))
        if lines:
            different += 1
            print(f"{name}:\n  " + "\n  ".join(lines[:6]))
    print(f"{len(old)} runs, {different} differ")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
