"""`metajax predict --shipped`: a column of a CSV table, predicted from the others."""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError, local_path
from metajax.systems.tables.frame import Coded, Frame, code, read_frame
from metajax.systems.tables.model import Model, shipped
from metajax.systems.tables.reading import LARGEST, read_table
from metajax.train import check_writable

FOLDS = 5
"""Parts of the known rows, each predicted from the others."""
BINS = 5
"""Of the figure of how far probabilities hold."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``metajax predict`` takes."""
    parser.description = (
        "Predict a column of a CSV table from its other columns, by the reader of tables that "
        "comes with the package: nothing is trained. Rows whose target is empty are predicted from "
        "those whose target is known. Every known row is predicted from the others too, a fifth at "
        "a time, which says how far the answers can be trusted. Writes the probabilities of all "
        "rows and a figure."
    )
    parser.add_argument("table", help="a CSV file whose first line names its columns")
    parser.add_argument("--target", required=True, help="the column to predict, of classes")
    parser.add_argument(
        "--shipped", action="store_true", help="use the reader that comes with the package"
    )
    parser.add_argument("--out", type=Path, help="CSV file to write; by default beside the table")
    parser.add_argument("--seed", type=int, default=0, help="of the fifths")


def run(options: argparse.Namespace) -> int:
    """Predict a column, print how well known rows are predicted, and write both files.

    Raises:
      ConfigError: the table or a setting is not in order.
    """
    if not options.shipped:
        raise ConfigError("--shipped", "not given", "--shipped, the only reader there is so far")
    path = local_path(options.table, "TABLE")
    out = local_path(options.out or path.with_name(f"{path.stem}-predicted.csv"), "--out")
    figure = out.with_suffix(".png")
    for written in (out, figure):
        if written.exists():
            raise ConfigError("--out", str(written), "a file that is not there yet")
    check_writable(out.parent, "--out")
    if not 0 <= options.seed < 2**31:
        raise ConfigError("--seed", options.seed, "a whole number of 0 or more, below 2**31")
    frame = read_frame(path)
    table = code(frame, options.target)
    for note in table.notes:
        print(note)
    known = np.flatnonzero(table.labels >= 0)
    if len(known) > LARGEST:
        raise ConfigError("TABLE", f"{len(known)} rows with a target", f"{LARGEST} at most")
    if len(table.classes) < 2 or len(known) < 4:
        raise ConfigError("--target", options.target, "two classes or more, in four rows or more")
    began = time.perf_counter()
    likely = predict_all(shipped(), table, options.seed)
    tell(table, likely, time.perf_counter() - began)
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, frame, table, likely)
    draw(table, likely, options.target).savefig(figure, dpi=120)
    print(f"written: {out}, {figure.name}")
    return 0


def predict_all(model: Model, table: Coded, seed: int) -> Float[np.ndarray, "rows classes"]:
    """Return probabilities of all rows: known ones from other known ones, a fifth at a time."""
    inputs, labels = table.inputs, table.labels
    known, asked = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    likely = np.zeros((len(labels), len(table.classes)))
    folds = min(FOLDS, len(known))
    order = np.random.default_rng(seed).permutation(known)
    # by class, so that the parts hold as even shares of each as can be
    order = order[np.argsort(labels[order], kind="stable")]
    part = np.empty(len(labels), int)
    part[order] = np.arange(len(order)) % folds
    for fold in range(folds):
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


def tell(table: Coded, likely: Float[np.ndarray, "rows classes"], seconds: float) -> None:
    """Print how well known rows are predicted, compared with the commonest class."""
    known = table.labels >= 0
    labels, found = table.labels[known], likely[known]
    right = found.argmax(axis=1) == labels
    loss = -np.log(np.maximum(found[np.arange(len(labels)), labels], 1e-6)).mean()
    shares = np.bincount(labels, minlength=len(table.classes)) / len(labels)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum()
    print(
        f"{len(labels)} known rows, {len(table.classes)} classes, each predicted from the others: "
        f"accuracy {right.mean():.3f} (the commonest class {shares.max():.3f}), "
        f"log loss {loss:.3f} (the classes' shares {entropy:.3f})"
    )
    print(f"{int((~known).sum())} rows without a target predicted; {seconds:.1f} s")


def write(
    path: Path, frame: Frame, table: Coded, likely: Float[np.ndarray, "rows classes"]
) -> None:
    """Write the table with the likeliest class and the probabilities behind each row."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*frame.names, "predicted", *(f"p({name})" for name in table.classes)])
        for row, found in zip(frame.cells, likely, strict=True):
            best = table.classes[int(found.argmax())]
            cells = ["" if cell is None else cell for cell in row]
            writer.writerow([*cells, best, *(f"{share:.4f}" for share in found)])


def draw(table: Coded, likely: Float[np.ndarray, "rows classes"], target: str) -> Any:
    """Draw what known rows were predicted as, and how far the probabilities hold."""
    from matplotlib.figure import Figure

    known = table.labels >= 0
    labels, found = table.labels[known], likely[known]
    size = len(table.classes)
    counts = np.zeros((size, size), int)
    np.add.at(counts, (labels, found.argmax(axis=1)), 1)
    canvas = Figure(figsize=(9.5, 4.2), layout="constrained")
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
    right.plot([0, 1], [0, 1], color="grey", linestyle=":")
    right.set(
        xlabel="probability of the predicted class",
        ylabel="share that was right",
        title="how far the probabilities hold",
        xlim=(0, 1.02),
        ylim=(0, 1.02),
    )
    return canvas
