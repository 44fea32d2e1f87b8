"""The table and the figures of predicted starts."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import with_ends
from metajax.systems.show import Figure, score_figure, training_figures
from metajax.systems.weights.report import lines_of, without_mean


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy of starts along training from them, and what they do as they are."""
    row = evaluation["rows"]["mean"]
    said = f"accuracy {with_ends(row, '.3f', place=0)} (n = {row['n']} architectures)"
    setting = f"{evaluation['method']}, {evaluation['setting']}."
    return "\n".join([*lines_of(evaluation), setting, f"Without training: {said}."])


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by steps from a start, and that without training along meta-training."""
    caption = (
        "Accuracy by steps of training from a predicted start and from a random one: means "
        "over unseen architectures, with 95% intervals as bands."
    )
    along = training_figures(history, "mean accuracy without training", "linear")
    return [score_figure(without_mean(evaluation), caption), *along]
