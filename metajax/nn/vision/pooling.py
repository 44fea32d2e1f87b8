"""Attention pooling: learned queries each gather what they need from a set of tokens."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from metajax.core import ConfigError, Network, check_sizes
from metajax.nn.attention import widen
from metajax.nn.initial import drawn_later, lecun_stddev
from metajax.nn.transformer import LayerNorm
from metajax.nn.vision.rows import batched_network, rows_dense


def stddev(name: str, leaf: Array) -> float | None:
    """One for the learned queries, LeCun's for kernels."""
    if name in ("key", "value"):
        return leaf.shape[0] ** -0.5
    return 1.0 if name == "queries" else lecun_stddev(name, leaf)


class AttentionPool(nn.Module):
    """Fields are those of :func:`attention_pool`, which is the way to make one.

    There are many more tokens than queries, so it is queries that go back through the keys' kernel
    and means of tokens that go through the values': the same function at less cost. Biases of keys
    would not change it, those of values are the output's.
    """

    num_queries: int
    heads: int

    @nn.compact
    def __call__(self, tokens: Float[Array, "n tokens width"]) -> Float[Array, "n queries width"]:
        n, num, width = tokens.shape
        size = width // self.heads
        kernel_shape = (width, self.heads, size)
        queries, key, value = (
            self.param(name, drawn_later, shape, jnp.float32)
            for name, shape in (
                ("queries", (self.num_queries, width)),
                ("key", kernel_shape),
                ("value", kernel_shape),
            )
        )
        rows = LayerNorm(name="norm")(tokens.reshape(-1, width))
        asked = rows_dense(width, "query")(queries).reshape(self.num_queries, self.heads, size)
        asked = jnp.einsum("qhd,chd->chq", asked * size**-0.5, key).reshape(width, -1)
        scores = (rows @ asked).reshape(n, num, -1)
        weights = jax.nn.softmax(widen(scores), axis=1).astype(rows.dtype)
        means = jnp.einsum("nts,ntc->nsc", weights, rows.reshape(tokens.shape))
        means = means.reshape(n, self.heads, self.num_queries, width)
        found = jnp.einsum("nhqc,chd->nqhd", means, value).reshape(-1, width)
        return rows_dense(width, "out")(found).reshape(n, self.num_queries, width)


def attention_pool(num_queries: int, *, heads: int = 1, dtype: Any = None) -> Network:
    """Make attention pooling: ``tokens[*batch, tokens, width] -> [*batch, num_queries, width]``.

    Each learned query attends to all tokens, with several heads (the pooling of the Set
    Transformer, Lee et al. 2019, arXiv 1810.00825, section 3.2, without its feed-forward layers),
    behind a LayerNorm of the tokens. The order of tokens does not count. A grid goes in as
    ``x.reshape(*batch, -1, width)``. ``apply`` has derivatives in reverse mode alone.

    Args:
      num_queries: vectors that come out.
      heads: of the attention; they divide the width.
      dtype: dtype of the computation; by default the parameters' own.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, or, when it is called, heads do not divide the width.
    """
    check_sizes(num_queries=num_queries, heads=heads)
    module = AttentionPool(num_queries, heads)

    def check(tokens: Array) -> None:
        if tokens.shape[-1] % heads:
            raise ConfigError("heads", heads, f"a divisor of the width, {tokens.shape[-1]}")

    return batched_network(module, 2, check, stddev, dtype)
