"""Tables and sentences of report cards."""

from __future__ import annotations

from typing import Any

import numpy as np
import rival_problems
from quoting import markdown, power, results

NAMES = ("HT", "HZ", "PS-G", "PS-L", "WV", "Burgers")
"""Problems that rivals were given, in the order of the table."""
SMOOTH, OTHERS = ("HT", "HZ", "PS-G", "PS-5G", "WV"), ("HZ-G", "PS-C", "PS-L")
"""Benchmarks without and with corners or holes that matter."""


def cards(found: dict[str, Any]) -> str:
    """What `solve` makes of each problem."""
    rows = [
        [
            name,
            power(first["error"]),
            power(first["estimate"]),
            first["verdict"],
            str(first["features"]),
            f"{first['cpu_seconds']:.1f}",
            f"{second['cpu_seconds']:.1f}",
            power(second["error"]),
        ]
        for name, one in found["problems"].items()
        for first, second in [(one["metajax"]["first"], one["metajax"]["second"])]
    ]
    header = [
        "problem",
        "error",
        "estimate",
        "verdict",
        "functions",
        "CPU s",
        "again",
        "error again",
    ]
    return markdown(header, rows)


def elements(name: str, found: dict[str, Any], elliptic: dict[str, Any]) -> tuple[float, float]:
    """Error and CPU seconds of scikit-fem, on the coarsest mesh that is as accurate as `solve`.

    They are those of the finest mesh where none is as accurate.
    """
    rows = found["problems"][name]["scikit_fem"]
    if rows is None:
        _, true = rival_problems.reference(name)
        size = np.mean(true**2)
        finer = elliptic["benchmarks"][name]["finite_elements"]
        rows = [row | {"error": float(np.sqrt(row["mse"] / size))} for row in finer]
    bar = found["problems"][name]["metajax"]["first"]["error"]
    chosen = next((row for row in rows if row["error"] <= bar), rows[-1])
    return chosen["error"], chosen["cpu_seconds"]


def said(error: float, seconds: float) -> str:
    """An error with the CPU time that it took."""
    return (
        f"{power(error)} in {seconds:.2g} s"
        if seconds < 10
        else f"{power(error)} in {seconds:.0f} s"
    )


def by_rival(rows: dict[str, Any], which: int) -> str:
    """The errors of a rival's seeds after a budget, with the CPU time of the first."""
    if not rows:
        return ""
    ends = [seed[which] for _, seed in sorted(rows.items())]
    errors = ", ".join(power(end["error"]) for end in ends)
    return f"{errors} in {ends[0]['cpu_seconds']:.0f} s"


def compared(found: dict[str, Any], rivals: dict[str, Any], elliptic: dict[str, Any]) -> str:
    """All libraries on the same problems."""
    rows = []
    for name in NAMES:
        row = [name, "not measured", "not measured"]
        if name in found["problems"]:
            first = found["problems"][name]["metajax"]["first"]
            row[1] = said(first["error"], first["cpu_seconds"])
            row[2] = said(*elements(name, found, elliptic))
        for library in rivals.values():
            seeds = library["problems"].get(name, {})
            row += [by_rival(seeds, 0), by_rival(seeds, 1)]
        rows.append(row)
    header = ["problem", "metajax", "scikit-fem"]
    for library in ("DeepXDE", "jinns"):
        header += [library, f"{library}, longer"]
    return markdown(header, rows)


def faster() -> str:
    """How often scikit-fem is faster, and how often as accurate."""
    found = measured()
    elliptic = results("hypino", "results/solvers.json")
    rows = [
        (elements(name, found, elliptic), found["problems"][name]["metajax"]["first"])
        for name in NAMES
        if name in found["problems"]
    ]
    quicker = sum(seconds < own["cpu_seconds"] for (_, seconds), own in rows)
    accurate = sum(error <= own["error"] for (error, _), own in rows)
    return (
        f"faster on {quicker} of {len(rows)} problems, and reach{{}} the error of `solve` on "
        f"{accurate} of {len(rows)}"
    )


def measured() -> dict[str, Any]:
    """The report cards of all problems."""
    files = ("cards", "cards_over_time")
    problems = [results("solve", f"results/{name}.json")["problems"] for name in files]
    return {"problems": problems[0] | problems[1]}


def tables() -> dict[str, str]:
    """All tables, of the results."""
    found = measured()
    rivals = {name: results("solve", f"results/{name}.json") for name in ("deepxde", "jinns")}
    elliptic = results("hypino", "results/solvers.json")
    return {"cards": cards(found), "libraries": compared(found, rivals, elliptic)}


def sentences() -> list[str]:
    """The sentences of the README."""
    rivals = {name: results("solve", f"results/{name}.json") for name in ("deepxde", "jinns")}
    versions = {
        name: [f"{one} {number}" for one, number in library["versions"].items()]
        for name, library in rivals.items()
    }
    return [
        f"DeepXDE {rivals['deepxde']['versions']['deepxde']}",
        f"jinns {rivals['jinns']['versions']['jinns']}",
        *(text for name in versions for text in versions[name][1:2]),
        faster().format("es"),
    ]


def speed() -> list[str]:
    """The sentences of docs/solve.md."""
    found = measured()["problems"]
    smooth, others = (
        [found[name]["metajax"] for name in group if name in found] for group in (SMOOTH, OTHERS)
    )

    def span(group: list[Any], which: str) -> str:
        values = [one[which]["cpu_seconds"] for one in group]
        return f"{min(values):.1f} to {max(values):.1f} s"

    def worst(group: list[Any]) -> str:
        return power(max(one[which]["error"] for one in group for which in ("first", "second")))

    return [
        f"{span(smooth, 'first')} of CPU time to errors of at most {worst(smooth)}",
        f"{span(others, 'first')} to at most {worst(others)}",
        faster().format(""),
    ]
