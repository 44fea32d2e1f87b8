"""From a problem as images to the weights of a network that solves it, or to its solution."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params
from metajax.nn import (
    PINN,
    Jet,
    fourier_features,
    grid_embedding,
    image_function,
    modified_mlp,
    swin,
)
from metajax.physics.pde import Grids
from metajax.systems.hypino.config import Config
from metajax.systems.hypino.decoders import make_decoder

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
    """Make what the decoder's output is the parameters of: a network, or a spline of an image."""
    if config.decoder != "weights":
        return image_function(config.grid)
    return modified_mlp(width=config.target_width, layers=config.target_layers)


def solution(target: PINN, weights: Params, points: Float[Array, "n 2"]) -> Jet:
    """u and its derivatives at points: the jet, of ``[n]``, of a target's one output."""
    outputs, _ = target.derivatives(weights, points)
    u: Jet = jax.tree.map(lambda leaf: leaf[:, 0], outputs)
    return u


def make_network(config: Config) -> Network:
    """Make ``(params, inputs) -> parameters of the target``, of one problem.

    As in arXiv 2509.05117, section 3: the images are embedded, a Swin Transformer reads them with
    FiLM by the coefficients behind every stage, each stage is pooled by one learned query for
    every tensor of the target, and what a tensor's queries found at all stages makes that tensor
    by a head of its own. Other decoders make an image of the solution of the stages.
    """
    dtype = jnp.bfloat16 if config.bfloat16 else None
    embedding = grid_embedding(config.width, dtype=dtype)
    encoder = swin(
        depths=config.depths,
        heads=config.heads,
        window=config.window,
        mlp_ratio=config.mlp_ratio,
        remat=config.remat,
        dtype=dtype,
    )
    decoder = make_decoder(config, make_target(config))

    def images(grids: Grids) -> Float[Array, "size size 5"]:
        """Masks, values, and the logarithm of the source with its sign."""
        source = jnp.sign(grids.source) * jnp.log1p(jnp.abs(grids.source))
        order = (grids.dirichlet_mask, grids.neumann_mask, grids.dirichlet, grids.neumann, source)
        return jnp.stack(order, axis=-1)

    def condition(inputs: Inputs) -> Float[Array, " size"]:
        return fourier_features(inputs.coefficients[:, None], FREQUENCIES, SCALE).reshape(-1)

    def init(key: Key[Array, ""], inputs: Inputs) -> Params:
        keys = jax.random.split(key, 3 + len(config.depths))
        x, conditions = images(inputs.grids), condition(inputs)
        params: Params = {"embedding": embedding.init(keys[0], x)}
        tokens = embedding.apply(params["embedding"], x)
        params["encoder"] = encoder.init(keys[1], tokens, conditions)
        maps = encoder.apply(params["encoder"], tokens, conditions)
        return {**params, **decoder.init(keys[2:], x, *maps)}

    def apply(params: Params, inputs: Inputs) -> Params:
        x = images(inputs.grids)
        tokens = embedding.apply(params["embedding"], x)
        maps = encoder.apply(params["encoder"], tokens, condition(inputs))
        return decoder.apply(params, x, *maps)

    return Network(init, apply)
