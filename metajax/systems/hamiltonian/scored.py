"""Scores of roll-outs, and what is kept of them for figures."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.hamiltonian.roll_out import SHORT, Instances, summarise
from metajax.systems.scores import Interval

SHOTS = (5, 10, 25)
"""Sizes of smaller supports that are evaluated."""
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


def split_score(found: dict[str, Interval]) -> tuple[Interval, dict[str, Any]]:
    """The main score, and the others as JSON values."""
    others = {name: one._asdict() for name, one in found.items() if name != "coordinates"}
    return found["coordinates"], others


def along_time(coordinates: Any, energy: Any) -> dict[str, Any]:
    """Geometric means over systems, by time."""

    def mean(errors):
        return np.exp(np.log(np.asarray(errors)).mean(0)).tolist()

    return {"coordinates_by_time": mean(coordinates), "energy_by_time": mean(energy)}


def shown(states: Any) -> dict[str, Any]:
    """The motions that figures show: a few systems' ``q`` and ``p``, rounded for JSON."""
    return {
        name: np.round(np.asarray(leaf[:SHOWN], float), 5).tolist()
        for name, leaf in states._asdict().items()
    }
