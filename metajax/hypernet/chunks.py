"""Generate the parameters of a target in chunks, by one small network for all chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, check_sizes, one_of
from metajax.hypernet.generators import START_DRAWS, normalize_rows
from metajax.nn import LSTMState, draw_normals, draw_orthogonal, lstm_step

UNDRAWN = 0.1
"""Scale of tensors that the target does not draw, such as zero biases, over that of the others."""

Order = Literal["apart", "neighbor", "in_a_row"]
"""How a chunk depends on other chunks: not at all, by the embedding of the one before it, or by all
before it, through the state of a recurrent network."""


class _Leaf(NamedTuple):
    """A tensor of the target: its shape and its place among all numbers."""

    shape: tuple[int, ...]
    start: int
    size: int


def chunk_generator(
    target: Callable[[Key[Array, ""]], Params],
    *,
    chunk_size: int,
    embedding: int = 8,
    hidden: Sequence[int] = (24, 24),
    order: Order = "apart",
) -> Network:
    """Make a network that generates the parameters of a target, one chunk at a time.

    The numbers of the target, as one vector, are cut into chunks of ``chunk_size``. Each chunk has
    a learned embedding. One network generates every chunk from the latents and that embedding (von
    Oswald et al. 2020, arXiv 1906.00695, section 2.2). With ``order="in_a_row"`` the network is an
    LSTM that passes over the chunks, so that each depends on those before it (dependency-preserving
    hypernetworks, arXiv 2209.07712). With ``neighbor`` the network also reads the embedding of the
    previous chunk. This is a control: dependency without recurrence.

    Outputs start with the mean and variance of the target's own initialization. An RMS norm
    precedes the last layer, and each tensor's own deviation scales its outputs. Tensors that the
    target does not draw have a tenth of the others' scale. These scales are part of the
    parameters, and no gradient reaches them.

    Args:
      target: ``target(key) -> params`` of the target; floating-point arrays.
      chunk_size: numbers of a chunk.
      embedding: numbers of a chunk's embedding.
      hidden: sizes of the hidden layers; with ``in_a_row`` one, that of the LSTM.
      order: how chunks depend on each other.

    Returns:
      The hypernetwork: ``init(key, latents) -> params``, ``apply(params, latents [*batch, size])``.

    Raises:
      ConfigError: a size is below 1, the target has a leaf that is not floating-point, or an LSTM
        is given other than one size.
    """
    one_of("order", order, ("apart", "neighbor", "in_a_row"))
    check_sizes(chunk_size=chunk_size, embedding=embedding)
    recurrent = order == "in_a_row"
    if not hidden or min(hidden) < 1 or (recurrent and len(hidden) != 1):
        expected = "the LSTM's size" if recurrent else "one size or more, of 1 or more"
        raise ConfigError("hidden", tuple(hidden), expected)
    shapes, treedef = jax.tree.flatten(jax.eval_shape(target, jax.random.key(0)))
    leaves, start = [], 0
    for shape in shapes:
        if not jnp.issubdtype(shape.dtype, jnp.floating):
            raise ConfigError("target", str(shape.dtype), "floating-point parameters")
        leaves.append(_Leaf(shape.shape, start, math.prod(shape.shape)))
        start += leaves[-1].size
    total = start
    chunks = -(-total // chunk_size)

    def init(key: Key[Array, ""], latents: Float[Array, "*batch size"]) -> Params:
        inputs = latents.shape[-1] + embedding * (2 if order == "neighbor" else 1)
        params: Params = {"chunks": jnp.zeros((chunks, embedding))}
        if recurrent:
            width = hidden[0]
            params["in"] = {"kernel": jnp.zeros((inputs, 4 * width)), "bias": jnp.zeros(4 * width)}
        else:
            for number, width in enumerate(hidden):
                layer = {"kernel": jnp.zeros((inputs, width)), "bias": jnp.zeros(width)}
                params[f"hidden_{number}"] = layer
                inputs = width
        width = hidden[-1]
        params["out"] = {"kernel": jnp.zeros((width, chunk_size)), "bias": jnp.zeros(chunk_size)}
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
        return {**params, "scales": _scales(target, start_key)}

    def apply(params: Params, latents: Float[Array, "*batch size"]) -> Params:
        *batch, size = latents.shape
        rows = latents.reshape(-1, size)
        made = jax.vmap(lambda z: _chunks(params, z, order))(rows)
        flat = made.reshape(len(rows), -1)
        scales = jax.lax.stop_gradient(params["scales"])
        found = []
        for place, (shape, start, size) in enumerate(leaves):
            part = flat[:, start : start + size] * scales["deviation"][place]
            found.append((part + scales["mean"][place]).reshape(*batch, *shape))
        return jax.tree.unflatten(treedef, found)

    return Network(init, apply)


def _scales(target: Callable[[Key[Array, ""]], Params], key: Key[Array, ""]) -> Params:
    """The mean and the deviation of each tensor of the target, over several of its starts."""
    starts = jax.tree.leaves(jax.vmap(target)(jax.random.split(key, START_DRAWS)))
    mean = jnp.stack([jnp.mean(leaf) for leaf in starts])
    drawn = jnp.stack([jnp.any(leaf != leaf[:1]) for leaf in starts])
    own = jnp.stack([jnp.std(leaf) for leaf in starts])
    count = jnp.maximum(jnp.sum(drawn), 1).astype(own.dtype)
    usual = jnp.sum(jnp.where(drawn, own, 0)) / count
    return {"mean": mean, "deviation": jnp.where(drawn, own, UNDRAWN * usual)}


def _chunks(
    params: Params, latent: Float[Array, " size"], order: Order
) -> Float[Array, "chunks chunk_size"]:
    """All chunks for one latent, before they are scaled."""
    chunks = params["chunks"]
    latent = latent.astype(chunks.dtype)
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
        number = 0
        while f"hidden_{number}" in params:
            layer = params[f"hidden_{number}"]
            x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
            number += 1
    return normalize_rows(x) @ params["out"]["kernel"] + params["out"]["bias"][None]
