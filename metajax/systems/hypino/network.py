"""From a problem as images to the weights of a network that solves it."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params
from metajax.hypernet import generator
from metajax.nn import (
    PINN,
    attention_pool,
    fourier_features,
    grid_embedding,
    modified_mlp,
    swin,
)
from metajax.physics.pde import Grids
from metajax.systems.hypino.config import Config

FREQUENCIES, SCALE = 5, 0.1
"""Of the Fourier features of coefficients, as of the grids'."""


class Inputs(NamedTuple):
    """What the hypernetwork reads of a problem.

    Attributes:
      coefficients: of u, u_x, u_y, u_xx and u_yy.
      grids: the five images.
    """

    coefficients: Float[Array, "5"]
    grids: Grids


def make_target(config: Config) -> PINN:
    """Make the network whose weights are generated."""
    return modified_mlp(width=config.target_width, layers=config.target_layers)


def make_network(config: Config) -> Network:
    """Make ``(params, inputs) -> weights of the target``, of one problem.

    As in arXiv 2509.05117, section 3: the images are embedded, a Swin Transformer reads them with
    FiLM by the coefficients behind every stage, each stage is pooled by one learned query for
    every tensor of the target, and what a tensor's queries found at all stages makes that tensor
    by a head of its own.
    """
    dtype = jnp.bfloat16 if config.bfloat16 else None
    embedding = grid_embedding(config.width, dtype=dtype)
    encoder = swin(
        depths=config.depths, heads=config.heads, window=config.window,
        mlp_ratio=config.mlp_ratio, remat=config.remat, dtype=dtype,
    )  # fmt: skip
    target = make_target(config)
    point = jnp.zeros((1, 2))
    weights = lambda key: target.init(key, point)  # noqa: E731
    tensors = len(jax.tree.leaves(jax.eval_shape(weights, jax.random.key(0))))
    pools = [attention_pool(tensors, heads=heads, dtype=dtype) for heads in config.heads]
    heads = generator(weights, latents="per_tensor", hidden=(config.head_hidden,))

    def images(grids: Grids) -> Float[Array, "size size 5"]:
        """Masks, values, and the logarithm of the source with its sign."""
        source = jnp.sign(grids.source) * jnp.log1p(jnp.abs(grids.source))
        order = (grids.dirichlet_mask, grids.neumann_mask, grids.dirichlet, grids.neumann, source)
        return jnp.stack(order, axis=-1)

    def condition(inputs: Inputs) -> Float[Array, " size"]:
        return fourier_features(inputs.coefficients[:, None], FREQUENCIES, SCALE).reshape(-1)

    def pooled(params: Params, maps: tuple[Array, ...]) -> Float[Array, "tensors size"]:
        found = [
            pool.apply(params[f"pool_{stage}"], cells.reshape(-1, cells.shape[-1]))
            for stage, (pool, cells) in enumerate(zip(pools, maps, strict=True))
        ]
        return jnp.concatenate([f.astype(jnp.float32) for f in found], axis=-1)

    def init(key: Key[Array, ""], inputs: Inputs) -> Params:
        keys = iter(jax.random.split(key, 3 + len(pools)))
        x = images(inputs.grids)
        params: Params = {"embedding": embedding.init(next(keys), x)}
        tokens = embedding.apply(params["embedding"], x)
        params["encoder"] = encoder.init(next(keys), tokens, condition(inputs))
        maps = encoder.apply(params["encoder"], tokens, condition(inputs))
        for stage, (pool, cells) in enumerate(zip(pools, maps, strict=True)):
            params[f"pool_{stage}"] = pool.init(next(keys), cells.reshape(-1, cells.shape[-1]))
        params["heads"] = heads.init(next(keys), pooled(params, maps))
        return params

    def apply(params: Params, inputs: Inputs) -> Params:
        tokens = embedding.apply(params["embedding"], images(inputs.grids))
        maps = encoder.apply(params["encoder"], tokens, condition(inputs))
        return heads.apply(params["heads"], pooled(params, maps))

    return Network(init, apply)
