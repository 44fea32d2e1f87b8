"""How a GPICL run is shown: a table for the terminal, figures for the report."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from metajax.systems.axes import band, legend_outside, make_canvas, marks, style
from metajax.systems.gpicl.evaluate import SHORT, TITLES
from metajax.systems.gpicl.older import in_rows
from metajax.systems.numbers import aligned, cell, half_widths, numbers, said
from metajax.systems.show import Figure

DRAWN = ("sgd", "nearest_neighbour", "kernel_ridge", "lda")
"""Baselines that the figure shows; the table has all."""


def _title(name: str, row: dict[str, Any]) -> str:
    """A row's title in the table, below the set that a baseline is of."""
    if row["baseline"] and name.startswith("other."):
        return f"  {SHORT[name.rpartition('.')[2]]}, same sequences"
    return row["title"]


def _points(found: dict[str, Any], name: str) -> str:
    """A difference in points of accuracy with its interval, where it was measured."""
    if name not in found:
        return ""
    value, half = 100 * numbers([found[name], found[f"{name}_ci95"]])
    return f"{said(value, '+.1f')} ±{said(half, '.1f')}" if np.isfinite(value) else "non-finite"


def table(evaluation: dict[str, Any]) -> str:
    """Accuracy by number of examples seen, a row per kind of task and per baseline."""
    evaluation = in_rows(evaluation)
    rows, more = evaluation["rows"], evaluation["more"]
    length = len(rows["unseen"]["mean"])
    shown = sorted({p for p in (0, 1, 2, 5, 10, 20, 50) if p < length - 1} | {length - 1})
    cells = [["accuracy (%) after n examples: n =", *map(str, shown), "gain", "lead"]]
    for name, row in rows.items():
        at = [cell(100 * a, ".1f") for a in numbers(row["mean"])[shown]]
        cells.append(
            [_title(name, row), *at, _points(more[name], "gain"), _points(more[name], "lead")]
        )
    cells.append(["chance", *[f"{100 * more['chance']:.1f}"] * len(shown), "", ""])
    if not any("lead" in more[name] for name in rows):  # of a committed result
        cells = [line[:-1] for line in cells]
    lines = aligned(cells)
    widest = 100 * np.max(half_widths(rows["unseen"]))
    lines.append(
        f"{evaluation['method']}, {evaluation['setting']}; gain: "
        f"mean of the last ten positions minus the first, with its 95% interval."
    )
    if len(cells[0]) > len(shown) + 2:
        lines.append(
            "Lead: the method's last ten positions minus the row's, on the same sequences, paired."
        )
    lines.append(
        f"Each figure: {rows['unseen']['n']} sequences, each of another task, of test images; "
        f"95% interval at most ±{said(widest, '.1f')}."
    )
    lines.append(f"{more['parameters']:,} parameters, state of {more['state_size']:,} numbers.")
    for run in (more[name] for name in rows if name.startswith("committed.")):
        lines.append(f"Committed run: {run['command']}, {run['cpu_seconds']:.0f} s of CPU.")
    for name, why in more["left_out"].items():
        lines.append(f"Not evaluated on {name}: {why}.")
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Accuracy by position, and the loss and gain along training."""
    evaluation = in_rows(evaluation)
    caption = "Accuracy by number of examples seen, on test images. Bands are 95% intervals."
    result = [Figure("accuracy", caption, functools.partial(_draw_accuracy, evaluation))]
    if any("loss" in row for row in history):
        result.append(
            Figure(
                "training",
                "Left: training loss (mean cross-entropy over the sequence; dotted: guessing). "
                "Right: accuracy gained from the first position to the last ten, with 95% "
                "intervals as bands.",
                functools.partial(_draw_training, evaluation, history),
            )
        )
    return result


def _draw_accuracy(evaluation: dict[str, Any]):
    from matplotlib.ticker import MaxNLocator

    canvas = make_canvas(6, 4)
    axes = canvas.add_subplot()
    index = 0
    for name, row in evaluation["rows"].items():
        if row["baseline"] and not (name in DRAWN or name.startswith("committed.")):
            continue
        accuracy, half = numbers(row["mean"]), half_widths(row)
        seen = np.arange(len(accuracy))
        axes.plot(seen, 100 * accuracy, label=row["title"], **style(index))
        low, high = 100 * (accuracy - half), 100 * (accuracy + half)
        band(axes, seen, low, high, style(index)["color"])
        index += 1
    axes.axhline(100 * evaluation["more"]["chance"], color="gray", linestyle=":", label="chance")
    axes.set(xlabel="examples seen", ylabel="accuracy (%)", ylim=(0, 102))
    more = evaluation["more"]
    axes.set_title(f"{evaluation['method']}, {more['ways']}-way {more['base_set']}", loc="left")
    axes.grid(alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_outside(canvas, axes)
    return canvas


def _draw_training(evaluation: dict[str, Any], history: list[dict[str, Any]]):
    canvas = make_canvas(9, 3.5)
    left, right = canvas.subplots(1, 2)
    losses = [(row["step"], row["loss"]) for row in history if "loss" in row]
    left.plot(*numbers(losses).T, label="training", **marks(0, len(losses)))
    guessing = np.log(evaluation["more"]["ways"])
    left.axhline(guessing, color="gray", linestyle=":", label="guessing")
    left.set(xlabel="meta-step", ylabel="training loss (nats)")
    for index, kind in enumerate(("unseen", "seen")):
        rows = [row for row in history if f"{kind}/gain" in row]
        steps = [row["step"] for row in rows]
        gains = 100 * numbers([row[f"{kind}/gain"] for row in rows])
        errors = 100 * numbers([row[f"{kind}/gain_ci95"] for row in rows])
        right.plot(steps, gains, label=TITLES[kind], **style(index), **marks(index, len(steps)))
        band(right, steps, gains - errors, gains + errors, style(index)["color"])
    right.set(xlabel="meta-step", ylabel="gain (points of accuracy)")
    for axes in (left, right):
        # above, where it hides no line
        axes.legend(
            frameon=False, fontsize=8, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0
        )
        axes.grid(alpha=0.25)
    return canvas


def draw_phases(evaluations: list[dict[str, Any]]) -> Any:
    """Draw accuracy on seen and unseen tasks against the number of training tasks.

    The figure of the three phases (arXiv 2212.04458, figure 2). Left, before any example:
    memorized tasks. Right, the gain over the sequence: seen tasks alone gain where they are
    identified, both where learning is general.

    Args:
      evaluations: contents of ``eval.json`` of runs that differ in ``num_tasks`` and seed.

    Returns:
      The Matplotlib figure.
    """
    canvas = make_canvas(9.5, 3.8)
    at_first, gain = canvas.subplots(1, 2)
    found = sorted(map(in_rows, evaluations), key=lambda one: one["more"]["num_tasks"])
    sizes = np.array([one["more"]["num_tasks"] for one in found])

    def points(axes, kind: str, values: list[float], errors: list[float], marker: str) -> None:
        bars = axes.errorbar(
            sizes,
            100 * numbers(values),
            100 * numbers(errors),
            fmt=marker,
            capsize=2,
            label=TITLES[kind],
        )
        means = [100 * numbers(values)[sizes == n].mean() for n in np.unique(sizes)]
        axes.plot(np.unique(sizes), means, color=bars[0].get_color(), alpha=0.5)

    for kind, marker in (("seen", "o"), ("unseen", "s")):
        rows, gains = ([one[part][kind] for one in found] for part in ("rows", "more"))
        first, error = [row["mean"][0] for row in rows], [half_widths(row)[0] for row in rows]
        points(at_first, kind, first, error, marker)
        gained, error = ([one[name] for one in gains] for name in ("gain", "gain_ci95"))
        points(gain, kind, gained, error, marker)
    chance = 100 * np.mean([one["more"]["chance"] for one in found])
    at_first.axhline(chance, color="gray", linestyle=":", label="chance")
    at_first.set(ylabel="accuracy before any example (%)")
    neighbours = numbers([one["more"]["nearest_neighbour"]["gain"] for one in found])
    neighbour = 100 * np.mean(neighbours)
    gain.axhline(neighbour, color="gray", linestyle="--", label="1-nearest-neighbor")
    gain.set(ylabel="gain: last ten positions minus first (points)")
    for axes in (at_first, gain):
        axes.set_xscale("log", base=2)
        axes.set(xlabel="training tasks")
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
    return canvas
