"""A matrix product of rows and a kernel whose derivatives are laid out for XLA:CPU."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def rows_dot_general(
    rows: Float[Array, "n inputs"],
    kernel: Float[Array, "inputs outputs"],
    dimension_numbers: Any,
    precision: Any = None,
    **options: Any,
) -> Float[Array, "n outputs"]:
    """Return ``rows @ kernel``, to be given to ``flax.linen.Dense(dot_general=...)``.

    On CPU the derivatives, in reverse mode alone, are written out: XLA:CPU multiplies faster by a
    kernel that lies transposed in memory than by a transposed view of it, and contracts over many
    rows faster where the left factor is the narrower. Anything but a plain 2-D product, and any
    product elsewhere, is ``jax.lax.dot_general``.
    """
    plain = rows.ndim == kernel.ndim == 2 and dimension_numbers == (((1,), (0,)), ((), ()))
    if plain and precision is None and jax.default_backend() == "cpu":
        return _product(rows, kernel)
    return jax.lax.dot_general(rows, kernel, dimension_numbers, precision=precision, **options)


def _transpose(matrix):
    """``matrix.T`` in memory: by way of a third axis, XLA does not fold it into a product."""
    rows, columns = matrix.shape
    parts = 2 if rows % 2 == 0 else 1
    matrix = jnp.transpose(matrix.reshape(rows // parts, parts, columns), (2, 0, 1))
    return matrix.reshape(columns, rows)


@jax.custom_vjp
def _product(rows, kernel):
    return rows @ kernel


def _forward(rows, kernel):
    return rows @ kernel, (rows, kernel)


def _backward(residuals, grad):
    rows, kernel = residuals
    over_rows = (((0,), (0,)), ((), ()))
    if kernel.shape[0] > kernel.shape[1]:
        dkernel = _transpose(jax.lax.dot_general(grad, rows, over_rows))
    else:
        dkernel = jax.lax.dot_general(rows, grad, over_rows)
    return grad @ _transpose(kernel), dkernel


_product.defvjp(_forward, _backward)
