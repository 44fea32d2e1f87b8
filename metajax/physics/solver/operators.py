"""Linear operators of second order at points, in any number of coordinates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Array = Any
"""A NumPy or a JAX array: the solver runs on either."""


class Operator(NamedTuple):
    """``value u + gradient . grad u + hessian : hess u`` at points; None where a part is 0.

    Attributes:
      value: of u, ``[n]``.
      gradient: of the first derivatives, ``[n, d]``.
      hessian: of the second ones, ``[n, d, d]``; both of its triangles count.
    """

    value: Float[Array, " n"] | None = None
    gradient: Float[Array, "n d"] | None = None
    hessian: Float[Array, "n d d"] | None = None

    def scaled(self, half: Float[Array, " d"]) -> Operator:
        """Return the same operator where a coordinate is ``half`` times a coordinate in units.

        Args:
          half: half the extent of the box along each coordinate.
        """
        squared = half[:, None] * half[None, :]
        return Operator(
            self.value,
            None if self.gradient is None else self.gradient / half[None],
            None if self.hessian is None else self.hessian / squared[None],
        )

    def at(self, which: Any) -> Operator:
        """Return the same operator at some of the points.

        Args:
          which: their indices, or whether each is one of them.
        """
        return Operator(*(None if part is None else part[which] for part in self))

    def __or__(self, other: Any) -> Operator:
        """Return the sum of two operators at the same points."""
        both = zip(self, other, strict=True)
        return Operator(*(a if b is None else b if a is None else a + b for a, b in both))


def times(operator: Operator, factor: Any) -> Operator:
    """An operator times a number, or one for each point."""

    def multiplied(part: Array) -> Array:
        shape = (-1,) + (1,) * (np.ndim(part) - 1)
        return part * (factor.reshape(shape) if np.ndim(factor) else factor)

    return Operator(*(None if part is None else multiplied(part) for part in operator))


class Values(NamedTuple):
    """A function at points, with its derivatives.

    Attributes:
      u: the function, ``[n]``.
      gradient: its first derivatives, ``[n, d]``.
      hessian: its second ones, ``[n, d, d]``.
    """

    u: Float[Array, " n"]
    gradient: Float[Array, "n d"]
    hessian: Float[Array, "n d d"]

    def __add__(self, other: Any) -> Values:
        """Return the sum of two functions."""
        return Values(*(a + b for a, b in zip(self, other, strict=True)))


def terms(operator: Operator, values: Values) -> list[Float[Array, " n"]]:
    """Return the terms of an operator, one for each coefficient that it has.

    Args:
      operator: at points.
      values: a function at these points.
    """
    value, gradient, hessian = operator
    found = [] if value is None else [value * values.u]
    if gradient is not None:
        found += list((gradient * values.gradient).T)
    if hessian is not None:
        found += list((hessian * values.hessian).reshape(len(hessian), -1).T)
    return found


class At(NamedTuple):
    """An operator at points.

    Attributes:
      points: in units, ``[n, d]``.
      operator: applied to u there.
    """

    points: Float[Array, "n d"]
    operator: Operator


class Block(NamedTuple):
    """Equations of one kind: the sum of operators at points, which should be ``target``.

    Attributes:
      name: what a person calls it: ``equation``, ``dirichlet on left``, ``initial``, ...
      parts: the operators, each at points of its own: a periodic edge has two.
      target: ``[n]``.
      weight: of each of its equations, before the division by the root of their number.
      nonlinear: ``nonlinear(points, u, gradient) -> [n]``, which is added; None: there is none.
        Points and derivatives are in units.
    """

    name: str
    parts: tuple[At, ...]
    target: Float[Array, " n"]
    weight: float = 1.0
    nonlinear: Any = None


def design(block: Block, features: Any) -> Float[Array, "n num"]:
    """Return a block's operators applied to every feature.

    Args:
      block: whose linear parts are taken.
      features: ``features(points, operator) -> [n, num]``.
    """
    found = [features(*part) for part in block.parts]
    return sum(found[1:], start=found[0])
