"""A reference for Allen-Cahn's equation on a ring: Fourier's modes, and exponential steps in time.

The linear part is integrated exactly, and the cubic one by the fourth-order steps of Cox and
Matthews, with coefficients by contour integrals (Kassam and Trefethen 2005, SIAM Journal on
Scientific Computing 26).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.interpolate import RectBivariateSpline

MODES, STEPS, KEPT = 2048, 2000, 250
"""Points of the ring, steps, and times between which is interpolated."""
STRENGTH = 5.0


def initial(x: np.ndarray) -> np.ndarray:
    """The state at time 0, whose slope jumps where the ring closes."""
    return x**2 * np.cos(np.pi * x)


@cache
def reference(diffusion: float, modes: int = MODES, steps: int = STEPS) -> RectBivariateSpline:
    """Solve ``u_t = diffusion u_xx + 5 (u - u**3)`` for x from -1 to 1 and t from 0 to 1.

    Args:
      diffusion: the coefficient.
      modes: points in space.
      steps: in time.

    Returns:
      A function of x and t.
    """
    x = 2 * np.arange(modes) / modes - 1
    linear = STRENGTH - diffusion * (np.pi * np.fft.rfftfreq(modes, 1 / modes)) ** 2
    step = 1 / steps
    whole, half = np.exp(step * linear), np.exp(step * linear / 2)
    circle = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 32)
    z = step * linear[:, None] + circle

    def mean(values: np.ndarray) -> np.ndarray:
        return step * np.real(np.mean(values, 1))

    middle = mean((np.exp(z / 2) - 1) / z)
    first = mean((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3)
    second = mean((2 + z + np.exp(z) * (z - 2)) / z**3)
    third = mean((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3)

    def cubic(state: np.ndarray) -> np.ndarray:
        return -STRENGTH * np.fft.rfft(np.fft.irfft(state, modes) ** 3)

    state = np.fft.rfft(initial(x))
    kept = [np.fft.irfft(state, modes)]
    for number in range(1, steps + 1):
        here = cubic(state)
        one = half * state + middle * here
        there = cubic(one)
        two = half * state + middle * there
        again = cubic(two)
        last = cubic(half * one + middle * (2 * again - here))
        state = whole * state + here * first + 2 * (there + again) * second + last * third
        if number % (steps // KEPT) == 0:
            kept.append(np.fft.irfft(state, modes))
    rows = np.stack(kept, 1)
    # both ends of the ring
    x, rows = np.append(x, 1.0), np.concatenate([rows, rows[:1]])
    return RectBivariateSpline(x, np.linspace(0, 1, KEPT + 1), rows, kx=5, ky=5)
