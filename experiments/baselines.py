"""Which methods of the committed results are not better than a baseline without meta-training.

Every result is read as runs: by seed, rows as an evaluation has them, the first of which is the
method. The lead over a baseline is paired by seed, with Student's t over seeds. Where there are
fewer than three its interval is over tasks, and takes the two rows as independent.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from quoting import HERE, bare, markdown, power

from metajax.sweep import over_runs
from metajax.systems import Standing, interval, rivals
from metajax.systems.gpicl.report import in_rows
from metajax.systems.numbers import numbers, score_at
from metajax.systems.scores import around
from metajax.systems.standings import lead

Rows = dict[str, dict[str, Any]]
FAMILIES = (
    "continual",
    "domains",
    "federated",
    "fewshot",
    "gpicl",
    "growth",
    "hamiltonian",
    "hyperdistill",
    "hypino",
    "shift",
    "tables",
    "weights",
)
"""Families that train something; `solve`, `faults` and `launch` do not."""
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


class Case(NamedTuple):
    """Runs of one method with one setting.

    Attributes:
      method: its name.
      data: what it was scored on, and its settings where the file has others.
      command: that made it.
      runs: by seed, the rows of its evaluation; the first is the method.
      greatest: whether more is better.
    """

    method: str
    data: str
    command: str
    runs: list[Rows]
    greatest: bool = True


class Verdict(NamedTuple):
    """A case compared with the best baseline of its tasks.

    Attributes:
      path: of the result, from `experiments/`.
      case: what was compared.
      own: the method's score, its mean and interval.
      other: that of the baseline.
      found: by how much the method is better.
    """

    path: str
    case: Case
    own: tuple[float, float, float]
    other: tuple[float, float, float]
    found: Standing


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
            yield Case(
                method,
                setting + (f"; {said}" if said else ""),
                own[0]["summary"].get("command", ""),
                [run["eval"]["rows"] for run in own],
                own[0]["eval"].get("greatest", True),
            )


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
    for name, method in content["methods"].items():
        if method["score"]:
            seeds = method["score"]["n"]
            own = {"score": method["score"]} | method["rows"]
            others = method["baselines"] | content["baselines"]
            rows = {of: found | {"n": seeds, "baseline": False} for of, found in own.items()}
            rows |= {of: found | {"n": seeds, "baseline": True} for of, found in others.items()}
            yield Case(name, content["setting"], content["command"], [rows], content["greatest"])


def of_continual(content: dict[str, Any]) -> Iterator[Case]:
    """Accuracy after the last task, of each method at its best strength."""
    for label, found in content.items():
        best = max(found["strengths"], key=lambda one: np.mean(one["final"]))
        strength = best["strength"]
        means = row("nearest class mean", found["class_means"]["final"], baseline=True)
        runs = [{"": row(label, final), "class_means": means} for final in best["final"]]
        several = len(found["strengths"]) > 1
        data = found["setting"] + (f"; strength {strength:g}, the best" if several else "")
        yield Case(label, data, found["command"], runs)


def of_learners(content: dict[str, Any]) -> Iterator[Case]:
    """Few-shot learners of an older script."""
    learners, config = content["learners"], content["config"]
    images = config["tasks"] == "images"
    data = f"{config['shots']}-shot {config['base_set'] if images else 'sinusoids'}"

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
            lost = f"; {found['diverged']} more diverged" if found["diverged"] else ""
            yield Case(name, data + lost, content["command"], runs, images)


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
            data = f"held-out {content['config']['held_out']}; at the best rate"
            yield Case(start, data, content["command"], runs, False)


def of_solved(content: dict[str, Any]) -> Iterator[Case]:
    """Heads that are solved, by held-out type of system."""
    for held_out, runs in content["runs"].items():
        config = next(iter(runs.values()))["config"]
        rows = [run["rows"] for run in runs.values()]
        yield Case(config["method"], f"held-out {held_out}", content["command"], rows, False)


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
            yield Case(name, f"{base_set}, bed {bed}", found["command"], runs)


def of_hypernetwork(content: dict[str, Any]) -> Iterator[Case]:
    """One pass of a hypernetwork for PDEs: new problems, and the published benchmarks."""
    found, config = content["new_problems"], content["config"]
    ends = {"low": [found["low"]], "high": [found["high"]], "n": found["n"]}
    own = {"title": "one pass", "mean": [found["median_relative"]], **ends, "baseline": False}
    other = row("best constant", found["constant_relative"], baseline=True)
    name, command = f"decoder {config['decoder']}", content["summary"]["command"]
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
    yield Case("shipped", data, content["command"], [rows], False)


def of_features(content: dict[str, Any]) -> Iterator[Case]:
    """Features of least squares: what was trained to give them, and what is computed or drawn."""
    for number, found in content["new_problems"]["by_number"].items():
        rows = {}
        for way, one in found["ways"].items():
            mean, low, high = one["error"]
            ends = {"mean": [mean], "low": [low], "high": [high], "n": found["n"]}
            rows[way] = {"title": f"`{way}`", **ends, "baseline": not way.startswith(TRAINED)}
        rows.pop("oracle", None)  # it knows the solution
        others = {way: found for way, found in rows.items() if found["baseline"]}
        for way in rows:
            if way not in others:
                data = f"new problems, {number} features, median relative error"
                runs = [{way: rows[way]} | others]
                yield Case(way, data, content["command"], runs, False)


TRAINED = ("learned", "solved", "distribution")


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
        yield Case("in_context", data, content["command"], runs, False)


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
    raise ValueError(f"{path}: of_* of experiments/baselines.py read it, or WITHOUT names it")


def rivals_of(rows: Rows) -> list[str]:
    """The baselines that the first row is compared with, by name.

    Rows of older results do not say it. There a baseline of other tasks has the row of these in its
    name: ``other.digits.lda``, after a dot that of other sets or runs; ``random_wider``, the row
    ``wider``; ``small_tuned``, the last word of ``test_tuned``. A row ``mean`` is one over points,
    not tasks. One called ``trained`` has seen all data of its task.
    """
    if any("compared_with" in row for row in rows.values()):
        return rivals(rows)
    others = [name for name, row in list(rows.items())[1:] if not row["baseline"]]
    begins = tuple(f"{name}_" for name in others)
    ends = tuple(f"_{name.rpartition('_')[2]}" for name in others if name != "mean")
    return [
        name
        for name, row in rows.items()
        if row["baseline"]
        and name != "trained"
        and "." not in name
        and not name.startswith(begins)
        and not name.endswith(ends)
    ]


def judged(path: str, case: Case) -> Verdict | None:
    """Compare a case with its best baseline; None where there is none."""
    names = [name for name in rivals_of(case.runs[0]) if all(name in rows for rows in case.runs)]
    own = [at_last(next(iter(rows.values()))) for rows in case.runs]
    others = {name: [at_last(rows[name]) for rows in case.runs] for name in names}
    if not others:
        return None
    sign = 1 if case.greatest else -1

    def mean(name: str) -> float:
        return sign * float(np.mean([one["mean"] for one in others[name]]))

    best = max(others, key=mean)
    leads = [lead(one, other, case.greatest) for one, other in zip(own, others[best], strict=True)]
    over = over_runs(
        [{"mean": [one.lead], "low": [one.low], "high": [one.high], "n": 1} for one in leads]
    )
    ends = over["over_seeds" if len(leads) >= FEWEST else "over_tasks"]
    found = Standing(
        leads[0].baseline.replace("neighbour", "neighbor"),
        over["mean"][0],
        ends["low"][0],
        ends["high"][0],
    )
    return Verdict(path, case, three(own), three(others[best]), found)


def at_last(found: Mapping[str, Any]) -> dict[str, Any]:
    """A row at its last point."""
    mean, low, high = score_at(found)
    return {"title": found["title"], "mean": [mean], "low": [low], "high": [high], "n": 1}


def three(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float, float]:
    """The mean of runs at the last point, with its interval."""
    over = over_runs(rows)
    return tuple(over[end][0] for end in ("mean", "low", "high"))  # type: ignore[return-value]


def verdicts(families: Iterable[str] = FAMILIES) -> list[Verdict]:
    """Every committed comparison of some families, the largest losses first."""
    found = []
    for family in families:
        for path in sorted((HERE / family).glob("results/*.json")):
            named = path.relative_to(HERE).as_posix()
            if named not in WITHOUT:
                found += [one for case in cases(path) if (one := judged(named, case))]
    return sorted(found, key=rank)


FEWEST = 3
"""Seeds that an interval over seeds needs."""
ORDER = ("worse", "level", "better")


def rank(one: Verdict) -> tuple[int, float]:
    """Losers first, and of them those that lose most by their baseline's score."""
    share = one.found.lead / abs(one.other[0]) if one.other[0] else 0.0
    return ORDER.index(one.found.verdict), share


def score(values: Sequence[float], sign: bool = False) -> str:
    """A mean with its interval as the READMEs write it: .560 ±.012, 1.2e-4 ±3e-5."""
    mean, low, high = values
    if not np.isfinite(mean):
        return "non-finite"
    plus = "+" if sign and mean > 0 else ""
    largest = max(map(abs, values))

    def told(value: float) -> str:
        if value and (largest < 0.01 or largest >= 1000):
            return power(value)
        return bare(round(value, 3) + 0.0, 3)

    half = (high - low) / 2
    if not np.isfinite(half) or half == 0:
        return plus + told(mean)
    if not np.isclose(high - mean, mean - low, rtol=0.05):
        return f"{plus}{told(mean)} [{told(low)}, {told(high)}]"
    return f"{plus}{told(mean)} ±{told(half)}"


def command(one: Verdict) -> str:
    """The command of a result, without what is of one seed or one machine."""
    said = re.sub(r" --((workdir|data-dir|out|seed) \S+|no-progress)", "", one.case.command)
    return f"`{said}`" if said else ""


def table(found: Sequence[Verdict]) -> str:
    """The methods that are not better than their best baseline."""
    header = ["system", "data", "method", "score", "best baseline", "its score", "lead", "verdict"]
    lines = []
    for one in found:
        if one.found.verdict != "better":
            system, stem = one.path.split("/")[0], Path(one.path).stem
            named = (one.found.lead, one.found.low, one.found.high)
            lines.append(
                [
                    system,
                    f"[{stem}]({one.path}): {one.case.data}",
                    f"`{one.case.method}`",
                    score(one.own),
                    one.found.baseline,
                    score(one.other),
                    score(named, sign=True),
                    one.found.verdict,
                    command(one),
                ]
            )
    return markdown([*header, "command"], lines)


def counts(found: Sequence[Verdict]) -> str:
    """How many comparisons of each family have each verdict."""
    lines = []
    for family in FAMILIES:
        of = [one.found.verdict for one in found if one.path.startswith(f"{family}/")]
        lines.append([f"[{family}]({family}/README.md)", *(str(of.count(each)) for each in ORDER)])
    return markdown(["system", *ORDER], lines)


def said(family: str) -> str:
    """What a family's README has to say first: its methods that a baseline is better than."""
    below: dict[str, dict[str, list[Verdict]]] = {}
    level: dict[str, None] = {}
    for one in verdicts([family]):
        if one.found.verdict == "worse":
            title = one.found.baseline.removesuffix(", same sequences").rpartition(": ")[2]
            of = below.setdefault(title, {})
            of.setdefault(one.case.method, []).append(one)
        elif one.found.verdict == "level":
            level[f"`{one.case.method}`"] = None
    parts = []
    for title, methods in below.items():
        each = listed(f"`{name}` {losses(of)}" for name, of in methods.items())
        parts.append(f"compared with *{title}*, {each}")
    text = "- **Below a baseline that needs no meta-training** ([all scores](../README.md)): "
    text += "; ".join(parts) or "no method"
    text += f". Level with one: {listed(level)}." if level else "."
    wrap = textwrap.TextWrapper(
        120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return wrap.fill(text)


def listed(words: Iterable[str]) -> str:
    """Words with commas between them."""
    return ", ".join(words)


def losses(of: Sequence[Verdict]) -> str:
    """By how much one method is below one baseline, in one result or several."""
    if len(of) == 1:
        found = of[0].found
        name = f"[{Path(of[0].path).stem}]({of[0].path.partition('/')[2]})"
        return f"{score((found.lead, found.low, found.high))} ({name})"
    least, most = (score([end(one.found.lead for one in of)] * 3) for end in (max, min))
    return f"{least} to {most} in {len(of)} results"
