"""Draw losses of hypernetworks for angles, and the accuracy of networks by width.

python experiments/weights/picture.py     # ablation.json, widths.json, unsmoothed.json
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
PICTURE = HERE / "figures" / "conditions.png"
SHOWN = ("raw", "raw, residual", "encoding", "MIP", "generator", "generator, encoding")
STYLES = ("-", "--", "-.", ":", (0, (7, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


def draw() -> Figure:
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


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    PICTURE.parent.mkdir(exist_ok=True)
    draw().savefig(PICTURE, dpi=130, metadata={"Software": None})
    print(PICTURE.relative_to(HERE))
