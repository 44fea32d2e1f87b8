"""Draw the accuracy of pruned networks by kept units, right after pruning and after training.

python experiments/weights/pruning_picture.py     # pruning_*.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, ScalarFormatter

HERE = Path(__file__).parent
PICTURE = HERE / "figures" / "pruning.png"
LINES = (
    ("sparse", "test", "group_sparse, 1,000 steps", "C0", "-", "o"),
    ("short", "test", "group_sparse, 200 steps", "C0", "--", "s"),
    ("metanet", "test", "metanetwork, then 200 steps", "C1", "-", "D"),
    ("metanet", "unprepared", "no preparation, 200 steps", "0.45", "--", "v"),
    ("sparse", "unprepared", "no preparation, 1,000 steps", "0.45", "-", "^"),
    ("sparse", "single_weights", "single weights by magnitude", "C2", "-.", "P"),
)
"""Results, row, title, color, line and marker of each curve."""


def draw() -> Figure:
    """Left right after pruning, right after 200 more steps; means over seeds."""
    from quoted_pruning import METHODS, Pruned

    of = {name: Pruned(name) for name in METHODS}
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, row, title, color, style, marker in LINES:
        for axes, suffix in ((left, ""), (right, "_tuned")):
            line(axes, of[name], row + suffix, title, color, style, marker)
    line(right, of["sparse"], "small", "small network from scratch", "black", ":", "x")
    left.set(title="right after pruning", ylabel="accuracy on test images", ylim=(0, 1))
    right.set(title="after 200 more steps (axis from .65)", ylim=(0.65, 1))
    for axes in (left, right):
        axes.set(xscale="log", xlabel="kept units of each hidden layer")
        axes.set_xticks(of["sparse"].points)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", lw=0.4, alpha=0.5)
    handles, titles = right.get_legend_handles_labels()
    figure.legend(handles, titles, frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return figure


def line(axes: Axes, of: Any, row: str, title: str, color: str, style: str, marker: str) -> None:
    """A curve with a bar from the least to the greatest seed."""
    scores = np.array([of.scores(row, units) for units in of.points])
    mean = scores.mean(1)
    apart = np.abs(np.stack([scores.min(1), scores.max(1)]) - mean)
    axes.errorbar(
        of.points,
        mean,
        apart,
        ls=style,
        marker=marker,
        ms=4,
        lw=1.3,
        elinewidth=0.6,
        color=color,
        label=title,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    PICTURE.parent.mkdir(exist_ok=True)
    draw().savefig(PICTURE, dpi=130, metadata={"Software": None})
    print(PICTURE.relative_to(HERE))
