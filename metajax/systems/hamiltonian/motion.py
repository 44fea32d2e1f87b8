"""A motion of a person's own: points of phase space along time, and their rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError, described
from metajax.data import read_columns
from metajax.physics import Phase, estimate_rates
from metajax.using import FIELD, read_arrays, read_numbers


class Motion(NamedTuple):
    """Points of one motion.

    Coordinates are ``[times]`` of one, ``[times, 2]`` of one particle in the plane, or ``[times,
    particles, 2]``.

    Attributes:
      times: ascending.
      q: positions, or other generalized coordinates.
      p: their momenta.
      q_rate: time derivatives of ``q``; None, as for ``p_rate``: they are estimated.
      p_rate: time derivatives of ``p``.
    """

    times: Any
    q: Any
    p: Any
    q_rate: Any = None
    p_rate: Any = None


class Observed(NamedTuple):
    """A motion whose rates are known, float64.

    Attributes:
      times: ascending.
      state: the points; smoothed where rates are estimated.
      rates: their time derivatives.
      error: how large the rates' standard errors are, as a share of the rates, both by root mean
        square; 0 where rates were given.
    """

    times: Float[np.ndarray, " times"]
    state: Float[Phase, "times particles 2"]
    rates: Float[Phase, "times particles 2"]
    error: float


def in_plane(field: str, values: Any) -> Float[np.ndarray, "times particles 2"]:
    """Return coordinates of particles in the plane; a lone coordinate is the first of two.

    Raises:
      ConfigError: they are no coordinates, or not finite.
    """
    expected = "[times], [times, 2] or [times, particles, 2]"
    array = read_numbers(field, values, (1, 2, 3), expected, finite=True).astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim == 2:
        array = array[:, None]
    if array.shape[2] == 1:
        array = np.concatenate([array, np.zeros_like(array)], axis=2)
    if array.shape[2] != 2 or not array.size:
        raise ConfigError(field, described(np.asarray(values)), expected)
    return array


def observe(motion: Any) -> Observed:
    """Check a motion, and estimate its rates where they are not given.

    Args:
      motion: a :class:`Motion`, or its fields as a tuple or dict; without rates they are estimated.

    Returns:
      The motion with its rates.

    Raises:
      ConfigError: it is something else, or parts of it do not fit together.
    """
    if isinstance(motion, dict):
        try:
            motion = Motion(**motion)
        except TypeError as error:
            raise ConfigError("support", sorted(motion), ", ".join(Motion._fields)) from error
    if not isinstance(motion, tuple) or len(motion) not in (3, 5):
        expected = "Motion(times, q, p), with q_rate and p_rate where they are known"
        raise ConfigError("support", described(motion), expected)
    motion = Motion(*motion)
    times = np.asarray(motion.times, float)
    parts = {name: getattr(motion, name) for name in Motion._fields[1:]}
    known = {
        name: in_plane(f"support.{name}", part) for name, part in parts.items() if part is not None
    }
    for name, part in known.items():
        if part.shape != known["q"].shape or times.shape != part.shape[:1]:
            expected = f"the shape of q, {list(known['q'].shape)}, with {times.size} times"
            raise ConfigError(f"support.{name}", described(part), expected)
    state = _phase(known["q"], known["p"])
    if ("q_rate" in known) != ("p_rate" in known):
        raise ConfigError("support", sorted(known), "both q_rate and p_rate, or neither")
    if "q_rate" in known:
        return Observed(times, state, _phase(known["q_rate"], known["p_rate"]), 0.0)
    found = estimate_rates(times, np.stack(state, axis=1))
    size = float(np.sqrt(np.mean(found.rates**2)))
    share = float(np.sqrt(np.mean(found.errors**2))) / max(size, 1e-30)
    smoothed, rates = (_phase(part[:, 0], part[:, 1]) for part in (found.values, found.rates))
    return Observed(times, smoothed, rates, share)


def _phase(q: Any, p: Any) -> Phase:
    return Phase(q, p)


def read_motion(path: Path) -> Motion:
    """Read a motion from an ``.npz`` or a ``.csv`` file.

    The first holds ``t``, ``q`` and ``p``, and maybe ``q_rate`` and ``p_rate``. The second has
    columns ``t``, ``q`` and ``p``; or ``t``, ``q1``, ``q2``, ... and ``p1``, ``p2``, ..., two for
    each particle.

    Raises:
      ConfigError: it holds something else.
    """
    if path.suffix.lower() == ".npz":
        arrays = read_arrays(path, "t", "q", "p", optional=("q_rate", "p_rate"))
        return Motion(arrays.pop("t"), **arrays)
    columns = read_columns(path)
    lone = [{"t", "q", "p"}, {"t", "q1", "p1"}]
    number = (len(columns) - 1) // 2
    every = {"t", *(f"{name}{place + 1}" for name in "qp" for place in range(number))}
    if set(columns) in lone:
        q, p = (next(columns[n] for n in columns if n[0] == name) for name in "qp")
        return Motion(columns["t"], q, p)
    if set(columns) != every or number % 2:
        expected = "t, q, p; or t, q1, q2, ..., p1, p2, ..., two for each particle"
        raise ConfigError(f"columns of {FIELD}", ", ".join(columns), expected)

    def side_by_side(name: str) -> np.ndarray:
        stacked = np.stack([columns[f"{name}{place + 1}"] for place in range(number)], axis=1)
        return stacked.reshape(len(stacked), -1, 2)

    return Motion(columns["t"], side_by_side("q"), side_by_side("p"))
