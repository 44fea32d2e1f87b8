"""Any optax optimizer, given what it asks for, or rejected by what it lacks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from metajax.core.errors import ConfigError
from metajax.core.trees import wide_dtype
from metajax.core.types import Params

LOSS_VALUE = "the gradient, the parameters and the loss (value)"
LOSS_FUNCTION = (
    "the gradient, the parameters, the loss (value) and the loss as a function of the parameters "
    "(value_fn, obj_fn, grad_fn)"
)


def prepare_optimizer(
    optimizer: optax.GradientTransformation, *, has_function: bool, field: str = "optimizer"
) -> optax.GradientTransformationExtraArgs:
    """Return ``optimizer`` with one way to call it, whatever it needs; see :func:`optimizer_step`.

    Its ``init`` traces one update, so that what cannot work is rejected before anything compiles.
    Where a caller has JAX's strict modes on, optax is exempt from them: it mixes dtypes and ranks,
    as in a float decay to an int count. State keeps the dtypes that it starts with.

    Args:
      optimizer: any of optax.
      has_function: whether updates are given the loss as a function, and not its value alone.
      field: what the error names.

    Raises:
      ConfigError: it is no optax optimizer; or, by ``init``, its update needs more, or returns
        updates or a state of another structure.
    """
    if not (callable(getattr(optimizer, "init", None)) and hasattr(optimizer, "update")):
        raise ConfigError(field, optimizer, "an optax optimizer, e.g. optax.adam(1e-3)")
    inner: Any = optax.with_extra_args_support(optimizer)
    taken = inspect.signature(inner.update).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())

    def update(grads: PyTree, state: PyTree, params: Params | None = None, **known: Any) -> Any:
        if not takes_all:
            known = {name: value for name, value in known.items() if name in taken}
        with _lenient():
            updates, new = inner.update(grads, state, params, **known)
        structure: Any = jax.tree.structure(new)
        if structure != jax.tree.structure(state):
            raise ValueError("its update changes the structure of its state")
        if _shape(updates) != _shape(grads):
            raise ValueError("its updates have other shapes than the gradient")

        def keep(leaf, old):
            return jnp.asarray(leaf, jnp.asarray(old).dtype)

        return updates, jax.tree.map(keep, new, state)

    def init(params: Params) -> PyTree:
        def once(params: Params) -> Any:
            state = inner.init(params)
            value = jnp.zeros((), wide_dtype(params))
            function = (lambda params: value + 0 * _sum(params)) if has_function else None
            return optimizer_step(checked, params, state, params, value=value, value_fn=function)

        try:
            with _lenient():
                jax.eval_shape(once, params)
        except Exception as error:
            name = getattr(optimizer.update, "__qualname__", repr(optimizer)).split(".")[0]
            given = LOSS_FUNCTION if has_function else LOSS_VALUE
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ConfigError(
                field, name, f"an optimizer that needs no more than {given}; it says: {reason[0]}"
            ) from error
        with _lenient():
            return inner.init(params)

    checked = optax.GradientTransformationExtraArgs(init, update)
    return checked


def optimizer_step(
    optimizer: optax.GradientTransformationExtraArgs,
    params: Params,
    state: PyTree,
    grads: PyTree,
    *,
    value: Float[Array, ""],
    value_fn: Callable[[Params], Float[Array, ""]] | None = None,
) -> tuple[Params, PyTree]:
    """Take one step of a prepared ``optimizer``; return the new parameters and its new state.

    Args:
      optimizer: from :func:`prepare_optimizer`.
      params: where ``grads`` and ``value`` are those of the loss.
      state: the optimizer's.
      grads: what is descended.
      value: of the loss.
      value_fn: the loss of other parameters on the same data, for optimizers that look ahead.

    Returns:
      New parameters, shaped as the old ones, and the new state.
    """
    known: dict[str, Any] = {"value": value, "grad": grads}
    if value_fn is not None:
        known |= _functions(value_fn)
    updates, state = optimizer.update(grads, state, params, **known)
    return optax.apply_updates(params, updates), state


@contextmanager
def reverse_mode(field: str, value: str, expected: str) -> Iterator[None]:
    """Reject a loop of unknown length where its derivative is taken in reverse, by ``field``.

    Args:
      field: the setting that caused the loop.
      value: what it is.
      expected: what would work.

    Returns:
      Nothing: it is a context manager.

    Raises:
      ConfigError: in place of the ``ValueError`` that JAX raises inside the block.
    """
    try:
        yield
    except ValueError as error:
        if "Reverse-mode differentiation does not work" not in str(error):
            raise
        raise ConfigError(field, value, expected) from error


def _functions(value_fn: Callable[[Params], Float[Array, ""]]) -> dict[str, Any]:
    """The loss and its gradient under the names that optimizers have for them."""

    # a line search hands the other names on to the loss, and rejects what that does not take
    def loss(params: Params, obj_fn: Any = None, grad_fn: Any = None) -> Float[Array, ""]:
        return value_fn(params)

    # counts its own steps ahead: the data are the same in each
    def gradient(params: Params, count: Any = None) -> PyTree:
        return jax.grad(value_fn)(params)

    return {"value_fn": loss, "obj_fn": loss, "grad_fn": gradient}


def _shape(tree: PyTree) -> Any:
    return jax.tree.structure(tree), [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]


@contextmanager
def _lenient() -> Iterator[None]:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _sum(params: Params) -> Array:
    """A number that depends on every parameter."""
    return sum((jnp.sum(leaf) for leaf in jax.tree.leaves(params)), start=jnp.zeros(()))
