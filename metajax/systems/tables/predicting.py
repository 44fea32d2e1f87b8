"""A column of a CSV table, predicted from the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from metajax.core import ConfigError
from metajax.data import CodedFrame, Frame, code_frame, read_frame
from metajax.systems.axes import make_canvas
from metajax.systems.tables.model import Model
from metajax.systems.tables.reading import LARGEST, read_table
from metajax.using import Adapted, Told, named_target

FOLDS = 5
"""Parts of the known rows, each predicted from the others."""
BINS = 5
"""Of the figure of how far probabilities hold."""


def told_of_table(
    frame: Frame, target: str, seed: int, model: Model, adapt: Callable[..., Adapted]
) -> Told:
    """Predict a column of classes, and how well known rows are predicted from the others.

    Args:
      frame: the table.
      target: the name of the column.
      seed: of the parts of the known rows.
      model: what predicts.
      adapt: ``adapt((rows, labels)) -> Adapted`` of the same model.

    Returns:
      What is told of it.

    Raises:
      ConfigError: the table or its target is not in order.
    """
    table = code_frame(frame, target)
    known = np.flatnonzero(table.labels >= 0)
    check_size(known)
    if len(table.classes) < 2 or len(known) < 4:
        raise ConfigError("--target", target, "two classes or more, in four rows or more")
    began = time.perf_counter()
    likely = predict_all(model, table, seed)
    lines = [*table.notes, *told(table, likely), f"{time.perf_counter() - began:.1f} s"]
    names = np.array(table.classes)[table.labels[known]]
    adapted = partial(adapt, (table.inputs[known], names))
    drawn = partial(draw, table, likely, target)
    return Told(lines, columns(frame, table, likely), drawn, adapted)


def read_for(path: Path, target: str | None) -> tuple[Frame, str]:
    """Read a table of which a column is predicted.

    Raises:
      ConfigError: no column is named, or the table is not in order.
    """
    frame = read_frame(path)
    return frame, named_target(frame, target)


def check_size(known: Int[np.ndarray, " known"]) -> None:
    """Raise where more rows have a target than can be read.

    Raises:
      ConfigError: they are.
    """
    if len(known) > LARGEST:
        raise ConfigError("TABLE", f"{len(known)} rows with a target", f"{LARGEST} at most")


def table_columns(frame: Frame) -> dict[str, list[Any]]:
    """Return a table's columns as they were read."""
    cells = zip(frame.names, zip(*frame.cells, strict=True), strict=True)
    return {name: ["" if cell is None else cell for cell in column] for name, column in cells}


def parts_of(order: Int[np.ndarray, " known"], total: int) -> Int[np.ndarray, " total"]:
    """Deal rows, in an order, to parts that are predicted from the others; -1 of all others."""
    part = np.full(total, -1)
    part[order] = np.arange(len(order)) % FOLDS
    return part


def predict_all(model: Model, table: CodedFrame, seed: int) -> Float[np.ndarray, "rows classes"]:
    """Return probabilities of all rows: known ones from other known ones, a fifth at a time."""
    inputs, labels = table.inputs, table.labels
    known, asked = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    likely = np.zeros((len(labels), len(table.classes)))
    order = np.random.default_rng(seed).permutation(known)
    # by class, so that the parts hold as even shares of each as can be
    order = order[np.argsort(labels[order], kind="stable")]
    part = parts_of(order, len(labels))
    for fold in range(min(FOLDS, len(known))):
        others, left_out = known[part[known] != fold], known[part[known] == fold]
        likely[left_out] = _predict(model, inputs[others], labels[others], inputs[left_out], likely)
    if len(asked):
        likely[asked] = _predict(model, inputs[known], labels[known], inputs[asked], likely)
    return likely


def _predict(model: Model, inputs: Any, labels: Any, asked: Any, like: Any) -> np.ndarray:
    """Probabilities of all classes, also where some have no row to learn from: they get 0."""
    present, places = np.unique(labels, return_inverse=True)
    found = np.zeros((len(asked), like.shape[1]))
    found[:, present] = read_table(model, inputs, places).probabilities(asked)
    return found


def told(table: CodedFrame, likely: Float[np.ndarray, "rows classes"]) -> list[str]:
    """Say how well known rows are predicted, compared with the commonest class."""
    known = table.labels >= 0
    labels, found = table.labels[known], likely[known]
    right = found.argmax(axis=1) == labels
    loss = -np.log(np.maximum(found[np.arange(len(labels)), labels], 1e-6)).mean()
    shares = np.bincount(labels, minlength=len(table.classes)) / len(labels)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum()
    return [
        f"{len(labels)} known rows, {len(table.classes)} classes, each predicted from the others: "
        f"accuracy {right.mean():.3f} (the commonest class {shares.max():.3f}), "
        f"log loss {loss:.3f} (the classes' shares {entropy:.3f})",
        f"{int((~known).sum())} rows without a target predicted",
    ]


def columns(
    frame: Frame, table: CodedFrame, likely: Float[np.ndarray, "rows classes"]
) -> dict[str, list[Any]]:
    """Return the table's columns, the likeliest class and the probabilities of all."""
    found = table_columns(frame)
    found["predicted"] = [table.classes[place] for place in likely.argmax(axis=1)]
    for place, name in enumerate(table.classes):
        found[f"p({name})"] = [f"{share:.4f}" for share in likely[:, place]]
    return found


def draw(table: CodedFrame, likely: Float[np.ndarray, "rows classes"], target: str) -> Any:
    """Draw what known rows were predicted as, and how far the probabilities hold."""
    known = table.labels >= 0
    labels, found = table.labels[known], likely[known]
    size = len(table.classes)
    counts = np.zeros((size, size), int)
    np.add.at(counts, (labels, found.argmax(axis=1)), 1)
    canvas = make_canvas(9.5, 4.2)
    left, right = canvas.subplots(1, 2)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if size <= 12:
        for row, column in np.ndindex(size, size):
            color = "white" if shares[row, column] > 0.5 else "black"
            left.text(column, row, counts[row, column], ha="center", va="center", color=color)
    left.set_xticks(range(size), table.classes, rotation=45, ha="right")
    left.set_yticks(range(size), table.classes)
    left.set(xlabel="predicted", ylabel=target, title="known rows, each from the others")
    sure, hit = found.max(axis=1), found.argmax(axis=1) == labels
    order = np.array_split(np.argsort(sure), min(BINS, len(sure)))
    means = np.array([(sure[part].mean(), hit[part].mean(), len(part)) for part in order])
    half = 1.96 * np.sqrt((means[:, 1] * (1 - means[:, 1]) + 0.25 / means[:, 2]) / means[:, 2])
    right.errorbar(means[:, 0], means[:, 1], yerr=half, fmt="o-", capsize=3)
    right.plot([0, 1], [0, 1], color="gray", linestyle=":")
    right.set(
        xlabel="probability of the predicted class",
        ylabel="share that was right",
        title="how far the probabilities hold",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )
    return canvas
