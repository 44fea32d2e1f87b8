"""Modules on rows that see one bigger batch when tasks are mapped over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flax import linen as nn
from jaxtyping import Array

from metajax.core import Params
from metajax.nn.initial import drawn_later
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
