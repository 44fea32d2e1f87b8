"""Causal self-attention, in the form that suits the device."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_MASKED = -1e30  # finite: minus infinity less minus infinity is NaN
_MIN_SPAN = 64  # queries scored together: fewer make matrix products too small to be fast
_MAX_SPANS = 4  # spans are unrolled, so this bounds the compile time
_SCORES_IN_CACHE = 2**18  # scores worked on at a time: 1 MB, so that they stay in cache


def causal_attention(qkv: Float[Array, "n time 3 heads size"]) -> Float[Array, "n time heads size"]:
    """Return ``softmax(q k^T / sqrt(size)) v`` per head, each position seeing itself and before.

    Queries, keys and values come stacked, as one projection makes them. The softmax is float32
    for 16-bit input too. On CPU the scores are never stored for the backward pass: they are
    recomputed a few sequences at a time (the recomputation of FlashAttention, Dao et al. 2022,
    arXiv 2205.14135), which reverse mode alone can differentiate; elsewhere this is
    ``jax.nn.dot_product_attention``.
    """
    if jax.default_backend() == "cpu":
        return _cached_attention(qkv)
    q, k, v = (qkv[:, :, i] for i in range(3))
    return jax.nn.dot_product_attention(q, k, v, is_causal=True)


def widen(x: Array) -> Array:
    """Cast 16-bit floats to float32; wider floats stay what they are."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x


def attend(
    q: Float[Array, "n heads queries size"],
    k: Float[Array, "n heads keys size"],
    v: Float[Array, "n heads keys size"],
    first: int | Array = 0,
) -> tuple[Float[Array, "n heads queries size"], Float[Array, "n heads queries 1"]]:
    """Attend from queries at positions ``first, first + 1, ...`` to keys at ``0, 1, ...``.

    Causal, in float32 or wider; a query sees the keys up to its own position. Also returns the
    logarithm of each query's softmax denominator.
    """
    q, k, v = (widen(x) for x in (q, k, v))
    scores = _scores(q, k, first)
    top = jnp.max(scores, axis=-1, keepdims=True)
    weights = jnp.exp(scores - top)
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return jnp.einsum("nhqk,nhkd->nhqd", weights, v) / total, top + jnp.log(total)


def _scores(q, k, first):
    scores = jnp.einsum("nhqd,nhkd->nhqk", q, k) * q.shape[-1] ** -0.5
    positions = first + jnp.arange(q.shape[-2])
    visible = jnp.arange(k.shape[-2])[None, :] <= positions[:, None]
    return jnp.where(visible[None, None], scores, _MASKED)


def _spans(time: int) -> list[tuple[int, int]]:
    """Split the queries into spans; one that ends at ``stop`` needs the keys before it alone."""
    size = max(_MIN_SPAN, -(-time // _MAX_SPANS))
    return [(start, min(start + size, time)) for start in range(0, time, size)]


def _map_sequences(function, arrays):
    """Map over the leading axis, as many sequences at a time as keep the scores in cache."""
    n, time, _, heads, _ = arrays[0].shape
    together = max(1, _SCORES_IN_CACHE // (heads * time**2))
    while n % together:
        together -= 1
    split = jax.tree.map(lambda x: x.reshape(n // together, together, *x.shape[1:]), arrays)
    return jax.tree.map(lambda x: jax.lax.collapse(x, 0, 2), jax.lax.map(function, split))


def _heads_first(x):
    return jnp.swapaxes(widen(x), -2, -3)


def _unstack(qkv):
    """Queries, keys and values ``[n, heads, time, size]`` of ``qkv [n, time, 3, heads, size]``."""
    q, k, v = jnp.transpose(widen(qkv), (2, 0, 3, 1, 4))
    return q, k, v


@jax.custom_vjp
def _cached_attention(qkv):
    return _forward(qkv)[0]


def _forward(qkv):
    def some(arrays):
        q, k, v = _unstack(*arrays)
        spans = [
            attend(q[:, :, start:stop], k[:, :, :stop], v[:, :, :stop], start)
            for start, stop in _spans(q.shape[2])
        ]
        out, log_total = (jnp.concatenate(parts, axis=2) for parts in zip(*spans, strict=True))
        return jnp.swapaxes(out, 1, 2).astype(qkv.dtype), log_total

    out, log_total = _map_sequences(some, (qkv,))
    return out, (qkv, out, log_total)


def _backward(residuals, grad):
    def some(arrays):
        qkv, out, log_total, grad = arrays
        q, k, v = _unstack(qkv)
        out, grad = _heads_first(out), _heads_first(grad)
        time, scale = q.shape[2], q.shape[3] ** -0.5
        mean = jnp.sum(grad * out, axis=-1, keepdims=True)
        dq, dk, dv = [], 0.0, 0.0
        for start, stop in _spans(time):
            q_i, grad_i, k_i, v_i = (
                q[:, :, start:stop],
                grad[:, :, start:stop],
                k[:, :, :stop],
                v[:, :, :stop],
            )
            weights = jnp.exp(_scores(q_i, k_i, start) - log_total[:, :, start:stop])
            dweights = jnp.einsum("nhqd,nhkd->nhqk", grad_i, v_i)
            dscores = weights * (dweights - mean[:, :, start:stop]) * scale
            dq.append(jnp.einsum("nhqk,nhkd->nhqd", dscores, k_i))
            # Size before time: XLA:CPU multiplies a short left factor twice as fast.
            later = [(0, 0)] * 3 + [(0, time - stop)]
            dk += jnp.pad(jnp.einsum("nhqd,nhqk->nhdk", q_i, dscores), later)
            dv += jnp.pad(jnp.einsum("nhqd,nhqk->nhdk", grad_i, weights), later)
        stacked = jnp.stack(
            [jnp.concatenate(dq, axis=2), jnp.swapaxes(dk, 2, 3), jnp.swapaxes(dv, 2, 3)]
        )
        return jnp.transpose(stacked, (1, 3, 0, 2, 4)).astype(qkv.dtype)

    return (_map_sequences(some, (*residuals, grad)),)


_cached_attention.defvjp(_forward, _backward)
