"""A Swin Transformer: attention in windows that shift, over grids that grow coarser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, cast_floats
from metajax.nn.attention import widen
from metajax.nn.initial import draw_normals, drawn_later, lecun_stddev
from metajax.nn.modulation import FiLM
from metajax.nn.transformer import LayerNorm
from metajax.nn.vision.rows import merged_apply, rows_dense
from metajax.nn.vision.windows import (
    Windows,
    from_windows,
    relative_positions,
    to_windows,
    window_mask,
    windows_of,
)

MASKED = -1e30
"""Score of a key that is not seen; finite: minus infinity less minus infinity is NaN."""


def stddev(name: str, leaf: Array) -> float | None:
    """LeCun's for kernels, .02 for tables of relative positions."""
    return 0.02 if name == "positions" else lecun_stddev(name, leaf)


class WindowAttention(nn.Module):
    """Multi-head attention within windows, with a bias for every relative position."""

    heads: int
    window: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w channels"], windows: Windows
    ) -> Float[Array, "n h w channels"]:
        tokens = to_windows(x, windows)
        n, num, size, channels = tokens.shape
        qkv = rows_dense(3 * channels, "qkv")(tokens.reshape(-1, channels))
        qkv = qkv.reshape(n, num, size, 3, self.heads, channels // self.heads)
        q, k, v = jnp.transpose(qkv, (3, 0, 1, 4, 2, 5))
        scores = jnp.einsum("nwhqd,nwhkd->nwhqk", q * q.shape[-1] ** -0.5, k)
        shape = ((2 * self.window - 1) ** 2, self.heads)
        table = self.param("positions", drawn_later, shape, jnp.float32)
        bias = jnp.moveaxis(table[relative_positions(windows, self.window)], -1, 0)
        scores = widen(scores) + widen(bias)[None, None]
        mask = window_mask(windows)
        if mask is not None:
            scores = jnp.where(mask[None, :, None], scores, MASKED)
        weights = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
        found = jnp.einsum("nwhqk,nwhkd->nwqhd", weights, v)
        found = rows_dense(channels, "out")(found.reshape(-1, channels))
        return from_windows(found.reshape(tokens.shape), windows)


class SwinBlock(nn.Module):
    """One pre-LN layer: window attention and a two-layer MLP, each added to its input."""

    heads: int
    window: int
    shifted: bool
    mlp_ratio: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w channels"]) -> Float[Array, "n h w channels"]:
        _, height, width, channels = x.shape
        windows = windows_of(height, width, self.window, shifted=self.shifted)
        rows = x.reshape(-1, channels)
        normed = LayerNorm(name="norm1")(rows).reshape(x.shape)
        found = WindowAttention(self.heads, self.window, name="attention")(normed, windows)
        rows = rows + found.reshape(-1, channels)
        hidden = rows_dense(self.mlp_ratio * channels, "up")(LayerNorm(name="norm2")(rows))
        # recomputing it in the backward pass costs less than keeping what its derivative needs
        hidden = jax.checkpoint(jax.nn.gelu)(hidden)
        return (rows + rows_dense(channels, "down")(hidden)).reshape(x.shape)


class PatchMerging(nn.Module):
    """Halve a grid: normalize every 2 x 2 cells together and map them to twice the channels."""

    @nn.compact
    def __call__(self, x: Float[Array, "n h w channels"]) -> Float[Array, "n h2 w2 wider"]:
        n, height, width, channels = x.shape
        x = jnp.pad(x, [(0, 0), (0, height % 2), (0, width % 2), (0, 0)])
        x = x.reshape(n, x.shape[1] // 2, 2, x.shape[2] // 2, 2, channels)
        x = jnp.transpose(x, (0, 1, 3, 2, 4, 5))
        rows = LayerNorm(name="norm")(x.reshape(-1, 4 * channels))
        return rows_dense(2 * channels, "reduction", use_bias=False)(rows).reshape(*x.shape[:3], -1)


def swin(
    *,
    depths: Sequence[int] = (2, 2, 6, 2),
    heads: Sequence[int] = (3, 6, 12, 24),
    window: int = 7,
    mlp_ratio: int = 4,
    remat: bool = False,
    dtype: Any = None,
) -> Network:
    """Make the stages of a Swin Transformer (Liu et al. 2021, arXiv 2103.14030).

    ``apply(params, x[*batch, h, w, width])`` returns the map of every stage, finest first:
    ``[*batch, h / 2^i, w / 2^i, width * 2^i]``, sizes rounded up. ``x`` is a grid that has been
    embedded already. A block is pre-LN window attention with relative position biases and a GELU
    MLP (the tanh form); every second one has its windows shifted by half; between stages 2 x 2
    cells are merged. There is no stochastic depth, and no norm behind the last stage. Grids that
    windows do not divide are padded with masked cells, odd grids with zeros before they are merged.
    A window is no larger than its grid; a window that covers the whole grid does not shift.
    Parameters do not depend on the size of the grid.

    With a second argument, ``condition[*batch, size]``, every stage ends in FiLM by a linear
    function of it that starts as the identity; the next stage sees the modulated map.

    Args:
      depths: blocks of every stage.
      heads: attention heads of every stage; they divide its channels.
      window: cells along a side of a window.
      mlp_ratio: hidden size of a block's MLP over its channels.
      remat: recompute each block in the backward pass, and keep its input alone.
      dtype: what it is computed in, e.g. ``jnp.bfloat16``, whatever the parameters' dtype; by
        default in theirs. Softmax and LayerNorm statistics are float32 or wider.

    ``apply`` has derivatives in reverse mode alone.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, ``depths`` and ``heads`` differ in length, or, when it is
        called, heads do not divide a stage's channels.
    """
    depths, heads = tuple(depths), tuple(heads)
    sizes = [("window", window), ("mlp_ratio", mlp_ratio)]
    sizes += [("depths", size) for size in depths] + [("heads", size) for size in heads]
    for field, size in sizes:
        if size < 1:
            raise ConfigError(field, size, "a whole number of 1 or more")
    if len(depths) != len(heads) or not depths:
        raise ConfigError("heads", heads, f"one number for each of the stages, {len(depths)}")
    stages: list[list[tuple[str, nn.Module, Any]]] = []
    for stage, (depth, number) in enumerate(zip(depths, heads, strict=True)):
        layers: list[tuple[str, nn.Module]] = [(f"merge_{stage}", PatchMerging())] if stage else []
        for block in range(depth):
            module = SwinBlock(number, window, block % 2 == 1, mlp_ratio)
            layers.append((f"stage_{stage}_block_{block}", module))
        stages.append([(name, module, merged_apply(module)) for name, module in layers])

    def flat(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """The inputs with one batch axis, whatever it is made of."""
        x, *condition = arrays
        for stage, number in enumerate(heads):
            if x.shape[-1] * 2**stage % number:
                expected = f"a divisor of the {x.shape[-1] * 2**stage} channels of stage {stage}"
                raise ConfigError("heads", number, expected)
        n = math.prod(x.shape[:-3])
        return (x.reshape(n, *x.shape[-3:]), *(c.reshape(n, c.shape[-1]) for c in condition))

    def init(key: Key[Array, ""], *inputs: Array) -> Params:
        x, *condition = flat(inputs)
        params: Params = {}
        for stage, layers in enumerate(stages):
            for name, module, _ in layers:
                x, made = module.init_with_output(key, x)
                params[name] = made["params"]
            if condition:
                params[f"film_{stage}"] = FiLM().init(key, x, *condition)["params"]
        return draw_normals(key, params, stddev)

    def apply(params: Params, *inputs: Array) -> tuple[Float[Array, "*batch h w channels"], ...]:
        computed = jax.tree.leaves(params)[0].dtype if dtype is None else dtype
        params, (x, *condition) = cast_floats((params, flat(inputs)), computed)
        maps = []
        for stage, layers in enumerate(stages):
            for name, _, function in layers:
                x = (jax.checkpoint(function) if remat else function)(params[name], x)
            if condition:
                x = FiLM().apply({"params": params[f"film_{stage}"]}, x, *condition)
            maps.append(x.reshape(*inputs[0].shape[:-3], *x.shape[1:]))
        return tuple(maps)

    return Network(init, apply)
