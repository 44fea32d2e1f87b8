"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import along_training, make_axes
from metajax.systems.base import Figure

PAPER = {
    "HyPINO, published": (2.3e-2, 5.7e-3, 1.3e-1, 5.6e-2, 1.7e-4, 1.8e-1, 2.9e-1),
    "HyPINO 3, published": (4.9e-4, 2.7e-3, 1.6e-2, 3.4e-3, 1.9e-4, 6.6e-3, 2.3e-1),
    "HyPINO 10, published": (8.0e-5, 1.6e-3, 1.9e-2, 2.3e-3, 2.7e-4, 5.0e-3, 1.2e-1),
}
"""MSE of arXiv 2509.05117, Table 1, by benchmark: HT, HZ, HZ-G, PS-C, PS-L, PS-G, WV."""


def title(way: str) -> str:
    """What a way to solve a problem is called."""
    known = {
        "zero": "zero everywhere",
        "model": "one pass",
        "head": "  and best head, one network",
        "random_equal": "random features, as many",
        "random_twice": "random features, twice as many",
        "random": "random features, 2000",
    }
    if way in known:
        return known[way]
    kind, _, rest = way.partition("_")
    rounds, _, more = rest.partition("_")
    if kind == "refined":
        return f"  refined {rounds} rounds"
    return f"  and best head, {rounds} rounds" + (" and random" if more else "")


def table(evaluation: dict[str, Any]) -> str:
    """Errors on new problems, and mean squared errors on the benchmarks by every way."""
    new = evaluation["new_problems"]
    lines = [
        f"{new['n']} new random problems: median relative L2 error {new['median_relative']:.3f} "
        f"[{new['low']:.3f}, {new['high']:.3f}] (best constant {new['constant_relative']:.3f}), "
        f"mean squared error {new['mse']:.3g} "
        f"(zero {new['zero_mse']:.3g})",
        "",
    ]
    found = evaluation["benchmarks"]
    names = list(found)
    lines.append(f"{'mean squared error':36}" + "".join(f"{name:>10}" for name in names))
    lines.append("-" * len(lines[-1]))
    for way in found[names[0]]["ways"]:
        cells = "".join(f"{found[name]['ways'][way]['mse']:10.1e}" for name in names)
        lines.append(f"{title(way):36}{cells}")
    for name, values in PAPER.items():
        lines.append(f"{name:36}" + "".join(f"{value:10.1e}" for value in values))
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Solutions of the benchmarks, errors by way, and training."""
    found = evaluation["benchmarks"]
    names = list(found)

    def solutions():
        from matplotlib.figure import Figure as Canvas

        shown = list(found[names[0]]["maps"])
        canvas = Canvas(figsize=(2.2 * len(names), 2.2 * len(shown)), layout="constrained")
        grid = canvas.subplots(len(shown), len(names), squeeze=False)
        for column, name in enumerate(names):
            kept = found[name]["maps"]
            truth = np.array(kept["reference"], float)
            limits = {"vmin": np.nanmin(truth), "vmax": np.nanmax(truth)}
            for row, way in enumerate(shown):
                axes = grid[row][column]
                axes.imshow(np.array(kept[way], float), origin="lower", cmap="viridis", **limits)
                axes.set(xticks=[], yticks=[])
                if row == 0:
                    axes.set_title(name, fontsize=9)
                if column == 0:
                    axes.set_ylabel("reference" if row == 0 else title(way).strip(), fontsize=8)
        return canvas

    def by_way():
        canvas, axes = make_axes("", "mean squared error", "log")
        for way in found[names[0]]["ways"]:
            axes.plot(names, [found[n]["ways"][way]["mse"] for n in names], "o-", label=title(way))
        axes.plot(names, PAPER["HyPINO 10, published"], "k--", label="HyPINO 10, published")
        axes.legend(frameon=False, fontsize=7)
        return canvas

    return [
        Figure("solutions", "Solutions of the benchmarks, colours as of the reference.", solutions),
        Figure("by_way", "Errors on the benchmarks by way of solving.", by_way),
        Figure(
            "training", "Median relative L2 error on new problems.",
            lambda: along_training(history, "relative L2 error", "linear"),
        ),
    ]  # fmt: skip
