"""From a problem as images to the weights of a network that solves it, or to its solution."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params
from metajax.nn import (
    PINN,
    Jet,
    fourier_features,
    grid_embedding,
    modified_mlp,
    swin,
)
from metajax.physics.pde import Grids, Points
from metajax.systems.hypino.settings import Settings, TargetSizes

FREQUENCIES, SCALE = 5, 0.1
"""Of the Fourier features of coefficients, as of the grids'."""


class Inputs(NamedTuple):
    """What the hypernetwork reads of a problem.

    Attributes:
      coefficients: of u, u_x, u_y, u_xx and u_yy.
      grids: the five images.
      points: the same problem at points, for methods that solve for the head there.
    """

    coefficients: Float[Array, "5"]
    grids: Grids
    points: Points | None = None


def input_shapes(size: int) -> Inputs:
    """What a hypernetwork reads without values, of images with ``size`` nodes along a side."""
    number: Any = jax.ShapeDtypeStruct
    return Inputs(number((5,), jnp.float32), Grids(*[number((size, size), jnp.float32)] * 5))


class Target(NamedTuple):
    """What a method's solutions are: its learner adapts to the parameters of it.

    Attributes:
      function: of points, with derivatives.
      width: units of its last hidden layer, in which it is linear; None for an image, which has
        none.
    """

    function: PINN
    width: int | None = None


def target_of(sizes: TargetSizes) -> Target:
    """Return the target network of some sizes: an MLP with skips."""
    width = sizes.target_width
    return Target(modified_mlp(width=width, layers=sizes.target_layers), width)


def solution(target: PINN, weights: Params, points: Float[Array, "n 2"]) -> Jet:
    """u and its derivatives at points: the jet, of ``[n]``, of a target's one output."""
    outputs, _ = target.derivatives(weights, points)
    u: Jet = jax.tree.map(lambda leaf: leaf[:, 0], outputs)
    return u


def make_network(settings: Settings, decoder: Network) -> Network:
    """Make ``(params, inputs) -> parameters of the target``, of one problem.

    As in arXiv 2509.05117, section 3: the images are embedded, a Swin Transformer reads them with
    FiLM by the coefficients behind every stage, and a decoder makes the target's parameters of the
    images and the stages.

    Args:
      settings: sizes of the encoder.
      decoder: as :mod:`metajax.systems.hypino.decoders` makes them.

    Returns:
      The network.
    """
    dtype = settings.dtype
    embedding = grid_embedding(settings.width, dtype=dtype)
    encoder = swin(
        depths=settings.depths,
        heads=settings.heads,
        window=settings.window,
        mlp_ratio=settings.mlp_ratio,
        remat=settings.remat,
        dtype=dtype,
    )

    def images(grids: Grids) -> Float[Array, "size size 5"]:
        """Masks, values, and the logarithm of the source with its sign."""
        source = jnp.sign(grids.source) * jnp.log1p(jnp.abs(grids.source))
        order = (grids.dirichlet_mask, grids.neumann_mask, grids.dirichlet, grids.neumann, source)
        return jnp.stack(order, axis=-1)

    def condition(inputs: Inputs) -> Float[Array, " size"]:
        return fourier_features(inputs.coefficients[:, None], FREQUENCIES, SCALE).reshape(-1)

    def init(key: Key[Array, ""], inputs: Inputs) -> Params:
        keys = jax.random.split(key, 3 + len(settings.depths))
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
