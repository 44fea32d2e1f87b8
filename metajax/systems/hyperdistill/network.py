"""A regressor cut in two: hidden layers that are shared, and a head that each task fits."""

from __future__ import annotations

import itertools

import jax
from jaxtyping import Array, Float, Key

from metajax.bilevel import OnlineParams
from metajax.core import Params
from metajax.systems.hyperdistill.config import Config


def init(config: Config, key: Key[Array, ""]) -> OnlineParams:
    """Draw all weights and biases uniformly below ``fan_in ** -0.5``, PyTorch's default.

    With He's initialisation every method's first inner optimisations diverge.
    """
    sizes = [1] + [config.width] * config.layers + [1]
    shapes = [(a + 1, b) for a, b in itertools.pairwise(sizes)]
    total = sum(a * b for a, b in shapes)
    draw = jax.random.uniform(key, (total,), minval=-1.0, maxval=1.0)
    layers, start = [], 0
    for rows, columns in shapes:
        layer = draw[start : start + rows * columns].reshape(rows, columns) * (rows - 1) ** -0.5
        layers.append({"kernel": layer[:-1], "bias": layer[-1]})
        start += rows * columns
    return OnlineParams(hparams=layers[:-1], start=layers[-1])


def apply(
    body: list[Params], head: Params, inputs: Float[Array, "examples 1"]
) -> Float[Array, "examples 1"]:
    """Run the hidden layers, with ReLU, and the linear head."""
    x = inputs
    for layer in body:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    return x @ head["kernel"] + head["bias"][None]
