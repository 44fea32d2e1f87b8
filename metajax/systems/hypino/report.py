"""The table and the figures of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from metajax.physics.pde import PUBLISHED
from metajax.systems.axes import legend_outside, make_axes, make_canvas, plot_lines, style
from metajax.systems.numbers import aligned, cell, numbers, said, with_ends
from metajax.systems.show import Figure, captioned, training_figures

PAPER = {
    name: dict(zip(PUBLISHED, errors, strict=True))
    for name, errors in {
        "HyPINO, published": (2.3e-2, 5.7e-3, 1.3e-1, 5.6e-2, 1.7e-4, 1.8e-1, 2.9e-1),
        "HyPINO 3, published": (4.9e-4, 2.7e-3, 1.6e-2, 3.4e-3, 1.9e-4, 6.6e-3, 2.3e-1),
        "HyPINO 10, published": (8.0e-5, 1.6e-3, 1.9e-2, 2.3e-3, 2.7e-4, 5.0e-3, 1.2e-1),
    }.items()
}
"""MSE of arXiv 2509.05117, Table 1, by benchmark.

It is a mean over the whole square, holes and corners included, against arrays of its own. Those of
HT and PS-L miss the exact solution by 8.5e-6 and 5.8e-5.
"""


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
        return f"  refined {_rounds(rounds)}"
    return f"  and best head, {_rounds(rounds)}" + (" and random" if more else "")


def _rounds(number: str) -> str:
    return f"{number} round{'s' * (number != '1')}"


def table(evaluation: dict[str, Any]) -> str:
    """Errors on new problems, and mean squared errors on the benchmarks by every way."""
    rows, more = evaluation["rows"], evaluation["more"]
    new = rows["new_problems"]
    constant = said(rows["best_constant"]["mean"][-1], ".3f")
    lines = [
        f"{evaluation['method']}: on {new['n']} new random problems median relative L2 error "
        f"{with_ends(new, '.3f')} (best constant {constant}),",
        f"mean squared error {said(more['mse'], '.3g')} (zero {said(more['zero_mse'], '.3g')})",
        "",
    ]
    found = more["benchmarks"]
    names = list(found)
    cells = [["mean squared error", *names]]
    for way in found[names[0]]["ways"]:
        errors = (found[name]["ways"][way]["mse"] for name in names)
        cells.append([title(way), *(cell(error, ".1e") for error in errors)])
    for name, published in PAPER.items():
        cells.append([name, *(f"{published[column]:.1e}" for column in names)])
    lines += aligned(cells, first=36, least=10)
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Maps of solutions, errors and residuals of the benchmarks; errors by way, round and step."""
    found = evaluation["more"]["benchmarks"]
    drawings = [solutions, errors, residuals, by_way, by_round]
    if any(case["tuning"] for case in found.values()):
        drawings.append(tuning)
    along = training_figures(history, "median relative L2 error on new problems", "linear")
    return [*(captioned(draw, found) for draw in drawings), *along]


def solutions(found: dict[str, Any]) -> Any:
    """Solutions of the benchmarks, by way of solving, in the colors of the reference."""
    ways = ["reference", *next(iter(found.values()))["maps"]["ways"]]
    canvas, grid = panels(ways, list(found))
    for column, case in enumerate(found.values()):
        truth = drawn(case, "reference")
        limits = {"vmin": np.nanmin(truth), "vmax": np.nanmax(truth)}
        for row, way in enumerate(ways):
            image = grid[row][column].imshow(drawn(case, way), origin="lower", **limits)
        below = [grid[row][column] for row in range(len(ways))]
        canvas.colorbar(image, ax=below, location="bottom", shrink=0.9, pad=0.01)
    return canvas


def errors(found: dict[str, Any]) -> Any:
    """Size of the error, where it is not below 1e-6."""

    def size(case: dict[str, Any], way: str) -> np.ndarray:
        return np.abs(drawn(case, way) - drawn(case, "reference"))

    return logarithmic_maps(found, size, 1e-6, 1.0, "size of the error")


def residuals(found: dict[str, Any]) -> Any:
    """Size of what the equation is missed by, where it is not below 1e-4."""

    def size(case: dict[str, Any], way: str) -> np.ndarray:
        return np.abs(np.array(case["maps"]["ways"][way]["residual"], float))

    return logarithmic_maps(found, size, 1e-4, 1e2, "size of the residual")


def by_way(found: dict[str, Any]) -> Any:
    """Errors on the benchmarks by way of solving."""
    canvas, axes = make_axes("benchmark", "mean squared error", "log")
    names, best = list(found), PAPER["HyPINO 10, published"]
    lines = {
        title(way).strip(): [found[name]["ways"][way]["mse"] for name in names]
        for way in found[names[0]]["ways"]
    }
    plot_lines(axes, lines)
    axes.plot([best[name] for name in names], "k*--", label="HyPINO 10, published")
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.5, len(names) - 0.5)
    legend_outside(canvas, axes)
    return canvas


def by_round(found: dict[str, Any]) -> Any:
    """Errors by rounds of refinement; crosses are the published ones."""
    canvas, axes = make_axes("rounds of refinement", "mean squared error", "log")
    plot_lines(axes, {name: case["by_round"] for name, case in found.items()})
    for name, line in zip(found, axes.get_lines(), strict=True):
        published = [row[name] for row in PAPER.values()]
        axes.plot((0, 3, 10), published, "x", color=line.get_color())
    legend_outside(canvas, axes)
    return canvas


def tuning(found: dict[str, Any]) -> Any:
    """Errors while a network is fine-tuned from generated and from random weights."""
    from matplotlib.ticker import MaxNLocator

    canvas = make_canvas(max(4.0, 2.4 * len(found)), 2.8)
    grid = canvas.subplots(1, len(found), squeeze=False)[0]
    for axes, (name, case) in zip(grid, found.items(), strict=True):
        for index, start in enumerate(("generated", "random")):
            along = case["tuning"]["steps"], numbers(case["tuning"][start])
            axes.plot(*along, label=f"{start} weights", **style(index))
        axes.set(title=name, yscale="log", xlabel="steps of Adam")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter("{x:.3g}")
        axes.yaxis.set_minor_formatter("{x:.2g}" if np.ptp(np.log10(axes.get_ylim())) < 1 else "")
        axes.tick_params(which="both", labelsize=8)
        axes.grid(alpha=0.25)
    grid[0].set_ylabel("mean squared error")
    labelled = grid[0].get_legend_handles_labels()
    canvas.legend(*labelled, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return canvas


def drawn(case: dict[str, Any], way: str) -> np.ndarray:
    """The map of a way's solution, or of the reference; NaN outside the domain."""
    kept = case["maps"]
    return np.array(kept["reference"] if way == "reference" else kept["ways"][way]["u"], float)


def logarithmic_maps(
    found: dict[str, Any],
    value: Callable[[dict[str, Any], str], np.ndarray],
    low: float,
    high: float,
    label: str,
) -> Any:
    """Maps of ``value(case, way)`` by every way, on one logarithmic scale."""
    from matplotlib.colors import LogNorm

    ways = list(next(iter(found.values()))["maps"]["ways"])
    canvas, grid = panels(ways, list(found))
    for row, way in enumerate(ways):
        for column, case in enumerate(found.values()):
            shown = np.clip(value(case, way), low, high)
            image = grid[row][column].imshow(
                shown, origin="lower", cmap="magma", norm=LogNorm(low, high)
            )
    canvas.set_size_inches(canvas.get_figwidth() + 0.9, canvas.get_figheight())
    canvas.colorbar(image, ax=grid, shrink=0.8, label=label)
    return canvas


def panels(ways: list[str], names: list[str]) -> tuple[Any, Any]:
    """A grid of empty maps, a row a way and a column a benchmark."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(2.2 * len(names), 2.2 * len(ways)), layout="compressed")
    grid = canvas.subplots(len(ways), len(names), squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    for axes, name in zip(grid[0], names, strict=True):
        axes.set_title(name, fontsize=9)
    for (axes, *_), way in zip(grid, ways, strict=True):
        axes.set_ylabel(way if way == "reference" else title(way).strip(), fontsize=8)
    return canvas, grid
