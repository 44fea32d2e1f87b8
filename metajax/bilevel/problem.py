"""From a loss and an optax optimizer to an inner problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import optax
from jaxtyping import Array, Float, PyTree

from metajax.bilevel.types import InnerProblem
from metajax.core import Params, optimizer_step, prepare_optimizer

BatchLoss = Callable[[Params, PyTree, PyTree], Float[Array, ""]]
"""``loss(params, hparams, batch) -> scalar``."""


class InnerState(NamedTuple):
    """The state of an inner optimization by optax.

    Attributes:
      params: what is optimized.
      opt_state: the optimizer's momenta and counters.
    """

    params: Params
    opt_state: PyTree


def descend(
    inner_loss: BatchLoss,
    outer_loss: BatchLoss,
    optimizer: optax.GradientTransformation | Callable[[PyTree], optax.GradientTransformation],
    *,
    init: Callable[[PyTree, Params], Params] | None = None,
) -> InnerProblem:
    """Make the problem of descending ``inner_loss`` by ``optimizer``, scored by ``outer_loss``.

    Args:
      inner_loss: ``inner_loss(params, hparams, batch) -> scalar``.
      outer_loss: ``outer_loss(params, hparams, batch) -> scalar``.
      optimizer: an optax optimizer, or a function from ``hparams`` to one, so that learning rates
        and momenta can be hyperparameters: ``lambda h: optax.sgd(jnp.exp(h["log_lr"]), .9)``.
        One with a line search (``lbfgs``) serves estimators that do not differentiate its steps
        in reverse.
        Give Adam an ``eps_root`` above 0: the root of a zero second moment has an infinite
        derivative.
      init: ``init(hparams, start) -> params``, where the initial parameters depend on
        hyperparameters; by default they are ``start``.

    Returns:
      The problem; its state holds the parameters and the optimizer's state.

    Raises:
      ConfigError: by ``problem.init``: ``optimizer`` needs more than ``inner_loss`` can give it.
    """

    def rule_of(hparams: PyTree) -> optax.GradientTransformationExtraArgs:
        fixed = hasattr(optimizer, "update") or not callable(optimizer)
        made: Any = optimizer if fixed else cast(Callable[..., Any], optimizer)(hparams)
        return prepare_optimizer(made, has_function=True, field="the inner optimizer")

    def first(hparams: PyTree, start: Params) -> InnerState:
        params = start if init is None else init(hparams, start)
        return InnerState(params, rule_of(hparams).init(params))

    def update(state: InnerState, hparams: PyTree, batch: PyTree) -> InnerState:
        value, grads = jax.value_and_grad(inner_loss)(state.params, hparams, batch)

        def value_fn(params: Params) -> Float[Array, ""]:
            return inner_loss(params, hparams, batch)

        rule = rule_of(hparams)
        return InnerState(*optimizer_step(rule, *state, grads, value=value, value_fn=value_fn))

    return InnerProblem(
        init=first,
        update=update,
        outer_loss=lambda state, hparams, batch: outer_loss(state.params, hparams, batch),
        inner_loss=inner_loss,
        params=lambda state: state.params,
    )
