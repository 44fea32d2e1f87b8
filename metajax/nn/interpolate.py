"""Images as functions of the plane: cubic splines through values on the nodes of a grid."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from metajax.core import ConfigError
from metajax.nn.jets import Jet
from metajax.nn.pinn import PINN

CUBIC = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6
"""Coefficients of 1, s, s^2 and s^3 of the four cubic B-splines over an interval, s in [0, 1]."""


def image_function(size: int) -> PINN:
    """Make the function of the square from -1 to 1 whose parameters are an image.

    Params are one array ``[size, size]``, the values at evenly spread nodes, the outermost on the
    edge: ``[row, column]`` is ``(y, x)``. Between them it is the bicubic spline through them, whose
    second derivatives are continuous, with not-a-knot ends (de Boor 2001, A Practical Guide to
    Splines, chapter IV). Polynomials that are cubic in each coordinate are reproduced everywhere;
    of other functions the value's error falls as the fourth power of the distance between nodes,
    that of second derivatives as its square. Outside the square the outermost cubics continue.

    An image starts as zeros. There are no layers, so that the ``hidden`` of ``derivatives`` are
    the outputs ``[*batch, 1]`` themselves. It is computed in the dtype of the image, to which
    points are cast.

    Args:
      size: nodes along a side.

    Returns:
      The function, with its derivatives.

    Raises:
      ConfigError: ``size`` is below 4, or, when it is called, an image has another size or points
        are not in the plane.
    """
    if size < 4:
        raise ConfigError("size", size, "a whole number of 4 or more")
    to_spline = spline_matrix(size)

    def init(key: Key[Array, ""], points: Float[Array, "*batch 2"]) -> Float[Array, "size size"]:
        return jnp.zeros((size, size))

    def apply(
        image: Float[Array, "size size"], points: Float[Array, "*batch 2"]
    ) -> Float[Array, "*batch 1"]:
        return derivatives(image, points)[0].u

    def derivatives(
        image: Float[Array, "size size"], points: Float[Array, "*batch 2"]
    ) -> tuple[Jet, Jet]:
        if image.shape != (size, size):
            raise ConfigError("image", image.shape, f"[{size}, {size}]")
        if points.shape[-1] != 2:
            raise ConfigError("points", points.shape, "[*batch, 2]")
        matrix = jnp.asarray(to_spline, image.dtype)
        spline = matrix @ image @ matrix.T
        x, y = points.astype(image.dtype).reshape(-1, 2).T
        (column, across), (row, along) = basis(x, size), basis(y, size)

        # windows and not single entries: XLA:CPU adds up their gradients in a quarter of the time
        def window(*corner):
            return jax.lax.dynamic_slice(spline, corner, (4, 4))

        near = jax.vmap(window)(row, column)
        in_row = [jnp.sum(near * weights[:, None], -1) for weights in across]

        def mixed(in_x: int, in_y: int) -> Array:
            return jnp.sum(in_row[in_x] * along[in_y], -1).reshape(*points.shape[:-1], 1)

        found = Jet(mixed(0, 0), mixed(1, 0), mixed(0, 1), mixed(2, 0), mixed(1, 1), mixed(0, 2))
        return found, found

    return PINN(init, apply, derivatives)


def spline_matrix(size: int) -> Float[np.ndarray, "more size"]:
    """What makes values at nodes into coefficients of cubic B-splines, ``more = size + 2``."""
    rows = np.zeros((size + 2, size + 2))
    for node in range(size):
        rows[node + 1, node : node + 3] = CUBIC[0, :3]
    # the third derivative does not jump at the second node and the last but one
    rows[0, :5] = rows[-1, -5:] = [1, -4, 6, -4, 1]
    return np.linalg.inv(rows)[:, 1:-1]


def basis(x: Float[Array, " n"], size: int) -> tuple[Int32[Array, " n"], list[Float[Array, "n 4"]]]:
    """The first of the four cubic B-splines at each point, their values and two derivatives."""
    per_unit = (size - 1) / 2
    place = (x + 1) * per_unit
    cell = jnp.clip(jnp.floor(place), 0, size - 2)
    s = place - cell
    zero, one = jnp.zeros_like(s), jnp.ones_like(s)
    powers = ([one, s, s**2, s**3], [zero, one, 2 * s, 3 * s**2], [zero, zero, 2 * one, 6 * s])
    table = jnp.asarray(CUBIC, x.dtype)
    weights = [
        per_unit**order * (jnp.stack(power, -1) @ table) for order, power in enumerate(powers)
    ]
    return cell.astype(jnp.int32), weights
