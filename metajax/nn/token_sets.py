"""A Transformer encoder over sets of tokens, some of which may be left out."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Key

from metajax.core import ConfigError, Network, Params, check_sizes
from metajax.nn.attention import widen
from metajax.nn.initial import draw_normals, drawn_later, lecun_stddev
from metajax.nn.product import rows_dot_general
from metajax.nn.transformer import Block, LayerNorm

MASKED = -1e30
"""Score of a token that is left out; finite, so that a set of none has no NaN."""


class _SetBlock(Block):
    """A Transformer layer in which every token sees all tokens that are there."""

    def __call__(self, rows, present):
        """Rows ``[n * time, width]`` of ``n`` sets, and which tokens of each are there."""
        q, k, v = jnp.moveaxis(self._qkv(rows, len(present)), 2, 0)
        scores = widen(jnp.einsum("nqhd,nkhd->nhqk", q, k)) * self.key_size**-0.5
        weights = jax.nn.softmax(jnp.where(present[:, None, None], scores, MASKED))
        attended = jnp.einsum("nhqk,nkhd->nqhd", weights.astype(v.dtype), v)
        return self._finish(rows, attended)


class _TokenSets(nn.Module):
    num_outputs: int
    width: int
    layers: int
    heads: int
    key_size: int
    mlp_ratio: int
    named: bool
    prefixes: int

    @nn.compact
    def __call__(self, tokens, present):
        n, time, features = tokens.shape
        # a token that is left out is not even multiplied by 0, which its NaN would survive
        tokens = jnp.where(present[..., None], tokens, 0)
        embed = nn.Dense(self.width, kernel_init=drawn_later, dot_general=rows_dot_general)
        rows = embed(tokens.reshape(n * time, features))
        if self.named:
            names = self.param("names", drawn_later, (time, self.width), jnp.float32)
            rows = (rows.reshape(n, time, -1) + names[None]).reshape(n * time, -1)
        if self.prefixes:
            prefix = self.param("prefix", drawn_later, (self.prefixes, self.width), jnp.float32)
            before = jnp.broadcast_to(prefix[None].astype(rows.dtype), (n, *prefix.shape))
            rows = jnp.concatenate([before, rows.reshape(n, time, -1)], axis=1)
            rows = rows.reshape(n * (self.prefixes + time), -1)
            seen = jnp.ones((n, self.prefixes), bool)
            present = jnp.concatenate([seen, present], axis=1)
        for _ in range(self.layers):
            rows = _SetBlock(self.width, self.heads, self.key_size, self.mlp_ratio)(rows, present)
        if self.prefixes:
            read = LayerNorm()(rows).reshape(n, self.prefixes + time, -1)[:, : self.prefixes]
            return nn.Dense(self.num_outputs, kernel_init=drawn_later)(read)
        there = present[..., None].astype(rows.dtype)
        total = jnp.sum(LayerNorm()(rows).reshape(n, time, -1) * there, axis=1)
        mean = total / jnp.maximum(jnp.sum(there, axis=1), 1)
        return nn.Dense(self.num_outputs, kernel_init=drawn_later)(mean)


def _stddev(name: str, leaf: Array) -> float | None:
    return 1.0 if name in ("names", "prefix") else lecun_stddev(name, leaf)


def token_set_encoder(
    *,
    num_outputs: int,
    width: int,
    layers: int = 1,
    heads: int = 4,
    mlp_ratio: int = 4,
    named: bool = False,
    prefixes: int = 0,
) -> Network:
    """Make a pre-LN Transformer encoder of token sets: ``(tokens, present) -> outputs``.

    Every token sees all tokens that are there. Then follow a LayerNorm, the mean over the tokens
    that are there, and a linear map. A token that is left out is no key in attention and not part
    of the mean. So neither its value nor its gradient has any influence. This is the aggregator of
    Meta-DMoE (arXiv 2210.03885) for a fixed number of experts.

    Args:
      num_outputs: numbers that a set is encoded as.
      width: size of the residual stream, a multiple of ``heads``.
      layers: attention and MLP pairs.
      heads: attention heads per layer.
      mlp_ratio: hidden size of the MLP over ``width``.
      named: add a learned embedding for each place of a token. Otherwise the order of tokens does
        not matter.
      prefixes: learned tokens that are put in front of the set and read in place of the mean, e.g.
        one for each layer of a network that is generated (SEMI, arXiv 2509.04606); 0: the mean.

    Returns:
      A network: ``apply(params, tokens[*batch, time, features], present[*batch, time])`` returns
      ``[*batch, num_outputs]``, with prefixes ``[*batch, prefixes, num_outputs]``. It has
      derivatives of any order in reverse mode.

    Raises:
      ConfigError: a size is below 1, there are less than 0 prefixes, or ``width`` is no multiple of
        ``heads``.
    """
    sizes: dict[str, Any] = {
        "num_outputs": num_outputs,
        "width": width,
        "layers": layers,
        "heads": heads,
        "mlp_ratio": mlp_ratio,
    }
    check_sizes(**sizes)
    if prefixes < 0:
        raise ConfigError("prefixes", prefixes, "0 or more")
    if width % heads:
        raise ConfigError("width", width, f"a multiple of heads = {heads}")
    module = _TokenSets(**sizes, key_size=width // heads, named=named, prefixes=prefixes)

    def flat(tokens: Array, present: Array) -> tuple[Array, Array]:
        rows = math.prod(tokens.shape[:-2])
        return tokens.reshape(rows, *tokens.shape[-2:]), present.reshape(rows, tokens.shape[-2])

    def init(
        key: Key[Array, ""],
        tokens: Float[Array, "*batch time features"],
        present: Bool[Array, "*batch time"],
    ) -> Params:
        return draw_normals(key, module.init(key, *flat(tokens, present))["params"], _stddev)

    def apply(
        params: Params,
        tokens: Float[Array, "*batch time features"],
        present: Bool[Array, "*batch time"],
    ) -> Float[Array, "*batch outputs"]:
        outputs: Any = module.apply({"params": params}, *flat(tokens, present))
        return outputs.reshape(*tokens.shape[:-2], *outputs.shape[1:])

    return Network(init, apply)
