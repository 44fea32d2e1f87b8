"""Heads of a generator: how the numbers behind its hidden layers become tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params, check_sizes
from metajax.hypernet.layers import (
    Start,
    empty_layers,
    layers_of,
    normalize_rows,
    start_of,
    through_layers,
)
from metajax.nn import draw_normals, lecun_stddev

BIAS_STDDEV = 0.1
"""Of hidden biases: a latent of zeros still gives a network of the right scale."""

Starts = Callable[[Key[Array, ""]], list[Float[Array, "draws ..."]]]
"""``starts(key)`` draws the target several times: its tensors, the draws on their first axis."""


class Leaf(NamedTuple):
    """A tensor of a target.

    Attributes:
      name: its path.
      shape: its shape.
      size: its number of entries.
    """

    name: str
    shape: tuple[int, ...]
    size: int


class Tensors(NamedTuple):
    """What makes all tensors of a target.

    Attributes:
      init: ``init(key, size, starts, base) -> params``, for latents of ``size`` numbers; ``base``
        is the share of the variance that learned tensors start with, or None.
      apply: ``apply(params, latents) -> tensors``, of latents ``[n, size]`` for each of them.
      shared: the same latents serve all tensors.
    """

    init: Callable[[Key[Array, ""], int, Starts, float | None], Params]
    apply: Callable[[Params, Sequence[Float[Array, "n size"]]], list[Float[Array, "n ..."]]]
    shared: bool


class Head(Protocol):
    """How tensors are made, whatever the target is."""

    def __call__(
        self, leaves: Sequence[Leaf], layers: Callable[[int], tuple[int, ...]], /
    ) -> Tensors:
        """Return what makes the tensors of a target.

        Args:
          leaves: the tensors.
          layers: sizes of the hidden layers before so many numbers.

        Raises:
          ConfigError: the head cannot have these hidden layers.
        """
        ...


class Form(NamedTuple):
    """How one tensor is made.

    Attributes:
      outputs: numbers of the last layer.
      scaled: ``scaled(kernel, start, stddev) -> kernel, offset``: the last layer, such that the
        tensor starts with this deviation.
      enter: ``enter(params, latents, kernel) -> rows``: what the first layer's kernel makes.
      leave: ``leave(rows, out, n) -> tensors``: what the last layer makes for ``n`` latents.
      alone: ``alone(params, latents) -> tensors``: what it makes where it is the first one too.
      chunks: rows a latent, each with a learned embedding; 0: one row, without.
      embedding: numbers of such an embedding.
    """

    outputs: int
    scaled: Callable[[Array, Start, Array], tuple[Array, Array]]
    enter: Callable[[Params, Float[Array, "n size"], Array], Float[Array, "rows width"]]
    leave: Callable[[Float[Array, "rows width"], Params, int], Float[Array, "n ..."]]
    alone: Callable[[Params, Float[Array, "n size"]], Float[Array, "n ..."]]
    chunks: int = 0
    embedding: int = 0


def dense_head() -> Head:
    """Make each tensor whole, by a linear map to its entries.

    The map's variance is divided by the number of inputs that it sums, as in Chang, Flokas and
    Lipson (2020, ICLR, "Principled weight initialization for hypernetworks", hyperfan-in). Entries
    that the target does not draw (biases of zero, scales of one) start as what it sets them to.

    A tensor of ``s`` entries and latents of ``z`` numbers, with one hidden layer of ``h``, have
    ``z h + 2 h + (h + 1) s`` parameters.

    Returns:
      The head, for :func:`metajax.hypernet.generator`.
    """
    return _by_tensor(_dense)


def low_rank_head(rank: int) -> Head:
    """Make tensors of two axes or more as products of two factors.

    The factors are ``[m, rank]`` and ``[rank, n]``, where these have fewer entries than the tensor.
    ``n`` is the size of the last axis, ``m`` that of all others together. Other tensors are made as
    by :func:`dense_head`. Without a base, entries of products that the target does not draw start
    at zero.

    Args:
      rank: of the products.

    Returns:
      The head, for :func:`metajax.hypernet.generator`.

    Raises:
      ConfigError: the rank is below 1.
    """
    check_sizes(rank=rank)

    def form(shape: tuple[int, ...]) -> Form:
        if len(shape) >= 2 and rank * (math.prod(shape[:-1]) + shape[-1]) < math.prod(shape):
            return _product(shape, rank)
        return _dense(shape)

    return _by_tensor(form)


def chunked_head(chunk_size: int, *, embedding: int = 16) -> Head:
    """Make tensors of more than so many entries in chunks (von Oswald et al. 2020, 1906.00695).

    The layers of a tensor make each of its chunks from the latents and a learned embedding of the
    chunk. Chunks of ``c`` numbers take ``(z + e) h + 2 h + (h + 1) c`` parameters and ``e`` for
    every chunk, with the letters of :func:`dense_head`, which makes other tensors. Latents are
    divided by their root mean square. Without a base, entries that the target does not draw start
    at the tensor's mean.

    Here ``c`` is the largest number from half of ``chunk_size`` up that divides the tensor's
    entries. The first of ``k`` chunks then has the entries 0, ``k``, ``2 k`` and so on, the second
    those that follow them. So one output of the last layer makes neighbors in a row. Chunks without
    gaps would make whole columns by one output, where their size and that of a row have a common
    factor, and columns would start correlated. Where no number divides the entries, ``c`` is
    ``chunk_size``, chunks have no gaps, and the last one is cut: one more pass over the tensor.

    Args:
      chunk_size: numbers of a chunk, at most.
      embedding: numbers of an embedding, ``e``.

    Returns:
      The head, for :func:`metajax.hypernet.generator`.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(chunk_size=chunk_size, embedding=embedding)

    def form(shape: tuple[int, ...]) -> Form:
        entries = math.prod(shape)
        if entries <= chunk_size:
            return _dense(shape)
        whole = (c for c in range(chunk_size, -(-chunk_size // 2) - 1, -1) if entries % c == 0)
        return _chunked(shape, next(whole, chunk_size), embedding)

    return _by_tensor(form)


def _in_one_row(
    outputs: int,
    scaled: Callable[[Array, Start, Array], tuple[Array, Array]],
    shaped: Callable[[Float[Array, "n outputs"]], Float[Array, "n ..."]],
) -> Form:
    """Return the form of a tensor of which one row of numbers makes all."""

    def enter(params: Params, z: Float[Array, "n size"], kernel: Array) -> Array:
        return z @ kernel

    def leave(x: Float[Array, "n width"], out: Params, n: int) -> Array:
        return shaped(x @ out["kernel"] + out["offset"][None])

    def alone(params: Params, z: Float[Array, "n size"]) -> Array:
        return leave(z, params["out"], len(z))

    return Form(outputs, scaled, enter, leave, alone)


def _dense(shape: tuple[int, ...]) -> Form:
    def scaled(kernel: Array, start: Start, stddev: Array) -> tuple[Array, Array]:
        kernel = kernel * jnp.where(start.drawn, stddev, 0).reshape(1, -1)
        return kernel, start.center.reshape(-1)

    return _in_one_row(math.prod(shape), scaled, lambda x: x.reshape(-1, *shape))


def _product(shape: tuple[int, ...], rank: int) -> Form:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    outputs = rank * (rows + columns)

    def scaled(kernel: Array, start: Start, stddev: Array) -> tuple[Array, Array]:
        # the factors' product has rank terms; the first is not small even if the tensor starts at
        # zero, or neither would have a gradient
        first = jnp.arange(outputs) < rows * rank
        kernel = kernel * jnp.where(first, 1, stddev * rank**-0.5)[None]
        return kernel, jnp.zeros(outputs, kernel.dtype)

    def shaped(x: Float[Array, "n outputs"]) -> Float[Array, "n ..."]:
        left, right = jnp.split(x, [rows * rank], axis=-1)
        product = left.reshape(-1, rows, rank) @ right.reshape(-1, rank, columns)
        return product.reshape(-1, *shape)

    return _in_one_row(outputs, scaled, shaped)


def _chunked(shape: tuple[int, ...], chunk_size: int, embedding: int) -> Form:
    entries = math.prod(shape)
    chunks = -(-entries // chunk_size)
    whole = chunks * chunk_size == entries

    def scaled(kernel: Array, start: Start, stddev: Array) -> tuple[Array, Array]:
        return kernel * stddev, jnp.full(chunk_size, jnp.mean(start.center))

    def read(params: Params, z: Float[Array, "n size"]) -> tuple[Array, Array]:
        # half of the variance each: latents of any size and magnitude leave chunks different
        size = z.shape[-1]
        part = normalize_rows(z) * math.sqrt((size + embedding) / (2 * size))
        return part, params["chunks"] * math.sqrt((size + embedding) / (2 * embedding))

    def enter(params: Params, z: Float[Array, "n size"], kernel: Array) -> Array:
        part, own = read(params, z)
        both = (part @ kernel[: z.shape[-1]])[:, None] + (own @ kernel[z.shape[-1] :])[None]
        return both.reshape(-1, kernel.shape[-1])

    def leave(x: Float[Array, "rows width"], out: Params, n: int) -> Array:
        kernel, offset = out["kernel"], out["offset"]
        if not whole:
            made = x @ kernel + offset[None]
            return made.reshape(n, -1)[:, :entries].reshape(-1, *shape)
        x = x.reshape(n, chunks, -1)
        # an offset as one more row of the kernel is a copy of the kernel, where adding it is a pass
        # over all that is made
        inside = chunks > len(kernel)
        if inside:
            x = jnp.concatenate([x, jnp.ones((n, chunks, 1), x.dtype)], axis=-1)
            kernel = jnp.concatenate([kernel, offset[None]])
        # a kernel for each latent: otherwise what is made would have to be transposed
        kernels = jnp.broadcast_to(kernel, (n, *kernel.shape))
        made = jax.lax.dot_general(kernels, x, (((1,), (2,)), ((0,), (0,))))
        return (made if inside else made + offset[None, :, None]).reshape(-1, *shape)

    def alone(params: Params, z: Float[Array, "n size"]) -> Array:
        kernel, offset = params["out"]["kernel"], params["out"]["offset"]
        part, own = read(params, z)
        of_latents = part @ kernel[: z.shape[-1]] + offset[None]
        of_chunks = own @ kernel[z.shape[-1] :]
        if whole:
            return (of_latents[:, :, None] + of_chunks.T[None]).reshape(-1, *shape)
        made = of_latents[:, None] + of_chunks[None]
        return made.reshape(len(z), -1)[:, :entries].reshape(-1, *shape)

    return Form(chunk_size, scaled, enter, leave, alone, chunks, embedding)


def _by_tensor(form: Callable[[tuple[int, ...]], Form]) -> Head:
    """Give every tensor hidden layers of its own, and a form by its shape."""

    def head(leaves: Sequence[Leaf], layers: Callable[[int], tuple[int, ...]], /) -> Tensors:
        plan = [(leaf, form(leaf.shape), layers(leaf.size)) for leaf in leaves]

        def init(key: Key[Array, ""], size: int, starts: Starts, base: float | None) -> Params:
            empty = {leaf.name: _empty(of, size, hidden) for leaf, of, hidden in plan}
            draw_key, start_key = jax.random.split(key)
            params = draw_normals(draw_key, empty, _stddev)
            for (leaf, of, _), draws in zip(plan, starts(start_key), strict=True):
                params[leaf.name] = _scaled(params[leaf.name], of, draws, base)
            return params

        def apply(
            params: Params, latents: Sequence[Float[Array, "n size"]]
        ) -> list[Float[Array, "n ..."]]:
            return [
                _tensor(params[leaf.name], of, z)
                for (leaf, of, _), z in zip(plan, latents, strict=True)
            ]

        return Tensors(init, apply, shared=False)

    return head


def _stddev(name: str, leaf: Array) -> float | None:
    return {"bias": BIAS_STDDEV, "chunks": 1.0}.get(name, lecun_stddev(name, leaf))


def _empty(form: Form, size: int, hidden: tuple[int, ...]) -> Params:
    """The parameters of a tensor, its kernels, biases and embeddings still to be drawn."""
    params: Params = {}
    if form.chunks:
        params["chunks"] = jnp.zeros((form.chunks, form.embedding))
        size += form.embedding
    layers, size = empty_layers(size, hidden)
    params |= layers
    if hidden:
        params["norm"] = {"scale": jnp.ones(size)}
    params["out"] = {"kernel": jnp.zeros((size, form.outputs)), "offset": jnp.zeros(form.outputs)}
    return params


def _scaled(
    params: Params, form: Form, draws: Float[Array, "draws ..."], base: float | None
) -> Params:
    """Give the last layer, and the base, the scale of several starts of their tensor."""
    kernel = params["out"]["kernel"]
    start = start_of(draws.astype(kernel.dtype))
    stddev = start.deviation * math.sqrt(1 - (base or 0.0))
    kernel, offset = form.scaled(kernel, start, stddev)
    if base is None:
        return {**params, "out": {"kernel": kernel, "offset": offset}}
    out = {"kernel": kernel, "offset": jnp.zeros_like(offset)}
    return {**params, "out": out, "base": start.base(base)}


def _tensor(params: Params, form: Form, z: Float[Array, "n size"]) -> Float[Array, "n ..."]:
    """One tensor for every latent."""
    layers = layers_of(params)
    out, (n, size) = params["out"], z.shape
    first = (layers[0] if layers else out)["kernel"]
    if len(first) != size + form.embedding:
        raise ConfigError("latents", size, "the size that the parameters were made for")
    if layers:
        x = jax.nn.gelu(form.enter(params, z, first) + layers[0]["bias"][None])
        x = through_layers(layers[1:], x, jax.nn.gelu)
        made = form.leave(normalize_rows(x) * params["norm"]["scale"][None], out, n)
    else:
        made = form.alone(params, z)
    return made + params["base"][None] if "base" in params else made
