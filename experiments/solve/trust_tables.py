"""Tables of `trust.json`: how often verdicts are right, and how good estimated errors are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from known import KNOWN
from quoting import markdown, power

VERDICTS = ("reliable", "check", "failed")
RIGHT, USEFUL = 0.01, 0.1
"""Relative errors up to which a solution is right, and of some use."""
SIZES = {"at most 1%": 0, "1% to 10%": 1, "more than 10%": 2, "not determined": 3}


def solutions(found: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every problem with each of its solutions."""
    for case in found["problems"].values():
        for one in case["seeds"]:
            yield case, one


def size_of(case: dict[str, Any], one: dict[str, Any]) -> int:
    """Which of `SIZES` an error has."""
    if not case["determined"]:
        return 3
    return int(one["error"] > RIGHT) + int(one["error"] > USEFUL)


def counts(found: dict[str, Any]) -> dict[str, list[int]]:
    """How many solutions have each verdict, by the size of the true error."""
    made = {verdict: [0] * len(SIZES) for verdict in VERDICTS}
    for case, one in solutions(found):
        made[one["verdict"]][size_of(case, one)] += 1
    return made


def verdicts(found: dict[str, Any]) -> str:
    """Verdicts by the size of the true error."""
    rows = [[verdict, *map(str, number)] for verdict, number in counts(found).items()]
    return markdown(
        ["verdict", *(f"error {size}" for size in list(SIZES)[:3]), "not determined"], rows
    )


def problems(found: dict[str, Any]) -> str:
    """Every problem: what is said, and what is true."""
    rows = []
    for name, case in found["problems"].items():
        seeds = case["seeds"]
        said = ", ".join(dict.fromkeys(one["verdict"] for one in seeds))
        errors = [one["error"] for one in seeds if one["error"] is not None]
        worst = max(seeds, key=lambda one: one["error"] or 0.0)
        reason = worst["reasons"][0].partition(":")[0] if worst["reasons"] else ""
        made = KNOWN[name]
        about = getattr(made, "func", made).__doc__.strip().rstrip(".")
        rows.append(
            [
                f"{name}{'*' if case['nasty'] else ''}",
                about,
                said,
                power(max(errors)) if errors else "no solution",
                power(min(worst["estimate"], 1e9)) if worst["estimate"] < 10 else "over 10",
                reason,
            ]
        )
    header = ["problem", "what it is", "verdict", "error", "estimate", "first reason"]
    return markdown(header, rows)


def ratios(found: dict[str, Any]) -> np.ndarray:
    """Estimates over true errors, but for rounding and where data determine nothing."""
    return np.array(
        [
            one["estimate"] / one["error"]
            for case, one in solutions(found)
            if case["determined"] and one["error"] > 1e-11
        ]
    )


def sentences(found: dict[str, Any]) -> list[str]:
    """What the text says of the results."""
    made = counts(found)
    number = len(found["problems"])
    seeds = len(next(iter(found["problems"].values()))["seeds"])
    nasty = sum(case["nasty"] for case in found["problems"].values())
    ratio = ratios(found)
    low, middle, high = np.quantile(ratio, [0.05, 0.5, 0.95])
    false = sum(made["reliable"][1:])
    alarms = made["check"][0] + made["failed"][0]
    useful, failed = sum(made["failed"][:2]), sum(made["failed"])
    right = sum(number[0] for number in made.values())
    cpu = sum(one["cpu_seconds"] for _, one in solutions(found)) / seeds
    spread = f"{low:.1f} to {high:.0f} times in 90% of them"
    return [
        f"{number} problems, {nasty} of them hard (marked *), with {seeds} seeds",
        f"{false} of {number * seeds} solutions were called *reliable* and wrong by more than 1%",
        f"{alarms} of the {right} solutions with an error of at most 1% were not called *reliable*",
        f"{useful} of {failed} have an error of at most 10%",
        f"above the true error in {np.mean(ratio >= 1):.0%} of {len(ratio)} solutions",
        f"{middle:.0f} times as large in the median, and {spread}",
        f"{cpu:.0f} CPU seconds a seed",
    ]
