"""Every committed result as runs of methods, in whatever layout it was written.

A run has rows as an evaluation has them, the first of which is the method. What an evaluation
scores on the same tasks, but after more of its own steps, is a setting of the same method.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from quoting import HERE

from metajax.systems import interval
from metajax.systems.gpicl.report import in_rows
from metajax.systems.numbers import numbers
from metajax.systems.scores import around

Rows = dict[str, dict[str, Any]]
WITHOUT = {
    "gpicl/results/bias_at_7x7.json": "losses and gains along training, no baseline",
    "hamiltonian/results/solved_variants.json": "single runs of other settings of solved.json",
    "hyperdistill/results/estimators.json": "errors of hypergradients, no tasks",
    "hyperdistill/results/sinusoid.json": "estimators compared with each other",
    "hyperdistill/results/sinusoid_search.json": "settings compared with each other",
    "hypino/results/few_features_128.json": "features that are not trained",
    "hypino/results/solvers.json": "solvers that are not trained",
    "hypino/results/starts.json": "starts of fine-tuning compared with each other",
    "shift/results/memory.json": "bytes",
    "weights/results/ablation.json": "variants compared with each other",
    "weights/results/decoder_sizes.json": "numbers of parameters",
    "weights/results/decoder_trials.json": "variants compared with each other",
    "weights/results/manifolds.json": "lines through trained networks",
}
"""Results without a baseline of the same tasks, and what they hold."""
FEWEST = 3
"""Seeds that an interval over seeds needs."""


class Case(NamedTuple):
    """Runs of one method with one setting.

    Attributes:
      method: its name in the registry.
      data: what it was scored on.
      command: that made it.
      runs: by seed, the rows of its evaluation; the first is the method.
      greatest: whether more is better.
      setting: what differs from other runs of the method, in words.
    """

    method: str
    data: str
    command: str
    runs: list[Rows]
    greatest: bool = True
    setting: str = ""


def read(path: Path) -> Any:
    """A result. Not as text: the tests watch which files the tables read."""
    return json.loads(path.read_bytes())


def row(title: str, mean: Any, half: Any = 0.0, n: int = 1, baseline: bool = False) -> dict:
    """A row of a result that is not in the layout of an evaluation."""
    score = around(numbers(mean), numbers(half), n)
    return {"title": title, **score._asdict(), "baseline": baseline}


def of_evaluations(content: list[dict[str, Any]]) -> Iterator[Case]:
    """Runs as `collect.py` keeps them, and evaluations of GPICL's older layout."""
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in content:
        run = run if "eval" in run else {"config": {}, "summary": run, "eval": run}
        config = {"num_tasks": run["eval"].get("num_tasks")} | run["config"]
        run = run | {"eval": in_rows(run["eval"]), "config": config}
        of = run["eval"]["method"], run["eval"]["setting"]
        grouped.setdefault(of, []).append(run)
    for (method, setting), runs in grouped.items():
        for said, own in by_settings(runs).items():
            yield from with_variants(
                Case(
                    method,
                    setting,
                    own[0]["summary"].get("command", ""),
                    [run["eval"]["rows"] for run in own],
                    own[0]["eval"].get("greatest", True),
                    said,
                )
            )


VARIANTS = {"test_tuned": "then tuned", "with_monomials": "with monomials"}
"""Rows of the same method on the same tasks, after more of its own steps; in words."""


def with_variants(case: Case) -> Iterator[Case]:
    """A case, and one for each other row of its method."""
    yield case
    for name, said in VARIANTS.items():
        if all(name in rows for rows in case.runs):
            runs = [{name: rows[name]} | dict(list(rows.items())[1:]) for rows in case.runs]
            yield case._replace(runs=runs, setting=", ".join(filter(None, (case.setting, said))))


def by_settings(runs: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Runs by those of their settings that differ, in words, but for the seed.

    A setting that only some runs name is newer than the others, which all have what it was before.
    """
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run["config"].items():
            values.setdefault(name, set()).add(str(value))
    told = [name for name, of in values.items() if len(of) > 1 and name not in UNTOLD]
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        known = {name: run["config"].get(name) for name in told}
        said = ", ".join(f"{name} {of}" for name, of in known.items() if of is not None)
        found.setdefault(said, []).append(run)
    return found


UNTOLD = ("seed", "eval_every", "eval_tasks", "steps_per_call")
"""Settings that do not tell cases apart."""


def of_comparison(content: dict[str, Any]) -> Iterator[Case]:
    """What `metajax compare` writes, as one run: its intervals are over seeds and tasks."""
    others = dict(content["baselines"])
    for name, method in content["methods"].items():
        for of, found in method["baselines"].items():
            others[f"{of}, {name}"] = found | {"title": f"{found['title']} ({name})"}
    for name, method in content["methods"].items():
        if method["score"]:
            seeds = method["score"]["n"]
            own = {"score": method["score"]} | method["rows"]
            rows = {of: found | {"n": seeds, "baseline": False} for of, found in own.items()}
            rows |= {of: found | {"n": seeds, "baseline": True} for of, found in others.items()}
            yield Case(name, content["setting"], content["command"], [rows], content["greatest"])


def of_continual(content: dict[str, Any]) -> Iterator[Case]:
    """Accuracy after the last task, of each method at its best strength."""
    for label, found in content.items():
        best = max(found["strengths"], key=lambda one: np.mean(one["final"]))
        means = row("nearest class mean", found["class_means"]["final"], baseline=True)
        runs = [{"": row(label, final), "class_means": means} for final in best["final"]]
        several = len(found["strengths"]) > 1
        method, _, variant = label.partition(", ")
        said = f"strength {best['strength']:g}" if several else ""
        setting = ", ".join(filter(None, (variant, said)))
        yield Case(method, found["setting"], found["command"], runs, setting=setting)


def of_learners(content: dict[str, Any]) -> Iterator[Case]:
    """Few-shot learners of an older script."""
    learners, config = content["learners"], content["config"]
    images = config["tasks"] == "images"
    ways = f"{config['ways']}-way " if images else ""
    data = f"{ways}{config['shots']}-shot {config['base_set'] if images else 'sinusoids'}"

    def of(name: str, seed: str, baseline: bool = False) -> dict[str, Any]:
        run = learners[name]["runs"][seed]
        return row(NAMES.get(name, name), run["score"], run["ci95"], run["tasks"], baseline)

    for name, found in learners.items():
        if name not in NAMES:
            runs = [
                {"": of(name, seed)}
                | {other: of(other, seed, True) for other in NAMES if other in learners}
                for seed, run in found["runs"].items()
                if "error" not in run
            ]
            lost = f"{found['diverged']} more diverged" if found["diverged"] else ""
            yield Case(name, data, content["command"], runs, images, lost)


NAMES = {"untrained": "weights as first drawn", "nearest_mean": "nearest mean image"}


def of_starts(content: dict[str, Any]) -> Iterator[Case]:
    """Starts of adapting to a held-out type of system, each at its best rate."""

    def at_best(start: str) -> dict[str, dict[str, Any]]:
        def by_seed(rate: str) -> dict[str, dict[str, Any]]:
            runs = content["starts"][start].items()
            return {seed: run[rate]["coordinates"] for seed, run in runs}

        def error(found: dict[str, dict[str, Any]]) -> float:
            return float(np.mean([one["mean"][-1] for one in found.values()]))

        return min(map(by_seed, content["rates"]), key=error)

    drawn = {"title": "weights as first drawn", "baseline": True}
    fitted = {"title": "fitted polynomial energy", "baseline": True}
    fitted |= {end: [content["polynomial"]["coordinates"][end]] for end in ("mean", "low", "high")}
    others = at_best("random")
    for start in content["starts"]:
        if start != "random":
            runs = [
                {
                    "": own | {"title": start, "baseline": False},
                    "random": others[seed] | drawn,
                    "polynomial": fitted,
                }
                for seed, own in at_best(start).items()
            ]
            method, setting = STARTS.get(start, (start, ""))
            data = f"held-out {content['config']['held_out']}"
            yield Case(method, data, content["command"], runs, False, setting)


STARTS = {
    "direct": ("maml", "structure direct"),
    "rate_1e-3": ("maml", "inner_lr 1e-3"),
    "rate_.05": ("maml", "inner_lr .05"),
    "rate_1": ("maml", "inner_lr 1"),
    "sum_1e-3": ("maml", "inner_lr 1e-3, reduction sum"),
}
"""Starts that are a method with another setting."""


def of_solved(content: dict[str, Any]) -> Iterator[Case]:
    """Heads that are solved, by held-out type of system."""
    for held_out, runs in content["runs"].items():
        config = next(iter(runs.values()))["config"]
        rows = [run["rows"] for run in runs.values()]
        yield from with_variants(
            Case(config["method"], f"held-out {held_out}", content["command"], rows, False)
        )


def of_hyperparameters(content: dict[str, Any]) -> Iterator[Case]:
    """Learned hyperparameters, compared with those first drawn, over three seeds or more."""
    (first, drawn), *others = content["methods"].items()
    title = f"hyperparameters {first}"
    for name, found in others:
        seeds = [seed for seed in found["runs"] if seed in drawn["runs"]]
        if len(seeds) >= FEWEST:
            runs = [
                {
                    "": row(name, found["runs"][seed]["accuracy"]),
                    "drawn": row(title, drawn["runs"][seed]["accuracy"], baseline=True),
                }
                for seed in seeds
            ]
            base_set, bed = found["config"]["base_set"], found["config"]["bed"]
            method, _, setting = name.partition(", ")
            data = f"{base_set}, bed {bed}"
            yield Case(method, data, found["command"], runs, setting=setting)


def of_hypernetwork(content: dict[str, Any]) -> Iterator[Case]:
    """One pass of a hypernetwork for PDEs: new problems, and the published benchmarks."""
    found, config = content["new_problems"], content["config"]
    ends = {"low": [found["low"]], "high": [found["high"]], "n": found["n"]}
    own = {"title": "one pass", "mean": [found["median_relative"]], **ends, "baseline": False}
    other = row("best constant", found["constant_relative"], baseline=True)
    name, command = config["decoder"], content["summary"]["command"]
    runs = [{"": own, "constant": other}]
    yield Case(name, "new problems, median relative error", command, runs, False)

    by_problem = list(content["benchmarks"].values())
    rows = {
        of: row(title, np.mean(logs := errors(by_problem, of)), half_of(logs), len(logs), baseline)
        for of, title, baseline in (
            ("model", "one pass", False),
            ("zero", "zero", True),
            ("random", "least squares over random features, by log10", True),
        )
        if all(of in problem for problem in by_problem)
    }
    data = f"{len(by_problem)} published benchmarks, log10 of the mean squared error"
    yield Case(name, data, command, [rows], False)


def errors(by_problem: Sequence[Mapping[str, Any]], of: str) -> np.ndarray:
    """The log10 of the errors of a row, by problem."""
    return np.log10([problem[of]["mse"] for problem in by_problem])


def half_of(values: np.ndarray) -> float:
    """Half the 95% interval of a mean."""
    found = interval(values)
    return found.high[0] - found.mean[0]


def of_shipped(content: dict[str, Any]) -> Iterator[Case]:
    """The shipped hypernetwork on problems that random features solve."""
    found = content["solved"]
    rows = {
        "": row("one pass", found["one_pass"], 0, found["n"]),
        "random": row("least squares over 2,000 random features", found["random_2000"], 0, 1, True),
    }
    data = f"{found['n']} problems with known solutions, relative error"
    yield Case("weights", data, content["command"], [rows], False, "as shipped")


def of_features(content: dict[str, Any]) -> Iterator[Case]:
    """Features of least squares: what was trained to give them, and what is computed or drawn.

    Both files with features are of the same problems, so each has the baselines of the other.
    """
    for number, found in content["new_problems"]["by_number"].items():
        others = {
            way: row_of_features(way, one)
            for name in FEATURES
            for way, one in read(HERE / name)["new_problems"]["by_number"][number]["ways"].items()
            if way not in TRAINED and way != "oracle"  # which knows the solution
        }
        for way, one in found["ways"].items():
            if way in TRAINED:
                method, setting = TRAINED[way]
                data = f"new problems, {number} features, median relative error"
                runs = [{way: row_of_features(way, one)} | others]
                yield Case(method, data, content["command"], runs, False, setting)


def row_of_features(way: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the medians over new problems."""
    mean, low, high = found["error"]
    ends = {"mean": [mean], "low": [low], "high": [high], "n": 1}
    return {"title": BY_WAY.get(way, f"`{way}`"), **ends, "baseline": way not in TRAINED}


FEATURES = ("hypino/results/few_features.json", "hypino/results/solved_features.json")
BY_WAY = {
    "chosen_improved": "chosen among 1,024 random features, 10 Gauss-Newton steps",
    "chosen_many": "chosen among 1,024 random features",
}
"""What the best baselines are, in words."""
TRAINED = {
    "learned": ("chosen", ""),
    "solved": ("solved", ""),
    "solved_shipped": ("solved", "start shipped"),
    "solved_shipped_before": ("weights", "as shipped, features with a solved head"),
    "distribution": ("distribution", ""),
    "distribution_chosen": ("distribution", "chosen among 512"),
    "distribution_chosen_improved": ("distribution", "chosen among 512, 10 Gauss-Newton steps"),
}
"""Methods and settings of the features that are trained; the others are drawn or computed."""


def of_tables(content: dict[str, Any], score: str, shipped: Any = None) -> Iterator[Case]:
    """The shipped learner on real tables; the pairs are the sets."""
    told = {"defaults": "", "tuned": ", the others tuned"}[
        "defaults" if shipped is None else "tuned"
    ]
    for number in dict.fromkeys(size for found in content["sets"].values() for size in found):
        runs = []
        for name, by_rows in content["sets"].items():
            if number in by_rows:
                found = by_rows[number]
                own = (shipped["sets"][name][number] if shipped else found)["in_context"][score]
                rows = {"": row("in_context", np.mean(own[: content["splits"]]))}
                rows |= {
                    other: row(other.replace("_", " "), np.mean(one[score]), baseline=True)
                    for other, one in found.items()
                    if other != "in_context"
                }
                runs.append(rows)
        every = [name for name in runs[0] if all(name in rows for rows in runs)]
        runs = [{name: rows[name] for name in every} for rows in runs]
        data = f"{len(runs)} real tables, {number} rows{told}, {score.replace('_', ' ')}"
        yield Case("reader", data, content["command"], runs, False)


def tuned(content: dict[str, Any]) -> Iterator[Case]:
    """The other methods tuned, on the first splits."""
    return of_tables(content, "log_loss", read(HERE / "tables" / "results" / "defaults.json"))


def defaults(content: dict[str, Any]) -> Iterator[Case]:
    """All methods as they are."""
    return of_tables(content, "log_loss")


def regression(content: dict[str, Any]) -> Iterator[Case]:
    """Targets that are numbers."""
    return of_tables(content, "error")


OLDER: dict[str, Callable[[Any], Iterator[Case]]] = {
    r"continual/.*": of_continual,
    r"fewshot/.*": of_learners,
    r"hamiltonian/.*/solved": of_solved,
    r"hamiltonian/.*": of_starts,
    r"hyperdistill/.*": of_hyperparameters,
    r"hypino/.*/shipped": of_shipped,
    r"hypino/.*features.*": of_features,
    r"hypino/.*": of_hypernetwork,
    r"tables/.*/defaults": defaults,
    r"tables/.*/tuned": tuned,
    r"tables/.*/regression": regression,
}
"""Layouts of results that are not evaluations, by path; the first that matches."""


def cases(path: Path) -> Iterator[Case]:
    """What a result holds.

    Raises:
      ValueError: nothing says how to read it.
    """
    content, named = read(path), path.relative_to(HERE).with_suffix("").as_posix()
    if isinstance(content, list):
        return of_evaluations(content)
    if {"system", "methods", "baselines"} <= set(content):
        return of_comparison(content)
    for pattern, reader in OLDER.items():
        if re.fullmatch(pattern, named):
            return reader(content)
    raise ValueError(f"{path}: neither of_* in experiments/layouts.py nor WITHOUT has it")
