"""Read unseen modalities with a frozen reader: a projector, adapted from a few pairs of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import (
    Count,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    accuracy,
    cross_entropy,
    derive,
)
from metajax.hypernet import Pairs, modality_adapter
from metajax.learners.stages import Stage, check_each
from metajax.nn import draw_orthogonal, mlp

LEAST = 1e-6
"""Added to the length of a vector before it is divided by it."""
SHARPNESS = 10.0
"""Factor of cosines that makes them logits."""
GENERATED = ("encoder", "heads")
"""Parameters of an adapter that generate its low-rank part."""


def text_logits(
    outputs: Float[Array, "*batch text"], texts: Float[Array, "classes text"]
) -> Float[Array, "*batch classes"]:
    """Return :data:`SHARPNESS` times the cosine with the text of each class: the frozen reader.

    Args:
      outputs: of a projector.
      texts: a vector for each class.
    """

    def unit(vectors: Array) -> Array:
        return vectors / (jnp.linalg.norm(vectors, axis=-1, keepdims=True) + LEAST)

    return SHARPNESS * unit(outputs) @ unit(texts).T


def rotated(task: Task, key: Key[Array, ""]) -> Task:
    """Turn the embeddings of support and query by one random orthogonal matrix (arXiv 2509.04606).

    All distances and inner products stay, up to rounding.

    Args:
      task: with :class:`metajax.hypernet.Pairs` as support and examples as query.
      key: of the matrix, uniform over all orthogonal ones.

    Returns:
      The task in other coordinates.
    """
    support, query = task
    features, dtype = support.inputs.shape[-1], support.inputs.dtype
    turn = draw_orthogonal(key, features, dtype)
    return Task(
        support._replace(inputs=support.inputs @ turn), query._replace(inputs=query.inputs @ turn)
    )


def modality_reader(
    projector: Network,
    adapter: Network,
    texts: Float[Array, "classes text"],
    *,
    rotate: bool = True,
) -> MetaLearner:
    """Classify an unseen modality's embeddings by a projector that is adapted from pairs of it.

    The source is SEMI, sample-efficient modality integration (arXiv 2509.04606). What reads the
    projector's outputs is frozen: :func:`text_logits`.

    Args:
      projector: embeddings to vectors of the size of the texts.
      adapter: such as :func:`metajax.hypernet.modality_adapter`.
      texts: a vector for each class.
      rotate: turn each task in training by a matrix of its own (:func:`rotated`).

    Returns:
      A learner of tasks with :class:`metajax.hypernet.Pairs` as support, and embeddings with their
      classes as query. Its parameters are ``projector``, the shared one, and ``adapter``;
      ``adapted`` is a projector.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        shared = projector.init(derive(key, "projector"), task.query.inputs)
        made = adapter.init(derive(key, "adapter"), shared, task.support)
        return {"projector": shared, "adapter": made}

    def adapt(params: Params, support: Pairs, key: Key[Array, ""]) -> Params:
        return adapter.apply(params["adapter"], params["projector"], support)

    def predict(
        params: Params, adapted: Params, inputs: Float[Array, "n features"]
    ) -> Float[Array, "n classes"]:
        return text_logits(projector.apply(adapted, inputs), texts)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        if rotate:
            task = rotated(task, derive(key, "rotation"))
        logits = predict(params, adapt(params, task.support, key), task.query.inputs)
        return _scores(logits, task.query)

    return MetaLearner(init, adapt, predict, loss)


def shared_projector(reader: MetaLearner) -> MetaLearner:
    """Return the learner that trains a reader's shared projector on all modalities, unadapted.

    The first stage of SEMI (arXiv 2509.04606). Nothing is rotated.

    Args:
      reader: such as :func:`modality_reader`.

    Returns:
      A learner with the same parameters.
    """

    def adapt(params: Params, support: Any, key: Key[Array, ""]) -> Params:
        return params["projector"]

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        logits = reader.predict(params, params["projector"], task.query.inputs)
        return _scores(logits, task.query)

    return reader._replace(adapt=adapt, loss=loss)


@dataclass(frozen=True)
class PairAttention:
    """The attention that reads pairs, and the rank of what it generates."""

    rank: Count = 8
    """Rank of what is added to each kernel of the projector."""
    attention_width: Count = 64
    """Width of the attention over pairs, a multiple of `attention_heads`."""
    attention_layers: Count = 2
    """Layers of attention."""
    attention_heads: Count = 4
    """Heads of attention."""


ATTENTION = PairAttention()
"""A small attention."""


class AdaptedProjector(NamedTuple):
    """A projector with the learner that adapts it.

    Attributes:
      projector: embeddings to vectors of the size of the texts.
      reader: of pairs, from :func:`modality_reader`.
    """

    projector: Network
    reader: MetaLearner


def adapted_projector(
    texts: Float[Array, "classes text"],
    hidden: Sequence[int],
    attention: PairAttention = ATTENTION,
    *,
    ridges: Sequence[float] = (),
    rotate: bool = True,
) -> AdaptedProjector:
    """Make a projector to the texts of classes, with an adapter that reads pairs (2509.04606).

    Args:
      texts: a vector for each class.
      hidden: sizes of the projector's hidden layers.
      attention: that generates from pairs.
      ridges: strengths that learning starts from; none: all of the adapter is generated, as in the
        paper (:func:`metajax.hypernet.modality_adapter`).
      rotate: turn each task in training by a matrix of its own.

    Returns:
      The projector and its reader.

    Raises:
      ConfigError: a size or a ridge is rejected.
    """
    projector = mlp(hidden, texts.shape[1], jax.nn.gelu)
    adapter = modality_adapter(
        rank=attention.rank,
        width=attention.attention_width,
        depth=attention.attention_layers,
        heads=attention.attention_heads,
        ridges=ridges,
    )
    reader = modality_reader(projector, adapter, texts, rotate=rotate)
    return AdaptedProjector(projector, reader)


def projector_stages(reader: MetaLearner, steps: Sequence[int]) -> list[Stage]:
    """Train a shared projector, and then its adapter while the projector stays (arXiv 2509.04606).

    Args:
      reader: such as :func:`modality_reader`.
      steps: of the two stages.

    Returns:
      The stages, for :func:`in_stages`.

    Raises:
      ConfigError: there are steps of other than two stages.
    """
    check_each("steps", steps, 2)
    return [
        Stage(shared_projector(reader), steps[0], ["projector"]),
        Stage(reader, steps[1], ["adapter"]),
    ]


def without_generating(reader: MetaLearner, steps: int) -> Stage:
    """Train a reader whose adapter is solved for alone.

    What generates the low-rank part stays at its start, which adds nothing.

    Args:
      reader: such as :func:`modality_reader`, of an adapter with ridges.
      steps: of training.

    Returns:
      The only stage, for :func:`in_stages`.
    """

    def moves(params: Params) -> Params:
        adapter = {name: name not in GENERATED for name in params["adapter"]}
        return {"projector": True, "adapter": adapter}

    return Stage(reader, steps, moves)


def _scores(logits: Float[Array, "n classes"], query: Examples) -> Any:
    found = jnp.asarray(cross_entropy(logits, query.targets))
    return found, {"accuracy": accuracy(logits, query.targets)}


def averaged_adapters(
    reader: MetaLearner,
    params: Params,
    support: Pairs,
    parts: Bool[Array, "parts n"],
    key: Key[Array, ""],
) -> Params:
    """Return the mean of the projectors that parts of a support give (arXiv 2509.04606).

    Args:
      reader: such as :func:`modality_reader`.
      params: of the reader.
      support: of all parts.
      parts: which pairs each part has.
      key: of the reader's ``adapt``.
    """

    def one(part: Bool[Array, " n"]) -> Params:
        return reader.adapt(params, support._replace(present=support.present & part), key)

    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.vmap(one)(parts))
