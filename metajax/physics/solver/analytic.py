"""Features that are parts of functions of a complex coordinate, times its squared size or not."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from metajax.physics.solver.operators import Operator, Values


class Functions(NamedTuple):
    """Functions of ``z = direction . away`` at points.

    Attributes:
      away: the points, relative to where z is 0.
      f: the functions.
      first: their derivatives by z.
      second: likewise, twice.
    """

    away: Float[np.ndarray, "n 2"]
    f: Complex[np.ndarray, "n several"]
    first: Complex[np.ndarray, "n several"]
    second: Complex[np.ndarray, "n several"]


class Columns(NamedTuple):
    """Which features are made of functions.

    Attributes:
      function: of each feature, its index.
      part: the feature is the real part of this times the function.
      lifted: whether it is multiplied by ``|z|**2``.
    """

    function: Int[np.ndarray, " num"]
    part: Complex[np.ndarray, " num"]
    lifted: Bool[np.ndarray, " num"]


class Analytic:
    """Features from functions of a complex coordinate; these are computed once for all features."""

    direction: Complex[np.ndarray, "2"]

    @abstractmethod
    def functions(self, points: Float[np.ndarray, "n 2"]) -> Functions:
        """Return the functions at points."""

    @abstractmethod
    def columns(self) -> Columns:
        """Return which features are made of them."""

    @property
    def num(self) -> int:
        """How many features there are."""
        return len(self.columns().function)

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        return self.applied(self.functions(points), operator)

    def applied(self, known: Functions, operator: Operator) -> np.ndarray:
        """Return the operator applied to every feature where the functions are known.

        Args:
          known: the functions.
          operator: at the same points.
        """
        function, part, lifted = self.columns()
        found = np.empty((len(known.away), len(function)))
        for lift in np.unique(lifted):
            chosen = np.flatnonzero(lifted == lift)
            used, index = np.unique(function[chosen], return_inverse=True)
            some = Functions(known.away, *(one[:, used] for one in known[1:]))
            total = applied(operator, self.direction, some, bool(lift))
            real, imaginary = total.real[:, index], total.imag[:, index]
            found[:, chosen] = part[chosen].real * real - part[chosen].imag * imaginary
        return found

    def combined(
        self, points: Float[np.ndarray, "n 2"], weights: Float[np.ndarray, " num"]
    ) -> Values:
        """Return one combination of the features with its derivatives at points."""
        known = self.functions(points)
        function, part, lifted = self.columns()
        d = self.direction
        num = len(points)
        total = Values(np.zeros(num), np.zeros((num, 2)), np.zeros((num, 2, 2)))
        for lift in np.unique(lifted):
            complex_weights = np.zeros(known.f.shape[1], complex)
            np.add.at(complex_weights, function, np.where(lifted == lift, weights * part, 0))
            f, first, second = (one @ complex_weights for one in known[1:])
            gradient = np.real(first[:, None] * d[None])
            values = Values(f.real, gradient, np.real(second[:, None, None] * np.outer(d, d)[None]))
            total = total + (times_square(values, d, known.away) if lift else values)
        return total


def times_square(
    values: Values, direction: Complex[np.ndarray, "2"], away: Float[np.ndarray, "n 2"]
) -> Values:
    """Return a function's product with ``|z|**2``, which is a quadratic form of the place.

    Args:
      values: of the function, at points.
      direction: ``z = direction . away``.
      away: the points, relative to where z is 0.
    """
    form = np.real(np.outer(direction, direction.conj()))
    square, slope = np.abs(away @ direction) ** 2, 2 * away @ form
    u, gradient, hessian = values
    mixed = slope[:, :, None] * gradient[:, None]
    return Values(
        square * u,
        square[:, None] * gradient + u[:, None] * slope,
        square[:, None, None] * hessian
        + mixed
        + np.swapaxes(mixed, 1, 2)
        + 2 * u[:, None, None] * form[None],
    )


def applied(
    operator: Operator, direction: Complex[np.ndarray, "2"], known: Functions, lifted: bool
) -> Complex[np.ndarray, "n several"]:
    """Apply an operator to functions of a complex coordinate.

    Args:
      operator: at points.
      direction: the coordinate is ``z = direction . away``.
      known: the functions there.
      lifted: whether they are multiplied by ``|z|**2``.
    """
    away, f, first, second = known
    d = direction
    form = np.real(np.outer(d, d.conj()))
    square, slope = np.abs(away @ d) ** 2, 2 * away @ form
    value, gradient, hessian = operator
    # the factors of f and of its derivatives
    of_f, of_first, of_second = np.zeros(len(f)), np.zeros(len(f), complex), None
    factor = square if lifted else np.ones(len(f))
    if value is not None:
        of_f = of_f + factor * value
    if gradient is not None:
        of_first = of_first + factor * (gradient @ d)
        if lifted:
            of_f = of_f + np.sum(gradient * slope, 1)
    if hessian is not None:
        of_second = factor * np.einsum("i,nij,j->n", d, hessian, d)
        if lifted:
            both = hessian + np.swapaxes(hessian, 1, 2)
            of_first = of_first + np.einsum("ni,nij->nj", slope, both) @ d
            of_f = of_f + 2 * np.einsum("nij,ij->n", hessian, form)
    found = of_f[:, None] * f
    if gradient is not None or lifted:
        found = found + of_first[:, None] * first
    return found if of_second is None else found + of_second[:, None] * second
