"""A hypernetwork: latent vectors in, the parameters of a target network out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, one_of, path_name
from metajax.hypernet.heads import Head, Leaf, dense_head
from metajax.hypernet.layers import START_DRAWS


def generator(
    target: Callable[[Key[Array, ""]], Params],
    *,
    latents: Literal["shared", "per_tensor"] = "shared",
    hidden: Sequence[int] | Callable[[int], Sequence[int]] = (64,),
    head: Head | None = None,
    base: float | None = None,
) -> Network:
    """Make a network whose outputs are the parameters of another (Ha et al. 2017, 1609.09106).

    ``init(key, latents) -> params`` and ``apply(params, latents) -> target's params``, a pytree as
    ``target(key)`` makes it, every leaf with the batch axes of the latents in front. Any
    :class:`metajax.core.Network` can be the target::

        hypernet = generator(lambda key: network.init(key, inputs))

    Hidden layers, an RMS norm and a linear map make numbers of latents. The head says how these
    become tensors. With :func:`dense_head`, :func:`low_rank_head` and :func:`chunked_head` every
    tensor has layers of its own. With :func:`shared_head` the same ones make all tensors, chunk by
    chunk, and may be recurrent.

    It starts so that the target starts as it would have by itself. Over the draws of the
    hypernetwork every generated tensor has the mean and variance that ``target`` gives it. The norm
    makes that hold for latents of any magnitude, the aim of Ortiz, Guttag and Dalca (2023, arXiv
    2304.07645, magnitude invariant parametrization). Without hidden layers there is no norm, and
    latents are taken to have entries of mean square 1. Each head
    says how tensors start that the target does not draw.

    Args:
      target: ``target(key) -> params`` of the target; floating-point arrays.
      latents: ``shared``, one vector ``[*batch, size]`` for all tensors, or ``per_tensor``, one
        for each ``[*batch, tensors, size]``, in the order of ``jax.tree.leaves``.
      hidden: sizes of the hidden layers before a head, or a function that returns them and is given
        how many numbers are made behind them; may be empty where a tensor has its own layers.
      head: how tensors are made; None: :func:`dense_head`.
      base: add a learned tensor, of the target's own size, to what is generated: MIP's residual.
        It starts with this share, 0 to 1, of the variance of the target's start, and what depends
        on the latents with the rest; with 1 all latents give the same network at first. None: no
        such tensors.

    Returns:
      The hypernetwork.

    Raises:
      ConfigError: a size is below 1, ``base`` is out of range, a leaf of the target is not
        floating-point, or the head does not take latents for each tensor. Calls raise it where
        ``latents`` has the wrong number of vectors.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import generator, shared_head
      >>> from metajax.nn import mlp
      >>> target, latent = mlp([16], 3), jnp.ones(5)
      >>> head = shared_head(50, order="in_a_row")
      >>> start = lambda key: target.init(key, jnp.zeros((1, 8)))
      >>> hypernet = generator(start, hidden=(24,), head=head)
      >>> params = hypernet.init(jax.random.key(0), latent)
      >>> hypernet.apply(params, latent)["Dense_0"]["kernel"].shape
      (8, 16)
    """
    one_of("latents", latents, ("shared", "per_tensor"))
    if base is not None and not 0 <= base <= 1:
        raise ConfigError("base", base, "a share of the variance, 0 to 1, or None")
    paths, treedef = jax.tree_util.tree_flatten_with_path(jax.eval_shape(target, jax.random.key(0)))
    plan: list[Leaf] = []
    for path, leaf in paths:
        name = path_name(path)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise ConfigError("target", name, f"floating-point parameters, not {leaf.dtype}")
        plan.append(Leaf(name, leaf.shape, math.prod(leaf.shape)))

    def layers_of(entries: int) -> tuple[int, ...]:
        widths = tuple(hidden(entries) if callable(hidden) else hidden)
        if any(width < 1 for width in widths):
            raise ConfigError("hidden", widths, "whole numbers of 1 or more")
        return widths

    tensors = (dense_head() if head is None else head)(plan, layers_of)
    per_tensor = latents == "per_tensor"
    if per_tensor and tensors.shared:
        raise ConfigError("latents", latents, "shared: all tensors are made by the same layers")

    def check(z: Array) -> None:
        if per_tensor and (z.ndim < 2 or z.shape[-2] != len(plan)):
            raise ConfigError("latents", z.shape, f"[*batch, {len(plan)}, size], one per tensor")

    def starts(key: Key[Array, ""]) -> list[Float[Array, "draws ..."]]:
        return jax.tree.leaves(jax.vmap(target)(jax.random.split(key, START_DRAWS)))

    def init(key: Key[Array, ""], latents: Float[Array, "*batch size"]) -> Params:
        check(latents)
        return tensors.init(key, latents.shape[-1], starts, base)

    def apply(params: Params, latents: Float[Array, "*batch size"]) -> Params:
        check(latents)
        z = latents.astype(jax.tree.leaves(params)[0].dtype)
        batch = z.shape[: -2 if per_tensor else -1]
        rows = z.reshape(math.prod(batch), *z.shape[len(batch) :])
        of_tensor = [rows[:, at] if per_tensor else rows for at in range(len(plan))]
        made = tensors.apply(params, of_tensor)
        return jax.tree.unflatten(treedef, [x.reshape(*batch, *x.shape[1:]) for x in made])

    return Network(init, apply)
