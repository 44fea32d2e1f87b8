"""Weights drawn by a diffusion of their latents, for a task that is known by its support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_sizes,
    count,
    cross_entropy,
    derive,
    random_indices,
)
from metajax.hypernet import denoiser, diffusion_loss, sample_diffusion
from metajax.learners.checked_steps import checked_descent
from metajax.learners.contrastive import contrastive_loss
from metajax.learners.weight_codes import autoencoder_code, principal_code
from metajax.learners.weight_models import weight_regression
from metajax.learners.zoo_stages import (
    Embed,
    ModelStage,
    WeightModel,
    flat_weights,
    idle_learner,
    weights_from,
)
from metajax.nn import token_set_encoder

LOG_SCALE = 2.66
"""Logarithm of the scale of cosines before training, about ``1 / 0.07`` (arXiv 2103.00020)."""


class SetReader(NamedTuple):
    """How the support is read by attention, in place of its embedding.

    Attributes:
      width: of the attention over the support's images with their classes, which is read at a
        learned prefix for each class.
      ways: classes of a task.
      align_share: part of the model's steps in which the encoder is aligned with the latents by
        :func:`contrastive_loss`, after which it stays as it is; 0: it is trained with the denoiser.
    """

    width: int
    ways: int
    align_share: float = 0.0


class Autoencoding(NamedTuple):
    """How an autoencoder of weights is trained; see :func:`autoencoder_code`.

    Attributes:
      hidden: units of a hidden layer.
      factor: of the divergence.
      share: part of the model's steps.
    """

    hidden: int = 256
    factor: float = 1e-2
    share: float = 0.5


def weight_diffusion(
    network: Network,
    embed: Embed,
    *,
    size: int,
    hidden: Sequence[int] = (256, 256),
    levels: int = 100,
    batch: int = 64,
    reader: SetReader | None = None,
    autoencoding: Autoencoding | None = None,
    moves: int = 0,
) -> WeightModel:
    """Draw weights by a diffusion of latents (D2NWG; Soro et al. 2025, arXiv 2402.18153).

    Weights are encoded by their principal components, or by an autoencoder that is trained first.
    The diffusion knows the task by its embedding, or by what an encoder makes of its support.

    Drawn latents may then move down the summed cross-entropy of the support, by the steps of
    :func:`checked_descent`. Latents have about unit variance, so its pull to the draw is that of
    their own prior, and nothing is left to tune. This is not in the paper. Variants of the model
    are ``unmoved``, the same draws as they are, and ``moved_regression``: the weights of
    :func:`weight_regression`, moved by as many of these steps in the same latents.

    Args:
      network: of the zoo.
      embed: of a support.
      size: of latents.
      hidden: layers of the denoiser.
      levels: of noise.
      batch: networks of a step, drawn at random.
      reader: attention over the support; None: the embedding.
      autoencoding: of weights; None: principal components.
      moves: steps on the support after a draw; 0: as published.

    Returns:
      The model.

    Raises:
      ConfigError: a size is below 1, shares leave no step to the denoiser, there are less than
        0 moves; or when its first state is made, components are more than the zoo can have.
    """
    width, ways = (None, 1) if reader is None else (reader.width, reader.ways)
    check_sizes(size=size, levels=levels, batch=batch, width=width, ways=ways)
    if moves < 0:
        raise ConfigError("moves", moves, "a whole number of 0 or more")
    align_share = 0.0 if reader is None else reader.align_share
    code_share = 0.0 if autoencoding is None else autoencoding.share
    if min(align_share, code_share) < 0 or align_share + code_share >= 1:
        shares = {"align_share": align_share, "share": code_share}
        raise ConfigError("shares", shares, "0 or more, with a sum below 1")
    noise, code = denoiser(size, levels, hidden), principal_code(size)
    if autoencoding is not None:
        code = autoencoder_code(
            size, hidden=autoencoding.hidden, factor=autoencoding.factor, batch=batch
        )
    encoder = None
    if reader is not None:
        encoder = token_set_encoder(
            num_outputs=reader.width, width=reader.width, heads=1, mlp_ratio=2, prefixes=ways
        )

    def tokens(support: Examples) -> tuple[Array, Array]:
        classes = jax.nn.one_hot(support.targets, ways, dtype=support.inputs.dtype)
        both = jnp.concatenate([support.inputs, classes], axis=-1)
        return both, jnp.ones(both.shape[:-1], bool)

    def condition(model: Params, support: Examples) -> Float[Array, "m d"]:
        if encoder is not None:
            read = encoder.apply(model["encoder"], *tokens(support))
            return read.reshape(len(read), -1)
        return (jax.vmap(embed)(support) - model["center"][None]) / model["deviation"][None]

    def code_of(model: Params) -> Params:
        return {**model["code"], "trained": model["coder"]}

    def with_code(model: Params, params: Params) -> Params:
        still = {name: value for name, value in params.items() if name != "trained"}
        return {**model, "code": still, "coder": params["trained"]}

    def init(key: Key[Array, ""], task: Task) -> Params:
        first = jax.tree.map(lambda leaf: leaf[0], task)
        start = network.init(key, first.query.inputs)
        embedding, num = embed(first.support), len(task.query.targets)
        model = {
            "latents": jnp.zeros((num, size)),
            "center": jnp.zeros_like(embedding),
            "deviation": jnp.ones_like(embedding),
        }
        model = with_code(model, code.init(derive(key, "code"), num, count(start)))
        if encoder is not None:
            model["encoder"] = encoder.init(derive(key, "encoder"), *tokens(first.support))
        one = condition(model, jax.tree.map(lambda leaf: leaf[None], first.support))
        model["denoiser"] = noise.init(
            derive(key, "denoiser"), jnp.zeros((1, size)), jnp.zeros(1, jnp.int32), one
        )
        if align_share:
            # a linear map brings what is read to the size of the latents
            features = one.shape[1]
            drawn = jax.random.normal(derive(key, "aligner"), (features, size))
            model["aligner"] = {"map": drawn * features**-0.5, "log_scale": jnp.float32(LOG_SCALE)}
        return model

    def velocity_of(model: Params, support: Examples) -> Callable[[Array, Array], Array]:
        known = condition(model, support)
        return lambda noisy, level: noise.apply(model["denoiser"], noisy, level, known)

    def some(model: Params, task: Task, key: Key[Array, ""]) -> tuple[Array, Examples]:
        num = len(model["latents"])
        rows = random_indices(derive(key, "networks"), (batch,), jnp.uint32(num))
        return model["latents"][rows], jax.tree.map(lambda leaf: leaf[rows], task.support)

    def denoising(model: Params, task: Task, key: Key[Array, ""]) -> Any:
        latents, support = some(model, task, key)
        velocity = velocity_of(model, support)
        return diffusion_loss(velocity, latents, levels, derive(key, "noise")), {}

    def aligning(model: Params, task: Task, key: Key[Array, ""]) -> Any:
        latents, support = some(model, task, key)
        read = condition(model, support) @ model["aligner"]["map"]
        return contrastive_loss(read, latents, model["aligner"]["log_scale"]), {}

    def coding(model: Params, task: Task, key: Key[Array, ""]) -> Any:
        assert code.loss is not None
        return code.loss(code_of(model), key), {}

    def stage(loss: Callable[..., Any], *moving: str, share: float = 1.0) -> ModelStage:
        def moved(model: Params, task: Task, key: Key[Array, ""]) -> Any:
            still = jax.lax.stop_gradient(model)
            return loss({**still, **{name: model[name] for name in moving}}, task, key)

        def begin(zoo: Params | None, model: Params) -> Params:
            if zoo is not None:
                rows, embeddings = flat_weights(zoo["networks"]), zoo["embeddings"]
                deviation = jnp.std(embeddings, axis=0)
                model = {
                    **with_code(model, code.prepare(code_of(model), rows)),
                    "center": jnp.mean(embeddings, axis=0),
                    "deviation": jnp.where(deviation > 0, deviation, 1),
                }
                if autoencoding is None:
                    model["latents"] = code.encode(code_of(model), rows)
            elif autoencoding is not None:
                params = code.finish(code_of(model))
                rows = params["mean"][None] + params["rows"] * params["deviation"]
                model = {**with_code(model, params), "latents": code.encode(params, rows)}
            return model

        idle = idle_learner()
        return ModelStage(MetaLearner(init, idle.adapt, idle.predict, moved), moving, begin, share)

    stages = []
    if autoencoding is not None:
        stages.append(stage(coding, "coder", share=code_share))
    if align_share:
        stages.append(stage(aligning, "encoder", "aligner", share=align_share))
    with_encoder = ("encoder",) if encoder is not None and not align_share else ()
    stages.append(stage(denoising, "denoiser", *with_encoder))

    def weights_of(zoo: Params, model: Params, latent: Float[Array, "1 size"]) -> Params:
        return weights_from(code.decode(code_of(model), latent)[0], zoo["start"])

    def moved(
        zoo: Params, model: Params, support: Examples, latent: Float[Array, "1 size"], num: int
    ) -> Params:
        def loss(latent: Float[Array, "1 size"]) -> Float[Array, ""]:
            logits = network.apply(weights_of(zoo, model, latent), support.inputs)
            return len(support.targets) * cross_entropy(logits, support.targets)

        return weights_of(zoo, model, checked_descent(loss, latent, num))

    def drawn_with(num: int) -> Callable[[Params, Params, Examples, Key[Array, ""]], Params]:
        def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
            velocity = velocity_of(model, jax.tree.map(lambda leaf: leaf[None], support))
            latent = sample_diffusion(velocity, (1, size), levels, key)
            return moved(zoo, model, support, latent, num)

        return generate

    regression = weight_regression(embed)

    def regressed(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        weights = regression.generate(zoo, {}, support, key)
        row = flat_weights(jax.tree.map(lambda leaf: leaf[None], weights))
        return moved(zoo, model, support, code.encode(code_of(model), row), moves)

    variants: tuple[tuple[str, WeightModel], ...] = ()
    if moves:
        plain = WeightModel(drawn_with(0), draws=True)
        variants = (("unmoved", plain), ("moved_regression", WeightModel(regressed)))
    return WeightModel(
        drawn_with(moves),
        tuple(stages),
        draws=True,
        decoded=lambda model, rows: code.decode(code_of(model), code.encode(code_of(model), rows)),
        variants=variants,
    )
