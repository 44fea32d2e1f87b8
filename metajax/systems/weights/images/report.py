"""The table and the figures of edits of a generator."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from metajax.systems.axes import legend_outside, make_axes
from metajax.systems.numbers import aligned, cell
from metajax.systems.show import Figure, training_figures


def table(evaluation: dict[str, Any]) -> str:
    """Return the errors on known and on unseen classes, and the editability of each row."""
    rows, editable = evaluation["rows"], evaluation["more"]["editability"]
    lines = [[evaluation["metric"], "known", "unseen", "editability"]]
    for place, at in enumerate(evaluation["points"]):
        title = rows["test"]["title"] + (
            f", {counted(int(at), 'pass')}" if len(evaluation["points"]) > 1 else ""
        )
        found = (rows["test"]["mean"], rows["unseen"]["mean"], editable["test"])
        lines.append([title, *map(cell, (each[place] for each in found), FORMATS)])
    for name, score in editable.items():
        if name != "test":
            found = (rows[name]["mean"], rows[f"{name}_unseen"]["mean"], score)
            lines.append([rows[name]["title"], *map(cell, (each[0] for each in found), FORMATS)])
    said = [
        f"{evaluation['method']}, {evaluation['setting']}; n = {rows['test']['n']} images.",
        "Editability: share of images that become another class when their latent moves there.",
    ]
    for crossing in evaluation["more"].get("crossings", {}).get("known", []):
        said.append(crossing_line(crossing))
    return "\n".join([*aligned(lines, first=44, least=12), *said])


FORMATS = (".4f", ".4f", ".2f")


def counted(number: int, what: str) -> str:
    """Return a number of passes or steps in words."""
    many = "" if number == 1 else "es" if what.endswith("s") else "s"
    return f"{number} {what}{many}"


def crossing_line(crossing: dict[str, Any]) -> str:
    """Return in words when tuning weights reaches the error of a number of passes."""
    start = f"{counted(crossing['passes'], 'pass')}: tuning the weights for each image"
    if crossing["steps"] is None:
        return f"{start} does not get so far."
    times = crossing["tune_operations"] / crossing["edit_operations"]
    steps = counted(crossing["steps"], "step")
    return f"{start} gets so far in {steps}, {times:.1f} times the operations."


def edit_curves(evaluation: dict[str, Any]) -> Any:
    """Draw the error by operations for one image: passes, and steps of tuning."""
    canvas, axes = make_axes("operations for one image", evaluation["metric"], "log")
    cost = evaluation["more"]["operations"]
    for shade, (group, curves) in enumerate(evaluation["more"]["curves"].items()):
        row = evaluation["rows"]["test" if group == "known" else "unseen"]
        color = f"C{shade}"
        if "pass" in cost:
            errors = row["mean"]
            at = cost["image"] + cost["pass"] * np.arange(len(errors))
            axes.plot(at, errors, "o-", color=color, label=f"passes, {group} classes")
        for what, step, look in (("weights", "step", "--"), ("latents", "latent_step", ":")):
            errors = curves[what]
            at = cost["image"] + cost[step] * np.arange(len(errors))
            axes.plot(at, errors, look, color=color, label=f"{what} tuned, {group} classes")
    axes.set_xscale("log")
    legend_outside(canvas, axes)
    return canvas


def levels_of(text: str, shape: Sequence[int]) -> UInt8[np.ndarray, "h w c"]:
    """Return an image from two hexadecimal digits for each of its levels."""
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(tuple(shape))


def edit_pictures(pictures: dict[str, dict[str, Any]]) -> Any:
    """Draw images and their reconstructions: a row an image, unseen classes below."""
    from matplotlib.figure import Figure as Canvas

    columns = list(next(iter(pictures.values()))["columns"])
    rows = [
        (group, [levels_of(image, shown["shape"]) for image in images])
        for group, shown in pictures.items()
        for images in zip(*shown["columns"].values(), strict=True)
    ]
    canvas = Canvas(figsize=(len(columns) + 0.7, len(rows) + 0.5), layout="constrained")
    grid = canvas.subplots(len(rows), len(columns), squeeze=False)
    for row, (group, images) in enumerate(rows):
        for column, image in enumerate(images):
            axes, gray = grid[row][column], image.shape[-1] == 1
            axes.imshow(image[..., 0] if gray else image, cmap="gray_r", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_linewidth(0.3)
        if row == 0 or rows[row - 1][0] != group:
            grid[row][0].set_ylabel(group, fontsize=8)
    for column, name in enumerate(columns):
        grid[0][column].set_title(name, fontsize=8)
    return canvas


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the errors by operations, the images, and the error along training."""
    shown = evaluation["more"]["pictures"]
    along = training_figures(history, "mean squared error on held-out images", "log")
    return [
        Figure(
            "operations",
            "Mean squared error by operations for one image: means over images. Passes start from "
            "the plain reconstruction, and so does tuning.",
            functools.partial(edit_curves, evaluation),
        ),
        Figure(
            "images",
            "Held-out images of known classes, and of unseen ones below: the original, the plain "
            "reconstruction, passes, and the weights tuned for that image alone.",
            functools.partial(edit_pictures, shown),
        ),
        *along,
    ]
