"""A head that makes all tensors of a target by the same layers, one chunk at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params, check_sizes, one_of
from metajax.hypernet.heads import Head, Leaf, Starts, Tensors
from metajax.hypernet.layers import (
    empty_layer,
    empty_layers,
    layers_of,
    normalize_rows,
    start_of,
    through_layers,
)
from metajax.nn import LSTMState, draw_normals, draw_orthogonal, lstm_step

UNDRAWN = 0.1
"""Scale of tensors that the target does not draw, such as zero biases, over that of the others."""

Order = Literal["apart", "neighbor", "in_a_row"]
"""How a chunk depends on other chunks: not at all, by the embedding of the one before it, or by all
before it, through the state of a recurrent network."""


def shared_head(chunk_size: int, *, embedding: int = 8, order: Order = "apart") -> Head:
    """Make all tensors by the same layers, one chunk at a time (von Oswald et al. 2020).

    arXiv 1906.00695, section 2.2. The numbers of the target, as one vector, are cut into chunks.
    One network with ReLU makes every chunk from the latents and a learned embedding of the chunk.
    With ``order="in_a_row"`` the network is an LSTM that passes over the chunks, so that each
    depends on those before it (dependency-preserving hypernetworks, arXiv 2209.07712). With
    ``neighbor`` the network also reads the embedding of the previous chunk. This is a control:
    dependency without recurrence.

    Outputs start with the mean and variance of the target's own initialization: each tensor's own
    deviation scales them. Tensors that the target does not draw have a tenth of the others' scale.
    These scales are part of the parameters, and no gradient reaches them.

    There are one hidden layer or more; with ``in_a_row`` one, the LSTM's.

    Args:
      chunk_size: numbers of a chunk.
      embedding: numbers of a chunk's embedding.
      order: how chunks depend on each other.

    Returns:
      The head, for :func:`metajax.hypernet.generator`.

    Raises:
      ConfigError: a size is below 1, or the order is unknown.
    """
    one_of("order", order, ("apart", "neighbor", "in_a_row"))
    check_sizes(chunk_size=chunk_size, embedding=embedding)

    def head(leaves: Sequence[Leaf], layers: Callable[[int], tuple[int, ...]], /) -> Tensors:
        ends = list(itertools.accumulate(leaf.size for leaf in leaves))
        chunks = -(-ends[-1] // chunk_size)
        hidden = layers(ends[-1])
        recurrent = order == "in_a_row"
        if not hidden or (recurrent and len(hidden) != 1):
            expected = "the LSTM's size" if recurrent else "one size or more"
            raise ConfigError("hidden", hidden, expected)

        def init(key: Key[Array, ""], size: int, starts: Starts, base: float | None) -> Params:
            inputs, width = size + embedding * (2 if order == "neighbor" else 1), hidden[-1]
            params: Params = {"chunks": jnp.zeros((chunks, embedding))}
            if recurrent:
                params["in"] = empty_layer(inputs, 4 * width)
            else:
                params |= empty_layers(inputs, hidden)[0]
            params["out"] = empty_layer(width, chunk_size)
            draw_key, gates_key, chunk_key, start_key = jax.random.split(key, 4)
            params = draw_normals(draw_key, params)
            params["chunks"] = jax.random.normal(chunk_key, (chunks, embedding))
            if recurrent:
                keys = jax.random.split(gates_key, 4)
                gates = [draw_orthogonal(one, width, jnp.float32) for one in keys]
                params["recurrent"] = jnp.concatenate(gates, 1)
                # the forget gates: a layer starts out remembering
                bias = params["in"]["bias"].at[width : 2 * width].set(1)
                params["in"] = {**params["in"], "bias": bias}
            return {**params, **_started(leaves, starts(start_key), base)}

        def apply(
            params: Params, latents: Sequence[Float[Array, "n size"]]
        ) -> list[Float[Array, "n ..."]]:
            rows = latents[0]
            made = jax.vmap(lambda z: _chunks(params, z, order))(rows)
            flat = made.reshape(len(rows), -1)
            scales = jax.lax.stop_gradient(params["scales"])
            found = []
            for place, (leaf, end) in enumerate(zip(leaves, ends, strict=True)):
                part = flat[:, end - leaf.size : end] * scales["deviation"][place]
                tensor = (part + scales["mean"][place]).reshape(-1, *leaf.shape)
                if "base" in params:
                    tensor = tensor + params["base"][leaf.name][None]
                found.append(tensor)
            return found

        return Tensors(init, apply, shared=True)

    return head


def _started(
    leaves: Sequence[Leaf], draws: Sequence[Float[Array, "draws ..."]], base: float | None
) -> Params:
    """The scales of the outputs by several starts of each tensor, and what is added to them."""
    scales = _scales(draws)
    if base is None:
        return {"scales": scales}
    deviation = math.sqrt(1 - base) * scales["deviation"]
    bases = {leaf.name: start_of(x).base(base) for leaf, x in zip(leaves, draws, strict=True)}
    rest = {"mean": jnp.zeros_like(scales["mean"]), "deviation": deviation}
    return {"scales": rest, "base": bases}


def _scales(draws: Sequence[Float[Array, "draws ..."]]) -> Params:
    """The mean and the deviation of each tensor, over several of its starts."""
    mean = jnp.stack([jnp.mean(leaf) for leaf in draws])
    drawn = jnp.stack([jnp.any(leaf != leaf[:1]) for leaf in draws])
    own = jnp.stack([jnp.std(leaf) for leaf in draws])
    count = jnp.maximum(jnp.sum(drawn), 1).astype(own.dtype)
    usual = jnp.sum(jnp.where(drawn, own, 0)) / count
    return {"mean": mean, "deviation": jnp.where(drawn, own, UNDRAWN * usual)}


def _chunks(
    params: Params, latent: Float[Array, " size"], order: Order
) -> Float[Array, "chunks chunk_size"]:
    """All chunks for one latent, before they are scaled."""
    chunks = params["chunks"]
    parts = [jnp.broadcast_to(latent, (len(chunks), len(latent))), chunks]
    if order == "neighbor":
        parts.append(jnp.concatenate([jnp.zeros_like(chunks[:1]), chunks[:-1]]))
    x = jnp.concatenate(parts, 1)
    if order == "in_a_row":
        projected = x @ params["in"]["kernel"] + params["in"]["bias"][None]
        zero = jnp.zeros(params["recurrent"].shape[0], x.dtype)

        def step(state: LSTMState, row: Array) -> tuple[LSTMState, Array]:
            return lstm_step(params["recurrent"], state, row)

        _, x = jax.lax.scan(step, LSTMState(zero, zero), projected)
    else:
        x = through_layers(layers_of(params), x, jax.nn.relu)
    return normalize_rows(x) @ params["out"]["kernel"] + params["out"]["bias"][None]
