"""What an equation makes of jets: functions of the plane with their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.nn import Jet


def apply_operator(coefficients: Float[Array, "5"], jet: Jet) -> Float[Array, "*n"]:
    """Return ``c1 u + c2 u_x + c3 u_y + c4 u_xx + c5 u_yy``.

    Args:
      coefficients: ``c1`` to ``c5``.
      jet: of ``u`` at any points.

    Returns:
      The operator's value at each point.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.physics.pde import apply_operator, differentiate
      >>> jet = differentiate(lambda x, y: x**2 + y**2, jnp.array([[1.0, 3.0]]))
      >>> apply_operator(jnp.array([0.0, 0.0, 0.0, 1.0, 1.0]), jet)  # the Laplacian
      Array([4.], dtype=float32)
    """
    terms = (jet.u, jet.x, jet.y, jet.xx, jet.yy)
    return sum(c * term for c, term in zip(coefficients, terms, strict=True))


def normal_derivative(jet: Jet, normals: Float[Array, "n 2"]) -> Float[Array, "n *more"]:
    """Return ``du/dn`` of functions at points with these normals.

    Args:
      jet: of any number of functions.
      normals: of length 1.

    Returns:
      One derivative for each point and function.
    """
    across, along = (n.reshape(-1, *(1,) * (jet.u.ndim - 1)) for n in normals.T)
    return jet.x * across + jet.y * along


def differentiate(function: Callable[..., Any], points: Float[Array, "n 2"]) -> Jet:
    """Return the jet of any ``function(x, y)`` of scalars, by two nested forward derivatives.

    Three passes for the second derivatives, along x, y and both: by the polarization identity.

    Args:
      function: of two scalars.
      points: where it is taken.

    Returns:
      The jet, ``[n]`` each.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.physics.pde import differentiate
      >>> jet = differentiate(lambda x, y: x**2 * y, jnp.array([[1.0, 3.0]]))
      >>> jet.xx, jet.xy
      (Array([6.], dtype=float32), Array([2.], dtype=float32))
    """

    def along(point: Array, direction: Array) -> tuple[Array, Array, Array]:
        def line(t):
            return function(*(point + t * direction))

        def slope(t):
            return jax.jvp(line, (t,), (jnp.ones_like(t),))

        zero = jnp.zeros((), point.dtype)
        (u, first), (_, second) = jax.jvp(slope, (zero,), (jnp.ones_like(zero),))
        return u, first, second

    directions = jnp.asarray([[1, 0], [0, 1], [1, 1]], points.dtype)
    each = jax.vmap(jax.vmap(along, (None, 0)), (0, None))
    u, first, second = each(points, directions)
    (x, y, _), (xx, yy, both) = first.T, second.T
    return Jet(u[:, 0], x, y, xx, (both - xx - yy) / 2, yy)
