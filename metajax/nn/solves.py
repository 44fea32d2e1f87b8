"""Linear solves that can be mapped over tasks, differentiated, and cannot hang on the CPU.

jaxlib 0.10 splits a batched LAPACK call over the threads of XLA:CPU and blocks one of them until
all parts are done. Two such calls at the same time can take all threads of a small machine and wait
for each other for ever. Here every LAPACK call has one system: where a solve is mapped, the CPU
works through the systems one after the other. Accelerators solve a batch at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

Arrays = Callable[..., Any]


def one_at_a_time(function: Arrays) -> Arrays:
    """Return a function of arrays that, where it is mapped on the CPU, is called for each in turn.

    For what calls LAPACK; arguments may be mapped or not, over any number of axes. It cannot be
    differentiated: call it within a derivative of your own, such as that of
    ``jax.lax.custom_linear_solve``.

    Args:
      function: ``function(*arrays) -> arrays``, for one system.

    Returns:
      The same function of one system. On other platforms than the CPU ``jax.vmap`` maps it as ever.
    """

    @custom_vmap
    def alone(*args: Array) -> Any:
        return function(*args)

    @alone.def_vmap
    def over_batch(size: int, batched: list[bool], *args: Array) -> tuple[Any, Any]:
        axes = tuple(0 if is_mapped else None for is_mapped in batched)

        def one(i: Array, args: tuple[Array, ...]) -> Any:
            return alone(*(x if axis is None else x[i] for x, axis in zip(args, axes, strict=True)))

        def in_turn(*args: Array) -> Any:
            return jax.lax.map(lambda i: one(i, args), jnp.arange(size))

        found = jax.lax.platform_dependent(*args, cpu=in_turn, default=jax.vmap(function, axes))
        return found, jax.tree.map(lambda _: True, found)

    return alone


def _over_leading(function: Arrays, *args: Float[Array, "..."], axes: int) -> Any:
    """Map over the leading axes, which all arguments share: all but the last ``axes`` of each."""
    lead = args[0].shape[: args[0].ndim - axes]
    for _ in lead:
        function = jax.vmap(function)
    return function(*args)


@one_at_a_time
def lapack_cholesky(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The factor of one matrix."""
    return jax.lax.linalg.cholesky(a, symmetrize_input=False)


@one_at_a_time
def solve_lower(lower: Float[Array, "n n"], b: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """``lower^-1 b``."""
    return jax.lax.linalg.triangular_solve(lower, b, left_side=True, lower=True)


@one_at_a_time
def solve_upper(lower: Float[Array, "n n"], b: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """``lower^-T b``."""
    return jax.lax.linalg.triangular_solve(lower, b, left_side=True, lower=True, transpose_a=True)


@one_at_a_time
def lapack_qr(a: Float[Array, "m n"]) -> tuple[Float[Array, "m n"], Float[Array, "n n"]]:
    """The thin factors of one matrix that is not wider than high."""
    q, r = jnp.linalg.qr(a)
    return q, r


@one_at_a_time
def lapack_r(a: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """The triangular factor of one matrix that is not wider than high."""
    return jnp.linalg.qr(a, mode="r")


@one_at_a_time
def lapack_svd(a: Float[Array, "m n"]) -> tuple[Array, Array, Array]:
    """The thin singular value decomposition of one matrix."""
    u, s, vt = jnp.linalg.svd(a, full_matrices=False)
    return u, s, vt


def thin_svd(a: Float[Array, "m n"]) -> tuple[Array, Array, Array]:
    """Return ``u, s, vt`` with ``u * s @ vt = a``, the largest singular values first.

    Mapped by ``jax.vmap``, matrices are taken one after the other on the CPU. It has no derivative.

    Args:
      a: one matrix; ``s`` has as many entries as its smaller side.
    """
    return lapack_svd(a)


@jax.custom_jvp
def _cholesky(a: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return lapack_cholesky(a)


@_cholesky.defjvp
def _cholesky_along(at: tuple[Array], along: tuple[Array]) -> tuple[Array, Array]:
    factor = _cholesky(*at)
    half = _triangular_solve(factor, along[0], False)
    inner = jnp.tril(_triangular_solve(factor, half.T, False))
    inner = inner - jnp.diag(jnp.diagonal(inner)) / 2
    return factor, factor @ inner


def _triangular_solve(lower: Float[Array, "n n"], b: Float[Array, "n k"], transpose: bool) -> Array:
    given = jax.lax.stop_gradient(lower)

    def product(x: Array) -> Array:
        matrix = jnp.tril(lower)
        return matrix.T @ x if transpose else matrix @ x

    def solve(_: Arrays, b: Array) -> Array:
        return solve_upper(given, b) if transpose else solve_lower(given, b)

    def solve_transposed(_: Arrays, b: Array) -> Array:
        return solve_lower(given, b) if transpose else solve_upper(given, b)

    return jax.lax.custom_linear_solve(product, b, solve, solve_transposed)


def cholesky(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Return the lower triangular ``L`` with ``L L^T = a``, for symmetric positive ``a``.

    ``n^3 / 3`` floating-point operations, one system at a time on the CPU. Differentiable to any
    order; a derivative takes two triangular solves and a product, ``4 n^3`` more.

    Args:
      a: its symmetric part is factored. Where that is not positive, the factor is NaN.
    """
    return _over_leading(_cholesky, (a + jnp.swapaxes(a, -1, -2)) / 2, axes=2)


def triangular_solve(
    lower: Float[Array, "*batch n n"], b: Float[Array, "*batch n k"], *, transpose: bool = False
) -> Float[Array, "*batch n k"]:
    """Return ``lower^-1 b``, or ``lower^-T b`` with ``transpose``; ``lower`` is triangular.

    ``n^2 k`` floating-point operations, one system at a time on the CPU. Differentiable to any
    order, each derivative by one more solve.

    Args:
      lower: what is above its diagonal is not read.
      b: the right sides.
      transpose: whether ``lower`` is transposed.
    """

    def solve(lower: Array, b: Array) -> Array:
        return _triangular_solve(lower, b, transpose)

    return _over_leading(solve, lower, b, axes=2)


def _positive_solve(a: Float[Array, "n n"], b: Float[Array, "n k"]) -> Float[Array, "n k"]:
    factor = lapack_cholesky(jax.lax.stop_gradient(a))

    def solve(_: Arrays, b: Array) -> Array:
        return solve_upper(factor, solve_lower(factor, b))

    return jax.lax.custom_linear_solve(lambda x: a @ x, b, solve, symmetric=True)


def inverse_factor(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """Return ``L^-1`` for symmetric positive ``a = L L^T``, so that ``a^-1 = L^-T L^-1``.

    ``n^3 / 3 + n^3`` floating-point operations.

    Args:
      a: symmetric positive matrices.
    """
    eye = jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return triangular_solve(cholesky(a), eye)


def positive_solve(
    a: Float[Array, "*batch n n"], b: Float[Array, "*batch n k"]
) -> Float[Array, "*batch n k"]:
    """Return ``a^-1 b`` for symmetric positive ``a``, by its Cholesky factor.

    ``n^3 / 3 + 2 n^2 k`` floating-point operations, one system at a time on the CPU. Differentiable
    to any order; a derivative takes another ``2 n^2 k`` with the same factor. For normal equations
    it loses half of the digits, where :func:`metajax.nn.least_squares` does not.

    Args:
      a: its symmetric part is meant. Where that is not positive, the result is NaN.
      b: the right sides.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.nn import positive_solve
      >>> positive_solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([[2.0], [8.0]])).round(3)
      Array([[1.],
             [2.]], dtype=float32)
    """
    return _over_leading(_positive_solve, (a + jnp.swapaxes(a, -1, -2)) / 2, b, axes=2)
