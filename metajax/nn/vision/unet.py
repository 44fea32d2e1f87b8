"""The decoder of a U-Net: from the maps of an encoder's stages back to the finest grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, cast_floats, check_sizes
from metajax.nn.conv import Conv
from metajax.nn.initial import draw_normals

Shape = tuple[int, ...]


def levels(shapes: Sequence[Shape]) -> list[tuple[Shape, int | None]]:
    """Sizes from the finest map to the coarsest, each half of the one before, and their maps.

    Halves are rounded up. There is no map, None, where maps skip a size.

    Raises:
      ConfigError: a map's size is not the one's before, halved once or more.
    """
    found: list[tuple[Shape, int | None]] = [(shapes[0], 0)]
    for number, (fine, shape) in enumerate(itertools.pairwise(shapes), 1):
        half = fine
        while True:
            half = tuple(-(-size // 2) for size in half)
            found.append((half, None))
            if half == shape:
                break
            if max(half) == 1:
                raise ConfigError("maps", shape, f"a half of {fine}, the size of the map before")
        found[-1] = (shape, number)
    return found


class UNetBlock(nn.Module):
    """Two 3 x 3 convolutions, each with GroupNorm and GELU."""

    channels: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w channels"]:
        groups = 1 if self.channels % 32 else self.channels // 32
        for _ in range(2):
            x = Conv(self.channels)(x)
            x = jax.nn.gelu(nn.GroupNorm(groups)(x))
        return x


class UNetDecoder(nn.Module):
    """Fields are those of :func:`unet_decoder`, which is the way to make one."""

    num_outputs: int
    channels: int
    remat: bool

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "n h w c"]]) -> Float[Array, "n h w outputs"]:
        plan = levels([x.shape[1:3] for x in maps])
        block = nn.remat(UNetBlock) if self.remat else UNetBlock
        x = maps[-1]
        for level, (shape, number) in reversed(list(enumerate(plan))):
            if level < len(plan) - 1:
                x = jax.image.resize(x, (x.shape[0], *shape, x.shape[-1]), "linear")
                if number is not None:
                    x = jnp.concatenate([x, maps[number]], axis=-1)
            x = block(self.channels * 2**level, name=f"level_{level}")(x)
        return Conv(self.num_outputs, 1, name="head")(x)


def unet_decoder(
    num_outputs: int = 1, *, channels: int = 64, remat: bool = False, dtype: Any = None
) -> Network:
    """Make the expanding half of a U-Net (Ronneberger, Fischer and Brox 2015, arXiv 1505.04597).

    ``apply(params, *maps[*batch, h_i, w_i, c_i]) -> [*batch, h_0, w_0, num_outputs]``. Maps come
    finest first, as an encoder's stages give them, each of the size of the one before halved once
    or more, rounded up. From the coarsest map on, the grid is doubled by bilinear interpolation,
    and the map of that size, if there is one, is concatenated. Two 3 x 3 convolutions follow, each
    with GroupNorm (groups of 32 channels, or one where 32 does not divide them) and GELU. A linear
    map of every cell ends it. There are ``channels`` at the finest size and twice as many at each
    coarser one. Parameters do not depend on the size of the grid as long as as many halves lie
    between maps.

    Args:
      num_outputs: numbers in every cell.
      channels: of the convolutions at the finest size.
      remat: recompute the convolutions of each size in the backward pass, and keep their input
        alone.
      dtype: dtype of the computation; by default the parameters' own. Statistics are float32.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, or, when it is called, halving a map's size never gives the
        next one's.
    """
    check_sizes(num_outputs=num_outputs, channels=channels)
    module = UNetDecoder(num_outputs, channels, remat)

    def flat(maps: Sequence[Array]) -> list[Array]:
        return [x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:]) for x in maps]

    def init(key: Key[Array, ""], *maps: Float[Array, "*batch h w c"]) -> Params:
        return draw_normals(key, module.init(key, flat(maps))["params"])

    def apply(
        params: Params, *maps: Float[Array, "*batch h w c"]
    ) -> Float[Array, "*batch h w outputs"]:
        computed = jax.tree.leaves(params)[0].dtype if dtype is None else dtype
        params, rows = cast_floats((params, flat(maps)), computed)
        image: Any = module.apply({"params": params}, rows)
        return image.reshape(*maps[0].shape[:-3], *image.shape[1:])

    return Network(init, apply)
