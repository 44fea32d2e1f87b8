"""Domains: the same images, shifted in another way by each domain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import ConfigError, Examples, Task, derive, random_indices, register_dataclass
from metajax.data.pool import ImagePool


class DomainInputs(NamedTuple):
    """Images of a domain, with what is known of the domain.

    Attributes:
      images: normalized and flat.
      own: the source domain that they are of, -1 for none: an expert of this index was trained on
        this domain.
      nearest: the two source domains that are most like theirs. Only an oracle knows them.
    """

    images: Float[Array, "n features"]
    own: Int32[Array, " n"]
    nearest: Int32[Array, "n 2"]


@register_dataclass
@dataclass(frozen=True)
class Domains:
    """Images of several domains, as a pytree on the device.

    Attributes:
      images: of each domain, normalized and flat.
      labels: class indices, the same for all domains.
      own: of each domain, see :class:`DomainInputs`.
      nearest: of each domain.
    """

    images: Float[Array, "domains n features"]
    labels: Int32[Array, " n"]
    own: Int32[Array, " domains"]
    nearest: Int32[Array, "domains 2"]

    @property
    def num_domains(self) -> int:
        """How many there are."""
        return len(self.own)

    @property
    def num_images(self) -> int:
        """Images of each domain."""
        return len(self.labels)

    def take(self, domain: Int32[Array, ""], rows: Int32[Array, " num"]) -> Examples:
        """Return some images of a domain, and their labels.

        Args:
          domain: its index, which may be traced.
          rows: which images.
        """
        num = len(rows)
        own = jnp.broadcast_to(self.own[domain], (num,))
        nearest = jnp.broadcast_to(self.nearest[domain], (num, 2))
        return Examples(DomainInputs(self.images[domain, rows], own, nearest), self.labels[rows])


@register_dataclass
@dataclass(frozen=True)
class DomainTasks:
    """Tasks of a random domain each: a support to adapt to, a query to be scored on.

    Images are drawn uniformly with replacement, so a query may have an image of its support.

    Attributes:
      domains: that are drawn from.
      shots: images of a support. Static.
      queries: images of a query. Static.
    """

    domains: Domains
    shots: int = field(metadata={"static": True})
    queries: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        number = jnp.uint32(self.domains.num_domains)
        domain = random_indices(derive(key, "domain"), (), number)
        all_images = jnp.uint32(self.domains.num_images)
        rows = random_indices(derive(key, "images"), (self.shots + self.queries,), all_images)
        support, query = rows[: self.shots], rows[self.shots :]
        return Task(self.domains.take(domain, support), self.domains.take(domain, query))


def domain_circle(
    train: ImagePool,
    held_out: ImagePool,
    shift: Callable[[Float[Array, "n h w c"], Float[Array, ""]], Float[Array, "n h w c"]],
    num: int,
    around: float,
) -> tuple[Domains, Domains]:
    """Make source domains around a circle of shifts, and target domains half-way between them.

    Source domain ``i`` has the training images, shifted by ``i / num`` of the way around. Target
    domain ``i`` has the held-out images, shifted by ``(i + 1/2) / num`` of it. Both are normalized
    by the statistics of the training images.

    Args:
      train: images of the source domains.
      held_out: images of the target domains.
      shift: ``shift(images, amount) -> images``, such as :func:`metajax.continual.turned`; pure and
        traceable.
      num: domains of each kind, 2 or more.
      around: the amount that is no shift again, such as a full turn.

    Returns:
      The source domains and the target domains.

    Raises:
      ConfigError: fewer than 2 domains.
    """
    if num < 2:
        raise ConfigError("num", num, "2 domains or more")
    place = jnp.arange(num, dtype=jnp.int32)
    amounts = around / num * jnp.arange(num, dtype=jnp.float32)
    after = (place + 1) % num
    targets = jnp.stack([place, after], axis=1)
    sources = jnp.stack([(place - 1) % num, after], axis=1)

    @jax.jit
    def shifted(images: Array, amounts: Array) -> Array:
        return jax.lax.map(lambda by: shift(images, by).reshape(len(images), -1), amounts)

    def domains(pool: ImagePool, amounts: Array, own: Array, nearest: Array) -> Domains:
        levels = train.levels(pool.images)
        labels = jnp.asarray(pool.labels, jnp.int32)
        return Domains(shifted(levels, amounts), labels, own, nearest)

    none = jnp.full(num, -1, jnp.int32)
    half = jnp.float32(around / num / 2)
    return (
        domains(train, amounts, place, sources),
        domains(held_out, amounts + half, none, targets),
    )
