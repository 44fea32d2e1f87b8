"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import (
    band,
    legend_outside,
    make_axes,
    make_canvas,
    marks,
    plot_lines,
    style,
)
from metajax.systems.hamiltonian.roll_out import SHORT
from metajax.systems.numbers import aligned, cell, numbers, with_ends
from metajax.systems.show import Figure, captioned, score_figure, training_figures

WHAT = {
    "coordinates": "coordinates",
    "coordinates_early": f"coordinates to {SHORT:g} s",
    "energy": "energy",
}


def table(evaluation: dict[str, Any]) -> str:
    """Return relative errors of roll-outs by gradient step, or of solved heads; baselines too."""
    more, rows = evaluation["more"], evaluation["rows"]
    steps = evaluation["points"]
    if len(steps) > 1:
        cells = [["relative error after n gradient steps: n =", *map(str, steps)]]
    else:
        cells = [["relative error", "solved"]]
    for what, called in WHAT.items():
        for kind, row in rows.items():
            values = (row if what == "coordinates" else more[kind][what])["mean"]
            # what takes no steps has one error
            values = values if len(values) > 1 else values * len(steps)
            cells.append([f"{called}, {row['title']}", *(cell(value, ".4f") for value in values)])
    lines = aligned(cells, first=56, least=9)
    last = rows["adapted"]
    lines.append(
        f"{evaluation['method']} ({more['structure']}), {evaluation['setting']}:\ncoordinates "
        f"{with_ends(last, '.4f')} "
        f"(geometric mean over time and {last['n']} systems, 95% interval)."
    )
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Motion in phase space, errors along time, by gradient step or support, and in training."""
    by_shots = "rows_by_shots" in evaluation["more"]
    return [
        captioned(portraits, evaluation),
        captioned(shots, evaluation) if by_shots else score_figure(evaluation),
        captioned(coordinates, evaluation),
        captioned(energy, evaluation),
        *([] if by_shots else [captioned(likeness, evaluation)]),
        *training_figures(history, "loss after adapting, on tasks of the trained types", "log"),
    ]


def portraits(evaluation: dict[str, Any]) -> Any:
    """Motion of new systems of the held-out type: the true one, and as learned."""
    more = evaluation["more"]
    shown = len(more["true"]["q"])
    canvas = make_canvas(3 * shown, 3.2)
    motions = [("true", more["true"], {"color": "black", "lw": 2.5, "alpha": 0.35})]
    for index, (kind, row) in enumerate(evaluation["rows"].items()):
        motions.append((row["title"], more[kind]["motion"], {"lw": 1.2, **style(index)}))
    for i, axes in enumerate(canvas.subplots(1, shown, squeeze=False)[0]):
        many = num_particles(more, i) > 1
        for label, motion, look in motions:
            q, p = numbers(motion["q"][i]), numbers(motion["p"][i])
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


def coordinates(evaluation: dict[str, Any]) -> Any:
    """Error of roll-outs along time."""
    return along_time(evaluation, "coordinates")


def energy(evaluation: dict[str, Any]) -> Any:
    """Error of energy along roll-outs."""
    return along_time(evaluation, "energy")


def along_time(evaluation: dict[str, Any], what: str) -> Any:
    """Draw the errors of the trained method and the baselines along time."""
    canvas, axes = make_axes("time (s)", f"relative error of {what}", "log")
    more, rows = evaluation["more"], evaluation["rows"]
    errors = {row["title"]: more[kind][f"{what}_by_time"] for kind, row in rows.items()}
    plot_lines(axes, errors, more["times"])
    legend_outside(canvas, axes)
    return canvas


def shots(evaluation: dict[str, Any]) -> Any:
    """Error of roll-outs by points of the support, with 95% intervals as bands."""
    canvas, axes = make_axes("points of the support", "relative error of coordinates", "log")
    for index, (kind, scores) in enumerate(evaluation["more"]["rows_by_shots"].items()):
        points = [int(num) for num in scores]
        mean, low, high = (
            np.concatenate([numbers(score[name]) for score in scores.values()])
            for name in ("mean", "low", "high")
        )
        title, look = evaluation["rows"][kind]["title"], style(index)
        axes.plot(points, mean, label=title, **look, **marks(index, len(mean)))
        band(axes, points, low, high, look["color"])
    legend_outside(canvas, axes)
    return canvas


def likeness(evaluation: dict[str, Any]) -> Any:
    """How far adapting changes what the head sees."""
    canvas, axes = make_axes("gradient steps", "1 - CKA of the last hidden layer")
    more, rows = evaluation["more"], evaluation["rows"]
    kinds = ("adapted", "first_drawn")
    plot_lines(axes, {rows[kind]["title"]: more[kind]["one_minus_cka_by_step"] for kind in kinds})
    legend_outside(canvas, axes)
    return canvas


def num_particles(more: dict[str, Any], i: int) -> int:
    """Return how many particles a shown motion has."""
    return int(np.any(np.array(more["true"]["q"][i]), axis=(0, 2)).sum())


def limits(more: dict[str, Any], i: int, many: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of the true motion with a margin: roll-outs that leave it are cut off."""
    q, p = np.array(more["true"]["q"][i]), np.array(more["true"]["p"][i])
    seen = q[:, 0, :] if many else np.stack([q[:, 0, 0], p[:, 0, 0]], -1)
    margin = 0.4 * np.ptp(seen, axis=0) + 1e-3
    return seen.min(0) - margin, seen.max(0) + margin
