"""Many hidden layers of one size, whose parameters are stacked."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params, check_sizes
from metajax.nn.initial import draw_normals


def layer_stack(depth: int, width: int, num_outputs: int, residual: bool = True) -> Network:
    """Make a network of many hidden layers of one size: ``inputs[n, features] -> outputs``.

    Parameters are a dictionary of ``stem``, a dense layer from the inputs to ``width``, ``layers``,
    whose arrays have a first axis of ``depth``, and ``head``. So layers of several networks can be
    joined, and ``apply`` takes parameters of any number of layers.

    With ``residual`` a layer adds ``relu(normalized @ kernel + bias)`` to what it reads, where rows
    are normalized to mean 0 and variance 1, and the head reads normalized rows too. Without, stem
    and layers are dense layers with ReLU. Either way, one kernel makes a layer the identity: zeros
    with ``residual``, else the unit matrix.

    Args:
      depth: hidden layers after the stem.
      width: of stem and layers.
      num_outputs: e.g. classes.
      residual: whether a layer adds to what it reads.

    Returns:
      The network. Kernels of layers start He-normal, other kernels LeCun-normal.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(depth=depth, width=width, num_outputs=num_outputs)

    def init(key: Key[Array, ""], inputs: Float[Array, "n features"]) -> Params:
        def dense(rows: int, columns: int, *stacked: int) -> dict[str, Array]:
            shape = (*stacked, rows, columns)
            return {"kernel": jnp.zeros(shape), "bias": jnp.zeros((*stacked, columns))}

        params = {
            "stem": dense(inputs.shape[-1], width),
            "layers": dense(width, width, depth),
            "head": dense(width, num_outputs),
        }

        def stddev(name: str, leaf: Array) -> float | None:
            if name != "kernel":
                return None
            return ((2 if leaf.ndim == 3 else 1) / leaf.shape[-2]) ** 0.5

        return draw_normals(key, params, stddev)

    def layer(rows: Array, params: Params) -> tuple[Array, None]:
        if residual:
            return rows + jax.nn.relu(_dense(params, jax.nn.standardize(rows))), None
        return jax.nn.relu(_dense(params, rows)), None

    def apply(params: Params, inputs: Float[Array, "n features"]) -> Float[Array, "n outputs"]:
        rows = _dense(params["stem"], inputs.astype(params["stem"]["kernel"].dtype))
        rows, _ = jax.lax.scan(layer, rows if residual else jax.nn.relu(rows), params["layers"])
        return _dense(params["head"], jax.nn.standardize(rows) if residual else rows)

    return Network(init, apply)


def _dense(params: Params, rows: Array) -> Any:
    return rows @ params["kernel"] + params["bias"][None]
