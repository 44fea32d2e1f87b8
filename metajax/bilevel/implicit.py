"""Implicit differentiation: what the hyperparameters do to the state that the steps converge to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from metajax.bilevel.checks import leaves_used
from metajax.bilevel.exact import no_memory
from metajax.bilevel.steps import (
    advance,
    at,
    floats,
    in_reverse,
    or_one,
    outer_gradients,
    relative,
    step_vjp,
    with_leaves,
)
from metajax.bilevel.types import Estimate, Hypergradient
from metajax.core import ConfigError, norm

Linear = Callable[[PyTree], PyTree]
"""A linear map of trees."""


def _init(problem, hparams, start, batch, key, calibration):
    """Reject a learned initialization: where the steps converge does not depend on it."""
    if used := leaves_used(lambda hparams: problem.init(hparams, start), hparams):
        raise ConfigError(
            "hparams",
            ", ".join(used),
            "hyperparameters that act through the inner steps: these set the initial state, for "
            "which an implicit gradient is zero; use unrolled, forward or drmad",
        )
    return no_memory(problem, hparams, start, batch, key, calibration)


def _times(factor: Array, tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: factor.astype(leaf.dtype) * leaf, tree)


def solve_positive(product: Linear, right: PyTree, iterations: int) -> PyTree:
    """Solve ``product(x) = right`` by conjugate gradients, for a symmetric positive ``product``.

    Stops after so many iterations, or before where the residual is rounding of the right side:
    further ones divide one rounding error by another, up to 0 / 0. It also stops where a direction
    has no curvature, along which there is no solution; what has been found so far is returned.
    Differentiable by the solution's own equation, at the price of another solution.
    """

    def solve(product: Linear, right: PyTree) -> PyTree:
        dtypes = [leaf.dtype for leaf in jax.tree.leaves(right)]
        rounding = max(float(jnp.finfo(dtype).eps) for dtype in dtypes)
        # to numbers of 1 at most, and then to length 1, so that squares do not vanish
        largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(right)]))
        start = _times(1 / or_one(largest), right)
        size = or_one(norm(start))
        start = _times(1 / size, start)

        def unfinished(carry: Any) -> Any:
            _, _, _, squares, count, curved = carry
            return (squares > rounding**2) & (count < iterations) & curved

        def iterate(carry: Any) -> Any:
            x, residual, direction, squares, count, _ = carry
            turned = product(direction)
            curvature = optax.tree.vdot(direction, turned)
            curved = curvature != 0
            length = jnp.where(curved, squares / or_one(curvature), 0)
            # over an infinite curvature it would be a step of 0, and look like a solution
            length = jnp.where(jnp.isfinite(curvature), length, jnp.nan)
            x = optax.tree.add(x, _times(length, direction))
            residual = optax.tree.sub(residual, _times(length, turned))
            new = optax.tree.vdot(residual, residual)
            direction = optax.tree.add(residual, _times(new / squares, direction))
            return x, residual, direction, new, count + 1, curved

        squares = optax.tree.vdot(start, start)
        carry = (optax.tree.zeros_like(start), start, start, squares, 0, True)
        found = jax.lax.while_loop(unfinished, iterate, carry)[0]
        return _times(largest * size, found)

    return jax.lax.custom_linear_solve(product, right, solve, symmetric=True)


def _distance(push: PyTree, solution: PyTree, right: PyTree, at: PyTree) -> Array:
    """How far away the solved-for state is, over the size of the state ``at`` that was reached.

    The step there is ``push`` times an inverse, whose size is that of ``solution`` over ``right``.
    """
    return relative(norm(push) * relative(norm(solution), norm(right)), norm(at))


def neumann(*, terms: int = 20) -> Hypergradient:
    """Take the implicit gradient at the last state, its inverse as a sum: ``sum_k alpha A^k B``.

    ``A`` and ``B`` are derivatives of the update itself on the window's last batch, so any inner
    optimizer will do, momentum included. Costs ``terms`` vector-Jacobian products; memory
    independent of T. Unbiased as the steps converge and ``terms`` grow; biased before. ``info``:
    ``residual``, the size of the first term left out over that of alpha (1 or more: the sum does
    not converge); ``stationarity``, how far one more step moves the state, over its size; and
    ``distance``, about how far all further steps would.
    (Lorraine et al. 2020, arXiv 1911.02590.)

    Args:
      terms: terms of the sum, each a vector-Jacobian product.

    Returns:
      The estimator.

    Raises:
      ConfigError: ``terms`` below 1.
    """
    if terms < 1:
        raise ConfigError("terms", terms, "1 or more")

    @in_reverse
    def update(problem, memory, hparams, state, batches, outer_batch, key):
        state = advance(problem, hparams, state, batches)
        loss, alpha, direct = outer_gradients(problem, state, hparams, outer_batch)
        stepped, pull = step_vjp(problem, state, hparams, at(batches, -1))

        def add_term(carry, _):
            term, total = carry
            return (pull(term)[0], optax.tree.add(total, term)), None

        zeros = optax.tree.zeros_like(alpha)
        (left_out, total), _ = jax.lax.scan(add_term, (alpha, zeros), length=terms)
        moved = optax.tree.sub(floats(stepped), floats(state))
        info = {
            "residual": relative(norm(left_out), norm(alpha)),
            "stationarity": relative(norm(moved), norm(floats(state))),
            "distance": _distance(moved, total, alpha, floats(state)),
        }
        return Estimate(optax.tree.add(direct, pull(total)[1]), state, memory, loss, None, info)

    return Hypergradient("neumann", _init, update)


def conjugate_gradient(*, iterations: int = 10, damping: float = 0.0) -> Hypergradient:
    """Take the implicit gradient at the last state, its inverse by conjugate gradients.

    Solves ``(H + damping) x = dL/dw`` with the Hessian ``H`` of ``problem.inner_loss`` on the
    window's last batch, and returns ``dL/dhparams - x d2 l/dw dhparams``. Costs at most
    ``iterations`` Hessian-vector products, and stops before where only rounding is left; memory
    independent of T. Exact where the inner loss is at a minimum; ``info``: ``residual`` of the
    linear system relative to its right side; ``stationarity``, the norm of the inner gradient; and
    ``distance``, about how far the minimum of ``inner_loss`` is, over the size of the parameters.
    An optimizer with a weight decay, a projection or noise of its own comes to rest elsewhere.
    (Pedregosa 2016, arXiv 1602.02355; Rajeswaran et al. 2019, arXiv 1909.04630.)

    Args:
      iterations: most Hessian-vector products.
      damping: what is added to the Hessian's diagonal, 0 or more.

    Returns:
      The estimator.

    Raises:
      ConfigError: ``iterations`` below 1, or a negative ``damping``.
    """
    if iterations < 1:
        raise ConfigError("iterations", iterations, "1 or more")
    if damping < 0:
        raise ConfigError("damping", damping, "0 or more")

    def init(problem, hparams, start, batch, key, calibration):
        if problem.inner_loss is None or problem.params is None:
            raise ConfigError(
                "problem.inner_loss",
                None,
                "the loss that the inner steps descend, and problem.params; or use neumann, which "
                "needs the update alone",
            )
        return _init(problem, hparams, start, batch, key, calibration)

    def update(problem, memory, hparams, state, batches, outer_batch, key):
        state = advance(problem, hparams, state, batches)
        loss, alpha, direct = outer_gradients(problem, state, hparams, outer_batch)
        params, batch = problem.params(state), at(batches, -1)
        right = problem.params(with_leaves(state, alpha))  # dL/dw: params picks leaves of a state

        def inner_gradient(params, hparams):
            return jax.grad(problem.inner_loss)(params, hparams, batch)

        def product(vector):
            def along(params):
                return inner_gradient(params, hparams)

            hessian = jax.jvp(along, (params,), (vector,))[1]
            return jax.tree.map(lambda h, v: h + damping * v, hessian, vector)

        solution = solve_positive(product, right, iterations)
        gradient, pull = jax.vjp(lambda hparams: inner_gradient(params, hparams), hparams)
        hypergradient = optax.tree.sub(direct, pull(solution)[0])
        info = {
            "residual": relative(norm(optax.tree.sub(product(solution), right)), norm(right)),
            "stationarity": norm(gradient),
            "distance": _distance(gradient, solution, right, params),
        }
        return Estimate(hypergradient, state, memory, loss, None, info)

    return Hypergradient("conjugate_gradient", init, update)
