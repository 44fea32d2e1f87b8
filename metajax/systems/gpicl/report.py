"""How a GPICL run is shown: a table for the terminal, figures for the report."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.base import Figure
from metajax.systems.numbers import cell, numbers, said

_KINDS = ("unseen", "seen", "identity")
_TITLES = {
    "unseen": "unseen tasks",
    "seen": "tasks of the training range",
    "identity": "identity task (images, labels as they are)",
    "nearest_neighbour": "1-nearest-neighbour, same sequences",
    "sgd": "SGD from scratch, same sequences",
}


def _over(name: str, score: dict[str, Any]) -> str:
    """The title of another set's row."""
    split = score.get("split")
    return f"unseen tasks over {name}" + (f" ({split})" if split not in (None, "test") else "")


def _scores(evaluation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every scored row, by its title."""
    rows = [(_TITLES[kind], evaluation[kind]) for kind in _KINDS]
    rows += [(_TITLES[name], score) for name, score in evaluation["baselines"].items()]
    for name, score in evaluation["other_sets"].items():
        if score is not None:
            rows.append((_over(name, score), score))
            for baseline, other in score["baselines"].items():
                rows.append((f"  {_TITLES[baseline]}", other))
    return rows


def table(evaluation: dict[str, Any]) -> str:
    """Accuracy by number of examples seen, a row per kind of task and per baseline."""
    length = len(evaluation["unseen"]["accuracy"])
    shown = sorted({p for p in (0, 1, 2, 5, 10, 20, 50) if p < length - 1} | {length - 1})
    head = f"{'accuracy (%) after n examples: n =':44}" + "".join(f"{p:>8}" for p in shown)
    lines = [head + f"{'gain':>14}", "-" * (len(head) + 14)]
    for title, score in _scores(evaluation):
        cells = "".join(cell(100 * a, ".1f", 8) for a in numbers(score["accuracy"])[shown])
        gain, half = 100 * numbers([score["gain"], score["gain_ci95"]])
        gained = f"{said(gain, '+.1f')} ±{said(half, '.1f')}" if np.isfinite(gain) else "non-finite"
        lines.append(f"{title:44}{cells}{gained:>14}")
    lines.append(f"{'chance':44}" + f"{100 * evaluation['chance']:8.1f}" * len(shown))
    num = evaluation["unseen"]["n"]
    widest = 100 * np.max(numbers(evaluation["unseen"]["ci95"]))
    lines.append(
        f"{evaluation['learner']}, {evaluation['ways']} ways of {evaluation['base_set']}; gain: "
        f"mean of the last ten positions minus the first, with its 95% interval."
    )
    lines.append(
        f"Each figure: {num} sequences, each of another task, of test images; 95% interval at "
        f"most ±{said(widest, '.1f')}."
    )
    lines.append(
        f"{evaluation['parameters']:,} parameters, state of {evaluation['state_size']:,} numbers."
    )
    missing = [name for name, score in evaluation["other_sets"].items() if score is None]
    # evaluations of older versions do not say why
    reasons = evaluation.get("left_out", {})
    for name in missing:
        why = reasons.get(name, "not on disk, or too few classes")
        lines.append(f"Not evaluated on {name}: {why}.")
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Accuracy by position, and the loss and gain along training."""
    result = [
        Figure(
            "accuracy",
            "Accuracy by number of examples seen, on test images. Bands are 95% intervals.",
            lambda: _draw_accuracy(evaluation),
        )
    ]
    if any("loss" in row for row in history):
        result.append(
            Figure(
                "training",
                "Left: training loss (mean cross-entropy over the sequence; dotted: guessing). "
                "Right: accuracy gained from the first position to the last ten, with 95% "
                "intervals.",
                lambda: _draw_training(evaluation, history),
            )
        )
    return result


def _draw_accuracy(evaluation: dict[str, Any]):
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(7.5, 4.5), layout="constrained")
    axes = canvas.add_subplot()
    rows = [(_TITLES[kind], evaluation[kind], "-") for kind in _KINDS]
    rows += [(_TITLES[name], s, "--") for name, s in evaluation["baselines"].items()]
    rows += [
        (_over(name, s), s, "-") for name, s in evaluation["other_sets"].items() if s is not None
    ]
    for title, score, style in rows:
        accuracy, half = numbers(score["accuracy"]), numbers(score["ci95"])
        seen = np.arange(len(accuracy))
        (line,) = axes.plot(seen, 100 * accuracy, style, label=title)
        axes.fill_between(
            seen,
            100 * (accuracy - half),
            100 * (accuracy + half),
            alpha=0.12,
            color=line.get_color(),
        )
    axes.axhline(100 * evaluation["chance"], color="grey", linestyle=":", label="chance")
    axes.set(xlabel="examples seen", ylabel="accuracy (%)", ylim=(0, 102))
    axes.set_title(
        f"{evaluation['learner']}, {evaluation['ways']}-way {evaluation['base_set']}", loc="left"
    )
    axes.grid(alpha=0.25)
    canvas.legend(loc="outside right upper", fontsize=8, frameon=False)
    return canvas


def _draw_training(evaluation: dict[str, Any], history: list[dict[str, Any]]):
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9, 3.5), layout="constrained")
    left, right = canvas.subplots(1, 2)
    losses = [(row["step"], row["loss"]) for row in history if "loss" in row]
    left.plot(*numbers(losses).T)
    left.axhline(np.log(evaluation["ways"]), color="grey", linestyle=":")
    left.set(xlabel="meta-step", ylabel="training loss (nats)")
    for kind in ("unseen", "seen"):
        rows = [row for row in history if f"{kind}/gain" in row]
        steps = [row["step"] for row in rows]
        gains = 100 * numbers([row[f"{kind}/gain"] for row in rows])
        errors = 100 * numbers([row[f"{kind}/gain_ci95"] for row in rows])
        right.errorbar(steps, gains, errors, label=_TITLES[kind], capsize=2)
    right.set(xlabel="meta-step", ylabel="gain (points)")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.25)
    return canvas


def draw_phases(evaluations: list[dict[str, Any]]):
    """Draw accuracy on seen and unseen tasks against the number of training tasks.

    The figure of the three phases (arXiv 2212.04458, figure 2). Left, before any example:
    tasks known by heart. Right, the gain over the sequence: seen tasks alone gain where they are
    identified, both where learning is general.

    Args:
      evaluations: contents of ``eval.json`` of runs that differ in ``num_tasks`` and seed.
    """
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(9.5, 3.8), layout="constrained")
    at_first, gain = canvas.subplots(1, 2)
    rows = sorted(evaluations, key=lambda e: e["num_tasks"])
    sizes = np.array([e["num_tasks"] for e in rows])

    def points(axes, kind: str, values: list[float], errors: list[float], marker: str) -> None:
        bars = axes.errorbar(
            sizes,
            100 * numbers(values),
            100 * numbers(errors),
            fmt=marker,
            capsize=2,
            label=_TITLES[kind],
        )
        means = [100 * numbers(values)[sizes == n].mean() for n in np.unique(sizes)]
        axes.plot(np.unique(sizes), means, color=bars[0].get_color(), alpha=0.5)

    for kind, marker in (("seen", "o"), ("unseen", "s")):
        scored = [e[kind] for e in rows]
        first, first_error = ([e[name][0] for e in scored] for name in ("accuracy", "ci95"))
        points(at_first, kind, first, first_error, marker)
        points(gain, kind, [e["gain"] for e in scored], [e["gain_ci95"] for e in scored], marker)
    chance = 100 * np.mean([e["chance"] for e in rows])
    at_first.axhline(chance, color="grey", linestyle=":", label="chance")
    at_first.set(ylabel="accuracy before any example (%)")
    neighbour = 100 * np.mean(numbers([e["baselines"]["nearest_neighbour"]["gain"] for e in rows]))
    gain.axhline(neighbour, color="grey", linestyle="--", label="1-nearest-neighbour")
    gain.set(ylabel="gain: last ten positions minus first (points)")
    for axes in (at_first, gain):
        axes.set_xscale("log", base=2)
        axes.set(xlabel="training tasks")
        axes.legend(frameon=False, loc="center left")
        axes.grid(alpha=0.25)
    return canvas
