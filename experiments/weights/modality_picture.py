"""Draw the accuracy of adapters of unseen modalities, by pairs a class.

python experiments/weights/modality_picture.py     # modalities.json, modalities_published.json
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
PICTURE = HERE / "figures" / "modalities.png"
SHOWN = {
    "adapter": ("solved_adapter", "C0", "-"),
    "shared": ("its projector, tuned", "C4", ":"),
    "scratch": ("projector from scratch", "C1", "--"),
    "means": ("nearest class mean", "C2", "-."),
    "ridge": ("ridge regression to the texts", "C3", (0, (7, 1.5, 1, 1.5))),
}


def draw() -> Figure:
    """A panel for each kind of modality: means over seeds, with all seeds as points."""
    from quoted_modalities import GROUPS, PUBLISHED, Adapters

    figure = Figure(figsize=(9, 3.8), layout="constrained")
    solved, published = Adapters("modalities"), Adapters("modalities_published")
    panels = figure.subplots(1, 3, sharey=True)
    points = range(len(solved.points))
    for axes, (group, title) in zip(panels, GROUPS.items(), strict=True):
        for name, (label, color, style) in SHOWN.items():
            found = np.array([solved.scores(group, name, point) for point in points])
            axes.plot(solved.points, found.mean(1), color=color, ls=style, label=label)
            for one in found.T:
                axes.plot(solved.points, one, "o", ms=2, color=color)
        found = np.array([published.scores(group, "adapter", point) for point in points])
        axes.plot(solved.points, found.mean(1), color="C5", marker="s", ms=3, label=PUBLISHED)
        axes.axhline(0.1, color="gray", lw=0.5)
        axes.set(xscale="log", xlabel="pairs a class", title=title, ylim=(0, 1))
        axes.set_xticks(solved.points, [str(point) for point in solved.points])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    PICTURE.parent.mkdir(exist_ok=True)
    draw().savefig(PICTURE, dpi=130, metadata={"Software": None})
    print(PICTURE.relative_to(HERE))
