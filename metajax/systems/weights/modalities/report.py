"""The figures of adapted projectors."""

from __future__ import annotations

from typing import Any

from metajax.systems.show import Figure, score_figure, training_figures
from metajax.systems.weights.modalities.evaluate import GROUPS


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by pairs a class, a figure for each kind of modality."""
    found = []
    for group, title in GROUPS.items():
        rows = {
            name: {**row, "title": row["title"].removeprefix(f"{title}: ")}
            for name, row in evaluation["rows"].items()
            if name.split("_")[0] in (group, "chance")
        }
        if group not in rows:
            continue
        caption = (
            f"{title[0].upper()}{title[1:]}. Accuracy by {evaluation['axis']}: means over "
            "modalities and supports, with 95% intervals as bands. The level line is chance."
        )
        figure = score_figure({**evaluation, "rows": rows}, caption)
        found.append(figure._replace(name=f"{figure.name}_{group}"))
    said = "accuracy on unseen encoders, mean over numbers of pairs"
    return [*found, *training_figures(history, said, "linear")]
