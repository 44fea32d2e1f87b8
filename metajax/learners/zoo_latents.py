"""Pieces of a diffusion of a zoo's latents: what it knows of a task, its losses, and its draws.

A *model* is a dict. ``latents`` are those of the zoo's networks, ``center`` and ``deviation`` those
of its embeddings. ``code`` has the parameters of the code that stay, ``coder`` those that are
trained. ``denoiser`` is the diffusion's; ``encoder`` and ``aligner`` are there where a support is
read by attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import (
    Examples,
    Network,
    Params,
    Task,
    count,
    cross_entropy,
    derive,
    random_indices,
)
from metajax.hypernet import diffusion_loss, sample_diffusion
from metajax.learners.checked_steps import checked_descent
from metajax.learners.contrastive import contrastive_loss
from metajax.learners.weight_codes import WeightCode
from metajax.learners.zoo_stages import Embed, flat_weights, weights_from

LOG_SCALE = 2.66
"""Logarithm of the scale of cosines before training, about ``1 / 0.07`` (arXiv 2103.00020)."""


class ZooLatents(NamedTuple):
    """What a diffusion of a zoo's latents is made of.

    Attributes:
      network: of the zoo.
      embed: of a support.
      code: of weights.
      denoiser: ``apply(params, noisy, level, condition) -> velocity``.
      encoder: attention that reads a support with its classes; None: the embedding is known.
      ways: classes of a task, which the encoder reads.
      size: of latents.
      levels: of noise.
      batch: networks of a step, drawn at random.
    """

    network: Network
    embed: Embed
    code: WeightCode
    denoiser: Network
    encoder: Network | None
    ways: int
    size: int
    levels: int
    batch: int


def tokens(
    support: Examples, ways: int
) -> tuple[Float[Array, "*batch n features_and_ways"], Bool[Array, "*batch n"]]:
    """Return the images of a support, each with its class, as an encoder reads them.

    Args:
      support: of one task or of several.
      ways: classes.

    Returns:
      The tokens, and that all of them are there.
    """
    classes = jax.nn.one_hot(support.targets, ways, dtype=support.inputs.dtype)
    both = jnp.concatenate([support.inputs, classes], axis=-1)
    return both, jnp.ones(both.shape[:-1], bool)


def condition(parts: ZooLatents, model: Params, support: Examples) -> Float[Array, "m d"]:
    """Return what the diffusion knows of tasks.

    Args:
      parts: of the diffusion.
      model: as above.
      support: of several tasks.

    Returns:
      What the encoder reads of each support; without one its embedding, standardized.
    """
    if parts.encoder is not None:
        read = parts.encoder.apply(model["encoder"], *tokens(support, parts.ways))
        return read.reshape(len(read), -1)
    return (jax.vmap(parts.embed)(support) - model["center"][None]) / model["deviation"][None]


def code_of(model: Params) -> Params:
    """Return the parameters of a model's code."""
    return {**model["code"], "trained": model["coder"]}


def with_code(model: Params, params: Params) -> Params:
    """Return a model with these parameters of its code."""
    still = {name: value for name, value in params.items() if name != "trained"}
    return {**model, "code": still, "coder": params["trained"]}


def first_model(parts: ZooLatents, key: Key[Array, ""], task: Task, aligned: bool) -> Params:
    """Return a model as it starts: of the right shapes, before it knows its zoo.

    Args:
      parts: of the diffusion.
      key: of the draws.
      task: of all networks of the zoo, on a leading axis.
      aligned: whether there is a linear map that brings what is read to the size of latents.

    Raises:
      ConfigError: the zoo cannot have so many components.
    """
    first = jax.tree.map(lambda leaf: leaf[0], task)
    start = parts.network.init(key, first.query.inputs)
    embedding, num = parts.embed(first.support), len(task.query.targets)
    model = {
        "latents": jnp.zeros((num, parts.size)),
        "center": jnp.zeros_like(embedding),
        "deviation": jnp.ones_like(embedding),
    }
    model = with_code(model, parts.code.init(derive(key, "code"), num, count(start)))
    if parts.encoder is not None:
        read = tokens(first.support, parts.ways)
        model["encoder"] = parts.encoder.init(derive(key, "encoder"), *read)
    one = condition(parts, model, jax.tree.map(lambda leaf: leaf[None], first.support))
    model["denoiser"] = parts.denoiser.init(
        derive(key, "denoiser"), jnp.zeros((1, parts.size)), jnp.zeros(1, jnp.int32), one
    )
    if aligned:
        features = one.shape[1]
        drawn = jax.random.normal(derive(key, "aligner"), (features, parts.size))
        model["aligner"] = {"map": drawn * features**-0.5, "log_scale": jnp.float32(LOG_SCALE)}
    return model


def with_zoo(parts: ZooLatents, zoo: Params, model: Params) -> Params:
    """Return a model that knows its zoo, when this is trained.

    Args:
      parts: of the diffusion.
      zoo: with its ``networks`` and their ``embeddings``.
      model: before.

    Returns:
      The model; its latents too, of a code that needs no training.
    """
    rows, embeddings = flat_weights(zoo["networks"]), zoo["embeddings"]
    deviation = jnp.std(embeddings, axis=0)
    model = {
        **with_code(model, parts.code.prepare(code_of(model), rows)),
        "center": jnp.mean(embeddings, axis=0),
        "deviation": jnp.where(deviation > 0, deviation, 1),
    }
    if parts.code.loss is None:
        model["latents"] = parts.code.encode(code_of(model), rows)
    return model


def with_trained_code(parts: ZooLatents, model: Params) -> Params:
    """Return a model whose latents are by its code as it is trained.

    Args:
      parts: of the diffusion, with a code that is trained.
      model: before.
    """
    params = parts.code.finish(code_of(model))
    rows = params["mean"][None] + params["rows"] * params["deviation"]
    return {**with_code(model, params), "latents": parts.code.encode(params, rows)}


def coding_loss(parts: ZooLatents, model: Params, task: Task, key: Key[Array, ""]) -> Any:
    """Return the loss of the code itself, and no metrics.

    Args:
      parts: of the diffusion, with a code that is trained.
      model: as above.
      task: not read.
      key: of what the loss draws.
    """
    assert parts.code.loss is not None
    return parts.code.loss(code_of(model), key), {}


def aligning_loss(parts: ZooLatents, model: Params, task: Task, key: Key[Array, ""]) -> Any:
    """Return how far what is read of supports is from the latents of their networks.

    Args:
      parts: of the diffusion.
      model: with an ``aligner``.
      task: of all networks of the zoo.
      key: of the networks that are drawn.

    Returns:
      :func:`contrastive_loss`, and no metrics.
    """
    latents, support = _some(parts, model, task, key)
    read = condition(parts, model, support) @ model["aligner"]["map"]
    return contrastive_loss(read, latents, model["aligner"]["log_scale"]), {}


def denoising_loss(parts: ZooLatents, model: Params, task: Task, key: Key[Array, ""]) -> Any:
    """Return the loss of the diffusion at random levels of noise.

    Args:
      parts: of the diffusion.
      model: as above.
      task: of all networks of the zoo.
      key: of the networks that are drawn, and of the noise.

    Returns:
      :func:`metajax.hypernet.diffusion_loss`, and no metrics.
    """
    latents, support = _some(parts, model, task, key)
    velocity = _velocity(parts, model, support)
    return diffusion_loss(velocity, latents, parts.levels, derive(key, "noise")), {}


def _some(
    parts: ZooLatents, model: Params, task: Task, key: Key[Array, ""]
) -> tuple[Float[Array, "batch size"], Examples]:
    """Latents of networks drawn at random, with the supports of their tasks."""
    num = len(model["latents"])
    rows = random_indices(derive(key, "networks"), (parts.batch,), jnp.uint32(num))
    return model["latents"][rows], jax.tree.map(lambda leaf: leaf[rows], task.support)


def _velocity(
    parts: ZooLatents, model: Params, support: Examples
) -> Callable[[Array, Array], Array]:
    """The denoiser for some tasks."""
    known = condition(parts, model, support)
    return lambda noisy, level: parts.denoiser.apply(model["denoiser"], noisy, level, known)


def drawn_latent(
    parts: ZooLatents, model: Params, support: Examples, key: Key[Array, ""]
) -> Float[Array, "1 size"]:
    """Draw a latent for one task, by all levels of noise.

    Args:
      parts: of the diffusion.
      model: as above.
      support: of the task.
      key: of the draw.
    """
    velocity = _velocity(parts, model, jax.tree.map(lambda leaf: leaf[None], support))
    return sample_diffusion(velocity, (1, parts.size), parts.levels, key)


def moved_weights(
    parts: ZooLatents,
    zoo: Params,
    model: Params,
    support: Examples,
    latent: Float[Array, "1 size"],
    moves: int,
) -> Params:
    """Return the weights of a latent that has moved down the summed cross-entropy of a support.

    Args:
      parts: of the diffusion.
      zoo: with the ``start`` of its networks.
      model: as above.
      support: of the task.
      latent: where it begins.
      moves: steps of :func:`checked_descent`; 0: the latent's own weights.
    """

    def weights_of(latent: Float[Array, "1 size"]) -> Params:
        return weights_from(parts.code.decode(code_of(model), latent)[0], zoo["start"])

    def loss(latent: Float[Array, "1 size"]) -> Float[Array, ""]:
        logits = parts.network.apply(weights_of(latent), support.inputs)
        return len(support.targets) * cross_entropy(logits, support.targets)

    return weights_of(checked_descent(loss, latent, moves))
