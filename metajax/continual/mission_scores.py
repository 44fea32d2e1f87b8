"""How well classes are known as missions bring them, by merged prototypes and by softmax heads."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.continual.class_sums import (
    ClassSums,
    merge,
    merge_clients,
    no_sums,
    observe,
    prototype_logits,
    prototypes,
)
from metajax.continual.growing_head import head_logits, stage_heads
from metajax.continual.learner import counted_accuracy
from metajax.continual.missions import MissionDraws, Missions
from metajax.core import Network, Params, correct

AT_ONCE = 256
"""Images that are embedded at the same time."""
DRAWS_AT_ONCE = 5
"""Draws of the missions that an accelerator works on at the same time."""
HEAD_EXAMPLES = 64
"""Examples of a step of a softmax head."""
LEAST_DEVIATION = 1e-6
"""Of features, which heads read divided by it."""


class MissionField(NamedTuple):
    """What missions are made of, and what accuracy is measured on; the first classes are base.

    Attributes:
      images: that missions draw from, normalized, sorted by class.
      labels: their classes.
      held_out: images of the same classes, in no mission.
      held_out_labels: their classes.
      missions: draws who sees what.
    """

    images: Float[Array, "n *shape"]
    labels: Int32[Array, " n"]
    held_out: Float[Array, "m *shape"]
    held_out_labels: Int32[Array, " m"]
    missions: MissionDraws


class ClassGroups(NamedTuple):
    """Accuracy on the classes that have come, and on parts of them; NaN where there are none.

    Attributes:
      known: on all of them.
      base: on those known before all missions.
      earlier: on those of earlier missions.
      new: on those that are new.
    """

    known: Float[Array, "*points"]
    base: Float[Array, "*points"]
    earlier: Float[Array, "*points"]
    new: Float[Array, "*points"]


class SeenMissions(NamedTuple):
    """One draw of the missions, as sums of features.

    Attributes:
      missions: the draw.
      clients: what each client saw in each round, ``[rounds, clients, ...]``.
      after: what the server knows before the missions and after each round, ``[rounds + 1, ...]``.
      comes: classes known before the missions and after each round, the first so many.
    """

    missions: Missions
    clients: ClassSums
    after: ClassSums
    comes: Int32[Array, " stages"]


class MissionScores(NamedTuple):
    """What some draws of the missions are measured by; all have a leading axis of draws.

    Attributes:
      merged: of the server, before the missions and after each round.
      clients: means over clients after their missions, before others' are merged, by round.
      joint_head: accuracy of a softmax head trained on all examples so far, by stage.
      sequential_head: of one trained on each round's examples alone.
      central_difference: see :func:`central_difference`.
      classes_sent: sums that all clients send in all missions.
      examples: that all clients see.
    """

    merged: ClassGroups
    clients: ClassGroups
    joint_head: Float[Array, "draws stages"]
    sequential_head: Float[Array, "draws stages"]
    central_difference: Float[Array, " draws"]
    classes_sent: Int32[Array, " draws"]
    examples: Int32[Array, " draws"]


def see_missions(
    field: MissionField, features: Float[Array, "n features"], key: Key[Array, ""]
) -> SeenMissions:
    """Draw missions, and add what clients see, round by round.

    Args:
      field: of the missions.
      features: of its images.
      key: of the draw.

    Returns:
      What clients and the server know.
    """
    draws = field.missions
    missions = draws(key)
    nothing = no_sums(len(missions.number), features.shape[1])

    def client(rows: Array, labels: Array, counted: Array) -> ClassSums:
        return observe(nothing, features[rows], labels, counted)

    clients = jax.vmap(jax.vmap(client))(missions.rows, missions.labels, missions.counted)
    base = observe(nothing, features, field.labels, field.labels < draws.given)
    rounds = jax.vmap(merge_clients)(clients)
    after = jax.tree.map(
        lambda first, others: jnp.cumsum(
            jnp.concatenate([first[None], others]), 0, dtype=first.dtype
        ),
        base,
        rounds,
    )
    comes = draws.given + draws.new_classes * jnp.arange(draws.rounds + 1, dtype=jnp.int32)
    return SeenMissions(missions, clients, after, comes)


def class_groups(
    logits: Float[Array, "n classes"],
    labels: Int32[Array, " n"],
    new: Bool[Array, " n"],
    given: int,
    comes: Int32[Array, ""],
) -> ClassGroups:
    """Return the accuracy by group of classes.

    Args:
      logits: of all classes, numbered by when they come.
      labels: the true ones.
      new: which examples are of a new class.
      given: classes that are known before all missions.
      comes: classes below it that are not base are of earlier missions.
    """
    right = correct(logits, labels)
    base, earlier = labels < given, (labels >= given) & (labels < comes)

    def share(of: Array) -> Array:
        return jnp.sum(jnp.where(of, right, 0)) / jnp.sum(of).astype(right.dtype)

    return ClassGroups(share(base | earlier | new), share(base), share(earlier), share(new))


def merged_accuracy(
    field: MissionField, found: SeenMissions, held_out: Float[Array, "m features"]
) -> ClassGroups:
    """Measure the server's merged prototypes before the missions and after each round.

    Args:
      field: of the missions.
      found: a draw of them.
      held_out: features of the images that are held out.

    Returns:
      Accuracies, by stage.
    """
    draws, labels = field.missions, found.missions.number[field.held_out_labels]

    def stage(at: tuple[ClassSums, Array]) -> ClassGroups:
        known, comes = at
        before = jnp.maximum(comes - draws.new_classes, draws.given)
        new = (labels >= before) & (labels < comes)
        return class_groups(prototype_logits(known, held_out), labels, new, draws.given, before)

    return jax.lax.map(stage, (found.after, found.comes))


def client_accuracy(
    field: MissionField, found: SeenMissions, held_out: Float[Array, "m features"]
) -> ClassGroups:
    """Measure each client after its mission, before others' are merged.

    Args:
      field: of the missions.
      found: a draw of them.
      held_out: features of the images that are held out.

    Returns:
      Means over clients, by round.
    """
    draws, labels = field.missions, found.missions.number[field.held_out_labels]

    def client(at: tuple[ClassSums, ClassSums, Array]) -> ClassGroups:
        before, own, comes = at
        new = (own.counts > 0)[labels] & (labels >= comes)
        logits = prototype_logits(merge(before, own), held_out)
        return class_groups(logits, labels, new, draws.given, comes)

    def round_of(at: tuple[ClassSums, ClassSums, Array]) -> ClassGroups:
        before, clients, comes = at
        each = jax.lax.map(lambda own: client((before, own, comes)), clients)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, 0), each)

    earlier = jax.tree.map(lambda leaf: leaf[:-1], (found.after, found.comes))
    return jax.lax.map(round_of, (earlier[0], found.clients, earlier[1]))


def head_accuracies(
    field: MissionField,
    found: SeenMissions,
    features: Float[Array, "n features"],
    held_out: Float[Array, "m features"],
    *,
    steps: int,
    rate: float | Float[Array, ""],
    key: Key[Array, ""],
) -> tuple[Float[Array, " stages"], Float[Array, " stages"]]:
    """Measure softmax heads on the same features, the baselines of prototypes.

    Args:
      field: of the missions.
      found: a draw of them.
      features: of the field's images.
      held_out: features of the images that are held out.
      steps: of a head for each round.
      rate: learning rate of the heads; may be traced.
      key: of the heads' examples.

    Returns:
      Accuracies by stage: of a head of all examples so far, and of one of each round's alone.
    """
    draws, missions = field.missions, found.missions
    # standardized by the base classes, so that one learning rate serves
    base = field.labels < draws.given
    number = jnp.sum(base).astype(features.dtype)
    mean = jnp.sum(jnp.where(base[:, None], features, 0), 0) / number
    apart = jnp.where(base[:, None], jnp.square(features - mean[None]), 0)
    deviation = jnp.sqrt(jnp.sum(apart) / (number * features.shape[1]))
    scale = 1 / jnp.maximum(deviation, LEAST_DEVIATION)
    read, asked = ((each - mean[None]) * scale for each in (features, held_out))
    # the examples of all stages in a row: base classes, then each round's
    rows = missions.rows.reshape(-1)
    images = jnp.arange(len(base), dtype=jnp.int32)
    rounds = jnp.arange(1, draws.rounds + 1, dtype=jnp.int32)
    of_missions = jnp.repeat(rounds, missions.rows[0].size, total_repeat_length=len(rows))
    where = jnp.concatenate([images, rows])
    labels = jnp.concatenate([field.labels, missions.labels.reshape(-1)])
    stages = jnp.concatenate([jnp.zeros_like(images), of_missions])
    counted = jnp.concatenate([base, missions.counted.reshape(-1)])
    targets = missions.number[field.held_out_labels]

    def measured(keep: bool) -> Array:
        heads = stage_heads(
            read[where],
            jnp.where(counted, labels, 0),
            stages,
            counted,
            found.comes,
            classes=len(missions.number),
            keep=keep,
            steps=steps,
            examples=HEAD_EXAMPLES,
            rate=rate,
            key=key,
        )

        def stage(at: tuple[Params, Array]) -> Array:
            head, comes = at
            logits = head_logits(head, asked, comes)
            return counted_accuracy(logits, targets, targets < comes)

        return jax.lax.map(stage, (heads, found.comes))

    return measured(True), measured(False)


def central_difference(
    field: MissionField, found: SeenMissions, features: Float[Array, "n features"]
) -> Float[Array, ""]:
    """Return how far merged prototypes are from those of all examples at one place, relatively.

    Args:
      field: of the missions.
      found: a draw of them.
      features: of the field's images.
    """
    missions = found.missions
    base, last = (jax.tree.map(operator.itemgetter(at), found.after) for at in (0, -1))
    flat = (leaf.reshape(-1) for leaf in (missions.rows, missions.labels, missions.counted))
    rows, labels, counted = flat
    central = prototypes(observe(base, features[rows], labels, counted))
    apart = jnp.max(jnp.abs(prototypes(last) - central))
    return apart / jnp.max(jnp.abs(central))


def score_merged(
    embedding: Network, params: Params, field: MissionField, key: Key[Array, ""], num: int
) -> ClassGroups:
    """Measure the merged prototypes of an embedding in some draws of the missions.

    Args:
      embedding: images to features.
      params: of it.
      field: of the missions.
      key: of the draws.
      num: draws.

    Returns:
      Accuracies ``[draws, stages]``, before the missions and after each round.
    """

    def measure(features: Array, held_out: Array, key: Array) -> ClassGroups:
        return merged_accuracy(field, see_missions(field, features, key), held_out)

    return _over_draws(measure, embedding, params, field, key, num)


def score_missions(
    embedding: Network,
    params: Params,
    field: MissionField,
    key: Key[Array, ""],
    num: int,
    *,
    steps: int,
    rate: float | Float[Array, ""],
) -> MissionScores:
    """Measure all of an embedding in some draws of the missions (arXiv 2109.00150).

    Args:
      embedding: images to features.
      params: of it.
      field: of the missions.
      key: of the draws.
      num: draws.
      steps: of softmax heads for each round.
      rate: learning rate of the heads; may be traced.

    Returns:
      The scores of each draw.
    """

    def measure(features: Array, held_out: Array, key: Array) -> MissionScores:
        found = see_missions(field, features, key)
        merged = merged_accuracy(field, found, held_out)
        joint, sequential = head_accuracies(
            field,
            found,
            features,
            held_out,
            steps=steps,
            rate=rate,
            key=jax.random.fold_in(key, 1),
        )
        return MissionScores(
            merged,
            client_accuracy(field, found, held_out),
            joint,
            sequential,
            central_difference(field, found, features),
            jnp.sum(found.clients.counts > 0, dtype=jnp.int32),
            jnp.sum(found.missions.counted, dtype=jnp.int32),
        )

    return _over_draws(measure, embedding, params, field, key, num)


def _over_draws(
    measure: Callable[[Array, Array, Key[Array, ""]], Any],
    embedding: Network,
    params: Params,
    field: MissionField,
    key: Key[Array, ""],
    num: int,
) -> Any:
    """``measure(features, held_out, key)`` of some draws."""
    # together: every convolution that is compiled takes seconds
    both = jnp.concatenate([field.images, field.held_out])
    apply = functools.partial(embedding.apply, params)
    embedded = jax.lax.map(lambda one: apply(one[None])[0], both, batch_size=AT_ONCE)
    features, held_out = embedded[: len(field.images)], embedded[len(field.images) :]
    at_once = 1 if jax.default_backend() == "cpu" else DRAWS_AT_ONCE
    keys = jax.random.split(key, num)
    return jax.lax.map(lambda key: measure(features, held_out, key), keys, batch_size=at_once)
