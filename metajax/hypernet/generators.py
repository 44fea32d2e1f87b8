"""A hypernetwork: latent vectors in, the parameters of a target network out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, check_sizes, one_of, root
from metajax.nn import draw_normals, lecun_stddev

START_DRAWS = 8
"""Initializations of the target that its scales are taken from."""
EPSILON = 1e-6
"""Added to a mean square before its root is divided by."""
BIAS_STDDEV = 0.1
"""Of hidden biases: a latent of zeros still gives a network of the right scale."""


class Head(NamedTuple):
    """How one tensor of the target is made.

    Attributes:
      shape: of the tensor.
      form: ``dense``, ``chunked`` or ``low_rank``.
      outputs: numbers that the head's last layer gives at a time.
      hidden: sizes of its hidden layers.
      chunks: how often it is called, once for every learned embedding of a chunk.
    """

    shape: tuple[int, ...]
    form: Literal["dense", "chunked", "low_rank"]
    outputs: int
    hidden: tuple[int, ...]
    chunks: int = 1


def generator(
    target: Callable[[Key[Array, ""]], Params],
    *,
    latents: Literal["shared", "per_tensor"] = "shared",
    hidden: Sequence[int] | Callable[[int], Sequence[int]] = (64,),
    chunk_size: int | None = None,
    chunk_embedding: int = 16,
    rank: int | None = None,
    base: float | None = None,
) -> Network:
    """Make a network whose outputs are the parameters of another (Ha et al. 2017, 1609.09106).

    ``init(key, latents) -> params`` and ``apply(params, latents) -> target's params``, a pytree as
    ``target(key)`` makes it, every leaf with the batch axes of the latents in front. Every tensor
    of the target has a head of its own: hidden layers with GELU, an RMS norm, a linear map to the
    tensor's entries. Any :class:`metajax.core.Network` can be the target::

        hypernet = generator(lambda key: network.init(key, inputs))

    It starts so that the target starts as it would have by itself. Over the draws of the
    hypernetwork every generated tensor has the mean and variance that ``target`` gives it. Entries
    that ``target`` does not draw (biases of zero, scales of one) are what it sets them to. The
    output layer's variance is divided by the number of inputs that it sums, as in Chang, Flokas and
    Lipson (2020, ICLR, "Principled weight initialization for hypernetworks", hyperfan-in). The norm
    before it makes that hold for latents of any magnitude, the aim of Ortiz, Guttag and Dalca
    (2023, arXiv 2304.07645, magnitude invariant parametrization). Without hidden layers there is no
    norm, and latents are taken to have entries of mean square 1.

    A dense head of a tensor of ``s`` entries on latents of ``z`` numbers, with one hidden layer of
    ``h``, has ``z h + 2 h + (h + 1) s`` parameters.

    Args:
      target: ``target(key) -> params`` of the target; floating-point arrays.
      latents: ``shared``, one vector ``[*batch, size]`` for all tensors, or ``per_tensor``, one
        for each ``[*batch, tensors, size]``, in the order of ``jax.tree.leaves``.
      hidden: sizes of each head's hidden layers, or a function of a tensor's number of entries that
        returns them; may be empty.
      chunk_size: tensors of more entries than this are made in chunks of this many, by one head
        that is also given a learned embedding of the chunk (von Oswald et al. 2020, arXiv
        1906.00695): ``(z + e) h + 2 h + (h + 1) chunk_size`` parameters and ``e`` for every chunk.
        There the latents are divided by their root mean square.
      chunk_embedding: numbers of such an embedding, ``e``.
      rank: a dense head makes tensors of two axes or more as two factors, ``[m, rank]`` and
        ``[rank, n]``, where these have fewer entries than the tensor. ``n`` is the size of the last
        axis, ``m`` that of all others together.
      base: add a learned tensor, of the target's own size, to what is generated: MIP's residual.
        It starts with this share, 0 to 1, of the variance of the target's start, and what depends
        on the latents with the rest; with 1 all latents give the same network at first. None: no
        such tensors. In chunks and products, entries that are not drawn need them: these start
        at the tensor's mean in chunks, and at zero in products, where there is no base.

    Returns:
      The hypernetwork.

    Raises:
      ConfigError: a size is below 1, ``base`` is out of range, ``rank`` and ``chunk_size`` are both
        given, the target has a leaf that is not floating-point, or, when it is called, ``latents``
        has the wrong number of vectors.
    """
    one_of("latents", latents, ("shared", "per_tensor"))
    sizes = {"chunk_embedding": chunk_embedding, "chunk_size": chunk_size, "rank": rank}
    check_sizes(**sizes)
    if rank is not None and chunk_size is not None:
        raise ConfigError("rank", rank, "None where chunk_size is given: one of the two")
    if base is not None and not 0 <= base <= 1:
        raise ConfigError("base", base, "a share of the variance, 0 to 1, or None")
    paths, treedef = jax.tree_util.tree_flatten_with_path(jax.eval_shape(target, jax.random.key(0)))
    plan: list[tuple[str, Head]] = []
    for path, leaf in paths:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise ConfigError("target", name, f"floating-point parameters, not {leaf.dtype}")
        plan.append((name, _plan(leaf.shape, hidden, chunk_size, rank)))

    per_tensor = latents == "per_tensor"

    def check(z: Array) -> None:
        if per_tensor and (z.ndim < 2 or z.shape[-2] != len(plan)):
            raise ConfigError("latents", z.shape, f"[*batch, {len(plan)}, size], one per tensor")

    def init(key: Key[Array, ""], latents: Float[Array, "*batch size"]) -> Params:
        check(latents)
        size = latents.shape[-1]
        empty = {name: _head_params(head, size, chunk_embedding) for name, head in plan}
        draw_key, start_key = jax.random.split(key)
        params = draw_normals(draw_key, empty, _stddev)
        starts = jax.tree.leaves(jax.vmap(target)(jax.random.split(start_key, START_DRAWS)))
        for (name, head), start in zip(plan, starts, strict=True):
            params[name] = _scaled(params[name], head, start, base)
        return params

    def apply(params: Params, latents: Float[Array, "*batch size"]) -> Params:
        check(latents)
        z = latents.astype(jax.tree.leaves(params)[0].dtype)
        made = [
            _generate(params[name], head, z[..., number, :] if per_tensor else z)
            for number, (name, head) in enumerate(plan)
        ]
        return jax.tree.unflatten(treedef, made)

    return Network(init, apply)


def _stddev(name: str, leaf: Array) -> float | None:
    return {"bias": BIAS_STDDEV, "chunks": 1.0}.get(name, lecun_stddev(name, leaf))


def _plan(
    shape: tuple[int, ...],
    hidden: Sequence[int] | Callable[[int], Sequence[int]],
    chunk_size: int | None,
    rank: int | None,
) -> Head:
    entries = math.prod(shape)
    widths = tuple(hidden(entries) if callable(hidden) else hidden)
    if any(width < 1 for width in widths):
        raise ConfigError("hidden", widths, "whole numbers of 1 or more")
    if rank is not None and len(shape) >= 2:
        factors = rank * (entries // shape[-1] + shape[-1])
        if factors < entries:
            return Head(shape, "low_rank", factors, widths)
    if chunk_size is not None and entries > chunk_size:
        return Head(shape, "chunked", chunk_size, widths, -(-entries // chunk_size))
    return Head(shape, "dense", entries, widths)


def _head_params(head: Head, size: int, embedding: int) -> Params:
    """A head's parameters, its kernels, biases and embeddings still to be drawn."""
    params: Params = {}
    if head.form == "chunked":
        params["chunks"] = jnp.zeros((head.chunks, embedding))
        size += embedding
    for number, width in enumerate(head.hidden):
        params[f"hidden_{number}"] = {"kernel": jnp.zeros((size, width)), "bias": jnp.zeros(width)}
        size = width
    if head.hidden:
        params["norm"] = {"scale": jnp.ones(size)}
    params["out"] = {"kernel": jnp.zeros((size, head.outputs)), "offset": jnp.zeros(head.outputs)}
    return params


def _scaled(
    params: Params, head: Head, starts: Float[Array, "draws ..."], base: float | None
) -> Params:
    """Give a head's output, and its base, the scale of several starts of its tensor."""
    kernel = params["out"]["kernel"]
    starts = starts.astype(kernel.dtype)
    drawn = jnp.any(starts != starts[:1], axis=0)
    num = jnp.maximum(START_DRAWS * jnp.sum(drawn), 1).astype(kernel.dtype)
    mean = jnp.sum(starts, where=drawn) / num
    deviation = root(jnp.sum(jnp.square(starts - mean), where=drawn) / num)
    centre = jnp.where(drawn, mean, starts[0])
    share = 0.0 if base is None else base
    stddev = deviation * math.sqrt(1 - share)
    if head.form == "dense":
        kernel = kernel * jnp.where(drawn, stddev, 0).reshape(1, -1)
        offset = centre.reshape(-1)
    elif head.form == "chunked":
        kernel = kernel * stddev
        offset = jnp.full(head.outputs, jnp.mean(centre))
    else:
        # the factors' product has rank terms; the first is not small even if the tensor starts at
        # zero, or neither would have a gradient
        rows, _, rank = _factors(head)
        first = jnp.arange(head.outputs) < rows * rank
        kernel = kernel * jnp.where(first, 1, stddev * rank**-0.5)[None]
        offset = jnp.zeros(head.outputs, kernel.dtype)
    params = {**params, "out": {"kernel": kernel, "offset": offset}}
    if base is not None:
        params["out"]["offset"] = jnp.zeros_like(offset)
        params["base"] = centre + math.sqrt(base) * jnp.where(drawn, starts[0] - mean, 0)
    return params


def _factors(head: Head) -> tuple[int, int, int]:
    """Rows, columns and rank of a tensor that is made as a product."""
    columns = head.shape[-1]
    rows = math.prod(head.shape[:-1])
    return rows, columns, head.outputs // (rows + columns)


def normalize_rows(x: Float[Array, "n width"]) -> Float[Array, "n width"]:
    """Divide rows by their root mean square."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + EPSILON)


def _generate(
    params: Params, head: Head, z: Float[Array, "*batch size"]
) -> Float[Array, "*batch ..."]:
    """One tensor for every latent."""
    *batch, size = z.shape
    z = z.reshape(-1, size)

    def enter(kernel: Float[Array, "inputs width"]) -> Float[Array, "n width"]:
        """The product of what goes into the first layer, a row for every latent and chunk."""
        extra = kernel.shape[0] - size
        if extra != (params["chunks"].shape[-1] if head.form == "chunked" else 0):
            raise ConfigError("latents", size, "the size that the parameters were made for")
        if head.form != "chunked":
            return z @ kernel
        # half of the variance each: latents of any size and magnitude leave chunks different
        part = normalize_rows(z) * math.sqrt((size + extra) / (2 * size))
        chunks = params["chunks"] * math.sqrt((size + extra) / (2 * extra))
        both = (part @ kernel[:size])[:, None] + (chunks @ kernel[size:])[None]
        return both.reshape(-1, kernel.shape[-1])

    layers = [params[f"hidden_{number}"] for number in range(len(head.hidden))]
    kernels = [layer["kernel"] for layer in layers] + [params["out"]["kernel"]]
    x = enter(kernels[0])
    for layer, kernel in zip(layers, kernels[1:], strict=True):
        x = jax.nn.gelu(x + layer["bias"][None])
        if layer is layers[-1]:
            x = normalize_rows(x) * params["norm"]["scale"][None]
        x = x @ kernel
    x = x + params["out"]["offset"][None]
    if head.form == "chunked":
        x = x.reshape(z.shape[0], -1)[:, : math.prod(head.shape)]
    elif head.form == "low_rank":
        rows, columns, rank = _factors(head)
        left, right = jnp.split(x, [rows * rank], axis=-1)
        x = left.reshape(-1, rows, rank) @ right.reshape(-1, rank, columns)
    x = x.reshape(-1, *head.shape)
    if "base" in params:
        x = x + params["base"][None]
    return x.reshape(*batch, *head.shape)
