"""Draw forgetting against memory: what is forgotten, and what is known, by the numbers kept.

python experiments/continual/picture.py     # results/permuted_mnist.json to figures/memory.png
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "permuted_mnist.json"
PICTURE = HERE / "figures" / "memory.png"


def digest() -> str:
    """Digest of the results, which the picture carries: a test compares the two."""
    return hashlib.sha256(RESULTS.read_bytes()).hexdigest()


def draw() -> Figure:
    """Every strength of every method: a dot for the mean over seeds, with its range."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    for place, (name, entry) in enumerate(found.items()):
        kept = sum(entry["numbers"].values())
        for axes, of in zip(panels, ("forgetting", "final"), strict=True):
            values = np.array([group[of] for group in entry["strengths"]])
            mean = values.mean(1)
            reach = [mean - values.min(1), values.max(1) - mean]
            at = [kept] * len(mean)
            label = name if axes is panels[0] else None
            axes.errorbar(at, mean, reach, fmt="o-", markersize=4, color=f"C{place}", label=label)
    panels[0].set(ylabel="forgotten since each task")
    panels[1].set(ylabel="accuracy on all tasks after the last")
    panels[1].axhline(
        next(iter(found.values()))["class_means"]["final"], color="gray", linestyle=":"
    )
    for axes in panels:
        axes.set(xscale="log", xlabel="thousand numbers kept")
        axes.set_xticks([20_000, 50_000, 100_000, 200_000], ["20", "50", "100", "200"])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside right center", fontsize=8)
    return figure


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    draw().savefig(PICTURE, dpi=110, metadata={"Source": digest()})
