"""The trained hypernetwork that comes with the package, as what a training starts from."""

from __future__ import annotations

import functools
from importlib.resources import as_file, files

import jax
from jaxtyping import Array, Key

from metajax.core import ConfigError, Network, Params, count
from metajax.systems.hypino.network import Inputs, input_shapes
from metajax.systems.model_file import read_params

SHIPPED = "cpu.msgpack"
"""File of the trained hypernetwork in this package."""


def from_shipped(network: Network, size: int) -> Network:
    """Return the network with the shipped hypernetwork's parameters as its first ones.

    Args:
      network: of the same shapes of parameters.
      size: nodes along a side of the images.

    Raises:
      ConfigError: the shipped parameters do not fit it; names ``start``.
    """
    key = jax.eval_shape(jax.random.key, 0)
    like = jax.eval_shape(network.init, key, input_shapes(size))
    read = functools.partial(_read, like)
    try:
        read()
    except ConfigError as error:
        expected = f"drawn, for sizes other than preset cpu's ({count(like):,} parameters here)"
        raise ConfigError("start", "shipped", expected) from error

    def init(key: Key[Array, ""], inputs: Inputs) -> Params:
        # read as the program runs: the program itself holds no parameters
        return jax.pure_callback(read, like)

    return network._replace(init=init)


def _read(like: Params) -> Params:
    with as_file(files("metajax.systems.hypino") / SHIPPED) as path:
        return read_params(path, like)
