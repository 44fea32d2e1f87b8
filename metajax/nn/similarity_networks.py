"""Networks that see of their inputs the inner products alone: they read sequences and sets.

A task is examples with labels (the support) and inputs without (the queries). Every token attends
to examples of the support, by how similar the inputs are, and holds labels, no coordinates. The
class-symmetric kind holds a state for each class and treats all classes alike, so that it works for
any number of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import ConfigError, Params, check_sizes
from metajax.nn.attention import widen
from metajax.nn.class_channels import ClassChannels
from metajax.nn.initial import draw_normals, lecun_stddev
from metajax.nn.merged import merge_vmapped_rows
from metajax.nn.similarity import (
    FIRST,
    SIMILARITIES,
    InnerProducts,
    inner_products,
    mean_square,
    running_mean_square,
    similarities,
)

_MASKED = -1e30


class SimilarityNetwork(NamedTuple):
    """A network over tasks, as pure functions.

    Attributes:
      init: ``init(key) -> params``.
      stream: ``stream(params, inputs[n, time, features], labels[n, time, classes]) ->
        logits[n, time, classes]``: at each position from the examples before it and its own input.
      sets: ``sets(params, support_inputs[n, s, features], labels[n, s, classes],
        inputs[n, q, features], classes[n, classes]) -> logits[n, q, classes]``: for each query from
        the whole support, whose order has no influence. Labels are one-hot, all 0 for a place that
        holds no example; ``classes`` is 1 for the classes that a task has, and logits of the others
        are very low.
    """

    init: Callable[[Key[Array, ""]], Params]
    stream: Callable[..., Float[Array, "n time classes"]]
    sets: Callable[..., Float[Array, "n q classes"]]


class Tokens(NamedTuple):
    """What the network reads. Support and queries lie along one axis, the support first.

    Attributes:
      states: first states, from labels and channels, ``[n, tokens, slots, width]``.
      near: similarities of all tokens with the support, ``[n, 3, tokens, s]``.
      visible: which of the support a token may look at, ``[n or 1, tokens, s]``.
      slots: weight of each slot where slots are averaged, ``[n, slots]``; sums to 1.
    """

    states: Float[Array, "n tokens slots width"]
    near: Float[Array, "n 3 tokens s"]
    visible: Bool[Array, "m tokens s"]
    slots: Float[Array, "n slots"]


def _norm(params: Params, x: Array) -> Array:
    wide = widen(x)
    mean = jnp.mean(wide, axis=-1, keepdims=True)
    spread = jnp.mean(jnp.square(wide - mean), axis=-1, keepdims=True)
    unit = ((wide - mean) * jax.lax.rsqrt(spread + 1e-5)).astype(x.dtype)
    shape = (1,) * (x.ndim - 1) + x.shape[-1:]
    return unit * params["scale"].reshape(shape) + params["bias"].reshape(shape)


def _mean_of_slots(x: Array, slots: Array) -> Array:
    return jnp.einsum("ntcw,nc->ntw", x, slots.astype(x.dtype))


def _attention(params: Params, x: Array, tokens: Tokens, sizes: Sizes) -> Array:
    """What each token finds in the support, ``[n, tokens, slots, width]``."""
    known = tokens.near.shape[-1]
    n, asking, heads = x.shape[0], tokens.near.shape[-2], sizes.heads
    mean = _mean_of_slots(x, tokens.slots)
    askers = mean[:, mean.shape[1] - asking :]
    q = (askers @ params["query"]["kernel"]).reshape(n, asking, heads, sizes.key_size)
    k = (mean[:, :known] @ params["key"]["kernel"]).reshape(n, known, heads, sizes.key_size)
    v = x[:, :known] @ params["value"]["kernel"]
    v = v.reshape(n, known, -1, heads, sizes.key_size)
    shift = (askers @ params["sharpness"]["kernel"]).reshape(n, asking, heads, SIMILARITIES)
    sharpness = widen(shift + params["sharpness"]["bias"][None, None])
    scores = widen(jnp.einsum("nqhd,nshd->nhqs", q, k)) * sizes.key_size**-0.5
    for place in range(SIMILARITIES):
        weight = jnp.moveaxis(sharpness[..., place], -1, 1)[..., None]
        scores += weight * tokens.near[:, place][:, None]
    visible = tokens.visible[:, None]
    scores = jnp.where(visible, scores, _MASKED)
    top = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.where(visible, jnp.exp(scores - top), 0)
    # who sees no example finds zeros
    weights /= jnp.maximum(jnp.sum(weights, axis=-1, keepdims=True), 1e-30)
    found = jnp.einsum("nhqs,nschd->nqchd", weights.astype(v.dtype), v)
    return found.reshape(n, asking, -1, heads * sizes.key_size) @ params["out"]["kernel"]


def _perceptron(params: Params, x: Array, slots: Array) -> Array:
    """A hidden layer of each slot and of the mean over slots."""
    hidden = x @ params["own"]["kernel"]
    hidden += (_mean_of_slots(x, slots) @ params["mean"]["kernel"])[:, :, None]
    hidden = jax.nn.gelu(hidden + params["own"]["bias"][None, None, None])
    return hidden @ params["down"]["kernel"] + params["down"]["bias"][None, None, None]


class Sizes(NamedTuple):
    """Sizes of a network: see :func:`similarity_network`."""

    width: int
    layers: int
    heads: int
    key_size: int
    mlp_ratio: int


def _read(params: Params, tokens: Tokens, sizes: Sizes) -> Array:
    """States of the queries after all layers."""
    known, states = tokens.near.shape[-1], tokens.states
    for place in range(sizes.layers):
        layer = params[f"layer_{place}"]
        if place == sizes.layers - 1:  # no one looks at the support any more
            tokens = tokens._replace(
                near=tokens.near[:, :, known:], visible=tokens.visible[:, known:]
            )
        asking = tokens.near.shape[-2]
        found = _attention(layer, _norm(layer["norm"], states), tokens, sizes)
        states = states[:, states.shape[1] - asking :] + found
        states += _perceptron(layer, _norm(layer["mlp_norm"], states), tokens.slots)
    return _norm(params["norm"], states) @ params["head"]["kernel"]


def similarity_network(
    *,
    num_classes: int | None = None,
    channels: ClassChannels | None = None,
    width: int = 16,
    layers: int = 2,
    heads: int = 4,
    key_size: int = 8,
    mlp_ratio: int = 4,
) -> SimilarityNetwork:
    """Make a network that compares inputs and passes labels on.

    Pre-LN layers of attention and MLP. The logit of a head from token ``i`` to example ``m`` is the
    usual ``q k / sqrt(size)`` plus a weighted sum of three similarities of their inputs
    (:func:`~metajax.nn.similarities`). The weights ``c(i)`` are learned numbers (drawn N(0, 9))
    plus a small linear map of the token. Tokens hold no coordinates and no positions, so that
    orthogonal maps of the inputs, zero features and units of measure change nothing.

    Without ``num_classes`` it is class-symmetric: the state of a token is ``[classes, width]``, and
    all classes pass through the same weights. Queries and keys are made of the mean over classes.
    The MLP sees a class and the mean over classes, and each class has one output. So permuted
    labels permute the outputs, and there may be any number of classes.

    Softmax, similarities and channels are float32 or wider, all else is of the parameters' dtype.

    Args:
      num_classes: None: class-symmetric; else labels are read and predicted by weights of their
        own.
      channels: further inputs of a class-symmetric network for each class; nothing is
        differentiated through them.
      width: size of a token's state, of each class where it is class-symmetric.
      layers: attention and MLP pairs.
      heads: attention heads per layer.
      key_size: size of a head's queries, keys and values.
      mlp_ratio: hidden size of the MLP over ``width``.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, or there are channels without class symmetry.
    """
    sizes = Sizes(width, layers, heads, key_size, mlp_ratio)
    check_sizes(**sizes._asdict())
    if num_classes is not None and channels is not None:
        raise ConfigError("channels", "channels of classes", "none where num_classes is given")
    symmetric = num_classes is None
    read = 1 if num_classes is None else num_classes
    extra = 0 if channels is None else channels.width

    def init(key: Key[Array, ""]) -> Params:
        inner = heads * key_size

        def kernel(rows: int, columns: int) -> Params:
            return {"kernel": jnp.zeros((rows, columns))}

        def with_bias(rows: int, columns: int) -> Params:
            return {"kernel": jnp.zeros((rows, columns)), "bias": jnp.zeros(columns)}

        def norm() -> Params:
            return {"scale": jnp.ones(width), "bias": jnp.zeros(width)}

        def layer() -> Params:
            return {
                "norm": norm(),
                "query": kernel(width, inner),
                "key": kernel(width, inner),
                "value": kernel(width, inner),
                "out": kernel(inner, width),
                "sharpness": {
                    "kernel": jnp.zeros((width, heads * SIMILARITIES)),
                    "bias": jnp.zeros((heads, SIMILARITIES)),
                },
                "mlp_norm": norm(),
                "own": with_bias(width, mlp_ratio * width),
                "mean": kernel(width, mlp_ratio * width),
                "down": with_bias(mlp_ratio * width, width),
            }

        params = {
            "labels": kernel(read, width),
            "tokens": {"query": jnp.zeros(width), "support": jnp.zeros(width)},
            "norm": norm(),
            "head": kernel(width, read),
        }
        if extra:
            params["channels"] = kernel(extra, width)
        params |= {f"layer_{place}": layer() for place in range(layers)}
        return draw_normals(key, params, _stddev)

    def tokens_of(
        params: Params,
        labels: Float[Array, "n s classes"],
        own: Float[Array, "n s slots count"] | None,
        new: Float[Array, "n q slots count"] | None,
        queries: int,
    ) -> Float[Array, "n tokens slots width"]:
        dtype = params["labels"]["kernel"].dtype
        slotted = labels[..., None] if symmetric else labels[:, :, None]
        support = slotted.astype(dtype) @ params["labels"]["kernel"]
        n, _, slots, _ = support.shape
        asking = jnp.zeros((n, queries, slots, width), dtype)
        if channels is not None and own is not None and new is not None:
            support += own.astype(dtype) @ params["channels"]["kernel"]
            asking += new.astype(dtype) @ params["channels"]["kernel"]
        support += params["tokens"]["support"][None, None, None]
        asking += params["tokens"]["query"][None, None, None]
        return jnp.concatenate([support, asking], axis=1)

    def outputs(states: Array) -> Array:
        return states[..., 0] if symmetric else states[:, :, 0]

    @merge_vmapped_rows
    def stream(params: Params, inputs: Array, labels: Array) -> Array:
        n, time, classes = labels.shape
        labels = widen(labels)
        products = inner_products(inputs, inputs)
        scale = running_mean_square(products.left)
        read_out = None
        if channels is not None:
            causal = functools.partial(causal_channels, channels)
            read_out = jax.lax.stop_gradient(causal(products, scale, labels))
        states = tokens_of(params, labels, read_out, read_out, time)
        near = similarities(products, scale)
        before = jnp.tril(jnp.ones((time, time), bool), -1)
        slots = jnp.full((n, classes if symmetric else 1), 1 / (classes if symmetric else 1))
        tokens = Tokens(
            states,
            jnp.concatenate([near, near], axis=2),
            jnp.concatenate([before, before])[None],
            slots,
        )
        return outputs(_read(params, tokens, sizes))

    @merge_vmapped_rows
    def sets(
        params: Params, support_inputs: Array, labels: Array, inputs: Array, classes: Array
    ) -> Array:
        labels, classes = widen(labels), widen(classes)
        known = jnp.sum(labels, axis=-1) > 0
        products = inner_products(support_inputs, support_inputs)
        cross = inner_products(inputs, support_inputs)
        scale = mean_square(products.left, known)
        own = new = None
        if channels is not None:
            found = channels.sets(products.over(scale), cross.over(scale), labels, classes)
            own, new = jax.lax.stop_gradient(found)
        states = tokens_of(params, labels, own, new, inputs.shape[1])
        every = scale[:, None]
        near = [
            similarities(of, jnp.broadcast_to(every, of.left.shape)) for of in (products, cross)
        ]
        others = ~jnp.eye(labels.shape[1], dtype=bool)[None] & known[:, None]
        queries = jnp.broadcast_to(known[:, None], cross.between.shape)
        slots = classes / jnp.sum(classes, axis=-1, keepdims=True)
        tokens = Tokens(
            states,
            jnp.concatenate(near, axis=2),
            jnp.concatenate([others, queries], axis=1),
            slots if symmetric else jnp.ones_like(slots[:, :1]),
        )
        logits = outputs(_read(params, tokens, sizes))
        return jnp.where(classes[:, None] > 0, logits, jnp.asarray(_MASKED, logits.dtype))

    return SimilarityNetwork(init, stream, sets)


def _stddev(name: str, leaf: Array) -> float | None:
    if name == "bias" and leaf.ndim == 2:
        return 3.0
    return lecun_stddev(name, leaf)


def causal_channels(
    channels: ClassChannels,
    products: InnerProducts,
    scale: Float[Array, "*batch n"],
    labels: Float[Array, "*batch n classes"],
) -> Float[Array, "*batch n classes count"]:
    """Return the channels of a sequence whose scale is that of the inputs so far.

    Where the scale still moves, each position has its own scale and is solved by itself; those
    after it share one.

    Args:
      channels: of which kind.
      products: of the inputs with each other.
      scale: at each position, constant from ``FIRST - 1`` on.
      labels: one-hot.
    """

    def all_classes(shape: tuple[int, ...]) -> Array:
        return jnp.ones((*shape[:-2], shape[-1]), labels.dtype)

    later = channels.causal(products.over(scale[..., -1]), labels, all_classes(labels.shape))
    first = min(FIRST - 1, scale.shape[-1])
    beginning = InnerProducts(
        products.between[..., None, :first, :first],
        products.left[..., None, :first],
        products.right[..., None, :first],
    ).over(scale[..., :first])
    shape = (*labels.shape[:-2], first, first, labels.shape[-1])
    repeated = jnp.broadcast_to(labels[..., None, :first, :], shape)
    few = channels.causal(beginning, repeated, all_classes(shape))
    early = jnp.moveaxis(jnp.diagonal(few, axis1=-4, axis2=-3), -1, -3)
    return jnp.concatenate([early, later[..., first:, :, :]], axis=-3)
