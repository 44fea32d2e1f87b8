"""Edits of a frozen decoder for each image, refined in passes whose deltas add (HyperStyle)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key, PyTree

from metajax.core import ConfigError, Network, Params, check_sizes
from metajax.hypernet.edits import modulate
from metajax.hypernet.layers import empty_layer
from metajax.nn import conv_encoder

Images = Float[Array, "n h w c"]
Editor = Callable[[Images, Images], PyTree]
"""``editor(images, reconstructions) -> deltas`` of each image."""
Render = Callable[[PyTree], Images]
"""``render(deltas) -> images``, the images of a decoder whose weights are changed by deltas."""


def kernel_shapes(params: Params) -> PyTree:
    """Return ``(in, out)`` for each convolution's kernel of four axes, None for other arrays.

    Args:
      params: of a network.

    Raises:
      ConfigError: there is no such kernel.
    """
    shapes = jax.tree.map(lambda leaf: leaf.shape[2:] if leaf.ndim == 4 else None, params)
    if not jax.tree.leaves(shapes):
        raise ConfigError("params", shapes, "a network with a convolution, a kernel of four axes")
    return shapes


def _is_shape(node: Any) -> bool:
    return isinstance(node, tuple)


def no_deltas(params: Params, num: int) -> PyTree:
    """Return deltas of zero of the convolutions of a network, for each of some images.

    Args:
      params: of the network.
      num: images.

    Returns:
      A tree like the parameters: ``[num, in, out]`` for each convolution's kernel, None for other
      arrays.

    Raises:
      ConfigError: the network has no convolution.
    """
    kernel_shapes(params)

    def zeros(leaf: Array) -> Array | None:
        return jnp.zeros((num, *leaf.shape[2:]), leaf.dtype) if leaf.ndim == 4 else None

    return jax.tree.map(zeros, params)


def render_edited(
    decoder: Network, params: Params, latents: Float[Array, "n d"], deltas: PyTree
) -> Images:
    """Return the image of each latent by a decoder with weights of its own, ``W (1 + delta)``.

    Args:
      decoder: latents to images.
      params: of the decoder, shared.
      latents: of the images.
      deltas: as :func:`no_deltas` has them.

    Returns:
      An image for each latent.
    """

    def one(latent: Array, delta: PyTree) -> Array:
        return decoder.apply(modulate(params, delta), latent[None])[0]

    return jax.vmap(one)(latents, deltas)


def edit_hypernetwork(params: Params, *, channels: int = 16, hidden: int = 64) -> Network:
    """Make the network that reads an image and its reconstruction, and gives changes of weights.

    ``apply(own, images, reconstructions) -> deltas``, of each image, as :func:`no_deltas` has them:
    a factor for each pair of channels of a convolution, the same for all taps of its kernel
    (HyperStyle; Alaluf et al. 2022, arXiv 2111.15666, section 3.2). Its output layer starts at
    zero, so the first reconstruction is the decoder's own.

    Args:
      params: of the decoder, or their shapes.
      channels: of its first convolution; the second has twice as many.
      hidden: size of its hidden layer.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, or the decoder has no convolution.
    """
    check_sizes(channels=channels, hidden=hidden)
    shapes, structure = jax.tree.flatten(kernel_shapes(params), is_leaf=_is_shape)
    sizes = [math.prod(shape) for shape in shapes]
    trunk = conv_encoder(hidden, channels=channels)

    def init(key: Key[Array, ""], images: Images, reconstructions: Images) -> Params:
        own = trunk.init(key, jnp.concatenate([images, reconstructions], axis=-1))
        return {
            "trunk": own,
            "deltas": empty_layer(hidden, sum(sizes)),
        }

    def apply(own: Params, images: Images, reconstructions: Images) -> PyTree:
        read = trunk.apply(own["trunk"], jnp.concatenate([images, reconstructions], axis=-1))
        flat = jax.nn.gelu(read) @ own["deltas"]["kernel"] + own["deltas"]["bias"][None]
        parts = jnp.split(flat, list(itertools.accumulate(sizes))[:-1], axis=-1)
        leaves = [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]
        return jax.tree.unflatten(structure, leaves)

    return Network(init, apply)


class Edited(NamedTuple):
    """Images by a decoder whose weights are edited for each of them.

    Attributes:
      deltas: as :func:`no_deltas` has them.
      images: reconstructions by the decoder with these deltas.
    """

    deltas: PyTree
    images: Images


def edit_pass(editor: Editor, render: Render, images: Images, edited: Edited) -> Edited:
    """Make one more pass: what the editor gives for the last reconstruction is added.

    Args:
      editor: ``editor(images, reconstructions) -> deltas``.
      render: the decoder with deltas.
      images: to reconstruct.
      edited: after all passes before.

    Returns:
      The sum of all passes' deltas, and the reconstruction with it.
    """
    deltas = jax.tree.map(jnp.add, edited.deltas, editor(images, edited.images))
    return Edited(deltas, render(deltas))


def refined(
    editor: Editor, render: Render, images: Images, deltas: PyTree, passes: int | Int32[Array, ""]
) -> Edited:
    """Make so many passes of :func:`edit_pass` (HyperStyle, arXiv 2111.15666, section 3.3).

    Args:
      editor: ``editor(images, reconstructions) -> deltas``.
      render: the decoder with deltas.
      images: to reconstruct.
      deltas: to start with, such as :func:`no_deltas`.
      passes: 0 or more; may be traced, and then one program serves any number.

    Returns:
      The sum of all passes' deltas, and the reconstruction with it.
    """

    def one(number: Any, edited: Edited) -> Edited:
        return edit_pass(editor, render, images, edited)

    return jax.lax.fori_loop(0, passes, one, Edited(deltas, render(deltas)))
