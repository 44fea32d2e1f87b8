"""Draw losses of hypernetworks for angles, accuracy by width, and training from starts.

python experiments/weights/picture.py     # from the JSON files in results/
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
FIGURES = HERE / "figures"
SHOWN = ("raw", "raw, residual", "encoding", "MIP", "generator", "generator, encoding")
STYLES = ("-", "--", "-.", ":", (0, (7, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
BY_WIDTH = (
    "neumeta",
    "fixed",
    "slimmable_corrected",
    "slimmable",
    "trained_alone",
    "largest_norm",
)
SETS = {"digits": "digits", "fashion_mnist": "Fashion-MNIST, 14 x 14 pixels"}


def draw_angles() -> Figure:
    """The loss of hypernetworks for angles along training."""
    from quoted_conditions import Ablation

    figure = Figure(figsize=(5.4, 4), layout="constrained")
    axes = figure.subplots()
    angles = Ablation()
    for name, style in zip(SHOWN, STYLES, strict=True):
        loss = np.array(angles.found["variants"][name]["loss"]).mean(0)
        steps = np.linspace(0, angles.found["steps"], len(loss) + 1)[1:]
        axes.plot(steps, loss, ls=style, label=name)
    axes.set(yscale="log", xlabel="steps", ylabel="loss, mean of 20 steps", title="turned digits")
    finish(axes)
    return figure


def draw_starts() -> Figure:
    """Accuracy by steps of training from each kind of start: a row for each set of images."""
    from quoted_starts import DIGITS, FASHION, FULL, GROUPS, LOW, RANDOM, TABLE, Starts

    names = {LOW: "predicted, low rank", FULL: "predicted, full", TABLE: "table", RANDOM: "He"}
    figure = Figure(figsize=(9, 5.6), layout="constrained")
    panels = figure.subplots(2, len(GROUPS), sharey="row", sharex=True)
    sets = {"digits": DIGITS, "Fashion": FASHION}
    for row, (title, kinds) in zip(panels, sets.items(), strict=True):
        found = Starts(kinds)
        for axes, (group, group_title) in zip(row, GROUPS.items(), strict=True):
            for (kind, name), style in zip(names.items(), STYLES[:4], strict=True):
                if kind != RANDOM and kind not in kinds:
                    continue
                curves = found.curves(kind, group)
                color = f"C{list(names).index(kind)}"
                axes.plot(found.points, curves.mean(0), ls=style, label=name, color=color)
                axes.fill_between(
                    found.points, curves.min(0), curves.max(0), color=color, alpha=0.2, lw=0
                )
            axes.set(title=f"{title}, {group_title}", ylim=(0, 1))
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel("accuracy on test images")
    for axes in panels[1]:
        axes.set_xlabel("steps of training from the start")
    panels[0][0].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def draw_widths() -> Figure:
    """The accuracy by width, with all seeds as points and trained widths as gray lines."""
    from quoted_widths import ROWS, Widths

    figure = Figure(figsize=(9, 4.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (name, title) in zip(panels, SETS.items(), strict=True):
        found = Widths(name)
        for index, method in enumerate(BY_WIDTH):
            if method not in found.of:
                continue
            by_seed, color, style = found.accuracy(method), f"C{index}", STYLES[index]
            label = ROWS[method].removesuffix(" †").strip("*")
            axes.plot(found.points, by_seed.mean(0), ls=style, label=label, color=color)
            for one in by_seed:
                axes.plot(found.points, one, "o", ms=2, color=color)
        for width in found.trained:
            axes.axvline(width, color="gray", lw=0.4)
        axes.set(xlabel="width, units", ylabel="accuracy", ylim=(0, 1), title=title)
        finish(axes)
    return figure


def finish(axes: Any) -> None:
    """Leave two sides of the frame, and put the legend below."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    FIGURES.mkdir(exist_ok=True)
    drawn = {"angles": draw_angles, "widths": draw_widths, "starts": draw_starts}
    for name, draw in drawn.items():
        path = FIGURES / f"{name}.png"
        draw().savefig(path, dpi=130, metadata={"Software": None})
        print(path.relative_to(HERE))
