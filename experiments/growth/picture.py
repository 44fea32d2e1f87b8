"""Draw the accuracy of networks to choose from, by their operations.

python experiments/growth/picture.py     # supernets.json, searches.json to figures/choices.png
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = [HERE / "results" / name for name in ("supernets.json", "searches.json")]
PICTURE = HERE / "figures" / "choices.png"
STYLES = {"marker": "o", "markersize": 4, "alpha": 0.6, "linestyle": "none"}


def digest() -> str:
    """Digest of the results, which the picture carries: a test compares the two."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in RESULTS)).hexdigest()


def spread(axes: Any, networks: Any, place: float, label: str, color: str) -> None:
    """Draw each network's mean over seeds, shifted so that arms do not cover each other."""
    at = networks.flops * 1.06**place
    axes.plot(at, networks.accuracy.mean(0), label=label, color=color, **STYLES)


def draw() -> Figure:
    """Left all architectures of a supernet, right the networks of the searches."""
    from choices import Searches, Supernets

    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    arms = Supernets("supernets").arms
    shown = ["shared weights", "2 experts, by layer", "2 experts, by neuron", "each alone"]
    for index, title in enumerate(shown):
        spread(left, arms[title], index - 1.5, title, f"C{index}")
    found = Searches()
    some = {"grown": found.grown, "from scratch": found.scratch, "alone, all steps": found.every}
    for index, (title, networks) in enumerate(some.items()):
        spread(right, networks, index - 1, title, f"C{index + 4}")
    left.set(title="supernets of 36 architectures", ylabel="accuracy on test images")
    right.set(title="searches among 9 networks")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="operations for an image")
        ticks = (1250, 2500, 5000) if axes is left else (5000, 10_000, 20_000)
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
        below = {"loc": "upper left", "bbox_to_anchor": (0, -0.16), "ncols": 2}
        axes.legend(frameon=False, fontsize=8, **below)
    return figure


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    PICTURE.parent.mkdir(exist_ok=True)
    draw().savefig(PICTURE, dpi=110, metadata={"Source": digest()})
