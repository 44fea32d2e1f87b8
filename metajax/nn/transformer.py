"""A causal Transformer, read densely for training or one token at a time with a key-value cache."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from metajax.core import ConfigError, Params, SequenceNetwork, check_sizes
from metajax.nn.attention import attend, causal_attention, widen
from metajax.nn.initial import draw_normals, drawn_later, lecun_stddev
from metajax.nn.merged import merge_vmapped_rows
from metajax.nn.product import rows_dot_general


class KVCache(NamedTuple):
    """What a Transformer remembers of the tokens read so far, in arrays of a fixed size.

    Attributes:
      keys: one array ``[*batch, heads, max_length, key_size]`` per layer; slots from ``position``
        on are zeros.
      values: the same for the values.
      position: how many tokens have been read.
    """

    keys: tuple[Float[Array, "*batch heads max_length key_size"], ...]
    values: tuple[Float[Array, "*batch heads max_length key_size"], ...]
    position: Int[Array, ""]


@jax.checkpoint
def _gelu(x):
    # recomputing it in the backward pass costs less than keeping what its derivative needs
    return jax.nn.gelu(x, approximate=True)


def _statistics(x):
    """Mean and inverse standard deviation of each row of ``x``."""
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=-1, keepdims=True)
    return mean, jax.lax.rsqrt(variance + 1e-5)


@jax.custom_vjp
def _layer_norm(x, scale, bias):
    return _layer_norm_forward(x, scale, bias)[0]


def _layer_norm_forward(x, scale, bias):
    wide = widen(x)
    mean, inverse = _statistics(wide)
    out = ((wide - mean) * inverse).astype(x.dtype) * scale[None] + bias[None]
    return out, (x, scale, mean, inverse)


def _layer_norm_backward(residuals, grad):
    x, scale, mean, inverse = residuals
    unit = (widen(x) - mean) * inverse
    wide = widen(grad)
    dunit = wide * widen(scale)[None]
    # the part of dunit along the row's mean and along the row itself cannot change the output
    along = unit * jnp.mean(dunit * unit, axis=-1, keepdims=True)
    dx = inverse * (dunit - jnp.mean(dunit, axis=-1, keepdims=True) - along)
    dscale, dbias = jnp.sum(wide * unit, axis=0), jnp.sum(wide, axis=0)
    return dx.astype(x.dtype), dscale.astype(scale.dtype), dbias.astype(scale.dtype)


# Written out because the derivative of the forward pass keeps three arrays where one will do.
_layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)


class LayerNorm(nn.Module):
    """Layer normalization of rows; its statistics are float32 for 16-bit rows too."""

    @nn.compact
    def __call__(self, rows: Float[Array, "rows width"]) -> Float[Array, "rows width"]:
        scale = self.param("scale", nn.initializers.ones_init(), rows.shape[-1:], jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), rows.shape[-1:], jnp.float32)
        return _layer_norm(rows, scale, bias)


def _dense(features):
    return nn.Dense(features, kernel_init=drawn_later, dot_general=rows_dot_general)


def _stddev(name, leaf):
    return 0.02 if name == "positions" else lecun_stddev(name, leaf)


class Block(nn.Module):
    """One pre-LN layer: attention and a two-layer MLP, each added to the residual stream.

    The stream is kept as rows ``[n * time, width]``: XLA:CPU is fastest at 2-D matrix products.
    """

    width: int
    heads: int
    key_size: int
    mlp_ratio: int

    def setup(self):
        self.norm1 = LayerNorm()
        self.qkv = _dense(3 * self.heads * self.key_size)
        self.out = _dense(self.width)
        self.norm2 = LayerNorm()
        self.up = _dense(self.mlp_ratio * self.width)
        self.down = _dense(self.width)

    def _qkv(self, rows, n):
        return self.qkv(self.norm1(rows)).reshape(n, -1, 3, self.heads, self.key_size)

    def _finish(self, rows, attended):
        """Add what attention found, then the MLP's answer, to the residual stream."""
        rows = rows + self.out(attended.reshape(rows.shape[0], self.heads * self.key_size))
        return rows + self.down(_gelu(self.up(self.norm2(rows))))

    def __call__(self, rows, n):
        """Read ``n`` sequences densely; also returns their keys and values, heads first."""
        qkv = self._qkv(rows, n)
        _, keys, values = jnp.moveaxis(jnp.swapaxes(qkv, 1, 3), 2, 0)
        return self._finish(rows, causal_attention(qkv)), keys, values

    def decode(self, rows, keys, values, position):
        """Read one token of each sequence at ``position`` against the cached keys and values."""
        q, key, value = jnp.moveaxis(jnp.swapaxes(self._qkv(rows, rows.shape[0]), 1, 3), 2, 0)
        keys = jax.lax.dynamic_update_slice_in_dim(keys, key, position, axis=2)
        values = jax.lax.dynamic_update_slice_in_dim(values, value, position, axis=2)
        attended, _ = attend(q, keys, values, position)
        return self._finish(rows, attended.astype(rows.dtype)), keys, values


class CausalTransformer(nn.Module):
    """Causal pre-LN Transformer with GELU and learned absolute positions.

    Fields are those of :func:`causal_transformer`, which is the way to make one; it also brings
    any batch axes down to the one that the methods here take.
    """

    num_outputs: int
    width: int
    layers: int
    heads: int
    key_size: int
    mlp_ratio: int
    max_length: int

    def setup(self):
        self.embed = _dense(self.width)
        self.positions = self.param(
            "positions", drawn_later, (self.max_length, self.width), jnp.float32
        )
        self.blocks = [
            Block(self.width, self.heads, self.key_size, self.mlp_ratio) for _ in range(self.layers)
        ]
        self.norm = LayerNorm()
        self.head = _dense(self.num_outputs)

    def _embed(self, tokens, positions):
        """The residual stream ``[n * time, width]`` of ``tokens [n, time, features]``."""
        n, time, features = tokens.shape
        rows = self.embed(tokens.reshape(n * time, features).astype(positions.dtype))
        return (rows.reshape(n, time, -1) + positions[None]).reshape(n * time, -1)

    def __call__(self, tokens):
        """Outputs ``[n, time, num_outputs]`` for ``tokens [n, time, features]``."""
        n, time, _ = tokens.shape
        rows = self._embed(tokens, self.positions[:time])
        for block in self.blocks:
            rows, _, _ = block(rows, n)
        return self.head(self.norm(rows)).reshape(n, time, -1)

    def prefill(self, tokens):
        """Keys and values, one array ``[n, heads, max_length, key_size]`` per layer each."""
        n, time, _ = tokens.shape
        rows = self._embed(tokens, self.positions[:time])
        keys, values = [], []
        for block in self.blocks:
            rows, *read = block(rows, n)
            for arrays, x in zip((keys, values), read, strict=True):
                arrays.append(jnp.pad(x, [(0, 0)] * 2 + [(0, self.max_length - time), (0, 0)]))
        return tuple(keys), tuple(values)

    def decode(self, keys, values, position, token):
        """Outputs for the next ``token [n, features]``, and the keys and values with it added."""
        here = jax.lax.dynamic_slice_in_dim(self.positions, position, 1)
        rows = self._embed(token[:, None], here)
        new_keys, new_values = [], []
        for block, k, v in zip(self.blocks, keys, values, strict=True):
            rows, k, v = block.decode(rows, k, v, position)
            new_keys.append(k)
            new_values.append(v)
        outputs = self.head(self.norm(rows))
        # A full cache cannot be rejected under jit; NaN is seen, an overwritten slot is not.
        outputs = jnp.where(position < self.max_length, outputs, jnp.nan)
        return outputs, tuple(new_keys), tuple(new_values)


def causal_transformer(
    *,
    num_outputs: int,
    width: int,
    layers: int,
    heads: int,
    key_size: int,
    mlp_ratio: int = 4,
    max_length: int,
) -> SequenceNetwork:
    """Make a causal pre-LN Transformer over sequences of real-valued tokens.

    A token's linear embedding is added to a learned embedding of its absolute position. Then follow
    ``layers`` times multi-head attention and a GELU MLP (the tanh form, JAX's default), each after
    its own LayerNorm and added to the residual stream. A LayerNorm and a linear head end it; there
    is no dropout. This is the network of GPICL (Kirsch et al. 2022, arXiv 2212.04458). Everything
    is computed in the dtype of the parameters, except softmax and LayerNorm statistics, which are
    float32.

    Args:
      num_outputs: numbers predicted at each position, e.g. classes.
      width: size of the residual stream.
      layers: attention and MLP pairs.
      heads: attention heads per layer.
      key_size: size of a head's queries, keys and values; ``heads * key_size`` need not be
        ``width``.
      mlp_ratio: hidden size of the MLP over ``width``.
      max_length: the longest sequence, and the number of slots of the key-value cache.

    Returns:
      A :class:`metajax.core.SequenceNetwork`. Its state is a :class:`KVCache`; ``decode`` on a
      cache that is full already gives NaN outputs. ``init``, ``apply`` and ``prefill`` raise
      ConfigError for a sequence longer than ``max_length``. ``apply`` has derivatives of any order
      in reverse mode, but none in forward mode.

    Raises:
      ConfigError: a size is below 1.
    """
    sizes = {
        "num_outputs": num_outputs,
        "width": width,
        "layers": layers,
        "heads": heads,
        "key_size": key_size,
        "mlp_ratio": mlp_ratio,
        "max_length": max_length,
    }
    check_sizes(**sizes)
    module = CausalTransformer(
        num_outputs=num_outputs,
        width=width,
        layers=layers,
        heads=heads,
        key_size=key_size,
        mlp_ratio=mlp_ratio,
        max_length=max_length,
    )

    def run(params: Params, *args: Any, method: str = "__call__") -> Any:
        return module.apply({"params": params}, *args, method=method)

    run_dense = merge_vmapped_rows(run)

    def flat(tokens: Array) -> Array:
        """Tokens with one batch axis, whatever it is made of."""
        *batch, time, features = tokens.shape
        if time > max_length:
            raise ConfigError("max_length", max_length, f"at least the {time} tokens given")
        return tokens.reshape(math.prod(batch), time, features)

    def init(key: Key[Array, ""], tokens: Float[Array, "*batch time features"]) -> Params:
        return draw_normals(key, module.init(key, flat(tokens))["params"], _stddev)

    def apply(
        params: Params, tokens: Float[Array, "*batch time features"]
    ) -> Float[Array, "*batch time outputs"]:
        return run_dense(params, flat(tokens)).reshape(*tokens.shape[:-1], num_outputs)

    def prefill(params: Params, tokens: Float[Array, "*batch time features"]) -> KVCache:
        *batch, time, _ = tokens.shape
        slots = (*batch, heads, max_length, key_size)
        if time == 0:
            empty = jnp.zeros(slots, jax.tree.leaves(params)[0].dtype)
            keys = values = (empty,) * layers
        else:
            keys, values = jax.tree.map(
                lambda x: x.reshape(slots), run(params, flat(tokens), method="prefill")
            )
        return KVCache(keys, values, jnp.int32(time))

    def decode(
        params: Params, cache: KVCache, token: Float[Array, "*batch features"]
    ) -> tuple[Float[Array, "*batch outputs"], KVCache]:
        *batch, features = token.shape
        n = math.prod(batch)
        keys, values = jax.tree.map(
            lambda x: x.reshape(n, *x.shape[-3:]), (cache.keys, cache.values)
        )
        outputs, keys, values = run(
            params, keys, values, cache.position, token.reshape(n, features), method="decode"
        )
        keys, values = jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), (keys, values))
        return outputs.reshape(*batch, num_outputs), KVCache(keys, values, cache.position + 1)

    return SequenceNetwork(init, apply, prefill, decode)
