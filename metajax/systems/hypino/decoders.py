"""What follows the encoder: heads that make a network's weights, or what makes an image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params
from metajax.hypernet import generator
from metajax.nn import PINN, attention_pool, fourier_operator, unet_decoder
from metajax.systems.hypino.config import Config

MODES, LAYERS = 12, 4
"""Frequencies and layers of the Fourier neural operator, as in arXiv 2010.08895, section 5."""


def make_decoder(config: Config, target: PINN) -> Network:
    """Make ``(params, images[h, w, 5], *maps[h_i, w_i, c_i]) -> parameters of the target``.

    ``init`` takes keys, one for each of the encoder's maps and one more.
    """
    return _image(config) if config.decoder != "weights" else _weights(config, target)


def _weights(config: Config, target: PINN) -> Network:
    """Each stage is pooled by one learned query for every tensor of the target, and what a
    tensor's queries found at all stages makes that tensor by a head of its own."""
    dtype = jnp.bfloat16 if config.bfloat16 else None

    def weights(key):
        return target.init(key, jnp.zeros((1, 2)))

    tensors = len(jax.tree.leaves(jax.eval_shape(weights, jax.random.key(0))))
    pools = [attention_pool(tensors, heads=heads, dtype=dtype) for heads in config.heads]
    heads = generator(weights, latents="per_tensor", hidden=(config.head_hidden,))

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


def _image(config: Config) -> Network:
    """The solution at the nodes, from the problem's images and the encoder's maps alike."""
    dtype = jnp.bfloat16 if config.bfloat16 else None
    channels = config.width // 2
    if config.decoder == "unet":
        network = unet_decoder(channels=channels, remat=config.remat, dtype=dtype)
    else:
        modes = min(MODES, (config.grid + 1) // 2)
        network = fourier_operator(
            channels=channels,
            modes=modes,
            layers=LAYERS,
            padding=config.grid // 8,
            remat=config.remat,
            dtype=dtype,
        )

    def init(keys: Key[Array, " keys"], *inputs: Array) -> Params:
        return {"decoder": network.init(keys[0], *inputs)}

    def apply(params: Params, *inputs: Array) -> Float[Array, "size size"]:
        image: Array = network.apply(params["decoder"], *inputs)
        return image[..., 0].astype(jnp.float32)

    return Network(init, apply)
