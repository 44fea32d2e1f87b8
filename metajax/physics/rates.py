"""Rates of change of what was observed along time, with their errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.interpolate import BSpline

from metajax.core import ConfigError, described

DEGREE, ROUGH = 5, 3
"""Of the spline, and of the derivative whose square is penalized."""
FEWEST, MOST = 8, 2000
"""Times that a spline is fitted to: its matrices grow with their square."""
TRIED = 121
"""Amounts of smoothing that are compared."""


class Estimated(NamedTuple):
    """What a smoothing spline says of values along time; float64.

    Attributes:
      values: smoothed.
      rates: their time derivatives.
      errors: standard errors of the rates.
      noise: the deviation of the noise, for each column of the values.
    """

    values: Float[np.ndarray, "times *columns"]
    rates: Float[np.ndarray, "times *columns"]
    errors: Float[np.ndarray, "times *columns"]
    noise: Float[np.ndarray, "*columns"]


def estimate_rates(
    times: Float[np.ndarray, " times"], values: Float[np.ndarray, "times *columns"]
) -> Estimated:
    """Estimate time derivatives by a smoothing spline.

    A spline of degree 5 minimizes the squared misfit plus the integral of its squared third
    derivative, weighted by what generalized cross-validation chooses for each column (Craven and
    Wahba 1979). That is next to nothing for values without noise, which are then interpolated. The
    errors are those of Wahba 1983, from the posterior of which the spline is the mean; where the
    motion is too fast for the spacing of the times, they are too small.

    Args:
      times: ascending, of any spacing.
      values: what was observed, each column by itself.

    Returns:
      Smoothed values, their rates, and the rates' standard errors.

    Raises:
      ConfigError: too few times or too many, not ascending, or numbers that are not finite.

    Examples:
      >>> import numpy as np
      >>> from metajax.physics import estimate_rates
      >>> times = np.linspace(0, 3, 40)
      >>> found = estimate_rates(times, np.sin(times))
      >>> bool(np.abs(found.rates - np.cos(times)).max() < 0.01)
      True
    """
    times, values = np.asarray(times, float), np.asarray(values, float)
    if times.ndim != 1 or not FEWEST <= len(times) <= MOST:
        raise ConfigError("times", described(times), f"[{FEWEST} to {MOST} times]")
    if values.shape[:1] != times.shape:
        raise ConfigError("values", described(values), f"{len(times)} rows, one for each time")
    if not (np.isfinite(times).all() and np.isfinite(values).all()):
        raise ConfigError("values", "numbers that are not finite", "finite numbers")
    if not (np.diff(times) > 0).all():
        raise ConfigError("times", "not ascending", "times in ascending order, each once")
    # in units of their spacing numbers are of the size of 1
    unit = (times[-1] - times[0]) / (len(times) - 1)
    x, y = (times - times[0]) / unit, values.reshape(len(times), -1)
    knots = np.concatenate([[x[0]] * (DEGREE + 1), x[3:-3], [x[-1]] * (DEGREE + 1)])
    basis = BSpline(knots, np.eye(len(x)), DEGREE)
    to_coefficients = np.linalg.inv(basis(x))
    # the integral between two knots is exact: its integrand is of degree 4
    nodes, weights = np.polynomial.legendre.leggauss(ROUGH)
    ends = np.unique(knots)
    half = np.diff(ends)[:, None] / 2
    at = (ends[:-1, None] + half * (nodes + 1)).reshape(-1)
    roughness = np.sqrt((half * weights).reshape(-1, 1)) * basis(at, ROUGH)
    _, sizes, modes = np.linalg.svd(roughness @ to_coefficients, full_matrices=False)
    sizes[-ROUGH:] = 0  # parabolas are not rough
    parts = modes @ y
    least, most = sizes[:-ROUGH].min(), sizes.max()
    tried = np.geomspace(1e-3 / most, 1e3 / least, TRIED)[:, None] * sizes
    taken = tried**2 / (1 + tried**2)  # of each mode, by the amount of smoothing
    misfit = taken**2 @ parts**2
    free = taken.sum(axis=1, keepdims=True)
    best = np.argmin(misfit / free**2, axis=0)
    kept = 1 - taken[best].T
    slopes = basis(x, 1) @ to_coefficients @ modes.T / unit
    noise = np.sqrt(np.take_along_axis(misfit / free, best[None], axis=0)[0])
    errors = noise * np.sqrt(np.square(slopes) @ kept)
    fitted, rates = modes.T @ (kept * parts), slopes @ (kept * parts)
    fitted, rates, errors = (each.reshape(values.shape) for each in (fitted, rates, errors))
    return Estimated(fitted, rates, errors, noise.reshape(values.shape[1:]))
