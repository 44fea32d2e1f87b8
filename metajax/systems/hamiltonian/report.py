"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import (
    along_training,
    band,
    is_measured,
    legend_outside,
    make_axes,
    marks,
    style,
)
from metajax.systems.base import Figure
from metajax.systems.hamiltonian.roll_out import SHORT
from metajax.systems.numbers import aligned, cell, numbers, said

WHAT = {
    "coordinates": "coordinates",
    "coordinates_early": f"coordinates to {SHORT:g} s",
    "energy": "energy",
}


def table(evaluation: dict[str, Any]) -> str:
    """Return relative errors of roll-outs by gradient step, those of the baselines too."""
    more, rows = evaluation["more"], evaluation["rows"]
    steps = evaluation["points"]
    cells = [["relative error after n gradient steps: n =", *map(str, steps)]]
    for what, called in WHAT.items():
        for kind, row in rows.items():
            values = (row if what == "coordinates" else more[kind][what])["mean"]
            # what takes no steps has one error
            values = values if len(values) > 1 else values * len(steps)
            cells.append([f"{called}, {row['title']}", *(cell(value, ".4f") for value in values)])
    lines = aligned(cells, first=56, least=9)
    last = rows["adapted"]
    mean, low, high = (said(last[name][-1], ".4f") for name in ("mean", "low", "high"))
    lines.append(
        f"{evaluation['method']} ({more['structure']}), {evaluation['setting']}:\ncoordinates "
        f"{mean} [{low}, {high}] "
        f"(geometric mean over time and {last['n']} systems, 95% interval)."
    )
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Motion in phase space, errors along time and by gradient step, and along training."""
    more, rows = evaluation["more"], evaluation["rows"]

    def portraits():
        from matplotlib.figure import Figure as Canvas

        shown = len(more["true"]["q"])
        canvas = Canvas(figsize=(3 * shown, 3.2), layout="constrained")
        for i, axes in enumerate(canvas.subplots(1, shown, squeeze=False)[0]):
            for label, motion, look in (
                ("true", more["true"], {"color": "black", "lw": 2.5, "alpha": 0.35}),
                *(
                    (row["title"], more[kind]["motion"], {"lw": 1.2, **style(index)})
                    for index, (kind, row) in enumerate(rows.items())
                ),
            ):
                q, p = numbers(motion["q"][i]), numbers(motion["p"][i])
                many = num_particles(more, i) > 1
                # one particle in phase space, several in the plane
                x, y = (q[:, 0, 0], q[:, 0, 1]) if many else (q[:, 0, 0], p[:, 0, 0])
                axes.plot(x, y, label=label, **look)
            low, high = limits(more, i, many)
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            axes.set(xlabel="first coordinate" if many else "coordinate q")
            axes.set(ylabel="second coordinate" if many else "momentum p")
        canvas.legend(
            *axes.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False
        )
        return canvas

    def along_time(what: str):
        canvas, axes = make_axes("time (s)", f"relative error of {what}", "log")
        for index, (kind, row) in enumerate(rows.items()):
            errors = numbers(more[kind][f"{what}_by_time"])
            axes.plot(more["times"], errors, label=row["title"], **style(index))
        legend_outside(canvas, axes)
        return canvas

    def adaptation():
        canvas, axes = make_axes("gradient steps", "relative error of coordinates", "log")
        for index, kind in enumerate(("adapted", "first_drawn")):
            mean, low, high = (numbers(rows[kind][name]) for name in ("mean", "low", "high"))
            points, look = evaluation["points"], style(index)
            axes.plot(points, mean, label=rows[kind]["title"], **look, **marks(index, len(mean)))
            band(axes, points, low, high, look["color"])
        level = numbers(rows["polynomial"]["mean"])[0]
        axes.axhline(level, label=rows["polynomial"]["title"], **style(2))
        legend_outside(canvas, axes)
        return canvas

    def by_shots():
        canvas, axes = make_axes("points of the support", "relative error of coordinates", "log")
        for index, (kind, scores) in enumerate(more["rows_by_shots"].items()):
            points = [int(num) for num in scores]
            mean, low, high = (
                np.concatenate([numbers(score[name]) for score in scores.values()])
                for name in ("mean", "low", "high")
            )
            look = style(index)
            axes.plot(points, mean, label=rows[kind]["title"], **look, **marks(index, len(mean)))
            band(axes, points, low, high, look["color"])
        legend_outside(canvas, axes)
        return canvas

    def likeness():
        canvas, axes = make_axes("gradient steps", "1 - CKA of the last hidden layer")
        for index, kind in enumerate(("adapted", "first_drawn")):
            unlike = numbers(more[kind]["one_minus_cka_by_step"])
            axes.plot(unlike, label=rows[kind]["title"], **style(index))
        legend_outside(canvas, axes)
        return canvas

    name = more["held_out"].replace("_", " ")
    made = [
        Figure(
            "portraits", f"Motion of new systems ({name}): the true one, and as learned.", portraits
        ),
        Figure("coordinates", "Error of roll-outs along time.", lambda: along_time("coordinates")),
        Figure("energy", "Error of energy along roll-outs.", lambda: along_time("energy")),
    ]
    if "rows_by_shots" in more:
        title = "Error of roll-outs by points of the support, with 95% intervals as bands."
        made.append(Figure("shots", title, by_shots))
    else:
        title = "Error of roll-outs by gradient step, with 95% intervals as bands."
        made.insert(1, Figure("adaptation", title, adaptation))
        title = "How far adapting changes what the head sees."
        made.append(Figure("likeness", title, likeness))
    if is_measured(history):
        made.append(
            Figure(
                "training",
                "Loss on tasks of the trained types, with 95% intervals.",
                lambda: along_training(history, "loss after adapting", "log"),
            )
        )
    return made


def num_particles(more: dict[str, Any], i: int) -> int:
    """Return how many particles a shown motion has."""
    return int(np.any(np.array(more["true"]["q"][i]), axis=(0, 2)).sum())


def limits(more: dict[str, Any], i: int, many: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of the true motion with a margin: roll-outs that leave it are cut off."""
    q, p = np.array(more["true"]["q"][i]), np.array(more["true"]["p"][i])
    seen = q[:, 0, :] if many else np.stack([q[:, 0, 0], p[:, 0, 0]], -1)
    margin = 0.4 * np.ptp(seen, axis=0) + 1e-3
    return seen.min(0) - margin, seen.max(0) + margin
