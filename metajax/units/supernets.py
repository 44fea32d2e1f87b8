"""Supernets: one set of weights for every architecture of a space, or a mixture of several sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, derive, one_of
from metajax.nn import mlp
from metajax.units.axes import Axis, Leaf, Units, leaves_of, sizes_of
from metajax.units.spaces import (
    Architecture,
    Space,
    architecture_code,
    architecture_masks,
    check_space,
    largest_architecture,
)
from metajax.units.taking import mask_units, part_factors, slice_units


class Supernet(NamedTuple):
    """The weights of many architectures, as functions of one set of parameters.

    Attributes:
      init: ``init(key, *inputs) -> params``: ``experts``, the parameters of the largest network
        stacked on a first axis, and ``router``.
      masked: ``masked(params, architecture) -> weights`` for the largest network, in which the
        units that the architecture lacks are zeros. Architectures may be traced and mapped.
      extract: ``extract(params, architecture) -> weights`` for a network of the architecture's
        sizes, which computes the same. The architecture must be known.
    """

    init: Callable[..., Params]
    masked: Callable[[Params, Architecture], Params]
    extract: Callable[[Params, Architecture], Params]


def supernet(
    network: Network,
    units: Units,
    space: Space,
    *,
    experts: int = 1,
    by: Literal["layer", "neuron"] = "layer",
    hidden: int = 128,
    code: Callable[[Architecture, Space], Float[Array, " features"]] = architecture_code,
) -> Supernet:
    """Make a supernet with shared weights, or a mixture of supernets.

    With one expert all architectures share their weights. With more, each architecture has its own
    weighted sum of the experts' weights, which is then sliced (Mixture-of-Supernets: Jawahar et
    al. 2024, arXiv 2306.04845, section 3). The weights come from a router that reads the
    architecture's code: a multi-layer perceptron with one hidden layer, and a softmax over the
    experts for each layer of the network, or for each unit of each layer. After training,
    :attr:`Supernet.extract` makes ordinary weights, so that a mixture costs nothing in use.

    Args:
      network: the largest one.
      units: the names of its units.
      space: of architectures. Choices among words are left to the network's own function.
      experts: sets of weights.
      by: one softmax a ``layer``, that is all arrays in one dict of the parameters, or one a
        ``neuron``: for all weights that make one unit. Arrays that make no units have one a layer.
      hidden: units of the router.
      code: what the router reads of an architecture.

    Returns:
      The supernet.

    Raises:
      ConfigError: a number is below 1, or the space is no space; or, by ``masked`` and ``extract``,
        the space does not fit the units.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import mlp
      >>> from metajax.units import mlp_units, sample_architecture, supernet
      >>> x, space = jnp.ones((5, 3)), {"h0": (4, 8)}
      >>> network = mlp([8], 2)
      >>> units = mlp_units(network.init(jax.random.key(0), x))
      >>> both = supernet(network, units, space, experts=2, hidden=8)
      >>> params = both.init(jax.random.key(1), x)
      >>> weights = jax.jit(both.masked)(params, sample_architecture(jax.random.key(2), space))
      >>> network.apply(weights, x).shape
      (5, 2)
    """
    check_space(space)
    one_of("by", by, ("layer", "neuron"))
    for field, number in (("experts", experts), ("hidden", hidden)):
        if number < 1:
            raise ConfigError(field, number, "1 or more")
    features = jax.eval_shape(lambda: code(largest_architecture(space), space)).shape[0]

    def leaves_and_sizes(params: Params) -> tuple[list[Leaf], dict[str, int]]:
        one = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), params["experts"]
        )
        leaves = leaves_of(one, units)
        return leaves, sizes_of(leaves)

    def router_of(counts: dict[str, int]) -> Network:
        return mlp((hidden,), experts * sum(counts.values()))

    def init(key: Key[Array, ""], *inputs: Any) -> Params:
        keys = jax.random.split(derive(key, "experts"), experts)
        params = {"experts": jax.vmap(lambda key: network.init(key, *inputs))(keys)}
        counts = _gates(*leaves_and_sizes(params), by)
        read = jnp.zeros((1, features))
        return params | {"router": router_of(counts).init(derive(key, "router"), read)}

    def mixed(params: Params, architecture: Architecture) -> tuple[Params, dict[str, int]]:
        leaves, sizes = leaves_and_sizes(params)
        counts = _gates(leaves, sizes, by)
        read = code(architecture, space)
        logits = router_of(counts).apply(params["router"], read).reshape(experts, -1)
        gates = jax.nn.softmax(logits, axis=0)
        start, ends = 0, {}
        for place, count in counts.items():
            ends[place] = gates[:, start : start + count]
            start += count

        def weighted(leaf: Leaf, values: Any) -> Any:
            made = _made(leaf) if by == "neuron" else None
            place = _place(leaf, made)
            shares = ends[place].astype(values.dtype)
            if made is not None:
                number, name = made
                shares = jax.vmap(lambda share: _along(leaf, number, name, share, sizes))(shares)
            else:
                shares = shares.reshape((experts,) + (1,) * leaf.array.ndim)
            return jnp.sum(shares * values, axis=0)

        structure = jax.tree.structure(params["experts"])
        values = jax.tree.leaves(params["experts"])
        return jax.tree.unflatten(structure, map(weighted, leaves, values)), sizes

    def masked(params: Params, architecture: Architecture) -> Params:
        weights, sizes = mixed(params, architecture)
        return mask_units(weights, units, architecture_masks(architecture, space, sizes))

    def extract(params: Params, architecture: Architecture) -> Params:
        weights, _ = mixed(params, architecture)
        chosen = {name: options[int(architecture[name])] for name, options in space.items()}
        sizes = {name: size for name, size in chosen.items() if isinstance(size, int)}
        return slice_units(weights, units, sizes)

    return Supernet(init, masked, extract)


def _made(leaf: Leaf) -> tuple[int, str] | None:
    """The axis along which an array makes or scales units, and their name."""
    for number, part in leaf.carried():
        if part.role != "reads":
            return number, part.name
    return None


def _place(leaf: Leaf, made: tuple[int, str] | None) -> str:
    """Whose gates an array has: those of its layer, for one kind of units."""
    layer = leaf.path.rpartition("/")[0] or leaf.path
    return layer if made is None else f"{layer}: {made[1]}"


def _gates(leaves: list[Leaf], sizes: dict[str, int], by: str) -> dict[str, int]:
    """How many gates each place has."""
    counts = {}
    for leaf in leaves:
        made = _made(leaf) if by == "neuron" else None
        counts[_place(leaf, made)] = 1 if made is None else sizes[made[1]]
    return counts


def _along(
    leaf: Leaf, number: int, name: str, share: Float[Array, " n"], sizes: dict[str, int]
) -> Float[Array, "..."]:
    """One number a unit along the units' axis of an array, to multiply it with."""
    parts: tuple[Axis | int, ...] = leaf.axes[number] or ()
    factors = [part_factors(part, sizes, {name: share}, share.dtype) for part in parts]
    shape = [-1 if axis == number else 1 for axis in range(leaf.array.ndim)]
    return jnp.concatenate(factors).reshape(shape)
