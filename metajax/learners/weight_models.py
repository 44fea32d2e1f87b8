"""Models of the weights of a zoo: what networks of unseen tasks would be, from their support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_sizes,
    count,
    derive,
    random_indices,
)
from metajax.hypernet import (
    decode_principal,
    denoiser,
    diffusion_loss,
    encode_principal,
    principal_components,
    sample_diffusion,
)
from metajax.learners.zoo_stages import (
    Embed,
    WeightModel,
    flat_weights,
    idle_learner,
    weights_from,
)
from metajax.nn import least_squares, ridge_scores, token_set_encoder

RIDGES = tuple(10.0**power for power in range(-5, 2))
"""Strengths among which :func:`ridge_predictions` chooses."""
MOVING = ("denoiser", "encoder")
"""Parameters of :func:`weight_diffusion` that training moves; the others describe the zoo."""


def zoo_mean() -> WeightModel:
    """Return a model that gives every task the mean of all networks: a baseline."""

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), zoo["networks"])

    return WeightModel(generate)


def nearest_network(embed: Embed) -> WeightModel:
    """Give a task the network of the task with the nearest embedding: a baseline, retrieval.

    Args:
      embed: of a support.

    Returns:
      The model.
    """

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        apart = jnp.sum(jnp.square(zoo["embeddings"] - embed(support)[None]), axis=1)
        return jax.tree.map(lambda leaf: leaf[jnp.argmin(apart)], zoo["networks"])

    return WeightModel(generate)


def ridge_predictions(
    inputs: Float[Array, "m d"], targets: Float[Array, "m k"], at: Float[Array, "n d"]
) -> Float[Array, "n k"]:
    """Return what ridge regression with an intercept predicts.

    The strength is that of the least generalized cross-validation (Golub, Heath and Wahba 1979)
    among :data:`RIDGES`, relative to the columns.

    Args:
      inputs: a row for each example.
      targets: of the examples.
      at: inputs to predict.
    """
    center, mean = jnp.mean(inputs, axis=0), jnp.mean(targets, axis=0)
    design, left = inputs - center[None], targets - mean[None]
    ridges = jnp.asarray(RIDGES, design.dtype)
    ridge = ridges[jnp.argmin(ridge_scores(design, left, ridges))]
    return mean[None] + (at - center[None]) @ least_squares(design, left, ridge)


def weight_regression(embed: Embed) -> WeightModel:
    """Predict weights from the embedding by :func:`ridge_predictions` over the zoo.

    Args:
      embed: of a support.

    Returns:
      The model.
    """

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        rows = flat_weights(zoo["networks"])
        predicted = ridge_predictions(zoo["embeddings"], rows, embed(support)[None])
        return weights_from(predicted[0], zoo["start"])

    return WeightModel(generate)


def weight_diffusion(
    network: Network,
    embed: Embed,
    *,
    size: int,
    hidden: Sequence[int] = (256, 256),
    levels: int = 100,
    batch: int = 64,
    attention: int | None = None,
    ways: int = 1,
) -> WeightModel:
    """Draw weights by a diffusion of latents (D2NWG; Soro et al. 2025, arXiv 2402.18153).

    Weights are encoded by their principal components. The diffusion knows the task by its
    embedding, or by what an encoder makes of its support, which is trained with it.

    Args:
      network: of the zoo.
      embed: of a support.
      size: principal components.
      hidden: layers of the denoiser.
      levels: of noise.
      batch: networks of a step, drawn at random.
      attention: width of an attention over the support's images with their classes, which is read
        at a learned prefix for each class; None: the embedding.
      ways: classes of a task, for the attention.

    Returns:
      The model.

    Raises:
      ConfigError: a size is below 1, or when its first state is made, components are more than the
        zoo can have.
    """
    check_sizes(size=size, levels=levels, batch=batch, attention=attention, ways=ways)
    noise = denoiser(size, levels, hidden)
    reader = None
    if attention is not None:
        reader = token_set_encoder(
            num_outputs=attention, width=attention, heads=1, mlp_ratio=2, prefixes=ways
        )

    def tokens(support: Examples) -> tuple[Array, Array]:
        classes = jax.nn.one_hot(support.targets, ways, dtype=support.inputs.dtype)
        both = jnp.concatenate([support.inputs, classes], axis=-1)
        return both, jnp.ones(both.shape[:-1], bool)

    def condition(model: Params, support: Examples) -> Float[Array, "m d"]:
        if reader is not None:
            read = reader.apply(model["encoder"], *tokens(support))
            return read.reshape(len(read), -1)
        return (jax.vmap(embed)(support) - model["center"][None]) / model["deviation"][None]

    def init(key: Key[Array, ""], task: Task) -> Params:
        first = jax.tree.map(lambda leaf: leaf[0], task)
        start = network.init(key, first.query.inputs)
        embedding, num = embed(first.support), len(task.query.targets)
        # nothing is computed: a code that does not fit the zoo is rejected before training
        shape = jax.ShapeDtypeStruct((num, count(start)), jnp.float32)
        code = jax.eval_shape(lambda rows: principal_components(rows, size), shape)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), code)
        model = {
            "code": zeros,
            "latents": jnp.zeros((num, size)),
            "center": jnp.zeros_like(embedding),
            "deviation": jnp.ones_like(embedding),
        }
        if reader is not None:
            model["encoder"] = reader.init(derive(key, "encoder"), *tokens(first.support))
        one = condition(model, jax.tree.map(lambda leaf: leaf[None], first.support))
        model["denoiser"] = noise.init(
            derive(key, "denoiser"), jnp.zeros((1, size)), jnp.zeros(1, jnp.int32), one
        )
        return model

    def velocity_of(model: Params, support: Examples) -> Callable[[Array, Array], Array]:
        known = condition(model, support)
        return lambda noisy, level: noise.apply(model["denoiser"], noisy, level, known)

    def loss(model: Params, task: Task, key: Key[Array, ""]) -> Any:
        still = jax.lax.stop_gradient(model)
        model = {**still, **{name: model[name] for name in MOVING if name in model}}
        num = len(model["latents"])
        rows = random_indices(derive(key, "networks"), (batch,), jnp.uint32(num))
        velocity = velocity_of(model, jax.tree.map(lambda leaf: leaf[rows], task.support))
        return diffusion_loss(velocity, model["latents"][rows], levels, derive(key, "noise")), {}

    def hand_over(zoo: Params, model: Params) -> Params:
        rows = flat_weights(zoo["networks"])
        code = principal_components(rows, size)
        deviation = jnp.std(zoo["embeddings"], axis=0)
        return {
            **model,
            "code": code,
            "latents": encode_principal(code, rows),
            "center": jnp.mean(zoo["embeddings"], axis=0),
            "deviation": jnp.where(deviation > 0, deviation, 1),
        }

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        velocity = velocity_of(model, jax.tree.map(lambda leaf: leaf[None], support))
        latent = sample_diffusion(velocity, (1, size), levels, key)[0]
        return weights_from(decode_principal(model["code"], latent), zoo["start"])

    idle = idle_learner()
    return WeightModel(
        generate,
        MetaLearner(init, idle.adapt, idle.predict, loss),
        hand_over,
        moving=MOVING,
        draws=True,
        code=lambda model: model["code"],
    )
