"""How the weights of a zoo's networks are made short: principal components, or an autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Params, check_sizes, derive, random_indices
from metajax.hypernet import (
    VectorAutoencoder,
    autoencoder_loss,
    decode_principal,
    encode_principal,
    principal_components,
    vector_autoencoder,
)

LEAST_DEVIATION = 1e-6
"""Least deviation that is divided by."""


class WeightCode(NamedTuple):
    """Latents of rows of weights. Its parameters have the entry ``trained``, which training moves.

    Attributes:
      init: ``init(key, num, features) -> params``, for so many networks of so many weights.
      prepare: ``prepare(params, rows[m, n]) -> params``, when the zoo is trained.
      finish: ``finish(params) -> params``, when the code is trained itself.
      encode: ``encode(params, rows[m, n]) -> latents[m, size]``, of about unit variance.
      decode: ``decode(params, latents[m, size]) -> rows[m, n]``.
      loss: ``loss(params, key) -> scalar``, that trains it; None: nothing is trained.
    """

    init: Callable[[Key[Array, ""], int, int], Params]
    prepare: Callable[[Params, Array], Params]
    finish: Callable[[Params], Params]
    encode: Callable[[Params, Array], Array]
    decode: Callable[[Params, Array], Array]
    loss: Callable[[Params, Key[Array, ""]], Float[Array, ""]] | None = None


def principal_code(size: int) -> WeightCode:
    """Take the principal components of a zoo: a code that needs no training.

    Args:
      size: components.

    Returns:
      The code. ``init`` raises a ConfigError where a zoo cannot have so many components.
    """

    def init(key: Key[Array, ""], num: int, features: int) -> Params:
        # nothing is computed: a code that does not fit the zoo is rejected before training
        rows = jax.ShapeDtypeStruct((num, features), jnp.float32)
        shapes = jax.eval_shape(lambda rows: principal_components(rows, size), rows)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return {"trained": {}, "principal": zeros}

    return WeightCode(
        init,
        lambda params, rows: {**params, "principal": principal_components(rows, size)},
        lambda params: params,
        lambda params, rows: encode_principal(params["principal"], rows),
        lambda params, latents: decode_principal(params["principal"], latents),
    )


def autoencoder_code(
    size: int, *, hidden: int = 256, factor: float | Float[Array, ""] = 1e-2, batch: int = 64
) -> WeightCode:
    """Train a variational autoencoder of a zoo's weights, as the first stage of arXiv 2402.18153.

    Weights are centered by their means over the zoo, and divided by one deviation, that of all.
    Latents are the means that the encoder gives, each centered and divided by its deviation over
    the zoo.

    Args:
      size: of a latent.
      hidden: units of the encoder's hidden layer, and of the decoder's.
      factor: of the divergence from the standard normal distribution; see
        :func:`metajax.hypernet.autoencoder_loss`.
      batch: networks of a step, drawn at random.

    Returns:
      The code.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(size=size, hidden=hidden, batch=batch)

    def coder(features: int) -> VectorAutoencoder:
        return vector_autoencoder(features, size, (hidden,))

    def init(key: Key[Array, ""], num: int, features: int) -> Params:
        return {
            "trained": coder(features).init(key),
            "rows": jnp.zeros((num, features)),
            "mean": jnp.zeros(features),
            "deviation": jnp.ones(()),
            "shift": jnp.zeros(size),
            "scale": jnp.ones(size),
        }

    def prepare(params: Params, rows: Float[Array, "m n"]) -> Params:
        mean = jnp.mean(rows, axis=0)
        apart = rows - mean[None]
        deviation = jnp.maximum(jnp.sqrt(jnp.mean(jnp.square(apart))), LEAST_DEVIATION)
        return {**params, "rows": apart / deviation, "mean": mean, "deviation": deviation}

    def means_of(params: Params, standard: Float[Array, "m n"]) -> Float[Array, "m size"]:
        return coder(standard.shape[1]).encode(params["trained"], standard)[0]

    def finish(params: Params) -> Params:
        means = means_of(params, params["rows"])
        scale = jnp.maximum(jnp.std(means, axis=0), LEAST_DEVIATION)
        return {**params, "shift": jnp.mean(means, axis=0), "scale": scale}

    def encode(params: Params, rows: Float[Array, "m n"]) -> Float[Array, "m size"]:
        means = means_of(params, (rows - params["mean"][None]) / params["deviation"])
        return (means - params["shift"][None]) / params["scale"][None]

    def decode(params: Params, latents: Float[Array, "m size"]) -> Float[Array, "m n"]:
        means = latents * params["scale"][None] + params["shift"][None]
        standard = coder(len(params["mean"])).decode(params["trained"], means)
        return params["mean"][None] + standard * params["deviation"]

    def loss(params: Params, key: Key[Array, ""]) -> Float[Array, ""]:
        num, features = params["rows"].shape
        at = random_indices(derive(key, "networks"), (batch,), jnp.uint32(num))
        rows, latents = params["rows"][at], derive(key, "latents")
        return autoencoder_loss(coder(features), params["trained"], rows, factor, latents)

    return WeightCode(init, prepare, finish, encode, decode, loss)
