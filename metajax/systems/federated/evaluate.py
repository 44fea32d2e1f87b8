"""Measure how well classes are known as missions bring them, and what it takes to send them."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax import continual
from metajax.continual import ClassSums
from metajax.core import Network, Params, correct
from metajax.systems.base import Method
from metajax.systems.federated.problem import Field, Problem
from metajax.systems.parts import PIXELS
from metajax.systems.scores import Evaluation, Row, chance_row, interval

EVAL_KEY = 2109_00150
"""Seed of the missions that are evaluated on: the same for every run."""
ALONG = 4
"""Draws of the missions along training, at most."""
AT_ONCE = 256
"""Images that are embedded at the same time."""
DRAWS_AT_ONCE = 5
"""Draws of the missions that an accelerator works on at the same time."""
HEAD_EXAMPLES = 64
"""Examples of a step of a softmax head."""
LEAST_DEVIATION = 1e-6
"""Of features, which heads read divided by it."""


class Groups(NamedTuple):
    """Accuracy on the classes that have come, and on parts of them; NaN where there are none.

    Attributes:
      known: on all of them.
      base: on those known before all missions.
      earlier: on those of earlier missions.
      new: on those that are new.
    """

    known: Any
    base: Any
    earlier: Any
    new: Any


def embedded(embedding: Network, params: Params, images: Array) -> Float[Array, "n features"]:
    """Return features of many images, some at a time."""
    apply = functools.partial(embedding.apply, params)
    return jax.lax.map(lambda one: apply(one[None])[0], images, batch_size=AT_ONCE)


def grouped(
    logits: Float[Array, "n classes"],
    labels: Int32[Array, " n"],
    new: Bool[Array, " n"],
    given: int,
    comes: Int32[Array, ""],
) -> Groups:
    """Return the accuracy by group; classes below ``comes`` are of earlier missions, or base."""
    right = correct(logits, labels)
    base, earlier = labels < given, (labels >= given) & (labels < comes)

    def share(of: Array) -> Array:
        return jnp.sum(jnp.where(of, right, 0)) / jnp.sum(of).astype(right.dtype)

    return Groups(share(base | earlier | new), share(base), share(earlier), share(new))


class Seen(NamedTuple):
    """One draw of the missions, as sums of features.

    Attributes:
      missions: the draw.
      clients: what each client saw in each round, ``[rounds, clients, ...]``.
      after: what the server knows before the missions and after each round, ``[rounds + 1, ...]``.
      comes: classes known before the missions and after each round, the first so many.
    """

    missions: continual.Missions
    clients: ClassSums
    after: ClassSums
    comes: Int32[Array, " stages"]


def seen(field: Field, features: Float[Array, "n features"], key: Key[Array, ""]) -> Seen:
    """Draw missions, and add what clients see, round by round."""
    draws = field.missions
    missions = draws(key)
    nothing = continual.no_sums(len(missions.number), features.shape[1])

    def client(rows: Array, labels: Array, counted: Array) -> ClassSums:
        return continual.observe(nothing, features[rows], labels, counted)

    clients = jax.vmap(jax.vmap(client))(missions.rows, missions.labels, missions.counted)
    base = continual.observe(nothing, features, field.labels, field.labels < draws.given)
    rounds = jax.vmap(continual.merge_clients)(clients)
    after = jax.tree.map(
        lambda first, others: jnp.cumsum(
            jnp.concatenate([first[None], others]), 0, dtype=first.dtype
        ),
        base,
        rounds,
    )
    comes = draws.given + draws.new_classes * jnp.arange(draws.rounds + 1, dtype=jnp.int32)
    return Seen(missions, clients, after, comes)


def merged(field: Field, found: Seen, held_out: Float[Array, "m features"]) -> Groups:
    """Measure the server before the missions and after each round."""
    draws, labels = field.missions, found.missions.number[field.held_out_labels]

    def stage(at: tuple[ClassSums, Array]) -> Groups:
        known, comes = at
        before = jnp.maximum(comes - draws.new_classes, draws.given)
        new = (labels >= before) & (labels < comes)
        return grouped(
            continual.prototype_logits(known, held_out), labels, new, draws.given, before
        )

    return jax.lax.map(stage, (found.after, found.comes))


def by_clients(field: Field, found: Seen, held_out: Float[Array, "m features"]) -> Groups:
    """Measure each client after its mission, before others' are merged: means over clients."""
    draws, labels = field.missions, found.missions.number[field.held_out_labels]

    def client(at: tuple[ClassSums, ClassSums, Array]) -> Groups:
        before, own, comes = at
        new = (own.counts > 0)[labels] & (labels >= comes)
        logits = continual.prototype_logits(continual.merge(before, own), held_out)
        return grouped(logits, labels, new, draws.given, comes)

    def round_of(at: tuple[ClassSums, ClassSums, Array]) -> Groups:
        before, clients, comes = at
        each = jax.lax.map(lambda own: client((before, own, comes)), clients)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, 0), each)

    earlier = jax.tree.map(lambda leaf: leaf[:-1], (found.after, found.comes))
    return jax.lax.map(round_of, (earlier[0], found.clients, earlier[1]))


def by_heads(
    field: Field,
    found: Seen,
    features: Float[Array, "n features"],
    held_out: Float[Array, "m features"],
    steps: int,
    rate: float | Array,
    key: Key[Array, ""],
) -> dict[str, Float[Array, " stages"]]:
    """Measure softmax heads on the same features: of all examples so far, and of each round's."""
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
        heads = continual.stage_heads(
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
            logits = continual.head_logits(head, asked, comes)
            return continual.counted_accuracy(logits, targets, targets < comes)

        return jax.lax.map(stage, (heads, found.comes))

    return {"joint_head": measured(True), "sequential_head": measured(False)}


def central_difference(
    field: Field, found: Seen, features: Float[Array, "n features"]
) -> Float[Array, ""]:
    """Return how far merged prototypes are from those of all examples at one place, relatively."""
    draws, missions = field.missions, found.missions
    nothing = continual.no_sums(len(missions.number), features.shape[1])
    base = continual.observe(nothing, features, field.labels, field.labels < draws.given)
    flat = (leaf.reshape(-1) for leaf in (missions.rows, missions.labels, missions.counted))
    rows, labels, counted = flat
    central = continual.prototypes(continual.observe(base, features[rows], labels, counted))
    last = jax.tree.map(lambda leaf: leaf[-1], found.after)
    apart = jnp.max(jnp.abs(continual.prototypes(last) - central))
    return apart / jnp.max(jnp.abs(central))


@functools.partial(jax.jit, static_argnames=("embedding", "num", "steps"))
def measure(
    embedding: Network,
    params: Params,
    field: Field,
    key: Key[Array, ""],
    num: int,
    steps: int | None = None,
    rate: float | Array = 0.0,
) -> dict[str, Any]:
    """Measure an embedding in some draws of the missions.

    Args:
      embedding: images to features.
      params: of it.
      field: of the missions.
      key: of the draws.
      num: draws.
      steps: of softmax heads for each round; None: the merged prototypes are measured alone.
      rate: learning rate of the heads.
    """
    # together: every convolution that is compiled takes seconds
    both = embedded(embedding, params, jnp.concatenate([field.images, field.held_out]))
    features, held_out = both[: len(field.images)], both[len(field.images) :]

    def draw(key: Array) -> dict[str, Any]:
        found = seen(field, features, key)
        measured: dict[str, Any] = {"merged": merged(field, found, held_out)}
        if steps is None:
            return measured
        sent = jnp.sum(found.clients.counts > 0, dtype=jnp.int32)
        return {
            **measured,
            **by_heads(field, found, features, held_out, steps, rate, jax.random.fold_in(key, 1)),
            "clients": by_clients(field, found, held_out),
            "central_difference": central_difference(field, found, features),
            "classes_sent": sent,
            "examples": jnp.sum(found.missions.counted, dtype=jnp.int32),
        }

    at_once = 1 if jax.default_backend() == "cpu" else DRAWS_AT_ONCE
    return jax.lax.map(draw, jax.random.split(key, num), batch_size=at_once)


def on_missions(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure an embedding along training: the merged prototypes after all missions."""
    num = min(problem.settings.eval_draws, ALONG)
    found = measure(method.parts, params, problem.field, jax.random.key(EVAL_KEY), num)
    return interval(found["merged"].known).last()


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy by known classes, compared with softmax heads and with raw images.

    ``more`` holds the accuracy of the server and of clients by groups of classes. It also has the
    bytes that clients send, and how far merged prototypes are from central ones.
    """
    of, key = problem.settings, jax.random.key(EVAL_KEY)
    assert problem.field is not None
    found = jax.device_get(
        measure(
            method.parts,
            params,
            problem.field,
            key,
            of.eval_draws,
            of.head_steps,
            jnp.float32(of.head_lr),
        )
    )
    raw = measure(PIXELS, {}, problem.field, key, of.eval_draws)["merged"].known
    size = jax.eval_shape(method.parts.apply, params, problem.field.images[:1]).shape[1]
    points = [of.base_ways + stage * of.new_classes for stage in range(of.missions + 1)]
    rows = {
        "merged": Row(f"{config.method}, merged over clients", interval(found["merged"].known)),
        "joint_head": Row("softmax head, all examples so far", interval(found["joint_head"])),
        "sequential_head": Row(
            "softmax head, mission after mission", interval(found["sequential_head"])
        ),
        "nearest_mean": Row("nearest mean image", interval(raw), baseline=True),
        "chance": chance_row([1 / classes for classes in points], of.eval_draws),
    }
    more = {
        "server": means(found["merged"]),
        "client": means(found["clients"]),
        "central_difference": float(np.max(found["central_difference"])),
        "numbers_a_class": size + 1,
        "bytes": {
            "sums": float(np.mean(found["classes_sent"])) * continual.sent_bytes(1, size),
            "features": float(np.mean(found["examples"])) * continual.sent_bytes(1, size),
        },
    }
    return Evaluation(rows, axis="known classes", points=list(map(float, points)), more=more)


def means(groups: Groups) -> dict[str, list[float]]:
    """Return means over draws, by group."""
    return {name: np.mean(values, 0).tolist() for name, values in groups._asdict().items()}
