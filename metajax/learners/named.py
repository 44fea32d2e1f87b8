"""Losses that say by name which targets they do not take."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError, described, is_misfit
from metajax.learners.losses import Loss


def named_loss(loss: Loss) -> Loss:
    """Return a loss that raises by name where its targets do not fit, or it is not a scalar.

    Raises:
      ConfigError: ``loss`` is no function; from the loss, for targets that it was not made for.
    """
    if not callable(loss):
        raise ConfigError("loss", described(loss), "a function, loss(outputs, targets) -> scalar")

    @functools.wraps(loss)
    def named(outputs: Any, targets: Any) -> Float[Array, ""]:
        try:
            value = loss(outputs, targets)
        except Exception as error:
            if not is_misfit(error):
                raise
            raise ConfigError(
                "targets",
                described(targets),
                f"targets that {getattr(loss, '__name__', 'the loss')} takes with the outputs "
                f"{described(outputs)} of the network",
            ) from error
        if jnp.shape(value) != ():
            raise ConfigError("loss", described(value), "a scalar, e.g. the mean over examples")
        return value

    return named
