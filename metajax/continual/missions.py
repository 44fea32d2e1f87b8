"""Missions: what several clients see of new classes, round after round (arXiv 2109.00150)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int32, Integer, Key

from metajax.core import ConfigError, derive, register_dataclass


class Missions(NamedTuple):
    """What clients see, and how the classes are numbered by when they come.

    Attributes:
      rows: images of each mission, as places in the pool.
      labels: the class of each, by when it comes.
      counted: which of them are there: a class may have fewer images than ``shots``, and in the
        first round no class has come before.
      new: which are of a class that comes in this round.
      number: of each class of the pool, by when it comes. The first numbers are of classes that
        are known before all missions.
    """

    rows: Int32[Array, "rounds clients images"]
    labels: Int32[Array, "rounds clients images"]
    counted: Bool[Array, "rounds clients images"]
    new: Bool[Array, "rounds clients images"]
    number: Int32[Array, " classes"]


@register_dataclass
@dataclass(frozen=True)
class MissionDraws:
    """Draws missions by a key; see :func:`mission_draws`.

    Attributes:
      class_starts: images of class ``c`` of the pool are those from ``class_starts[c]`` up to but
        not including ``class_starts[c + 1]``.
      given: classes that are known before all missions, the pool's first. Static.
      rounds: missions of each client. Static.
      clients: of a round. Static.
      new_classes: that come in a round. Static.
      new_ways: of these, how many a client sees. Static.
      old_ways: of the classes of earlier rounds, how many a client sees again. Static.
      shots: images of a class in a mission, at most. Static.
      largest_class: images of the largest class. Static.
    """

    class_starts: Int32[Array, " classes_plus_1"]
    given: int = field(metadata={"static": True})
    rounds: int = field(metadata={"static": True})
    clients: int = field(metadata={"static": True})
    new_classes: int = field(metadata={"static": True})
    new_ways: int = field(metadata={"static": True})
    old_ways: int = field(metadata={"static": True})
    shots: int = field(metadata={"static": True})
    largest_class: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Missions:
        """Draw the order of classes, who sees which, and the images."""
        classes, given = len(self.class_starts) - 1, self.given
        field_order = jax.random.permutation(derive(key, "order"), classes - given)
        first = jnp.arange(given, dtype=jnp.int32)
        order = jnp.concatenate([first, given + field_order.astype(jnp.int32)])
        number = jnp.zeros(classes, jnp.int32).at[order].set(jnp.arange(classes, dtype=jnp.int32))
        # new classes: clients see windows of a round's, which overlap
        rounds = jnp.arange(self.rounds, dtype=jnp.int32)[:, None, None]
        starts = np.arange(self.clients) * self.new_classes // self.clients
        windows = (starts[:, None] + np.arange(self.new_ways)) % self.new_classes
        comes = given + rounds * self.new_classes
        new = comes + jnp.asarray(windows, jnp.int32)[None]
        # some of earlier rounds: places past the present round lose
        shape = self.rounds, self.clients, self.rounds * self.new_classes
        lots = jax.random.bits(derive(key, "old classes"), shape, jnp.uint32) | 1
        earlier = jnp.arange(shape[2], dtype=jnp.int32)[None, None] < comes - given
        best, places = jax.lax.top_k(jnp.where(earlier, lots, 0), self.old_ways)
        seen = jnp.concatenate([new, given + places.astype(jnp.int32)], -1)
        there = jnp.concatenate([jnp.ones(new.shape, bool), best > 0], -1)
        # images, without replacement within a mission
        of = order[seen]
        size = (self.class_starts[of + 1] - self.class_starts[of])[..., None]
        within = jnp.arange(self.largest_class, dtype=jnp.int32)[None, None, None] < size
        draws = jax.random.bits(derive(key, "images"), within.shape, jnp.uint32) | 1
        took, images = jax.lax.top_k(jnp.where(within, draws, 0), self.shots)
        rows = self.class_starts[of][..., None] + images.astype(jnp.int32)
        counted = (took > 0) & there[..., None]
        labels = jnp.broadcast_to(seen[..., None], rows.shape)
        is_new = counted & (labels >= comes[..., None])
        flat = (leaf.reshape(*shape[:2], -1) for leaf in (rows, labels, counted, is_new))
        rows, labels, counted, is_new = flat
        return Missions(rows, labels, counted, is_new, number)


def mission_draws(
    class_starts: Integer[np.ndarray, " classes_plus_1"],
    *,
    given: int,
    rounds: int,
    clients: int,
    new_classes: int,
    new_ways: int,
    old_ways: int,
    shots: int,
) -> MissionDraws:
    """Return a distribution of missions, of a pool of images sorted by class.

    In every round classes come that no client has seen, in an order that the key decides. Each
    client sees some of them, and every one is seen by some client. Clients next to each other share
    classes where ``clients * new_ways`` is more than ``new_classes``. Each client also sees classes
    of earlier rounds again. Within a mission no class and no image occurs twice. Other missions may
    have the same images.

    Args:
      class_starts: where each class's images begin, and the number of all images.
      given: classes that are known before all missions, the pool's first; they are in no mission.
      rounds: missions of each client.
      clients: of a round.
      new_classes: that come in a round.
      new_ways: of these, how many a client sees.
      old_ways: of the classes of earlier rounds, how many a client sees again, if there are.
      shots: images of a class in a mission; of a smaller class, all.

    Returns:
      The distribution.

    Raises:
      ConfigError: a number is too small or too large for the others or for the pool.
    """
    sizes = np.diff(np.asarray(class_starts))
    if shots < 1:
        raise ConfigError("shots", shots, "1 or more")
    if not 0 <= given < len(sizes):
        raise ConfigError("given", given, f"0 to {len(sizes) - 1}, below the pool's classes")
    check_missions(
        len(sizes) - given,
        rounds=rounds,
        clients=clients,
        new_classes=new_classes,
        new_ways=new_ways,
        old_ways=old_ways,
    )
    starts, largest = jnp.asarray(class_starts, jnp.int32), int(sizes.max())
    shots = min(shots, largest)
    return MissionDraws(
        starts, given, rounds, clients, new_classes, new_ways, old_ways, shots, largest
    )


def check_missions(
    classes: int, *, rounds: int, clients: int, new_classes: int, new_ways: int, old_ways: int
) -> None:
    """Raise where missions do not fit together, or not into their classes.

    Args:
      classes: of the pool that are not known before all missions.
      rounds: missions of each client.
      clients: of a round.
      new_classes: that come in a round.
      new_ways: of these, how many a client sees.
      old_ways: of the classes of earlier rounds, how many a client sees again.

    Raises:
      ConfigError: a number is too small or too large for the others or for the classes.
    """
    sizes = {"rounds": rounds, "clients": clients, "new_classes": new_classes}
    for name, value in sizes.items():
        if value < 1:
            raise ConfigError(name, value, "1 or more")
    if rounds * new_classes > classes:
        expected = f"at most {classes // rounds}: {rounds} missions of {classes} classes"
        raise ConfigError("new_classes", new_classes, expected)
    least = -(-new_classes // clients)
    if not least <= new_ways <= new_classes:
        expected = f"{least} to {new_classes}: {clients} clients see all new classes"
        raise ConfigError("new_ways", new_ways, expected)
    if not 0 <= old_ways <= rounds * new_classes:
        expected = f"at most {rounds * new_classes}, the classes of all missions"
        raise ConfigError("old_ways", old_ways, expected if old_ways > 0 else "0 or more")
