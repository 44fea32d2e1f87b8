"""A causal Transformer, read densely for training or one token at a time with a key-value cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int, Key

from metajax.core import ConfigError, Params, SequenceNetwork

_MASKED = -1e30  # finite: a row of -inf alone would turn into NaN


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


class Linear(nn.Module):
    """An affine map of the last axis."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch features"]:
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return x @ kernel + bias.reshape((1,) * (x.ndim - 1) + (-1,))


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis; its statistics are float32 whatever the input."""

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        shape = (1,) * (x.ndim - 1) + (-1,)
        scale = self.param("scale", nn.initializers.ones_init(), x.shape[-1:]).reshape(shape)
        bias = self.param("bias", nn.initializers.zeros_init(), x.shape[-1:]).reshape(shape)
        wide = x.astype(jnp.float32)
        centred = wide - jnp.mean(wide, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        return (centred * jax.lax.rsqrt(variance + 1e-5)).astype(x.dtype) * scale + bias


def _attend(q, keys, values, visible):
    """Softmax attention of ``q [*, h, i, d]`` over ``[*, h, j, d]``, where ``visible [i, j]``."""
    scores = jnp.einsum("...id,...jd->...ij", q, keys).astype(jnp.float32)
    scores = scores * q.shape[-1] ** -0.5
    visible = visible.reshape((1,) * (scores.ndim - 2) + visible.shape)
    weights = jax.nn.softmax(jnp.where(visible, scores, _MASKED), axis=-1).astype(q.dtype)
    return jnp.einsum("...ij,...jd->...id", weights, values)


class Block(nn.Module):
    """One pre-LN layer: attention and a two-layer MLP, each added to the residual stream."""

    width: int
    heads: int
    key_size: int
    mlp_ratio: int

    def setup(self):
        self.norm1 = LayerNorm()
        self.qkv = Linear(3 * self.heads * self.key_size)
        self.out = Linear(self.width)
        self.norm2 = LayerNorm()
        self.up = Linear(self.mlp_ratio * self.width)
        self.down = Linear(self.width)

    def _split(self, x):
        """Queries, keys and values of ``x [*, t, width]``, each ``[*, heads, t, key_size]``."""
        qkv = self.qkv(self.norm1(x)).reshape(*x.shape[:-1], 3, self.heads, self.key_size)
        return (jnp.swapaxes(qkv[..., i, :, :], -2, -3) for i in range(3))

    def _merge(self, x, attended):
        """Add the attention's result, then the MLP's, to the residual stream ``x``."""
        attended = jnp.swapaxes(attended, -2, -3)
        x = x + self.out(attended.reshape(*x.shape[:-1], self.heads * self.key_size))
        return x + self.down(jax.nn.gelu(self.up(self.norm2(x)), approximate=False))

    def __call__(self, x):
        """Read ``x [*, t, width]`` densely; also returns the keys and values."""
        q, keys, values = self._split(x)
        time = x.shape[-2]
        visible = jnp.tril(jnp.ones((time, time), bool))
        return self._merge(x, _attend(q, keys, values, visible)), keys, values

    def decode(self, x, keys, values, position):
        """Read one token ``x [*, 1, width]`` at ``position`` against the cached keys and values."""
        q, key, value = self._split(x)
        keys = jax.lax.dynamic_update_slice_in_dim(keys, key, position, axis=-2)
        values = jax.lax.dynamic_update_slice_in_dim(values, value, position, axis=-2)
        visible = (jnp.arange(keys.shape[-2]) <= position).reshape(1, -1)
        return self._merge(x, _attend(q, keys, values, visible)), keys, values


class CausalTransformer(nn.Module):
    """Causal pre-LN Transformer with GELU and learned absolute positions.

    Fields are those of :func:`causal_transformer`, which is the way to make one.
    """

    num_outputs: int
    width: int
    layers: int
    heads: int
    key_size: int
    mlp_ratio: int
    max_length: int

    def setup(self):
        self.embed = Linear(self.width)
        self.positions = self.param(
            "positions", nn.initializers.normal(0.02), (self.max_length, self.width)
        )
        self.blocks = [
            Block(self.width, self.heads, self.key_size, self.mlp_ratio) for _ in range(self.layers)
        ]
        self.norm = LayerNorm()
        self.head = Linear(self.num_outputs)

    def _embed(self, tokens, positions):
        x = self.embed(tokens.astype(positions.dtype))
        return x + positions.reshape((1,) * (x.ndim - 2) + positions.shape)

    def _read(self, tokens):
        time = tokens.shape[-2]
        if time > self.max_length:
            raise ConfigError("max_length", self.max_length, f"at least the {time} tokens given")
        x = self._embed(tokens, self.positions[:time])
        keys, values = [], []
        for block in self.blocks:
            x, k, v = block(x)
            keys.append(k)
            values.append(v)
        return x, tuple(keys), tuple(values)

    def __call__(self, tokens):
        """Outputs at every position of ``tokens [*, t, features]``."""
        return self.head(self.norm(self._read(tokens)[0]))

    def prefill(self, tokens):
        """The cache after reading ``tokens [*, t, features]``; ``t`` may be 0."""
        time = tokens.shape[-2]
        slots = (*tokens.shape[:-2], self.heads, self.max_length, self.key_size)
        empty = (jnp.zeros(slots, self.positions.dtype),) * self.layers
        if time == 0:
            return KVCache(empty, empty, jnp.int32(0))
        _, *read = self._read(tokens)
        start = (0,) * len(slots)
        keys, values = (
            tuple(jax.lax.dynamic_update_slice(e, x, start) for e, x in zip(empty, xs, strict=True))
            for xs in read
        )
        return KVCache(keys, values, jnp.int32(time))

    def decode(self, cache, token):
        """Outputs for the next ``token [*, features]``, and the cache that holds it."""
        here = jax.lax.dynamic_slice_in_dim(self.positions, cache.position, 1)
        x = self._embed(token[..., None, :], here)
        keys, values = [], []
        for block, k, v in zip(self.blocks, cache.keys, cache.values, strict=True):
            x, k, v = block.decode(x, k, v, cache.position)
            keys.append(k)
            values.append(v)
        outputs = self.head(self.norm(x))[..., 0, :]
        # A full cache cannot be refused under jit; NaN is seen, an overwritten slot is not.
        outputs = jnp.where(cache.position < self.max_length, outputs, jnp.nan)
        return outputs, KVCache(tuple(keys), tuple(values), cache.position + 1)


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

    One linear embedding of the token plus a learned embedding of its absolute position, then
    ``layers`` times multi-head attention and a GELU MLP (exact, with erf), each behind its own
    LayerNorm and added to the residual stream, then a LayerNorm and a linear head; no dropout.
    This is the network of GPICL (Kirsch et al. 2022, arXiv 2212.04458). Everything is computed
    in the dtype of the parameters, except softmax and LayerNorm statistics, which are float32.

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
      cache that is full already gives NaN outputs. ``apply`` and ``prefill`` raise ConfigError
      for a sequence longer than ``max_length``.

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
    for field, value in sizes.items():
        if value < 1:
            raise ConfigError(field, value, "a whole number of 1 or more")
    module = CausalTransformer(
        num_outputs=num_outputs,
        width=width,
        layers=layers,
        heads=heads,
        key_size=key_size,
        mlp_ratio=mlp_ratio,
        max_length=max_length,
    )

    def init(key: Key[Array, ""], tokens: Float[Array, "*batch time features"]) -> Params:
        return module.init(key, tokens)["params"]

    def run(params: Params, *args: Any, method: str) -> Any:
        return module.apply({"params": params}, *args, method=method)

    def apply(
        params: Params, tokens: Float[Array, "*batch time features"]
    ) -> Float[Array, "*batch time outputs"]:
        return run(params, tokens, method="__call__")

    def prefill(params: Params, tokens: Float[Array, "*batch time features"]) -> KVCache:
        return run(params, tokens, method="prefill")

    def decode(
        params: Params, cache: KVCache, token: Float[Array, "*batch features"]
    ) -> tuple[Float[Array, "*batch outputs"], KVCache]:
        return run(params, cache, token, method="decode")

    return SequenceNetwork(init, apply, prefill, decode)
