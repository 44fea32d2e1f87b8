"""Features that come with their derivatives in the plane as jets, for the solver."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from metajax.core import float64_on_cpu
from metajax.nn import Jet
from metajax.physics.solver.least_squares import Features, filled
from metajax.physics.solver.operators import Operator


@dataclass(frozen=True)
class JetFeatures:
    """Features of the square from -1 to 1, as a hypernetwork makes them, in float64 on the host.

    Attributes:
      features: ``features(points) -> Jet``; a pytree.
      centre: of the box that is from -1 to 1 in units.
      half: half its extent.
    """

    features: Features
    centre: Float[np.ndarray, "2"]
    half: Float[np.ndarray, "2"]

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        with float64_on_cpu():
            at = jnp.asarray(self.centre + self.half * points)
            found: Jet = jax.device_get(jet_of(self.features, at))
        value, gradient, hessian = operator
        total = np.zeros(found.u.shape)
        if value is not None:
            total += value[:, None] * found.u
        if gradient is not None:
            x, y = (self.half * gradient).T[:, :, None]
            total += x * found.x + y * found.y
        if hessian is not None:
            scaled = hessian * (self.half[:, None] * self.half[None])
            total += scaled[:, 0, 0, None] * found.xx + scaled[:, 1, 1, None] * found.yy
            total += (scaled[:, 0, 1] + scaled[:, 1, 0])[:, None] * found.xy
        return total


@jax.jit
def jet_of(features: Features, points: Float[jax.Array, "n 2"]) -> Jet:
    """Features with all derivatives at points."""
    return filled(features(points))
