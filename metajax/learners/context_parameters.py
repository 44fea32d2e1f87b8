"""Fast context adaptation: a task is learned in a few inputs, the network itself is shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.bilevel import descend
from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_optimizer,
    checked_network,
)
from metajax.learners.inner import gradient_learner
from metajax.learners.losses import Loss
from metajax.learners.named import named_loss


def concatenated(
    context: Float[Array, " size"], inputs: Float[Array, "*batch features"]
) -> tuple[Float[Array, "*batch more"]]:
    """Append the context to the last axis of the inputs: features of a row, channels of a pixel.

    Args:
      context: numbers that are adapted.
      inputs: rows, or images with their channels last.

    Returns:
      The inputs with ``size`` more features, for :func:`cavia` to call a network with.
    """
    context = jnp.broadcast_to(context.astype(inputs.dtype), (*inputs.shape[:-1], *context.shape))
    return (jnp.concatenate([inputs, context], axis=-1),)


def paired(context: Float[Array, " size"], inputs: Any) -> tuple[Any, Float[Array, " size"]]:
    """Give a network of two arguments the context by itself, which may modulate its channels.

    Args:
      context: numbers that are adapted.
      inputs: any.

    Returns:
      Both, for :func:`cavia` to call a network with.
    """
    return inputs, context


def cavia(
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    context_size: int,
    attach: Callable[[Float[Array, " size"], Any], tuple[Any, ...]] = concatenated,
    **options: Any,
) -> MetaLearner:
    """Adapt a context alone, zeros at the start of every task (Zintgraf et al. 2019, 1810.03642).

    The network's parameters are the meta-parameters and stay as they are within a task; second
    order, through ``steps`` inner steps of ``optimizer`` on the context (Algorithm 1).

    Args:
      network: takes ``attach``'s arguments.
      loss: ``loss(outputs, targets) -> scalar``.
      optimizer: of the inner steps; the paper's learning rates are 0.1 to 1.
      steps: inner steps.
      context_size: numbers that are adapted.
      attach: ``attach(context, inputs) -> args``, and the network is called with ``*args``. By
        default the context is appended to the inputs (:func:`concatenated`); a network of two
        arguments, which may scale and shift its channels by the second, takes :func:`paired`.
      **options: ``batches``, ``step_weights``, ``remat_every``, ``unroll``: see
        :func:`metajax.learners.gradient_learner`.

    Returns:
      A learner whose ``adapted`` is the context ``[context_size]``, in the parameters' dtype.

    Raises:
      ConfigError: ``context_size`` below 1, or an option that is rejected.
    """
    if context_size < 1:
        raise ConfigError("context_size", context_size, "1 or more")
    network, loss = checked_network(network), named_loss(loss)
    check_optimizer(optimizer)

    def init(key: Key[Array, ""], task: Task) -> Params:
        return network.init(key, *attach(jnp.zeros(context_size), task.support.inputs))

    def outputs(params: Params, context: Float[Array, " size"], inputs: Any) -> Any:
        return network.apply(params, *attach(context, inputs))

    def examples_loss(context, params: Params, examples: Examples) -> Float[Array, ""]:
        return loss(outputs(params, context, examples.inputs), examples.targets)

    problem = descend(
        examples_loss,
        examples_loss,
        optimizer,
        init=lambda params, _: jnp.zeros(context_size, optax.tree.dtype(params, "highest")),
    )
    return gradient_learner(problem, init, outputs, loss, steps=steps, **options)
