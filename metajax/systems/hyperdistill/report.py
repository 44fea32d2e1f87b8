"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

from metajax.systems.axes import along_training, make_axes
from metajax.systems.base import Figure
from metajax.systems.numbers import cell, numbers, said

KINDS = (("new tasks", "new_tasks"), ("the same, weights as first drawn", "new"))

PAPER = {
    ("sinusoid", ""): "squared error .327 (HyperDistill), .567 (first-order)",
    ("anil", "tiny_imagenet"): "56.37% (HyperDistill), 53.62% (first-order)",
    ("warpgrad", "tiny_imagenet"): "55.04% (HyperDistill), 53.54% (first-order)",
    ("warpgrad", "cifar100"): "60.91% (HyperDistill), 58.16% (first-order)",
    ("weights", "cifar100"): "60.82% (HyperDistill), 58.45% (one-step)",
}
"""What the paper reports, by bed and base set (arXiv 2110.02508)."""


def table(evaluation: dict[str, Any]) -> str:
    """The score on new tasks after some numbers of inner steps."""
    steps = evaluation["new_tasks"]["steps"]
    wanted = (0, 1, 3, 5, 10, 20, 50, 100) if len(steps) > 11 else steps
    shown = [i for i, step in enumerate(steps) if step in wanted or step == steps[-1]]
    what = evaluation["score"]
    head = f"{f'{what} after n inner steps: n =':44}" + "".join(f"{steps[i]:>9}" for i in shown)
    lines = [head, "-" * len(head)]
    for title, kind in KINDS:
        scores = evaluation[kind]["score"]
        lines.append(f"{title:44}" + "".join(cell(scores[i], ".3f", 9) for i in shown))
    last = evaluation["new_tasks"]
    lines.append(
        f"{evaluation['method']}: {said(last['last'], '.3f')} "
        f"±{said(last['last_ci95'], '.3f')} (95% interval over {last['n']} tasks), median "
        f"{said(last['last_median'], '.3f')}."
    )
    paper = PAPER.get((evaluation["bed"], evaluation["base_set"]))
    if paper is not None:
        lines.append(f"The paper: {paper}.")
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """The score by inner step on new tasks, and along training."""
    what = evaluation["score"]
    # a squared error spans magnitudes, an accuracy does not
    scale = "log" if what == "squared error" else "linear"

    def curve():
        canvas, axes = make_axes("inner steps", f"{what} on the query", scale)
        for title, kind, style in (
            ("after training", "new_tasks", "-"),
            ("as first drawn", "new", "--"),
        ):
            part = evaluation[kind]
            axes.errorbar(
                part["steps"],
                numbers(part["score"]),
                numbers(part["ci95"]),
                ls=style,
                elinewidth=0.8,
                label=title,
            )
        axes.legend(frameon=False)
        return canvas

    def training():
        return along_training(history, f"{what} after the inner steps", scale)

    name = what.capitalize()
    return [
        Figure("adaptation", f"{name} on new tasks by inner step, with 95% intervals.", curve),
        Figure("training", f"{name} on new tasks after the inner steps, along training.", training),
    ]
