"""Generated networks as features of a solution: their last hidden layers, or their sum."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
from jaxtyping import Array, Float

from metajax.core import Params, register_dataclass
from metajax.nn import PINN, Jet
from metajax.systems.hypino.refinement import Ensemble


@register_dataclass
@dataclass(frozen=True)
class HiddenFeatures:
    """The last hidden layers of networks, side by side.

    Attributes:
      weights: of the networks, on a leading axis.
      target: what they are weights of. Static.
    """

    weights: Params
    target: PINN = field(metadata={"static": True})

    def __call__(self, points: Float[Array, "n 2"]) -> Jet:
        return Ensemble(self.weights).features(self.target, points)


@register_dataclass
@dataclass(frozen=True)
class SummedNetworks:
    """The sum of networks as a single feature.

    Attributes:
      weights: of the networks, on a leading axis.
      target: what they are weights of. Static.
    """

    weights: Params
    target: PINN = field(metadata={"static": True})

    def __call__(self, points: Float[Array, "n 2"]) -> Jet:
        u = Ensemble(self.weights).derivatives(self.target, points)
        return jax.tree.map(lambda leaf: leaf[:, None], u)
