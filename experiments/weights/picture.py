"""Draw losses of hypernetworks for angles, accuracy by width, and training from starts.

python experiments/weights/picture.py     # from the JSON files in results/
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
FIGURES = HERE / "figures"
SHOWN = ("raw", "raw, residual", "encoding", "MIP", "generator", "generator, encoding")
STYLES = ("-", "--", "-.", ":", (0, (7, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


def draw_conditions() -> Figure:
    """Left the loss along training, right the accuracy by width with all seeds as points."""
    from quoted_conditions import WIDTHS, Ablation, Widths

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    angles, widths = Ablation(), Widths()
    for name, style in zip(SHOWN, STYLES, strict=True):
        loss = np.array(angles.found["variants"][name]["loss"]).mean(0)
        steps = np.linspace(0, angles.found["steps"], len(loss) + 1)[1:]
        left.plot(steps, loss, ls=style, label=name)
    left.set(yscale="log", xlabel="steps", ylabel="loss, mean of 20 steps", title="turned digits")
    for index, (method, title) in enumerate(WIDTHS.items()):
        found = widths.accuracy(method)
        right.plot(
            widths.points,
            found.mean(0),
            ls=STYLES[index],
            label=title.strip("*"),
            color=f"C{index}",
        )
        for one in found:
            right.plot(widths.points, one, "o", ms=2, color=f"C{index}")
    for width in widths.trained:
        right.axvline(width, color="gray", lw=0.4)
    right.set(xlabel="width, units", ylabel="accuracy", ylim=(0, 1), title="widths")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
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


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    FIGURES.mkdir(exist_ok=True)
    for name, draw in {"conditions": draw_conditions, "starts": draw_starts}.items():
        path = FIGURES / f"{name}.png"
        draw().savefig(path, dpi=130, metadata={"Software": None})
        print(path.relative_to(HERE))
