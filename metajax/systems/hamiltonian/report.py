"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import along_training, make_axes
from metajax.systems.base import Figure
from metajax.systems.hamiltonian.evaluate import SHORT
from metajax.systems.numbers import cell, numbers, said

TITLES = {
    "adapted": "meta-trained",
    "first_drawn": "weights as first drawn",
    "polynomial": "polynomial energy, ridge regression",
}

WHAT = {
    "coordinates": "coordinates",
    "coordinates_early": f"coordinates to {SHORT:g} s",
    "energy": "energy",
}


def table(evaluation: dict[str, Any]) -> str:
    """Relative errors of roll-outs by gradient step, beside the baselines."""
    steps = evaluation["adapted"]["steps"]
    first = f"{'relative error after n gradient steps: n =':56}" + "".join(f"{n:>9}" for n in steps)
    lines = [first, "-" * len(first)]
    for what, called in WHAT.items():
        for kind, title in TITLES.items():
            values = np.atleast_1d(numbers(evaluation[kind][what]["mean"]))
            cells = "".join(cell(value, ".4f", 9) for value in values)
            lines.append(f"{called + ', ' + title:56}{cells}")
    last = evaluation["adapted"]["coordinates"]
    mean, low, high = (said(last[name][-1], ".4f") for name in ("mean", "low", "high"))
    lines.append(
        f"{evaluation['learner']} ({evaluation['structure']}), {evaluation['held_out']} held out, "
        f"{evaluation['shots']} points, {evaluation['optimizer']}:\ncoordinates "
        f"{mean} [{low}, {high}] "
        f"(geometric mean over time and {last['n']} systems, 95% interval)."
    )
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Motion in phase space, errors along time and by gradient step, and along training."""
    times = evaluation["times"]

    def portraits():
        from matplotlib.figure import Figure as Canvas

        shown = len(evaluation["true"]["q"])
        canvas = Canvas(figsize=(3 * shown, 3.2), layout="constrained")
        for i, axes in enumerate(canvas.subplots(1, shown, squeeze=False)[0]):
            for label, motion, style in (
                ("true", evaluation["true"], {"color": "black", "lw": 2.5, "alpha": 0.35}),
                *((TITLES[k], evaluation[k]["motion"], {"lw": 1.0}) for k in TITLES),
            ):
                q, p = numbers(motion["q"][i]), numbers(motion["p"][i])
                many = evaluation_particles(evaluation, i) > 1
                # one particle in phase space, several in the plane
                x, y = (q[:, 0, 0], q[:, 0, 1]) if many else (q[:, 0, 0], p[:, 0, 0])
                axes.plot(x, y, label=label, **style)
            low, high = limits(evaluation, i, many)
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
            axes.set(xlabel="q", ylabel="second coordinate" if many else "p")
        canvas.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=4)
        return canvas

    def along_time(what: str):
        canvas, axes = make_axes("time (s)", f"relative error of {what}", "log")
        for kind, title in TITLES.items():
            axes.plot(times, numbers(evaluation[kind][f"{what}_by_time"]), label=title)
        axes.legend(frameon=False)
        return canvas

    def adaptation():
        canvas, axes = make_axes("gradient steps", "relative error of coordinates", "log")
        for kind in ("adapted", "first_drawn"):
            row = evaluation[kind]
            found = row["coordinates"]
            mean, low, high = (numbers(found[name]) for name in ("mean", "low", "high"))
            spread = [mean - low, high - mean]
            axes.errorbar(row["steps"], mean, spread, capsize=2, label=TITLES[kind])
        polynomial = numbers(evaluation["polynomial"]["coordinates"]["mean"])
        axes.axhline(polynomial, color="C2", label=TITLES["polynomial"])
        axes.legend(frameon=False)
        return canvas

    def likeness():
        canvas, axes = make_axes("gradient steps", "1 - CKA of the last hidden layer")
        for kind in ("adapted", "first_drawn"):
            axes.plot(numbers(evaluation[kind]["one_minus_cka_by_step"]), label=TITLES[kind])
        axes.legend(frameon=False)
        return canvas

    name = evaluation["held_out"].replace("_", " ")
    return [
        Figure("portraits", f"Motion of new systems ({name}), true and adapted.", portraits),
        Figure("adaptation", "Error of roll-outs by gradient step, 95% intervals.", adaptation),
        Figure("coordinates", "Error of roll-outs along time.", lambda: along_time("coordinates")),
        Figure("energy", "Error of energy along roll-outs.", lambda: along_time("energy")),
        Figure("likeness", "How far adapting changes what the head sees.", likeness),
        Figure(
            "training",
            "Loss on tasks of the trained types, 95% intervals.",
            lambda: along_training(history, "loss after adapting", "log"),
        ),
    ]


def evaluation_particles(evaluation: dict[str, Any], i: int) -> int:
    """How many particles a shown motion has, besides padding."""
    return int(np.any(np.array(evaluation["true"]["q"][i]), axis=(0, 2)).sum())


def limits(evaluation: dict[str, Any], i: int, many: bool) -> tuple[np.ndarray, np.ndarray]:
    """The range of the true motion with a margin: roll-outs that leave it are cut off."""
    q, p = np.array(evaluation["true"]["q"][i]), np.array(evaluation["true"]["p"][i])
    seen = q[:, 0, :] if many else np.stack([q[:, 0, 0], p[:, 0, 0]], -1)
    margin = 0.4 * np.ptp(seen, axis=0) + 1e-3
    return seen.min(0) - margin, seen.max(0) + margin
