"""The figures of networks for classes."""

from __future__ import annotations

from typing import Any

from metajax.systems.show import Figure, score_figure, training_figures


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by steps on an unseen task, and that without a step along training."""
    along = training_figures(history, "accuracy without a step", "linear")
    return [score_figure(evaluation), *along]
