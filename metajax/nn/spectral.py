"""Convolutions by their Fourier coefficients, and the neural operator made of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, cast_floats
from metajax.nn.attention import widen
from metajax.nn.initial import draw_normals, lecun_stddev


def spectral_conv2d(
    x: Float[Array, "*batch h w c"], kernel: Float[Array, "2 rows modes c channels"]
) -> Float[Array, "*batch h w channels"]:
    """Convolve around the edges by a kernel that is given by its low frequencies.

    A frequency has whole numbers of periods along the rows and the columns of the image, both below
    ``modes`` in size. Its coefficients in ``x`` are multiplied by a matrix from channels to
    channels of its own; all other frequencies are dropped (Li et al. 2021, arXiv 2010.08895,
    section 4). It commutes with shifts of the grid that go around its edges. Half precision is
    widened to float32, as Fourier transforms need it.

    Args:
      x: images.
      kernel: real and imaginary parts; ``rows = 2 * modes - 1`` frequencies ``0, 1, ..., modes -
        1, -(modes - 1), ..., -1`` from row to row and ``0, ..., modes - 1`` from column to column.
        Images are real: where the latter is 0, of two opposite frequencies the mean of one matrix
        and the other's conjugate counts.

    Returns:
      Images of the same height and width.

    Raises:
      ConfigError: a side of the image is below ``2 * modes - 1`` and does not hold the frequencies.
    """
    height, width = x.shape[-3:-1]
    modes = kernel.shape[2]
    if min(height, width) < 2 * modes - 1:
        raise ConfigError("modes", modes, f"at most {(min(height, width) + 1) // 2} on this grid")
    every = jnp.fft.rfft2(widen(x), axes=(-3, -2))[..., :modes, :]
    low = jnp.concatenate(
        [every[..., :modes, :, :], every[..., height - modes + 1 :, :, :]], axis=-3
    )
    matrices = jax.lax.complex(*widen(kernel))
    low = jnp.einsum("...klc,klcd->...kld", low, matrices)
    none = jnp.zeros((*low.shape[:-3], height - 2 * modes + 1, *low.shape[-2:]), low.dtype)
    every = jnp.concatenate([low[..., :modes, :, :], none, low[..., modes:, :, :]], axis=-3)
    # columns that are missing are taken for zeros
    return jnp.fft.irfft2(every, (height, width), axes=(-3, -2)).astype(x.dtype)


def stddev(name: str, leaf: Array) -> float | None:
    """LeCun's for kernels; for spectral ones what keeps the variance of low frequencies."""
    return (2 * leaf.shape[-2]) ** -0.5 if name == "spectral" else lecun_stddev(name, leaf)


def fourier_operator(
    num_outputs: int = 1,
    *,
    channels: int = 32,
    modes: int = 12,
    layers: int = 4,
    padding: int = 0,
    remat: bool = False,
    dtype: Any = None,
) -> Network:
    """Make a Fourier neural operator in the plane (Li et al. 2021, arXiv 2010.08895, section 4).

    ``apply(params, x[*batch, h, w, c], *coarser) -> [*batch, h, w, num_outputs]``. A linear map
    lifts every cell with its coordinates to ``channels``. Then come ``layers`` of ``gelu(W v + b +
    K v)``, where ``K`` is a :func:`spectral_conv2d`; the last has no gelu. A GELU layer of ``4 *
    channels`` and a linear layer give the outputs of every cell. It is the network that physics-
    informed operators are trained in, too (Li et al. 2024, arXiv 2111.03794). Images of fewer cells
    may follow, ``[*batch, h_i, w_i, c_i]``: each is lifted by itself and spread over the grid by
    bilinear interpolation. Parameters do not depend on the size of the grid.

    Args:
      num_outputs: numbers in every cell.
      channels: of the layers.
      modes: frequencies that are kept, as in :func:`spectral_conv2d`.
      layers: spectral convolutions.
      padding: cells of zeros behind the last row and column between lifting and projection, since
        the layers are periodic and solutions are not.
      remat: recompute each layer in the backward pass, and keep its input alone.
      dtype: dtype of the computation; by default the parameters' own. Fourier transforms are
        float32.

    Returns:
      The network.

    Raises:
      ConfigError: a size is out of range, or, when it is called, the padded grid does not hold
        that many frequencies.
    """
    for field, size, least in (
        ("num_outputs", num_outputs, 1),
        ("channels", channels, 1),
        ("modes", modes, 1),
        ("layers", layers, 1),
        ("padding", padding, 0),
    ):
        if size < least:
            raise ConfigError(field, size, f"a whole number of {least} or more")

    def init(key: Key[Array, ""], *maps: Float[Array, "*batch h w c"]) -> Params:
        def dense(inputs: int, outputs: int) -> Params:
            return {"kernel": jnp.zeros((inputs, outputs)), "bias": jnp.zeros(outputs)}

        params: Params = {
            f"lift_{number}": {"kernel": jnp.zeros((x.shape[-1] + 2 * (number == 0), channels))}
            for number, x in enumerate(maps)
        }
        for layer in range(layers):
            spectral = jnp.zeros((2, 2 * modes - 1, modes, channels, channels))
            params[f"layer_{layer}"] = {**dense(channels, channels), "spectral": spectral}
        params["hidden"] = dense(channels, 4 * channels)
        params["head"] = dense(4 * channels, num_outputs)
        return draw_normals(key, params, stddev)

    def apply(
        params: Params, *maps: Float[Array, "*batch h w c"]
    ) -> Float[Array, "*batch h w outputs"]:
        computed = jax.tree.leaves(params)[0].dtype if dtype is None else dtype
        params, (x, *coarser) = cast_floats((params, maps), computed)
        height, width = x.shape[-3:-1]
        lines = (jnp.linspace(-1, 1, size, dtype=x.dtype) for size in (height, width))
        place = jnp.stack(jnp.meshgrid(*lines, indexing="ij"), axis=-1)
        place = jnp.broadcast_to(place, (*x.shape[:-1], 2))
        v = jnp.concatenate([x, place], axis=-1) @ params["lift_0"]["kernel"]
        for number, found in enumerate(coarser, 1):
            lifted = found @ params[f"lift_{number}"]["kernel"]
            v += jax.image.resize(lifted, v.shape, "linear")
        spare = [(0, 0)] * (v.ndim - 3) + [(0, padding), (0, padding), (0, 0)]
        v = jnp.pad(v, spare)
        for number in range(layers):
            v = layer(params[f"layer_{number}"], v, number == layers - 1)
        return project(params, v[..., :height, :width, :])

    def layer(
        params: Params, v: Float[Array, "*batch h w c"], last: bool
    ) -> Float[Array, "*batch h w c"]:
        v = dense_map(params, v) + spectral_conv2d(v, params["spectral"])
        return v if last else jax.nn.gelu(v)

    def project(params: Params, v: Float[Array, "*batch h w c"]) -> Float[Array, "*batch h w n"]:
        return dense_map(params["head"], jax.nn.gelu(dense_map(params["hidden"], v)))

    if remat:
        layer, project = jax.checkpoint(layer, static_argnums=2), jax.checkpoint(project)
    return Network(init, apply)


def dense_map(layer: Params, x: Float[Array, "*cells c"]) -> Float[Array, "*cells channels"]:
    """The same linear map of every cell."""
    return x @ layer["kernel"] + layer["bias"].reshape((1,) * (x.ndim - 1) + (-1,))
