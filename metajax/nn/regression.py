"""Regularized linear least squares, to the accuracy of QR and differentiable to any order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from metajax.core import root
from metajax.nn.solves import lapack_qr, lapack_r, lapack_svd, solve_lower, solve_upper


class Saddle(NamedTuple):
    """What is solved for in ``top + d x = f, rest + a x = g, d top + a^T rest = h``.

    The residual ``(top, rest)`` of the rows ``d I`` and ``a`` at the solution ``x``. On the right
    side it holds ``f, g, h``.
    """

    top: Float[Array, "k c"]
    rest: Float[Array, "n c"]
    x: Float[Array, "k c"]


def solve_saddle(d: Float[Array, ""], a: Float[Array, "n k"], right: Saddle) -> Saddle:
    """Solve the symmetric system of a least-squares problem and its residual, by QR of its rows.

    With ``h = 0`` it is least squares of the rows ``[d I; a]``, with ``f, g = 0`` the shortest
    ``(top, rest)`` with ``d top + a^T rest = h``. Errors are those of Householder's QR: no normal
    equations are formed (Björck 1996, *Numerical Methods for Least Squares Problems*, 2.7.3). The
    derivative is that of the system's solution: one more solve with the same factors.
    """
    return saddle_solver(d, a)[0](right)


def saddle_solver(
    d: Float[Array, ""], a: Float[Array, "n k"]
) -> tuple[Callable[[Saddle], Saddle], Float[Array, "k k"]]:
    """Factor what :func:`solve_saddle` solves, for several right sides that follow each other.

    Returns:
      From the right side to the solution, and the triangular factor of the rows, which has no
      derivative.
    """
    num, k = a.shape
    rows = jnp.concatenate([d * jnp.eye(k, dtype=a.dtype), a])
    q, r = lapack_qr(jax.lax.stop_gradient(rows))

    # one array: the transpose of a linear solve wants all of its right side to be linear
    def join(top: Array, rest: Array, x: Array) -> Array:
        return jnp.concatenate([top, rest, x])

    def split(joined: Array) -> Saddle:
        return Saddle(joined[:k], joined[k : k + num], joined[k + num :])

    def product(joined: Array) -> Array:
        at = split(joined)
        return join(at.top + d * at.x, at.rest + a @ at.x, d * at.top + a.T @ at.rest)

    def solve(_: Any, joined: Array) -> Array:
        over, h = joined[: k + num], joined[k + num :]
        u = q.T @ over - solve_lower(r.T, h)
        return jnp.concatenate([over - q @ u, solve_upper(r.T, u)])

    def solver(right: Saddle) -> Saddle:
        return split(jax.lax.custom_linear_solve(product, join(*right), solve, symmetric=True))

    return solver, r


class Rows(NamedTuple):
    """Equations in float32 or wider, multiplied by the roots of their weights, 0 where masked."""

    design: Float[Array, "m F"]
    targets: Float[Array, "m k"]


def weighted_rows(
    design: Float[Array, "m F"],
    targets: Float[Array, "m k"],
    weights: Float[Array, " m"] | None = None,
    mask: Bool[Array, " m"] | None = None,
) -> Rows:
    """Return the equations as they are solved. A masked row may hold anything, also NaN."""
    wide = np.promote_types(design.dtype, np.float32)  # there are no solvers below float32

    def scaled(rows: Array) -> Array:
        rows = rows.astype(wide)
        if mask is not None:
            rows = jnp.where(mask[:, None], rows, 0)
        if weights is not None:
            used = weights if mask is None else jnp.where(mask, weights, 0)
            rows = rows * root(used.astype(wide))[:, None]
        return rows

    return Rows(scaled(design), scaled(targets))


def damped_least_squares(
    design: Float[Array, "m F"],
    targets: Float[Array, "m k"],
    strength: float | Float[Array, ""],
    *,
    weights: Float[Array, " m"] | None = None,
    mask: Bool[Array, " m"] | None = None,
) -> Float[Array, "F k"]:
    """Minimize ``sum weights |design head - targets|^2 + strength |head|^2`` over the head.

    By QR of the smaller side: of ``[sqrt(strength) I; design]`` where there are as many equations
    as features, else of the same with ``design^T``. With ``s`` the smaller and ``l`` the larger
    number, it takes about ``4 s^2 (l + 2 s / 3)`` floating-point operations, and ``(l + 2 s) s``
    numbers of memory, which are kept for the derivative. A solve with the factors, such as a
    derivative takes, is ``4 s (l + 2 s)`` operations for each of the ``k`` columns.

    Args:
      design: a row for each equation.
      targets: what its combination with the head should give, ``k`` heads side by side.
      strength: of the regularizer, 0 or more; above 0 where columns may depend on each other.
      weights: of the equations, 0 or more. The derivative by a weight of 0 is taken as 0.
      mask: the equations that count; others may hold anything.

    Returns:
      The head, in float32 or the design's dtype, whichever is wider.
    """
    rows = weighted_rows(design, targets, weights, mask)
    return _damped(rows, jnp.asarray(strength, rows.design.dtype))


def _damped(rows: Rows, strength: Float[Array, ""]) -> Float[Array, "F k"]:
    (m, num), k = rows.design.shape, rows.targets.shape[1]
    d = root(strength)
    side = min(m, num)
    zero = jnp.zeros((side, k), rows.design.dtype)
    if m < num:  # the head is the residual of the transposed rows, and shortest
        none = jnp.zeros((num, k), rows.design.dtype)
        return solve_saddle(d, rows.design.T, Saddle(zero, none, rows.targets)).rest
    return solve_saddle(d, rows.design, Saddle(zero, rows.targets, zero)).x


def _lengths(design: Float[Array, "m F"]) -> Float[Array, " F"]:
    length = root(jnp.sum(jnp.square(design), axis=0))
    return jnp.where(length > 0, length, 1)


def least_squares(
    design: Float[Array, "m F"],
    targets: Float[Array, "m k"],
    ridge: float | Float[Array, ""],
    *,
    weights: Float[Array, " m"] | None = None,
    mask: Bool[Array, " m"] | None = None,
    lengths: Float[Array, " F"] | None = None,
) -> Float[Array, "F k"]:
    """Minimize ``sum weights |design head - targets|^2 + ridge sum_j c_j |head_j|^2``.

    ``c_j`` is the sum of ``weights design_j^2``, so that the ridge has no unit, and a column in
    another unit gets a head in the inverse one. A column of zeros gets a head of 0. Cost and
    method are those of :func:`damped_least_squares`.

    Args:
      design: a row for each equation.
      targets: what its combination with the head should give, ``k`` heads side by side.
      ridge: 0 or more. The solve is accurate down to about the square of the dtype's rounding.
      weights: of the equations, 0 or more. The derivative by a weight of 0 is taken as 0.
      mask: the equations that count; others may hold anything.
      lengths: roots of other ``c_j``, above 0.

    Returns:
      The head, in float32 or the design's dtype, whichever is wider.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.nn import least_squares
      >>> x = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
      >>> least_squares(x, jnp.array([[1.0], [3.0], [5.0]]), 0.0).round(3)
      Array([[1.],
             [2.]], dtype=float32)
    """
    rows = weighted_rows(design, targets, weights, mask)
    length = _lengths(rows.design) if lengths is None else lengths.astype(rows.design.dtype)
    scaled = rows._replace(design=rows.design / length[None])
    return _damped(scaled, jnp.asarray(ridge, rows.design.dtype)) / length[:, None]


class Factored(NamedTuple):
    """A head, and what tells how well the equations determine it.

    Attributes:
      head: the solution.
      factor: upper triangular ``R``: over heads ``w``, the root of what is minimized is
        ``|R (length * w)|``, up to what no head can remove.
      length: of the columns.
    """

    head: Float[Array, "F k"]
    factor: Float[Array, "F F"]
    length: Float[Array, " F"]


def factored_least_squares(
    design: Float[Array, "m F"],
    targets: Float[Array, "m k"],
    ridge: float | Float[Array, ""],
    *,
    weights: Float[Array, " m"] | None = None,
    mask: Bool[Array, " m"] | None = None,
) -> Factored:
    """Return the head of :func:`least_squares` with the triangular factor of the equations.

    About ``2 F^2 (m + 2 F / 3)`` floating-point operations, half of :func:`least_squares` with as
    many equations as features, since ``R`` alone is computed; there is no derivative.

    Args:
      design: see :func:`least_squares`; so are ``targets``, ``ridge``, ``weights`` and ``mask``.
      targets: of the equations.
      ridge: relative to the columns.
      weights: of the equations.
      mask: the equations that count.
    """
    rows = weighted_rows(design, targets, weights, mask)
    (_, num), k = rows.design.shape, rows.targets.shape[1]
    dtype, length = rows.design.dtype, _lengths(rows.design)
    damping = root(jnp.asarray(ridge, dtype)) * jnp.eye(num, dtype=dtype)
    # the targets as more columns: R alone is needed then, and Q takes as long again to form
    above = jnp.concatenate([rows.design / length[None], rows.targets], axis=1)
    below = jnp.concatenate([damping, jnp.zeros((num, k), dtype)], axis=1)
    both = lapack_r(jnp.concatenate([above, below]))
    factor = both[:num, :num]
    return Factored(solve_upper(factor.T, both[:num, num:]) / length[:, None], factor, length)


def ridge_scores(
    design: Float[Array, "m F"],
    targets: Float[Array, "m k"],
    ridges: Float[Array, " g"],
    *,
    weights: Float[Array, " m"] | None = None,
    mask: Bool[Array, " m"] | None = None,
    leave_one_out: bool = False,
    lengths: Float[Array, " F"] | None = None,
) -> Float[Array, " g"]:
    """Return how well :func:`least_squares` would predict further equations, for every ridge.

    By one singular value decomposition for all ridges. Generalized cross-validation (Golub, Heath
    and Wahba 1979) is the mean square of what is left of the equations over ``(1 - h)^2``, where
    ``h`` is the mean influence of an equation on its own prediction. Leaving each equation out
    divides what is left of it by its own ``1 - h_i`` (PRESS; Allen 1974). Both are summed from what
    is not kept of each direction, so that ridges far below the dtype's rounding are compared too
    where columns are as many as equations or more. No derivative is given.

    Args:
      design: see :func:`least_squares`; so are all others but these.
      targets: of the equations.
      ridges: that are compared.
      weights: of the equations.
      mask: the equations that count.
      leave_one_out: whether each equation is left out; generalized cross-validation otherwise.
      lengths: roots of other ``c_j``.
    """
    given = (design, targets, weights, mask)
    rows = weighted_rows(*jax.lax.stop_gradient(given))
    dtype = rows.design.dtype
    length = _lengths(rows.design) if lengths is None else lengths.astype(dtype)
    u, s, _ = lapack_svd(rows.design / length[None])
    along = u.T @ rows.targets
    # of as many columns as equations or more, u is orthogonal: the columns reach everything
    tall = rows.design.shape[0] > len(s)
    beyond = rows.targets - u @ along if tall else jnp.zeros_like(rows.targets)
    alone = jnp.maximum(1 - jnp.sum(jnp.square(u), axis=1), 0) if tall else 0.0
    counts = jnp.any(rows.design != 0, axis=1) if mask is None else mask
    total = jnp.maximum(jnp.sum(counts.astype(dtype)), 1)
    tiny = jnp.finfo(dtype).tiny
    least = jnp.finfo(dtype).eps if tall else tiny

    def criterion(ridge: Float[Array, ""]) -> Float[Array, ""]:
        # what is not kept of a direction: 1 less what is kept would be no more than its rounding
        both = jnp.square(s) + ridge
        lost = jnp.where(both > tiny, ridge / jnp.maximum(both, tiny), 1)
        left = beyond + u @ (lost[:, None] * along)
        if leave_one_out:
            free = jnp.maximum(alone + jnp.square(u) @ lost, least)
            left = left / free[:, None]
            return jnp.sum(jnp.square(left)) / total
        free = jnp.maximum((total - len(s) + jnp.sum(lost)) / total, least)
        return jnp.sum(jnp.square(left)) / total / jnp.square(free)

    return jax.vmap(criterion)(ridges.astype(dtype))
