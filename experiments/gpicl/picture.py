"""Draw the README's picture: accuracy by examples seen, of the learner and of its baselines.

python experiments/gpicl/picture.py     # results/digits_symmetric.json to figures/readme.png
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "digits_symmetric.json"
PICTURE = HERE / "figures" / "readme.png"
BASELINES = {
    "lda": ("LDA", "tab:orange"),
    "kernel_ridge": ("kernel ridge", "tab:green"),
    "nearest_neighbour": ("1-nearest-neighbor", "tab:red"),
    "committed.transformer": ("the paper's Transformer", "tab:purple"),
}


def digest() -> str:
    """Digest of the results, which the picture carries: a test compares the two."""
    return hashlib.sha256(RESULTS.read_bytes()).hexdigest()


def draw() -> Figure:
    """The first run of the results, in percent."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))[0]["eval"]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.add_subplot()

    def line(name: str, label: str, color: str, width: float) -> None:
        row = found["rows"][name]
        low, mean, high = ([100 * x for x in row[end]] for end in ("low", "mean", "high"))
        axes.plot(found["points"], mean, color=color, label=label, linewidth=width)
        axes.fill_between(found["points"], low, high, color=color, alpha=0.15, linewidth=0)

    line("unseen", "metajax train gpicl --preset digits", "tab:blue", 2.5)
    for name, (label, color) in BASELINES.items():
        line(name, label, color, 1.2)
    axes.axhline(100 * found["more"]["chance"], color="gray", linestyle=":", label="chance")
    axes.set(
        xlabel="examples seen of a new task",
        ylabel="accuracy, %",
        xlim=(found["points"][0], found["points"][-1]),
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    draw().savefig(PICTURE, dpi=110, metadata={"Source": digest()})
