"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import Figure


def table(evaluation: dict[str, Any]) -> str:
    """Query error on new tasks after some numbers of inner steps."""
    length = len(evaluation["new_tasks"]["error"])
    shown = sorted({s for s in (0, 1, 3, 5, 10, 20, 50, 100) if s < length - 1} | {length - 1})
    head = f"{'squared error after n inner steps: n =':44}" + "".join(f"{s:>9}" for s in shown)
    lines = [head, "-" * len(head)]
    for title, kind in (("new tasks", "new_tasks"), ("the same, weights as first drawn", "new")):
        errors = evaluation[kind]["error"]
        lines.append(f"{title:44}" + "".join(f"{errors[s]:9.3f}" for s in shown))
    score = evaluation["new_tasks"]
    lines.append(
        f"{evaluation['method']}: {score['last']:.3f} ±{score['last_ci95']:.3f} (95% interval over "
        f"{score['n']} tasks), median {score['last_median']:.3f}. The paper's HyperDistill: .327, "
        "first-order: .567."
    )
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Error by inner step on new tasks, and along training."""
    from matplotlib.figure import Figure as Canvas

    def curve():
        canvas = Canvas(figsize=(5.5, 4), layout="constrained")
        axes = canvas.add_subplot()
        for title, kind in (("after training", "new_tasks"), ("as first drawn", "new")):
            errors = evaluation[kind]["error"]
            axes.plot(errors, label=title)
            low, high = (
                [e + sign * c for e, c in zip(errors, evaluation[kind]["ci95"], strict=True)]
                for sign in (-1, 1)
            )
            axes.fill_between(range(len(errors)), low, high, alpha=0.2)
        axes.set(xlabel="inner steps", ylabel="squared error of the query", yscale="log")
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
        return canvas

    def training():
        canvas = Canvas(figsize=(5.5, 4), layout="constrained")
        axes = canvas.add_subplot()
        rows = [row for row in history if row.get("loss") is not None]
        axes.plot([r["step"] for r in rows], [r["loss"] for r in rows], label="training tasks")
        measured = [row for row in history if "new_tasks/last" in row]
        axes.errorbar(
            [r["step"] for r in measured],
            [r["new_tasks/last"] for r in measured],
            [r["new_tasks/last_ci95"] for r in measured],
            fmt="o", capsize=2, label="new tasks",
        )  # fmt: skip
        axes.set(xlabel="meta-step", ylabel="squared error after the inner steps")
        axes.legend(frameon=False)
        axes.grid(alpha=0.25)
        return canvas

    return [
        Figure("adaptation", "Query error on new tasks by inner step, with 95% bands.", curve),
        Figure("training", "Query error at the end of the inner steps, along training.", training),
    ]
