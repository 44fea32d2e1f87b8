"""What docs/solve_parametric.md says of benchmarks/solve_many.py, with every figure."""

from __future__ import annotations

from typing import Any

from quoting import power


def cell(found: dict[str, float], digits: int = 1) -> str:
    """A median with its interval."""
    middle, low, high = (f"{found[name]:.{digits}f}" for name in ("median", "low", "high"))
    return f"{middle} [{low}, {high}]"


def sentences(result: dict[str, Any]) -> list[str]:
    """Rows of the table, and what is said below it."""
    rows = []
    for one in result["accuracies"]:
        element, times = one["element"], one["milliseconds"]
        rows.append(
            f"| {power(one['accuracy'], 0)} | {one['features']}, {cell(times['solve_fn'])} | "
            f"degree {element['degree']}, {element['cells']} cells a side, "
            f"{cell(times['scikit-fem'])} | {cell(one['scikit-fem over solve_fn'], 2)} |"
        )
    ratio = result["gradient"]["gradient over value"]
    return [
        *rows,
        f"takes {cell(ratio, 2)} times as long as the solution alone",
    ]
