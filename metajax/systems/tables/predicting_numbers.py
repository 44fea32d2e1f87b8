"""A column of numbers of a CSV table, predicted from the other columns."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError
from metajax.data import Frame, frame_inputs
from metajax.systems.axes import make_canvas
from metajax.systems.tables.predicting import FOLDS, check_size, parts_of, table_columns
from metajax.using import Told


class Predicted(NamedTuple):
    """A table's rows, each predicted from other rows.

    Attributes:
      targets: NaN where they are missing.
      means: of the predictions.
      deviations: of the predictions, the noise of a target included.
      baseline: the mean of the targets that each row was predicted from.
    """

    targets: Float[np.ndarray, " rows"]
    means: Float[np.ndarray, " rows"]
    deviations: Float[np.ndarray, " rows"]
    baseline: Float[np.ndarray, " rows"]


def told_of_numbers(
    frame: Frame, target: str, targets: Float[np.ndarray, " rows"], seed: int
) -> Told:
    """Predict a column of numbers, and how well known rows are predicted from the others.

    Args:
      frame: the table.
      target: the name of the column.
      targets: the column, NaN where it is missing.
      seed: of the parts of the known rows.

    Returns:
      What is told of it.

    Raises:
      ConfigError: too few rows have a target, or too many.
    """
    known = np.flatnonzero(~np.isnan(targets))
    check_size(known)
    if len(known) < 4:
        raise ConfigError("--target", target, "numbers in four rows or more")
    inputs, notes = frame_inputs(frame, target, ~np.isnan(targets))
    began = time.perf_counter()
    found = predict_all(inputs, targets, seed)
    lines = [*notes, *told(found), f"{time.perf_counter() - began:.1f} s"]
    columns = table_columns(frame)
    columns["predicted"] = [f"{mean:.6g}" for mean in found.means]
    columns["deviation"] = [f"{deviation:.4g}" for deviation in found.deviations]
    return Told(lines, columns, partial(draw, found, target), None)


def predict_all(
    inputs: Float[np.ndarray, "rows features"], targets: Float[np.ndarray, " rows"], seed: int
) -> Predicted:
    """Predict all rows: known ones from other known ones, a fifth at a time."""
    from metajax.systems.tables.regressor import InContextRegressor  # needs scikit-learn

    known, asked = np.flatnonzero(~np.isnan(targets)), np.flatnonzero(np.isnan(targets))
    part = parts_of(np.random.default_rng(seed).permutation(known), len(targets))
    pairs = [(known[part[known] != fold], known[part[known] == fold]) for fold in range(FOLDS)]
    means, deviations, baseline = np.zeros((3, len(targets)))
    for others, left_out in (*pairs, (known, asked)):
        if len(left_out):
            model = InContextRegressor().fit(inputs[others], targets[others])
            means[left_out], deviations[left_out] = model.predict(inputs[left_out], return_std=True)
            baseline[left_out] = targets[others].mean()
    return Predicted(targets, means, deviations, baseline)


def told(found: Predicted) -> list[str]:
    """Say how well known rows are predicted, compared with the mean of the others."""
    targets, means, deviations, baseline = _known(found)
    error, trivial = (np.sqrt(np.mean((each - targets) ** 2)) for each in (means, baseline))
    inside = np.mean(np.abs(means - targets) < 1.96 * deviations)
    return [
        f"{len(targets)} known rows, each predicted from the others: root mean square error "
        f"{error:.4g} (the mean of the others {trivial:.4g}), "
        f"{100 * inside:.0f}% inside their 95% intervals",
        f"{len(found.targets) - len(targets)} rows without a target predicted",
    ]


def _known(found: Predicted) -> Predicted:
    known = ~np.isnan(found.targets)
    return Predicted(*(each[known] for each in found))


def draw(found: Predicted, target: str) -> Any:
    """Draw what known rows were predicted as, and how far the intervals hold."""
    targets, means, deviations, _ = _known(found)
    canvas = make_canvas(9.5, 4.2)
    left, right = canvas.subplots(1, 2)
    ends = [min(targets.min(), means.min()), max(targets.max(), means.max())]
    left.plot(ends, ends, color="gray", linestyle=":")
    left.errorbar(
        means, targets, xerr=1.96 * deviations, fmt="o", markersize=3, elinewidth=0.5, alpha=0.6
    )
    left.set(
        xlabel="predicted, with 95% interval",
        ylabel=target,
        title="known rows, each from the others",
    )
    # the smallest central interval that a target lies in, by how many deviations it is off
    off = np.sort(np.abs(targets - means) / deviations)
    level = [math.erf(each / math.sqrt(2)) for each in off]
    right.plot([0, 1], [0, 1], color="gray", linestyle=":")
    right.step(level, np.arange(1, len(off) + 1) / len(off), where="post")
    right.set(
        xlabel="probability of the interval",
        ylabel="share of targets inside",
        title="how far the intervals hold",
        xlim=(0, 1),
        ylim=(0, 1.02),
    )
    return canvas
