"""Integer labels: which are classes, how many are predicted, and their cross-entropy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Integer

from metajax.core.errors import ConfigError


def check_known_labels(
    labels: Integer[Array, "*examples"], classes: int, field: str = "targets"
) -> None:
    """Raise where labels are known, and not all of them are classes.

    Raises:
      ConfigError: they are not.
    """
    if isinstance(labels, jax.core.Tracer):
        return
    known = np.asarray(jax.device_get(labels))
    if known.size and not 0 <= known.min() <= known.max() < classes:
        wrong = known.min() if known.min() < 0 else known.max()
        raise ConfigError(field, int(wrong), f"labels from 0 to {classes - 1}, one a class")


def valid_labels(
    labels: Integer[Array, "*examples"], classes: int, field: str = "targets"
) -> Bool[Array, "*examples"]:
    """Return which labels are classes, 0 to ``classes - 1``; where all are known, reject others.

    Traced labels are not known: what is made of one that is no class must be NaN, so that it is
    never taken for a class.

    Args:
      labels: whole numbers.
      classes: how many there are.
      field: the name that an error gives ``labels``.

    Raises:
      ConfigError: labels are no whole numbers; or they are known, and not all of them are classes.
    """
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ConfigError(field, str(labels.dtype), "whole numbers, one label an example")
    check_known_labels(labels, classes, field)
    # the largest class in the labels' own type, which may be too small to hold it
    last = min(classes - 1, jnp.iinfo(labels.dtype).max)
    return (labels >= 0) & (labels <= last)


def correct(
    outputs: Float[Array, "*examples classes"], targets: Integer[Array, "*examples"]
) -> Float[Array, "*examples"]:
    """Return 1 where the largest output is the target's, 0 elsewhere, and NaN where neither holds.

    That is where an output is not finite, whose largest would be an accident, and where a traced
    target is no class. Give a class that is ruled out a large negative output, not ``-inf``.

    Args:
      outputs: a number for each class, such as logits.
      targets: whole numbers of 0 to ``classes - 1``.

    Raises:
      ConfigError: targets are known, and not all of them are classes.
    """
    judged = valid_labels(targets, outputs.shape[-1]) & jnp.all(jnp.isfinite(outputs), axis=-1)
    hit = jnp.argmax(outputs, axis=-1) == targets.astype(int)
    # float32 or wider: a share of many examples does not stand in 16 bits
    wide = np.promote_types(outputs.dtype, np.float32)
    return jnp.where(judged, hit.astype(wide), jnp.nan)


def accuracy(
    outputs: Float[Array, "*examples classes"], targets: Integer[Array, "*examples"]
) -> Float[Array, ""]:
    """Return the share of examples whose largest output is the target's; see :func:`correct`.

    Args:
      outputs: a number for each class, such as logits.
      targets: whole numbers of 0 to ``classes - 1``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.core import accuracy
      >>> float(accuracy(jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])))
      0.5
    """
    return jnp.mean(correct(outputs, targets))


def cross_entropy(
    outputs: Float[Array, "*examples classes"], targets: Integer[Array, "*examples"]
) -> Float[Array, ""]:
    """Return the mean negative log-probability of integer ``targets``; ``outputs`` are logits.

    A traced target that is no class makes the loss and its gradient NaN.

    Args:
      outputs: logits.
      targets: whole numbers of 0 to ``classes - 1``.

    Raises:
      ConfigError: targets are known, and not all of them are classes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.core import cross_entropy
      >>> round(float(cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))), 4)
      1.3863
    """
    valid = valid_labels(targets, outputs.shape[-1])
    losses = optax.softmax_cross_entropy_with_integer_labels(outputs, jnp.where(valid, targets, 0))
    # a factor, so that it reaches the gradient too: an inner step looks at nothing else
    return jnp.mean(losses * jnp.where(valid, 1, jnp.nan).astype(losses.dtype))
