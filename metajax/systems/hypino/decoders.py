"""What follows the encoder: heads that make a network's weights, or what makes an image."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params
from metajax.hypernet import generator
from metajax.nn import PINN, attention_pool, fourier_operator, unet_decoder
from metajax.systems.hypino.settings import Settings

MODES, LAYERS = 12, 4
"""Frequencies and layers of the Fourier neural operator, as in arXiv 2010.08895, section 5."""


def starting(target: PINN) -> Callable[[Key[Array, ""]], Params]:
    """Return how a target network starts by itself."""
    return functools.partial(target.init, points=jnp.zeros((1, 2)))


def weights_decoder(
    settings: Settings, target: Callable[[Key[Array, ""]], Params], hidden: int
) -> Network:
    """Make ``(params, images[h, w, 5], *maps[h_i, w_i, c_i]) -> parameters of the target``.

    Each stage is pooled by one learned query for every tensor of the target, and what a tensor's
    queries found at all stages makes that tensor by a head of its own. ``init`` takes keys, one
    for each of the encoder's maps and one more.

    Args:
      settings: of the encoder, for its heads and its dtype.
      target: ``target(key) -> parameters``, as the target starts by itself.
      hidden: units of the network that makes one tensor.
    """
    dtype = settings.dtype
    tensors = len(jax.tree.leaves(jax.eval_shape(target, jax.random.key(0))))
    pools = [attention_pool(tensors, heads=heads, dtype=dtype) for heads in settings.heads]
    heads = generator(target, latents="per_tensor", hidden=(hidden,))

    def pooled(params: Params, maps: tuple[Array, ...]) -> Float[Array, "tensors size"]:
        found = [
            pool.apply(params[f"pool_{stage}"], cells.reshape(-1, cells.shape[-1]))
            for stage, (pool, cells) in enumerate(zip(pools, maps, strict=True))
        ]
        return jnp.concatenate([f.astype(jnp.float32) for f in found], axis=-1)

    def init(keys: Key[Array, " keys"], images: Array, *maps: Array) -> Params:
        params: Params = {
            f"pool_{stage}": pool.init(keys[stage], cells.reshape(-1, cells.shape[-1]))
            for stage, (pool, cells) in enumerate(zip(pools, maps, strict=True))
        }
        params["heads"] = heads.init(keys[len(pools)], pooled(params, maps))
        return params

    def apply(params: Params, images: Array, *maps: Array) -> Params:
        return heads.apply(params["heads"], pooled(params, maps))

    return Network(init, apply)


def unet_image(settings: Settings) -> Network:
    """Make the decoder of a U-Net, which makes an image of the solution.

    Args:
      settings: of the encoder.
    """
    return image_decoder(
        unet_decoder(channels=settings.width // 2, remat=settings.remat, dtype=settings.dtype)
    )


def fourier_image(settings: Settings) -> Network:
    """Make the decoder by a Fourier neural operator, which makes an image of the solution.

    Args:
      settings: of the encoder.
    """
    return image_decoder(
        fourier_operator(
            channels=settings.width // 2,
            modes=min(MODES, (settings.grid + 1) // 2),
            layers=LAYERS,
            padding=settings.grid // 8,
            remat=settings.remat,
            dtype=settings.dtype,
        )
    )


def image_decoder(network: Network) -> Network:
    """Make ``(params, images[h, w, 5], *maps[h_i, w_i, c_i]) -> the solution at the nodes``.

    Args:
      network: of the same inputs, with one channel.
    """

    def init(keys: Key[Array, " keys"], *inputs: Array) -> Params:
        return {"decoder": network.init(keys[0], *inputs)}

    def apply(params: Params, *inputs: Array) -> Float[Array, "size size"]:
        image: Array = network.apply(params["decoder"], *inputs)
        return image[..., 0].astype(jnp.float32)

    return Network(init, apply)
