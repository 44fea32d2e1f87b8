"""Modules on rows that see one bigger batch when tasks are mapped over."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params, cast_floats
from metajax.nn.initial import draw_normals, drawn_later, lecun_stddev
from metajax.nn.merged import merge_vmapped_rows
from metajax.nn.product import rows_dot_general


def rows_dense(features: int, name: str, use_bias: bool = True) -> nn.Dense:
    """Make a linear map of rows ``[n, inputs]``; differentiable in reverse mode alone on CPU."""
    return nn.Dense(
        features, use_bias, kernel_init=drawn_later, dot_general=rows_dot_general, name=name
    )


def merged_apply(module: nn.Module) -> Callable[[Params, Array], Array]:
    """Return ``(params, x[n, ...]) -> outputs[n, ...]`` of a module of one input and output."""

    def run(params: Params, x: Array) -> Array:
        outputs: Any = module.apply({"params": params}, x)
        return outputs

    return merge_vmapped_rows(run)


def batched_network(
    module: nn.Module,
    axes: int,
    check: Callable[[Array], None],
    stddev: Callable[[str, Array], float | None] = lecun_stddev,
    dtype: Any = None,
) -> Network:
    """Make a network of a module of one input, whose batch axes are merged into one.

    Args:
      module: of ``[n, ...]``.
      axes: of one input.
      check: raises where an input has a size that does not fit.
      stddev: see :func:`metajax.nn.draw_normals`.
      dtype: of the computation; by default the parameters' own.

    Returns:
      ``x[*batch, ...] -> outputs[*batch, ...]``, with derivatives in reverse mode alone.
    """
    run = merged_apply(module)

    def flat(x: Array) -> Array:
        check(x)
        return x.reshape(math.prod(x.shape[:-axes]), *x.shape[-axes:])

    def init(key: Key[Array, ""], x: Float[Array, "*batch_and_input"]) -> Params:
        return draw_normals(key, module.init(key, flat(x))["params"], stddev)

    def apply(
        params: Params, x: Float[Array, "*batch_and_input"]
    ) -> Float[Array, "*batch_and_output"]:
        computed = jax.tree.leaves(params)[0].dtype if dtype is None else dtype
        params, rows = cast_floats((params, flat(x)), computed)
        outputs = run(params, rows)
        return outputs.reshape(*x.shape[:-axes], *outputs.shape[1:])

    return Network(init, apply)
