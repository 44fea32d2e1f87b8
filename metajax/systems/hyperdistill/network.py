"""The test-beds' networks, each cut into hyperparameters and what a task fits."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.bilevel import OnlineParams
from metajax.core import Network, Params
from metajax.nn import batch_normalise, conv2d, conv_block, conv_net, conv_params, draw_normals, mlp


def regressor(width: int, layers: int, key: Key[Array, ""]) -> OnlineParams:
    """Draw the regressor's weights and biases uniformly below ``fan_in ** -0.5``.

    That is PyTorch's default. With He's initialization every method's first inner optimizations
    diverge. Hidden layers are the hyperparameters, the head is what a task fits.
    """
    sizes = [1] + [width] * layers + [1]
    shapes = [(a + 1, b) for a, b in itertools.pairwise(sizes)]
    total = sum(a * b for a, b in shapes)
    draw = jax.random.uniform(key, (total,), minval=-1.0, maxval=1.0)
    made, start = [], 0
    for rows, columns in shapes:
        layer = draw[start : start + rows * columns].reshape(rows, columns) * (rows - 1) ** -0.5
        made.append({"kernel": layer[:-1], "bias": layer[-1]})
        start += rows * columns
    return OnlineParams(hparams=made[:-1], start=made[-1])


def regress(
    body: list[Params], head: Params, inputs: Float[Array, "examples 1"]
) -> Float[Array, "examples 1"]:
    """Run the hidden layers, with ReLU, and the linear head."""
    x = inputs
    for layer in body:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    return x @ head["kernel"] + head["bias"][None]


def warped(num_outputs: int, channels: int, layers: int) -> Network:
    """Make a network of convolution blocks, each followed by two warp layers, and a linear head.

    Params are ``fit``, blocks and head as :func:`metajax.nn.conv_net` has them, and ``warp``, per
    block two convolutions with batch statistics and a ReLU between (Flennerhag et al. 2020,
    arXiv 1909.00025).
    """
    plain = conv_net(num_outputs, channels=channels, layers=layers)

    def init(key: Key[Array, ""], images: Float[Array, "n h w c"]) -> Params:
        fit_key, warp_key = jax.random.split(key)
        empty = {f"{i}_{j}": conv_params(channels, channels) for i in range(layers) for j in (0, 1)}
        return {"fit": plain.init(fit_key, images), "warp": draw_normals(warp_key, empty)}

    def apply(params: Params, images: Float[Array, "n h w c"]) -> Float[Array, "n outputs"]:
        fit, warp = params["fit"], params["warp"]
        x = images
        for i in range(layers):
            x = conv_block(fit[f"conv_{i}"], x)
            for j, activate in ((0, jax.nn.relu), (1, lambda x: x)):
                layer = warp[f"{i}_{j}"]
                x = activate(
                    batch_normalise(conv2d(x, layer["kernel"]), layer["scale"], layer["bias"])
                )
        return x.reshape(x.shape[0], -1) @ fit["head"]["kernel"] + fit["head"]["bias"][None]

    return Network(init, apply)


def weigher(width: int) -> Network:
    """Make the network from an example's loss to its weight, .1 to 1 (Meta-Weight-Net).

    One hidden layer with ReLU and a sigmoid (Shu et al. 2019, arXiv 1902.07379); HyperDistill
    bounds its output below by .1, here by ``.1 + .9 sigmoid``.
    """
    network = mlp((width,), 1)

    def apply(params: Params, losses: Float[Array, " n"]) -> Float[Array, " n"]:
        return 0.1 + 0.9 * jax.nn.sigmoid(network.apply(params, losses[:, None])[:, 0])

    return Network(lambda key: network.init(key, jnp.zeros((1, 1))), apply)
