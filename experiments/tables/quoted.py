"""The tables and figures of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, results

NAMES = {
    "in_context": "in context (shipped)",
    "first_drawn": "in context, weights as first drawn",
    "logistic_regression": "logistic regression",
    "svm": "SVM",
    "random_forest": "random forest",
    "k_nearest": "k nearest neighbors",
    "kernel_ridge": "kernel ridge",
}
ROWS = ("10", "30", "100", "300")
RANKED = ROWS[:3]
"""Rows that the mean rank and the comparison with logistic regression are over."""


def cells(found: dict[str, Any], rows: tuple[str, ...]) -> list[dict[str, Any]]:
    """What was found of every set and number of rows, by method."""
    return [
        by_rows[number]
        for by_rows in found["sets"].values()
        for number in rows
        if number in by_rows
    ]


OURS = ("in_context", "first_drawn")
"""Ranked among the others, not with each other."""


def mean_ranks(found: dict[str, Any], ours: str = "in_context") -> dict[str, float]:
    """Mean rank of one of ours and the others by log loss over sets and rows, 1 the best."""
    each = cells(found, RANKED)
    compared = [ours, *(name for name in NAMES if name not in OURS)]
    methods = [name for name in compared if all(name in by for by in each)]
    losses = np.array([[np.mean(by[name]["log_loss"]) for name in methods] for by in each])
    ranks = losses.argsort(axis=1).argsort(axis=1) + 1
    return dict(zip(methods, ranks.mean(axis=0).tolist(), strict=True))


def summary(found: dict[str, Any]) -> str:
    """All methods, over all sets."""
    ranks = mean_ranks(found)
    best = min(ranks, key=ranks.__getitem__)
    drawn = {}
    if all("first_drawn" in by for by in cells(found, ROWS)):
        drawn = {"first_drawn": mean_ranks(found, "first_drawn")["first_drawn"]}
    ranks = {"in_context": ranks["in_context"]} | drawn | ranks
    rows = []
    for name, rank in ranks.items():

        def mean(score: str, number: str, name: str = name) -> float:
            return float(np.mean([np.mean(by[name][score]) for by in cells(found, (number,))]))

        def median(number: str, name: str = name) -> float:
            return float(np.median([by[name]["cpu_seconds"] for by in cells(found, (number,))]))

        bold = "**" if name == best else ""
        rows.append(
            [
                f"{bold}{NAMES[name]}{bold}",
                f"{bold}{rank:.2f}{bold}",
                *(bare(mean("log_loss", number), 3) for number in ROWS),
                " ".join(bare(mean("accuracy", number)) for number in ROWS),
                " ".join(bare(mean("calibration_error", number)) for number in ROWS),
                f"{median('10'):.3f}, {median('300'):.3f}",
            ]
        )
    header = ["method", "mean rank, 10 to 100 rows", *(f"log loss, {n} rows" for n in ROWS)]
    header += ["accuracy, 10 30 100 300", "calibration error", "CPU s, 10 and 300 rows"]
    return markdown(header, rows)


def compared(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """By set, how much lower the log loss is than logistic regression's, and half its interval.

    The mean over 10, 30 and 100 rows; the interval is over the splits, which both share.
    """
    differences = {}
    for name, by_rows in found["sets"].items():
        by_split = [
            np.subtract(by["in_context"]["log_loss"], by["logistic_regression"]["log_loss"])
            for number, by in by_rows.items()
            if number in RANKED
        ]
        mean = np.mean(by_split, axis=0)
        half = 1.96 * mean.std(ddof=1) / np.sqrt(len(mean))
        differences[name] = float(mean.mean()), float(half)
    return differences


def by_training(found: dict[str, Any]) -> list[str]:
    """What training adds to what is solved on the table, over sets, by rows to learn from."""
    sentences = []
    for number in RANKED:
        losses = np.array(
            [
                [np.mean(by[name]["log_loss"]) for name in (*OURS, "logistic_regression")]
                for by in cells(found, (number,))
            ]
        )
        gained = losses[:, 1] - losses[:, 0]
        half = 1.96 * gained.std(ddof=1) / np.sqrt(len(gained))
        solved = losses[:, 2] - losses[:, 1]
        sentences.append(
            f"{number} rows: {bare(float(gained.mean()), 3)} ±{bare(float(half), 3)} by training, "
            f"better on {np.sum(gained > 0)} of {len(gained)} sets, and {bare(solved.mean(), 3)} "
            "by solving alone"
        )
    return sentences


def by_set(found: dict[str, Any]) -> str:
    """Each set: log losses, and the difference to logistic regression."""
    differences = compared(found)
    known = cells(found, RANKED)[0]
    shown = [name for name in NAMES if name in known and name != "first_drawn"]
    rows = []
    for name, (mean, half) in sorted(differences.items(), key=lambda item: item[1]):
        number, features, classes = found["shapes"][name]
        kept = [by for rows_, by in found["sets"][name].items() if rows_ in RANKED]
        losses = [float(np.mean([np.mean(by[one]["log_loss"]) for by in kept])) for one in shown]
        lowest = min(losses)
        rows.append(
            [
                f"{name} ({number}, {features}, {classes})",
                *(f"**{bare(x, 3)}**" if x == lowest else bare(x, 3) for x in losses),
                f"{bare(mean, 3)} ±{bare(half, 3)}",
            ]
        )
    header = ["set (rows, features, classes)", *(NAMES[name] for name in shown)]
    return markdown([*header, "in context minus logistic regression"], rows)


def with_shipped(tuned: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Tuned methods with the shipped one on the same splits."""
    number = tuned["splits"]
    sets: dict[str, Any] = {}
    for name, by_rows in tuned["sets"].items():
        for rows, by in by_rows.items():
            one = dict(defaults["sets"][name][rows]["in_context"])
            for score in ("log_loss", "accuracy"):
                one[score] = one[score][:number]
            sets.setdefault(name, {})[rows] = {"in_context": one} | by
    return tuned | {"sets": sets}


REGRESSORS = {
    "in_context": "in context",
    "gaussian_process": "Gaussian process, by marginal likelihood",
    "ridge": "ridge, by left-out rows",
    "random_forest": "random forest",
    "k_nearest": "k nearest neighbors",
}


def regression_ranks(found: dict[str, Any]) -> dict[str, float]:
    """Mean rank by error over sets and numbers of rows, 1 the best."""
    each = cells(found, ROWS)
    errors = np.array([[np.mean(by[name]["error"]) for name in REGRESSORS] for by in each])
    ranks = errors.argsort(axis=1).argsort(axis=1) + 1
    return dict(zip(REGRESSORS, ranks.mean(axis=0).tolist(), strict=True))


def regression(found: dict[str, Any]) -> str:
    """All regressors, over all sets."""
    rows = []
    for name, rank in regression_ranks(found).items():

        def mean(score: str, number: str, name: str = name) -> float:
            return float(np.mean([np.mean(by[name][score]) for by in cells(found, (number,))]))

        sure = ["", ""]
        if "log_loss" in cells(found, ROWS)[0][name]:
            sure = [
                " ".join(bare(mean(score, number)) for number in ROWS)
                for score in ("log_loss", "inside")
            ]
        spent = [
            float(np.median([np.median(by[name]["seconds"]) for by in cells(found, (number,))]))
            for number in (ROWS[0], ROWS[-1])
        ]
        errors = (bare(mean("error", number), 3) for number in ROWS)
        costs = f"{spent[0]:.3f}, {spent[1]:.3f}"
        rows.append([REGRESSORS[name], f"{rank:.2f}", *errors, *sure, costs])
    header = ["method", "mean rank", *(f"error, {number} rows" for number in ROWS)]
    header += ["log loss, 10 30 100 300", "in 95% intervals", "CPU s, 10 and 300 rows"]
    return markdown(header, rows)


def regression_by_set(found: dict[str, Any]) -> str:
    """Each set: the mean error over its numbers of rows."""
    rows = []
    for name, by_rows in found["sets"].items():
        errors = [
            float(np.mean([np.mean(by[one]["error"]) for by in by_rows.values()]))
            for one in REGRESSORS
        ]
        shown = [f"**{bare(x, 3)}**" if x == min(errors) else bare(x, 3) for x in errors]
        rows.append(["{} ({}, {})".format(name, *found["shapes"][name]), *shown])
    return markdown(["set (rows, features)", *REGRESSORS.values()], rows)


def of_regression(found: dict[str, Any]) -> list[str]:
    """Sentences on regression."""
    ranks = regression_ranks(found)
    others = min(rank for name, rank in ranks.items() if name != "in_context")
    each = cells(found, ROWS)
    surer = sum(
        np.mean(by["in_context"]["log_loss"]) < np.mean(by["gaussian_process"]["log_loss"])
        for by in each
    )
    return [
        f"mean rank {ranks['in_context']:.2f} of {len(ranks)} by error (the next {others:.2f})",
        f"lower than the Gaussian process's in {surer} of {len(each)} cases",
    ]


def quoted() -> Quoted:
    """All of it."""
    found = results("tables", "results/defaults.json")
    tuned = with_shipped(results("tables", "results/tuned.json"), found)
    numbers = results("tables", "results/regression.json")
    ranks, differences = mean_ranks(found), compared(found)
    others = min(rank for name, rank in ranks.items() if name != "in_context")
    worst = max(differences, key=lambda name: differences[name][0])
    lower = sum(mean < 0 for mean, _ in differences.values())
    clear = sum(mean + half < 0 for mean, half in differences.values())
    sentences = [
        f"mean rank {ranks['in_context']:.2f} of {len(ranks)} by log loss at 10 to 100 rows (the "
        f"next {others:.2f})",
        f"lower than logistic regression's on {lower} of {len(differences)} sets, on {clear} of "
        "them with an interval that excludes 0",
        f"worst on {worst}, {differences[worst][0]:+.3f} ±{differences[worst][1]:.3f}",
        f"{found['splits']} splits a set and size",
        f"{tuned['splits']} splits",
        *by_training(found),
    ]
    return Quoted(
        {
            "defaults": summary(found),
            "sets": by_set(found),
            "tuned": summary(tuned),
            "regression": regression(numbers),
            "regression_sets": regression_by_set(numbers),
        },
        [*sentences, *of_regression(numbers)],
        {
            "README.md": [
                f"mean rank **{ranks['in_context']:.2f}** of {len(ranks)}; logistic regression "
                f"{ranks['logistic_regression']:.2f}"
            ]
        },
    )
