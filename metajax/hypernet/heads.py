"""Heads of a generator: how the numbers behind its hidden layers become tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params, check_sizes
from metajax.hypernet.layers import Start, empty_layers, normalize_rows, start_of
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
    """How one tensor is made of rows of numbers.

    Attributes:
      outputs: numbers of a row.
      scaled: ``scaled(kernel, start, stddev) -> kernel, offset``: the last layer, such that the
        tensor starts with this deviation.
      shaped: ``shaped(rows, n) -> tensors`` of ``n`` latents.
      chunks: rows a latent, each with a learned embedding; 0: one row, without.
      embedding: numbers of such an embedding.
    """

    outputs: int
    scaled: Callable[[Array, Start, Array], tuple[Array, Array]]
    shaped: Callable[[Float[Array, "rows outputs"], int], Float[Array, "n ..."]]
    chunks: int = 0
    embedding: int = 0


def dense_head() -> Head:
    """Make each tensor whole, by a linear map to its entries.

    The map's variance is divided by the number of inputs that it sums, as in Chang, Flokas and
    Lipson (2020, ICLR, "Principled weight initialization for hypernetworks", hyperfan-in). Entries
    that the target does not draw (biases of zero, scales of one) start as what it sets them to.

    A tensor of ``s`` entries and latents of ``z`` numbers, with one hidden layer of ``h``, have
    ``z h + 2 h + (h + 1) s`` parameters.
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
    chunk: ``(z + e) h + 2 h + (h + 1) chunk_size`` parameters and ``e`` for every chunk, with the
    letters of :func:`dense_head`, which makes other tensors. Here the latents are divided by their
    root mean square. Without a base, entries that the target does not draw start at the tensor's
    mean.

    Args:
      chunk_size: numbers of a chunk.
      embedding: numbers of an embedding, ``e``.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(chunk_size=chunk_size, embedding=embedding)

    def form(shape: tuple[int, ...]) -> Form:
        if math.prod(shape) > chunk_size:
            return _chunked(shape, chunk_size, embedding)
        return _dense(shape)

    return _by_tensor(form)


def _dense(shape: tuple[int, ...]) -> Form:
    def scaled(kernel: Array, start: Start, stddev: Array) -> tuple[Array, Array]:
        kernel = kernel * jnp.where(start.drawn, stddev, 0).reshape(1, -1)
        return kernel, start.center.reshape(-1)

    return Form(math.prod(shape), scaled, lambda rows, n: rows.reshape(n, *shape))


def _chunked(shape: tuple[int, ...], chunk_size: int, embedding: int) -> Form:
    def scaled(kernel: Array, start: Start, stddev: Array) -> tuple[Array, Array]:
        return kernel * stddev, jnp.full(chunk_size, jnp.mean(start.center))

    def shaped(rows: Float[Array, "rows outputs"], n: int) -> Float[Array, "n ..."]:
        return rows.reshape(n, -1)[:, : math.prod(shape)].reshape(n, *shape)

    return Form(chunk_size, scaled, shaped, -(-math.prod(shape) // chunk_size), embedding)


def _product(shape: tuple[int, ...], rank: int) -> Form:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    outputs = rank * (rows + columns)

    def scaled(kernel: Array, start: Start, stddev: Array) -> tuple[Array, Array]:
        # the factors' product has rank terms; the first is not small even if the tensor starts at
        # zero, or neither would have a gradient
        first = jnp.arange(outputs) < rows * rank
        kernel = kernel * jnp.where(first, 1, stddev * rank**-0.5)[None]
        return kernel, jnp.zeros(outputs, kernel.dtype)

    def shaped(x: Float[Array, "n outputs"], n: int) -> Float[Array, "n ..."]:
        left, right = jnp.split(x, [rows * rank], axis=-1)
        product = left.reshape(-1, rows, rank) @ right.reshape(-1, rank, columns)
        return product.reshape(n, *shape)

    return Form(outputs, scaled, shaped)


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
                _tensor(params[leaf.name], of, len(hidden), z)
                for (leaf, of, hidden), z in zip(plan, latents, strict=True)
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


def _enter(
    params: Params, form: Form, z: Float[Array, "n size"], kernel: Float[Array, "inputs width"]
) -> Float[Array, "rows width"]:
    """The product of what goes into the first layer, a row for every latent and chunk."""
    size, extra = z.shape[-1], form.embedding
    if kernel.shape[0] != size + extra:
        raise ConfigError("latents", size, "the size that the parameters were made for")
    if not form.chunks:
        return z @ kernel
    # half of the variance each: latents of any size and magnitude leave chunks different
    part = normalize_rows(z) * math.sqrt((size + extra) / (2 * size))
    chunks = params["chunks"] * math.sqrt((size + extra) / (2 * extra))
    both = (part @ kernel[:size])[:, None] + (chunks @ kernel[size:])[None]
    return both.reshape(-1, kernel.shape[-1])


def _tensor(
    params: Params, form: Form, depth: int, z: Float[Array, "n size"]
) -> Float[Array, "n ..."]:
    """One tensor for every latent, behind ``depth`` hidden layers."""
    layers = [params[f"hidden_{number}"] for number in range(depth)]
    kernels = [layer["kernel"] for layer in layers] + [params["out"]["kernel"]]
    x = _enter(params, form, z, kernels[0])
    for layer, kernel in zip(layers, kernels[1:], strict=True):
        x = jax.nn.gelu(x + layer["bias"][None])
        if layer is layers[-1]:
            x = normalize_rows(x) * params["norm"]["scale"][None]
        x = x @ kernel
    x = form.shaped(x + params["out"]["offset"][None], z.shape[0])
    return x + params["base"][None] if "base" in params else x
