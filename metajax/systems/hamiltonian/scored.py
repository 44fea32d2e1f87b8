"""Scores of roll-outs, and what is kept of them for figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from metajax.systems.hamiltonian.roll_out import SHORT, Instances, summarise
from metajax.systems.hamiltonian.settings import Settings
from metajax.systems.hamiltonian.solved_roll_out import Rolled
from metajax.systems.scores import Evaluation, Interval, Row

SHOTS = (5, 10, 25)
"""Sizes of smaller supports that are evaluated."""
TRAINED = ("adapted", "with_monomials")
"""Rows that meta-training is behind; the others are baselines."""
SHOWN = 4
"""New systems whose motion is kept for the figures."""


def errors(coordinates: Any, energy: Any, instances: Instances) -> dict[str, Interval]:
    """Return geometric means of the errors of roll-outs ``[systems, *steps, times]``.

    Of the coordinates over all time and up to a short horizon, and of the energy.

    Args:
      coordinates: relative errors of coordinates.
      energy: relative errors of the energy.
      instances: that were followed.
    """
    early = np.asarray(coordinates)[..., instances.times <= SHORT]
    found = {"coordinates": coordinates, "coordinates_early": early, "energy": energy}
    return {name: summarise(one) for name, one in found.items()}


def evaluation_of(
    of: Settings,
    instances: Instances,
    found: Mapping[str, tuple[Interval, dict[str, Any]]],
    titles: Mapping[str, str],
    *,
    points: Sequence[int],
    how: str,
    **more: Any,
) -> Evaluation:
    """Return the evaluation on new systems of the held-out mechanics.

    Args:
      of: the problem's settings.
      instances: the systems.
      found: by row, its score and its further figures.
      titles: of rows.
      points: the gradient steps after which motion is scored.
      how: adapting went, in a few words.
      more: further measurements.
    """
    rows = {
        name: Row(titles[name], score, baseline=name not in TRAINED)
        for name, (score, _) in found.items()
    }
    shared = {"structure": of.structure, "held_out": of.held_out, "shots": of.shots}
    motion = {"times": instances.times.tolist(), "true": shown(instances.true[0])}
    figures = {name: each for name, (_, each) in found.items()}
    return Evaluation(
        rows,
        metric="relative error of coordinates",
        greatest=False,
        axis="gradient steps",
        points=list(points),
        setting=f"{of.held_out} held out, {of.shots} points, {how}",
        more=shared | motion | figures | more,
    )


def split_score(found: dict[str, Interval]) -> tuple[Interval, dict[str, Any]]:
    """Return the main score, and the others as JSON values."""
    others = {name: one._asdict() for name, one in found.items() if name != "coordinates"}
    return found["coordinates"], others


def described_roll(rolled: Rolled, instances: Instances) -> tuple[Interval, dict[str, Any]]:
    """Return the score of a row, and its further figures for a report, as JSON values."""
    score, more = split_score(errors(rolled.coordinates, rolled.energy, instances))
    along = along_time(rolled.coordinates, rolled.energy)
    return score, more | {**along, "motion": shown(rolled.states)}


def along_time(coordinates: Any, energy: Any) -> dict[str, Any]:
    """Return geometric means over systems, by time."""

    def mean(errors):
        return np.exp(np.log(np.asarray(errors)).mean(0)).tolist()

    return {"coordinates_by_time": mean(coordinates), "energy_by_time": mean(energy)}


def shown(states: Any) -> dict[str, Any]:
    """Return the motions that figures show: a few systems' ``q`` and ``p``, rounded for JSON."""
    return {
        name: np.round(np.asarray(leaf[:SHOWN], float), 5).tolist()
        for name, leaf in states._asdict().items()
    }
