"""The tables and figures of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, results

SHOWN = (0, 1, 5, 10)
BASELINES = ("untrained", "nearest_mean")


def seconds(row: dict[str, Any]) -> float:
    """CPU seconds that a learner's training took, the mean of those runs that ended."""
    taken = [run.get("train_cpu_seconds") for run in row["runs"].values()]
    return float(np.mean([one for one in taken if one is not None]))


def sinusoids(learners: dict[str, Any]) -> str:
    """Errors by gradient step."""
    rows = []
    for name, row in learners.items():
        shown = f"*{name}*" if name in BASELINES else name
        if name == "imaml":
            steps, rate = 16, 0.003
            shown += f", {steps} steps at {bare(rate, 3)}"
        if row["diverged"]:
            shown += f" ({row['diverged']} of {len(row['runs'])} diverged)"
        elif len(row["runs"]) == 1:
            shown += " (1 seed)"
        cells = [
            f"{row['mean'][n]:.3f} ±{row['ci95'][n]:.3f}" if n < len(row["mean"]) else ""
            for n in SHOWN
        ]
        cpu = "" if name in BASELINES else f"{seconds(row):.0f}"
        rows.append([shown, *cells, cpu])
    return markdown(["learner", "0 steps", "1", "5", "10", "CPU s a seed"], rows)


def percent(row: dict[str, Any], step: int) -> str:
    """An accuracy with its interval, of a learner that takes steps or of one that takes none."""
    if len(row["mean"]) == 1:
        step = {5: 0}.get(step, 1)
    if step >= len(row["mean"]):
        return ""
    return f"{100 * row['mean'][step]:.1f} ±{100 * row['ci95'][step]:.1f}"


def omniglot(one: dict[str, Any], five: dict[str, Any]) -> str:
    """Accuracies with one shot and with five."""
    rows = []
    for name in one:
        both = (one[name], five[name])
        shown = f"*{name.replace('_', ' ')}*" if name in BASELINES else name
        cells = [percent(row, step) for row in both for step in (5, 10)]
        cpu = "" if name in BASELINES else ", ".join(f"{seconds(row):.0f}" for row in both)
        rows.append([shown, *cells, cpu])
    header = [
        "learner",
        "1 shot, 5 steps",
        "10 steps",
        "5 shots, 5 steps",
        "10 steps",
        "CPU s, 1 and 5 shots",
    ]
    return markdown(header, rows)


def scored(row: dict[str, Any], point: int = -1, factor: float = 1, digits: int = 3) -> str:
    """A mean with the ends of its 95% interval, and what that is over."""
    mean, low, high = (factor * row[name][point] for name in ("mean", "low", "high"))
    over = row["interval_over"][point][0]
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] {over}"


def solved_sinusoids(methods: dict[str, Any]) -> str:
    """Errors of heads that are stepped and solved, and of the same with features as first drawn."""
    rows = []
    for name, method in methods.items():
        stepped = len(method["score"]["mean"]) > 1
        first = f"{method['baselines']['first_drawn']['mean'][-1]:.3g}"
        adapted = ("10 steps" if stepped else "a solve", scored(method["score"]), first)
        rows.append([name, *adapted, f"{method['train_cpu_seconds']:.0f}"])
    header = ["method", "adapts by", "error", "features as first drawn", "CPU s a seed"]
    return markdown(header, rows)


def digits(found: dict[str, Any]) -> str:
    """Accuracies of heads that are solved, and of the same with features as first drawn."""

    def row(name: str, score: dict[str, Any], first: str = "", cpu: str = "") -> list[str]:
        return [name, scored(score, -1, 100, 1), first, cpu]

    rows = [
        row(
            name,
            method["score"],
            scored(method["baselines"]["first_drawn"], -1, 100, 1),
            f"{method['train_cpu_seconds']:.0f}",
        )
        for name, method in found["methods"].items()
    ]
    rows.append(row("*nearest mean image*", found["baselines"]["nearest_mean"]))
    return markdown(["method", "accuracy", "features as first drawn", "CPU s a seed"], rows)


def one_block(found: dict[str, Any]) -> str:
    """How the number of blocks was chosen, and what it gives."""
    valid = [f"{100 * np.mean(scores):.1f}" for scores in found["validation"]["by_layers"].values()]
    svm = found["methods"]["svm"]
    own, drawn, means = (
        f"{100 * score['mean'][-1]:.1f}"
        for score in (
            svm["score"],
            svm["baselines"]["first_drawn"],
            found["baselines"]["nearest_mean"],
        )
    )
    return (
        f"Accuracy there is {valid[0]} with one block, {valid[1]} with two and {valid[2]} with "
        "three (support vector machine, two seeds). So the support vector machine is ahead of the "
        f"nearest mean image, {own} and {means}. Meta-training has no part in that: features as "
        f"first drawn have {drawn}."
    )


def larger_context(one: dict[str, Any], five: dict[str, Any]) -> str:
    """What CAVIA has with a larger context, compared with untrained weights on the same tasks."""
    valid = [f"{100 * score:.1f}" for score in five["validation"]["by_setting"].values()]

    def both(method: str, of: str = "") -> str:
        rows = [found["methods"][method] for found in (five, one)]
        found = [row["baselines"][of] if of else row["score"] for row in rows]
        return " and ".join(f"{100 * row['mean'][-1]:.1f} ±{half(row):.1f}" for row in found)

    def half(row: dict[str, Any]) -> float:
        return 50 * (row["high"][-1] - row["low"][-1])

    return (
        f"CAVIA has {both('cavia')} with five shots and one after 10 steps, untrained weights "
        f"adapted by MAML's steps {both('first_order_maml', 'first_drawn')} on the same tasks. "
        f"On validation characters, five shots, Adam at 3e-3 has {valid[2]}, at 1e-3 {valid[0]}, "
        f"and at 1e-3 with an inner rate of 10 instead of 1 {valid[1]}."
    )


def quoted() -> Quoted:
    """Every table and sentence."""
    sines, one, five = (
        results("fewshot", f"results/{name}.json")["learners"]
        for name in ("sinusoid_10shot", "omniglot_small_1shot", "omniglot_small_5shot")
    )

    def last(name, seed):
        return sines[name]["runs"][str(seed)]["score"][-1]

    ended = [run["score"][-1] for run in sines["imaml"]["runs"].values() if run["score"]]
    stopped = next(run["error"] for run in sines["imaml"]["runs"].values() if not run["score"])
    maml, first = sines["maml"], sines["first_order_maml"]
    evolution = sines["evolution"]
    gains = [
        100 * (five["reptile"]["mean"][step] - five["untrained"]["mean"][step]) for step in (10, 5)
    ]
    words = {
        5: "five",
        6: "six",
        7: "seven",
        8: "eight",
        9: "nine",
        10: "ten",
        11: "eleven",
        12: "twelf",
        16: "sixteen",
    }
    blocks = results("fewshot", "results/solved_digits_one_block.json")
    contexts = [results("fewshot", f"results/cavia_context_{n}shot.json") for n in (1, 5)]
    error_ratio = round(evolution["mean"][-1] / maml["mean"][-1])
    time_ratio = round(seconds(evolution) / seconds(maml))
    solved = results("fewshot", "results/solved_sinusoids.json")["methods"]
    error = {name: method["score"]["mean"][-1] for name, method in solved.items()}
    gained = [
        f"error is a {words[round(error['anil'] / error['anil_solved'])]}th of ANIL's and a "
        f"{words[round(error['maml'] / error['anil_solved'])]}th of MAML's",
        f"{words[round(error['maml_ridge'] / error['maml'])]} times the error of MAML's own steps",
    ]
    tables = {
        "sinusoids": sinusoids(sines),
        "solved_sinusoids": solved_sinusoids(solved),
        "omniglot": omniglot(one, five),
        "digits": digits(results("fewshot", "results/solved_digits_5shot.json")),
        "digits_one_block": digits(blocks),
    }
    in_readme = (
        f"solved head **{bare(sines['ridge']['mean'][-1], 3)}**, MAML {bare(maml['mean'][-1], 3)}; "
        f"untrained {sines['untrained']['mean'][-1]:.1f}"
    )
    return Quoted(
        tables,
        [
            f"MAML {bare(maml['mean'][-1], 3)}, first order {bare(first['mean'][-1])}",
            f"Clipping helps MAML itself: {bare(last('maml', 0), 3)} and "
            f"{bare(last('maml', 1), 3)} for seeds 0 and 1",
            f"two seeds reach {bare(ended[0])} and {bare(ended[1])} and one stops after "
            f"{int(stopped.split()[1]):,} meta-steps",
            f"ends at {words[error_ratio]} times MAML's error for {words[time_ratio]} times its "
            "CPU time",
            f"with it at {bare(last('meta_sgd', 0))}",
            f"{words[round(gains[0])]} to {words[round(gains[1])]} points better with five",
            *gained,
            one_block(blocks),
            larger_context(*contexts),
        ],
        {
            "docs/solved_heads.md": [*tables["solved_sinusoids"].splitlines(), *gained],
            "README.md": [in_readme],
        },
    )
