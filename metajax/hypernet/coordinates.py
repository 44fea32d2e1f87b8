"""Weights as a function of their coordinates, for networks of any width."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from metajax.core import ConfigError, Network, Params, check_sizes, derive
from metajax.hypernet.layers import START_DRAWS, empty_layer, normalize_rows
from metajax.nn import draw_normals
from metajax.units import Axis, Units
from metajax.units.axes import leaves_of, sizes_of

START_GAIN = 0.1
"""Factor of each residual layer at the start, which is learned."""
UNDRAWN = 0.1
"""Scale of tensors that the target does not draw, such as zero biases."""

Sizes = Mapping[str, Int[Array, ""] | int]


class _Made(NamedTuple):
    """A tensor that is generated: its path, its shape, and the role of units along each axis."""

    path: str
    shape: tuple[int, ...]
    names: tuple[str | None, ...]
    read: tuple[str, ...]


def implicit(
    target: Callable[[Key[Array, ""]], Params],
    units: Units,
    names: Sequence[str],
    *,
    hidden: int = 64,
    depth: int = 3,
    noise: float = 0.0,
    octaves: int | None = None,
) -> Network:
    """Make a network that generates another of any width: its weights by their coordinates.

    ``init(key, sizes) -> params`` and ``apply(params, sizes, key=None) -> target's params`` of the
    largest shapes, in which the entries of units beyond ``sizes`` are zeros. Sizes may be traced,
    so one compiled program serves all widths. The tensors that carry units of ``names`` are
    generated, each by a network of its own; all others are parameters, ``kept``.

    Neural Metamorphosis (Yang and Wang 2024, arXiv 2410.11878): an entry's coordinates are its
    indices over the sizes of their axes, from 0 to 1, with sines and cosines of ``2^k pi`` times
    them. There are as many octaves as ``2 n`` entries of an axis can tell apart, where the paper
    has 16. The sizes themselves come without octaves. Residual layers ``x + s relu(W x)`` follow,
    with learned ``s``. The paper divides by the fan-in. Here a tensor starts with the variance that
    ``target`` gives it at the largest size, and is multiplied by the largest fan-in over the
    fan-in: what reads fewer units sums as much. An RMS norm precedes the last layer.

    Args:
      target: ``target(key) -> params`` of the largest network; floating-point arrays.
      units: the names of its units.
      names: of those whose number varies.
      hidden: size of the layers.
      depth: residual layers.
      noise: coordinates move by up to so many units to either side where ``apply`` is given a key;
        the paper has half a unit.
      octaves: of the coordinates along units of ``names``, at most; None: as above. With as many,
        neighboring units are free of each other, and so is the function between the units of the
        trained widths. Octaves ``0 .. k - 1`` vary over ``2^(1 - k)`` of the axis and more.

    Returns:
      The hypernetwork.

    Raises:
      ConfigError: a size or ``octaves`` is below 1, a name is unknown, or an axis of these units
        has other parts.
    """
    check_sizes(hidden=hidden, depth=depth)
    if octaves is not None:
        check_sizes(octaves=octaves)
    shapes = jax.eval_shape(target, jax.random.key(0))
    leaves = leaves_of(shapes, units)
    largest = sizes_of(leaves)
    treedef = jax.tree.structure(shapes)
    made = {}
    for name in names:
        if name not in largest:
            raise ConfigError("names", name, f"some of {', '.join(largest)}")
    for leaf in leaves:
        if not leaf.names() & set(names):
            continue
        along: list[str | None] = [None] * len(leaf.array.shape)
        read = []
        for number, part in leaf.carried():
            if part.name not in names:
                continue
            if leaf.axes[number] != (Axis(part.name, part.role),):
                raise ConfigError("units", leaf.path, f"axes of {part.name} without other parts")
            along[number] = part.name
            if part.role == "reads":
                read.append(part.name)
        made[leaf.path] = _Made(leaf.path, leaf.array.shape, tuple(along), tuple(read))
    waves = {path: _octaves(one, octaves) for path, one in made.items()}

    def init(key: Key[Array, ""], sizes: Sizes) -> Params:
        starts = jax.vmap(target)(jax.random.split(derive(key, "start"), START_DRAWS))
        layers: Params = {}
        scales, kept = {}, {}
        for leaf, start in zip(leaves, jax.tree.leaves(starts), strict=True):
            if leaf.path not in made:
                kept[leaf.path] = start[0]
                continue
            drawn = jnp.any(start != start[:1])
            scales[leaf.path] = jnp.where(drawn, jnp.std(start), UNDRAWN)
            inputs = sum(1 + 2 * count for count in waves[leaf.path]) + len(names)
            net: Params = {"in": empty_layer(inputs, hidden)}
            for number in range(depth):
                kernel = empty_layer(hidden, hidden)
                net[f"hidden_{number}"] = kernel | {"gain": jnp.full((), START_GAIN)}
            net["out"] = empty_layer(hidden, 1)
            layers[leaf.path] = net
        layers = draw_normals(derive(key, "layers"), layers)
        for leaf, start in zip(leaves, jax.tree.leaves(starts), strict=True):
            if leaf.path in made:
                # what the target sets, it sets to zero in the networks here: it starts there too
                drawn = jnp.any(start != start[:1])
                out = layers[leaf.path]["out"]
                layers[leaf.path]["out"] = {**out, "kernel": jnp.where(drawn, out["kernel"], 0)}
        return {"made": layers, "scales": scales, "kept": kept}

    def apply(params: Params, sizes: Sizes, key: Key[Array, ""] | None = None) -> Params:
        now = {name: jnp.asarray(sizes[name], jnp.float32) for name in names}

        def tensor(leaf: Any) -> Array:
            if leaf.path not in made:
                return params["kept"][leaf.path]
            one = made[leaf.path]
            moved = None
            if key is not None and noise > 0:
                drawn = jax.random.uniform(
                    derive(key, leaf.path), (math.prod(one.shape), len(one.shape))
                )
                moved = noise * (2 * drawn - 1)
            rows, inside = _coordinates(one, now, moved)
            features = _features(rows, waves[leaf.path])
            shares = [now[name] / largest[name] for name in names]
            values = _values(params["made"][leaf.path], features, jnp.stack(shares), depth)
            factor = jax.lax.stop_gradient(params["scales"][leaf.path])
            for name in one.read:
                factor = factor * largest[name] / now[name]
            return jnp.where(inside, factor * values, 0).reshape(one.shape)

        return jax.tree.unflatten(treedef, [tensor(leaf) for leaf in leaves])

    return Network(init, apply)


def _octaves(one: _Made, most: int | None) -> list[int]:
    """How many octaves each axis has; those whose size varies have at most ``most``."""
    each = [math.ceil(math.log2(2 * n)) for n in one.shape]
    if most is None:
        return each
    return [
        count if name is None else min(count, most)
        for count, name in zip(each, one.names, strict=True)
    ]


def _coordinates(
    one: _Made, sizes: Mapping[str, Float[Array, ""]], moved: Float[Array, "n axes"] | None
) -> tuple[Float[Array, "n axes"], Bool[Array, " n"]]:
    """Where each entry lies along each axis, 0 to 1, and whether it is within the sizes."""
    places = jnp.indices(one.shape, jnp.float32).reshape(len(one.shape), -1).T + 0.5
    now = jnp.stack(
        [
            jnp.float32(n) if name is None else sizes[name]
            for n, name in zip(one.shape, one.names, strict=True)
        ]
    )
    inside = jnp.all(places < now[None], axis=1)
    if moved is not None:
        places = places + moved
    return places / now[None], inside


def _features(rows: Float[Array, "n axes"], octaves: Sequence[int]) -> Float[Array, "n features"]:
    """Coordinates with the sines and cosines of their octaves."""
    parts = [rows]
    for axis, count in enumerate(octaves):
        angles = (
            rows[:, axis : axis + 1] * (np.pi * 2.0 ** np.arange(count, dtype=np.float32))[None]
        )
        parts += [jnp.sin(angles), jnp.cos(angles)]
    return jnp.concatenate(parts, axis=1)


def _values(
    layers: Params,
    features: Float[Array, "n features"],
    shares: Float[Array, " names"],
    depth: int,
) -> Float[Array, " n"]:
    """One number for every row of coordinates; sizes are the same for all rows."""
    kernel = layers["in"]["kernel"]
    split = features.shape[1]
    x = features @ kernel[:split] + (shares @ kernel[split:] + layers["in"]["bias"])[None]
    for number in range(depth):
        layer = layers[f"hidden_{number}"]
        x = x + layer["gain"] * jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    return (normalize_rows(x) @ layers["out"]["kernel"] + layers["out"]["bias"][None])[:, 0]
