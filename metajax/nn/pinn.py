"""The target of a physics-informed hypernetwork: a small smooth network of coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params
from metajax.nn.fourier import fourier_features
from metajax.nn.initial import draw_normals
from metajax.nn.jets import Jet, chain, product


class PINN(NamedTuple):
    """A network of points in the plane that gives derivatives in them, too.

    Attributes:
      init: ``init(key, points[*batch, 2]) -> params``.
      apply: ``apply(params, points[*batch, 2]) -> outputs[*batch, outputs]``.
      derivatives: ``derivatives(params, points[*batch, 2]) -> (outputs, hidden)``, the
        jets (:class:`metajax.nn.Jet`) of the outputs and of the last hidden layer
        ``[*batch, width]``, in which the outputs are linear: ``hidden @ kernel + bias`` of the
        head.
    """

    init: Callable[..., Params]
    apply: Callable[..., Float[Array, "*batch outputs"]]
    derivatives: Callable[..., tuple[Jet, Jet]]


def modified_mlp(
    num_outputs: int = 1,
    *,
    width: int = 32,
    layers: int = 3,
    frequencies: int = 5,
    scale: float = 0.1,
) -> PINN:
    """Make a PINN with gates and multiplicative skips.

    Fourier features of a point give two gates ``u`` and ``v`` and the first hidden layer ``h``,
    each by a tanh layer. Then follow ``layers`` times ``h = tanh(W (u h + v (1 - h)) + b)``, and a
    linear head: the modified MLP of Wang, Teng and Perdikaris (2021, arXiv 2001.04536, section
    2.6). The default is the target network of HyPINO (Bischof et al. 2025, arXiv 2509.05117): 7
    kernels and 7 biases, 5409 numbers. Params are ``gate_u``, ``gate_v``, ``layer_0``, ... and
    ``head``, each with ``kernel`` and ``bias``; kernels start LeCun-normal. It is computed in the
    dtype of the parameters, to which points are cast, and analytic: all derivatives exist.

    Its ``derivatives`` come from one pass forward, in which every layer maps six arrays rather
    than one (Taylor mode). A gradient of a residual in the parameters takes half the time of nested
    ``jax.grad`` on CPU, and less than a quarter of that of ``jax.hessian``, ``jax.jvp`` of
    ``jax.jvp`` or ``jax.experimental.jet`` (``benchmarks/hypernet.py``).

    Args:
      num_outputs: numbers at each point.
      width: of every layer.
      layers: tanh layers behind a skip.
      frequencies: of the Fourier features; 0 leaves the coordinates alone.
      scale: the lowest frequency in cycles per unit; each is twice the one before.

    Returns:
      The network, with its derivatives.

    Raises:
      ConfigError: a size is out of range; or, when it is called, points are not in the plane.
    """
    least = {"num_outputs": 1, "width": 1, "layers": 0, "frequencies": 0}
    given = {
        "num_outputs": num_outputs,
        "width": width,
        "layers": layers,
        "frequencies": frequencies,
    }
    for field, size in given.items():
        if size < least[field]:
            raise ConfigError(field, size, f"a whole number of {least[field]} or more")

    def features(points: Float[Array, "*batch 2"]) -> Float[Array, "*batch features"]:
        if points.shape[-1] != 2:
            raise ConfigError("points", points.shape, "[*batch, 2]")
        return fourier_features(points, frequencies, scale)

    def init(key: Key[Array, ""], points: Float[Array, "*batch 2"]) -> Params:
        inputs = jax.eval_shape(features, points).shape[-1]
        sizes = dict.fromkeys(("gate_u", "gate_v", "layer_0"), (inputs, width))
        sizes |= {f"layer_{number + 1}": (width, width) for number in range(layers)}
        sizes["head"] = (width, num_outputs)
        params = {
            name: {"kernel": jnp.zeros(size), "bias": jnp.zeros(size[1])}
            for name, size in sizes.items()
        }
        return draw_normals(key, params)

    def apply(params: Params, points: Float[Array, "*batch 2"]) -> Float[Array, "*batch outputs"]:
        def tanh(name: str, x: Array) -> Array:
            return jnp.tanh(x @ params[name]["kernel"] + _bias(params[name], x))

        x = features(points.astype(params["head"]["kernel"].dtype))
        u, v, h = (tanh(name, x) for name in ("gate_u", "gate_v", "layer_0"))
        for number in range(layers):
            h = tanh(f"layer_{number + 1}", u * h + v * (1 - h))
        return h @ params["head"]["kernel"] + _bias(params["head"], h)

    def derivatives(params: Params, points: Float[Array, "*batch 2"]) -> tuple[Jet, Jet]:
        points = points.astype(params["head"]["kernel"].dtype)
        x = _jet(features, points)
        u, v, h = (_tanh(_dense(params[name], x)) for name in ("gate_u", "gate_v", "layer_0"))
        between = jax.tree.map(jnp.subtract, u, v)
        for number in range(layers):
            mixed = jax.tree.map(jnp.add, product(between, h), v)
            h = _tanh(_dense(params[f"layer_{number + 1}"], mixed))
        return _dense(params["head"], h), h

    return PINN(init, apply, derivatives)


def _bias(layer: Params, x: Array) -> Array:
    return layer["bias"].reshape((1,) * (x.ndim - 1) + (-1,))


def _jet(function: Callable[[Array], Array], points: Array) -> Jet:
    """The jet of functions of one coordinate each; the mixed derivative is a zero without axes."""

    def along(direction: list[float]) -> tuple[Array, Array, Array]:
        tangent = jnp.broadcast_to(jnp.array(direction, points.dtype), points.shape)

        def slope(x):
            return jax.jvp(function, (x,), (tangent,))

        (value, first), (_, second) = jax.jvp(slope, (points,), (tangent,))
        return value, first, second

    (value, x, xx), (_, y, yy) = along([1, 0]), along([0, 1])
    return Jet(value, x, y, xx, jnp.zeros((), value.dtype), yy)


def _dense(layer: Params, x: Jet) -> Jet:
    outputs: Jet = jax.tree.map(lambda a: a @ layer["kernel"] if a.ndim else a, x)
    return outputs._replace(u=outputs.u + _bias(layer, outputs.u))


def _tanh(z: Jet) -> Jet:
    value = jnp.tanh(z.u)
    slope = 1 - value * value
    return chain(value, slope, -2 * value * slope, z)
