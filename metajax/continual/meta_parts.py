"""Small networks on top of the parts of a frozen one, for adapting in little memory (EcoTTA)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from metajax.continual.adaptation import entropies, mean_where
from metajax.continual.online import Adaptation, Online
from metajax.continual.source import SourceParams, WarmUp
from metajax.core import Params
from metajax.nn import Averages, PartedNetwork, conv2d, conv_params, draw_normals, normalise_by


class MetaPass(NamedTuple):
    """What a pass through frozen parts and meta networks returns.

    Attributes:
      logits: of the classes.
      averages: statistics that the meta networks' normalization used.
      drift: by part, the mean absolute difference of what leaves the meta network and what leaves
        the frozen part. Its gradient reaches the meta network of the same part alone.
    """

    logits: Float[Array, "n classes"]
    averages: Any
    drift: Float[Array, " parts"]


class MetaNetworks(NamedTuple):
    """Meta networks on top of a frozen network.

    Attributes:
      init: ``init(key, network, averages, images) -> (meta, meta_averages)``.
      apply: ``apply(params, images, use_batch) -> MetaPass``; the frozen parts are normalized by
        the averages of the source data, the meta networks by the batch or by averages.
    """

    init: Callable[..., tuple[Params, Any]]
    apply: Callable[[SourceParams, Float[Array, "n h w c"], bool], MetaPass]


def _meta(
    use_batch: bool, stride: int, meta: Params, inputs: tuple[Any, Array, Array]
) -> tuple[Array, Any]:
    """What leaves a part: the frozen output, normalized, and a block of the part's input."""
    averages, out, x = inputs
    norm, block = meta["norm"], meta["block"]
    through, first = normalise_by(out, norm["scale"], norm["bias"], averages["norm"], use_batch)
    # its pull-back keeps the input, not the patches that conv2d may make of it
    convolved = jax.checkpoint(functools.partial(conv2d, stride=stride))(x, block["kernel"])
    past, second = normalise_by(
        convolved, block["scale"], block["bias"], averages["block"], use_batch
    )
    return through + jax.nn.relu(past), {"norm": first, "block": second}


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _two_ways(
    use_batch: bool, stride: int, meta: Params, inputs: tuple[Any, Array, Array]
) -> tuple[Array, Array, Any]:
    """:func:`_meta` with its output twice; from the second, gradients reach ``meta`` alone.

    That is the output with ``inputs`` stopped, but without keeping its activations a second time.
    """
    y, used = _meta(use_batch, stride, meta, inputs)
    return y, y, used


def _forward(use_batch: bool, stride: int, meta: Params, inputs: Any) -> Any:
    def alone(meta: Params, inputs: Any) -> Any:
        return _meta(use_batch, stride, meta, inputs)

    y, pull, used = jax.vjp(alone, meta, inputs, has_aux=True)
    return (y, y, used), pull


def _backward(use_batch: bool, stride: int, pull: Any, slopes: Any) -> Any:
    main, apart, _ = slopes
    return pull(main + apart)[0], pull(main)[1]


_two_ways.defvjp(_forward, _backward)


def meta_networks(network: PartedNetwork) -> MetaNetworks:
    """Put a meta network on top of each part (EcoTTA; Song et al. 2023, arXiv 2303.01904).

    After part ``k`` with output ``f(x)`` comes ``norm(f(x)) + relu(norm(conv(x)))``, where the
    convolution is 3 x 3. The parts themselves are frozen.

    Args:
      network: the source network.

    Returns:
      Their functions.
    """

    def init(
        key: Key[Array, ""], params: Params, averages: Any, images: Float[Array, "n h w c"]
    ) -> tuple[Params, Any]:
        meta: Params = {}
        kept: dict[str, Any] = {}
        x = jax.eval_shape(lambda images: images, images)
        for index, part in enumerate(network.parts):
            name = f"part_{index}"
            out, _ = jax.eval_shape(
                functools.partial(part, use_batch=False), params[name], averages[name], x
            )
            depth, channels = x.shape[-1], out.shape[-1]
            ones, zeros = jnp.ones(channels), jnp.zeros(channels)
            norm = {"scale": ones, "bias": zeros}
            meta[name] = {"norm": norm, "block": conv_params(depth, channels)}
            kept[name] = dict.fromkeys(("norm", "block"), Averages(zeros, ones))
            x = out
        return draw_normals(key, meta), kept

    def apply(params: SourceParams, images: Float[Array, "n h w c"], use_batch: bool) -> MetaPass:
        x, used, drift = images, {}, []
        for index, part in enumerate(network.parts):
            name = f"part_{index}"
            out, _ = part(params.network[name], params.averages[name], x, False)
            stride = -(-x.shape[1] // out.shape[1])
            inputs = params.meta_averages[name], out, x
            x, apart, used[name] = _two_ways(use_batch, stride, params.meta[name], inputs)
            drift.append(jnp.mean(jnp.abs(apart - jax.lax.stop_gradient(out))))
        logits = network.head(params.network["head"], x)
        return MetaPass(logits, used, jnp.stack(drift))

    return MetaNetworks(init, apply)


def warm_up(networks: MetaNetworks, optimizer: optax.GradientTransformation) -> WarmUp:
    """Train meta networks on source images, with the network frozen.

    Args:
      networks: the meta networks.
      optimizer: any optax optimizer.

    Returns:
      What :func:`~metajax.continual.source_training` does after the source network.
    """

    def apply(params: SourceParams, images: Array) -> tuple[Array, Any]:
        found = networks.apply(params, images, True)
        return found.logits, found.averages

    return WarmUp(networks.init, apply, optimizer)


def warmed(networks: MetaNetworks) -> Online:
    """Predict by warmed-up meta networks without updating them.

    Args:
      networks: the meta networks.

    Returns:
      The predictor.
    """

    def init(params: SourceParams) -> SourceParams:
        return params

    def step(params: SourceParams, images: Array) -> tuple[SourceParams, Array]:
        return params, networks.apply(params, images, True).logits

    return Online(init, step)


def ecotta(networks: MetaNetworks, confident: float = 0.4, regularizer: float = 0.5) -> Adaptation:
    """Adapt meta networks alone (EcoTTA; Song et al. 2023, arXiv 2303.01904).

    The loss is the mean entropy of the confident predictions, and the drift of the meta networks
    away from the frozen parts.

    Args:
      networks: the meta networks.
      confident: how much of the largest entropy, that of a guess, a confident prediction stays
        below.
      regularizer: factor of the drift, summed over the parts.

    Returns:
      What is adapted, and its loss.
    """

    def adapted(params: SourceParams) -> Params:
        return params.meta

    def loss(at: Params, params: SourceParams, images: Array) -> tuple[Array, Array]:
        found = networks.apply(params._replace(meta=at), images, True)
        entropy = entropies(found.logits)
        sure = entropy < confident * np.log(found.logits.shape[-1])
        return mean_where(entropy, sure) + regularizer * jnp.sum(found.drift), found.logits

    return Adaptation(adapted, loss)
