"""Weights drawn by a diffusion of their latents, for a task that is known by its support."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Count,
    Examples,
    MetaLearner,
    Network,
    NonNegative,
    Number,
    Params,
    ProperFraction,
    Task,
    check_sizes,
    one_of,
)
from metajax.hypernet import denoiser
from metajax.learners.weight_codes import autoencoder_code, principal_code
from metajax.learners.weight_models import weight_regression
from metajax.learners.zoo_latents import (
    ZooLatents,
    aligning_loss,
    code_of,
    coding_loss,
    denoising_loss,
    drawn_latent,
    first_model,
    moved_weights,
    with_trained_code,
    with_zoo,
)
from metajax.learners.zoo_stages import (
    Embed,
    ModelStage,
    WeightModel,
    flat_weights,
    idle_learner,
)
from metajax.nn import token_set_encoder

Generate = Callable[[Params, Params, Examples, Key[Array, ""]], Params]
"""``generate(zoo, model, support, key) -> weights`` for one task."""


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


@dataclass(frozen=True)
class LatentDiffusion:
    """A diffusion of the latents of weights."""

    components: Count = 64
    """Numbers of a latent; principal components are fewer than the zoo's networks."""
    latents: Literal["principal", "autoencoder"] = "principal"
    """Encode weights by their principal components, or by a variational autoencoder as in the
    paper."""
    coder_hidden: Count = 256
    """Units of the autoencoder's hidden layers."""
    coder_share: ProperFraction = 0.5
    """Part of the model's steps in which the autoencoder is trained."""
    divergence: NonNegative = 1e-2
    """Factor of the divergence of the autoencoder's latents from a standard normal distribution."""
    denoiser_hidden: tuple[Count, ...] = (256, 256)
    """Sizes of the denoiser's hidden layers."""
    noise_levels: Count = 100
    """Levels of noise."""
    batch: Count = 64
    """Networks of a step of the denoiser, drawn at random."""
    moves: Number = 30
    """Checked steps that drawn latents take down the support's loss; 0: the published draws."""


DIFFUSION = LatentDiffusion()
"""Of principal components, and drawn latents move."""


def weight_diffusion(
    network: Network,
    embed: Embed,
    diffusion: LatentDiffusion = DIFFUSION,
    reader: SetReader | None = None,
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
      diffusion: of the latents.
      reader: attention over the support; None: the embedding.

    Returns:
      The model.

    Raises:
      ConfigError: a size is below 1, latents are of no known kind, shares leave no step to the
        denoiser, there are less than 0 moves; or when its first state is made, components are more
        than the zoo can have.
    """
    size, levels, batch = diffusion.components, diffusion.noise_levels, diffusion.batch
    width, ways = (None, 1) if reader is None else (reader.width, reader.ways)
    check_sizes(components=size, noise_levels=levels, batch=batch, width=width, ways=ways)
    if diffusion.moves < 0:
        raise ConfigError("moves", diffusion.moves, "a whole number of 0 or more")
    one_of("latents", diffusion.latents, ("principal", "autoencoder"))
    coded = diffusion.latents == "autoencoder"
    align_share = 0.0 if reader is None else reader.align_share
    code_share = diffusion.coder_share if coded else 0.0
    if min(align_share, code_share) < 0 or align_share + code_share >= 1:
        shares = {"align_share": align_share, "coder_share": code_share}
        raise ConfigError("shares", shares, "0 or more, with a sum below 1")
    code = principal_code(size)
    if coded:
        hidden, factor = diffusion.coder_hidden, diffusion.divergence
        code = autoencoder_code(size, hidden=hidden, factor=factor, batch=batch)
    encoder = None
    if reader is not None:
        encoder = token_set_encoder(
            num_outputs=reader.width, width=reader.width, heads=1, mlp_ratio=2, prefixes=ways
        )
    noise = denoiser(size, levels, diffusion.denoiser_hidden)
    parts = ZooLatents(network, embed, code, noise, encoder, ways, size, levels, batch)

    def decoded(model: Params, rows: Float[Array, "m n"]) -> Float[Array, "m n"]:
        return code.decode(code_of(model), code.encode(code_of(model), rows))

    moves = diffusion.moves
    plain = WeightModel(_drawn(parts, 0), draws=True)
    regressed = WeightModel(_regressed(parts, moves))
    return WeightModel(
        _drawn(parts, moves),
        _stages(parts, code_share, align_share),
        draws=True,
        decoded=decoded,
        variants=(("unmoved", plain), ("moved_regression", regressed)) if moves else (),
    )


def _stages(parts: ZooLatents, code_share: float, align_share: float) -> tuple[ModelStage, ...]:
    """The stages of training: of the code and of the encoder, where they are, and the denoiser."""
    aligned, idle = bool(align_share), idle_learner()

    def init(key: Key[Array, ""], task: Task) -> Params:
        return first_model(parts, key, task, aligned)

    def begin(zoo: Params | None, model: Params) -> Params:
        if zoo is not None:
            return with_zoo(parts, zoo, model)
        return model if parts.code.loss is None else with_trained_code(parts, model)

    def stage(loss: Callable[..., Any], *moving: str, share: float = 1.0) -> ModelStage:
        def moved(model: Params, task: Task, key: Key[Array, ""]) -> Any:
            still = jax.lax.stop_gradient(model)
            model = {**still, **{name: model[name] for name in moving}}
            return loss(parts, model, task, key)

        return ModelStage(MetaLearner(init, idle.adapt, idle.predict, moved), moving, begin, share)

    stages = []
    if parts.code.loss is not None:
        stages.append(stage(coding_loss, "coder", share=code_share))
    if aligned:
        stages.append(stage(aligning_loss, "encoder", "aligner", share=align_share))
    with_encoder = ("encoder",) if parts.encoder is not None and not aligned else ()
    stages.append(stage(denoising_loss, "denoiser", *with_encoder))
    return tuple(stages)


def _drawn(parts: ZooLatents, moves: int) -> Generate:
    """What draws a latent, moves it, and gives its weights."""

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        latent = drawn_latent(parts, model, support, key)
        return moved_weights(parts, zoo, model, support, latent, moves)

    return generate


def _regressed(parts: ZooLatents, moves: int) -> Generate:
    """What moves the latent of the regression's weights, and gives the weights of that."""
    regression = weight_regression(parts.embed)

    def generate(zoo: Params, model: Params, support: Examples, key: Key[Array, ""]) -> Params:
        weights = regression.generate(zoo, {}, support, key)
        row = flat_weights(jax.tree.map(lambda leaf: leaf[None], weights))
        latent = parts.code.encode(code_of(model), row)
        return moved_weights(parts, zoo, model, support, latent, moves)

    return generate
