"""Sums and counts of features by class, which clients send and a server adds (arXiv 2109.00150)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Integer

from metajax.core import ConfigError, valid_labels, wide_dtype

RULED_OUT = -1e30
"""Logit of a class of which nothing is known; finite, as :func:`metajax.core.correct` asks for."""


class ClassSums(NamedTuple):
    """What is known of classes: all that a client sends, and all that a server keeps.

    Prototypes are means, and a mean says nothing of how many examples are behind it. Sums and
    counts of different examples can be added in any order, so the server's prototypes are those of
    all examples together (Federated Reconnaissance, arXiv 2109.00150, sends means with counts). A
    client sends what it saw itself, not what it was told: otherwise earlier examples count twice.

    Attributes:
      sums: of the features of each class's examples.
      counts: how many examples each class has.
    """

    sums: Float[Array, "*clients classes features"]
    counts: Int32[Array, "*clients classes"]


def no_sums(classes: int, features: int) -> ClassSums:
    """Return what is known before any example: nothing changes that it is merged with.

    Args:
      classes: to tell apart, known now or later.
      features: numbers of an embedding.

    Raises:
      ConfigError: one of both is below 1.
    """
    for name, value in (("classes", classes), ("features", features)):
        if value < 1:
            raise ConfigError(name, value, "1 or more")
    return ClassSums(jnp.zeros((classes, features)), jnp.zeros(classes, jnp.int32))


def observe(
    known: ClassSums,
    features: Float[Array, "n features"],
    labels: Integer[Array, " n"],
    counted: Bool[Array, " n"] | None = None,
) -> ClassSums:
    """Add examples to what is known; classes without one among them stay as they are, to the bit.

    Args:
      known: so far.
      features: of the examples.
      labels: their classes. A traced label that is no class counts for none.
      counted: which examples count; None: all.

    Returns:
      What is known then.

    Raises:
      ConfigError: labels are known, and not all of them are classes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax import continual
      >>> known = continual.no_sums(2, 1)
      >>> known = continual.observe(known, jnp.array([[1.0], [3.0]]), jnp.array([1, 1]))
      >>> known.counts, continual.prototypes(known)[1]
      (Array([0, 2], dtype=int32), Array([2.], dtype=float32))
    """
    classes = len(known.counts)
    valid = valid_labels(labels, classes)
    # out of range: dropped, so that not even a NaN reaches other classes
    places = jnp.where(valid if counted is None else valid & counted, labels, classes)
    places = places.astype(jnp.int32)
    wide = features.astype(wide_dtype((known.sums, features)))
    sums = jax.ops.segment_sum(wide, places, classes)
    ones = jnp.ones(len(places), jnp.int32)
    return ClassSums(known.sums + sums, known.counts + jax.ops.segment_sum(ones, places, classes))


def merge(first: ClassSums, second: ClassSums) -> ClassSums:
    """Add what two have seen; in any order and grouping it is the same, up to rounding.

    Over a mesh axis it is ``jax.lax.psum(sums, axis)``.

    Args:
      first: of some examples.
      second: of others.

    Returns:
      Of all of them.
    """
    return jax.tree.map(jnp.add, first, second)


def merge_clients(sums: ClassSums) -> ClassSums:
    """Add what all clients have seen.

    Args:
      sums: ``[clients, classes, ...]``.

    Returns:
      ``[classes, ...]``, of all clients together.
    """
    counts = jnp.sum(sums.counts, 0, dtype=jnp.int32)
    return ClassSums(jnp.sum(sums.sums, 0), counts)


def prototypes(known: ClassSums) -> Float[Array, "*clients classes features"]:
    """Return the mean embedding of every class, and zeros of a class without examples.

    Args:
      known: of the classes.
    """
    counts = jnp.maximum(known.counts, 1).astype(known.sums.dtype)
    return known.sums / counts[..., None]


def prototype_logits(
    known: ClassSums, features: Float[Array, "n features"]
) -> Float[Array, "n classes"]:
    """Return minus the squared distances to the prototypes (Snell et al. 2017, arXiv 1703.05175).

    Args:
      known: of the classes. A class without examples is ruled out.
      features: to classify.
    """
    means = prototypes(known)
    products = jnp.matmul(features, means.T, precision="highest")
    squares = [jnp.sum(jnp.square(each), -1) for each in (features, means)]
    distances = squares[0][:, None] - 2 * products + squares[1][None]
    return jnp.where((known.counts > 0)[None], -distances, RULED_OUT)


def sent_bytes(classes: int, features: int, bytes_a_number: int = 4) -> int:
    """Return what a client sends: a sum and a count for each class that it saw.

    Args:
      classes: that it saw.
      features: numbers of an embedding.
      bytes_a_number: 4 in float32.
    """
    return classes * (features + 1) * bytes_a_number
