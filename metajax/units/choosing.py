"""Multi-layer perceptrons whose activations an architecture chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params
from metajax.nn import mlp
from metajax.units.spaces import Architecture, Space, check_space, sizes_in

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sine": jnp.sin,
}
"""The words that a space may have for an activation."""


def choosing_mlp(widths: Sequence[int], num_outputs: int, space: Space) -> Network:
    """Make an :func:`metajax.nn.mlp` whose activations are choices of an architecture.

    A choice ``activation0`` among words is that of the first hidden layer, and so on: ``relu``,
    ``tanh`` or ``sine``. A layer without a choice has ReLU. The architecture may be traced, so that
    one compiled program serves all.

    Args:
      widths: of the hidden layers.
      num_outputs: size of the last axis of the outputs.
      space: of architectures. Choices among numbers are left to :func:`supernet`.

    Returns:
      The network: ``init(key, inputs, ...)`` and ``apply(params, inputs, architecture)``.

    Raises:
      ConfigError: a size is below 1, or the space has a word that is no activation or belongs to no
        layer.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.units import choosing_mlp, sample_architecture
      >>> space = {"h0": (4, 8), "activation0": ("relu", "sine")}
      >>> network, x = choosing_mlp([8], 2, space), jnp.ones((5, 3))
      >>> params = network.init(jax.random.key(0), x)
      >>> network.apply(params, x, sample_architecture(jax.random.key(1), space)).shape
      (5, 2)
    """
    check_space(space)
    plain = mlp(widths, num_outputs)
    for name, options in space.items():
        if not sizes_in(options) and name not in _choices(len(widths)):
            raise ConfigError(f"space, {name}", options, f"words of {_choices(len(widths))}")
        if not sizes_in(options) and not set(options) <= set(ACTIVATIONS):
            raise ConfigError(f"space, {name}", options, f"words of {list(ACTIVATIONS)}")

    def init(key: Key[Array, ""], inputs: Float[Array, "*batch features"], *rest: Any) -> Params:
        return plain.init(key, inputs)

    def apply(
        params: Params, inputs: Float[Array, "*batch features"], architecture: Architecture
    ) -> Float[Array, "*batch outputs"]:
        def activated(layer: int, x: Array) -> Array:
            name = f"activation{layer}"
            if name not in space:
                return jax.nn.relu(x)
            branches = [ACTIVATIONS[str(word)] for word in space[name]]
            return jax.lax.switch(architecture[name], branches, x)

        return _forward(params, inputs, len(widths), activated)

    return Network(init, apply)


def chosen_mlp(architecture: Architecture, space: Space, num_outputs: int) -> Network:
    """Make the ordinary network that an architecture of :func:`choosing_mlp` is.

    It takes what :attr:`Supernet.extract` returns.

    Args:
      architecture: one index a choice, known.
      space: of architectures, with ``h0``, ``h1``, ... for the sizes of all hidden layers.
      num_outputs: size of the last axis of the outputs.

    Returns:
      The network: ``init(key, inputs)`` and ``apply(params, inputs)``.

    Raises:
      ConfigError: a size is below 1, or the space has a word that is no activation or belongs to no
        layer, or no choice of a layer's size.
    """
    layers = sum(1 for options in space.values() if sizes_in(options))
    missing = [f"h{layer}" for layer in range(layers) if f"h{layer}" not in space]
    if missing:
        raise ConfigError("space", dict(space), f"choices of the sizes {missing}")
    chosen = {name: options[int(architecture[name])] for name, options in space.items()}
    widths = [int(chosen[f"h{layer}"]) for layer in range(layers)]
    choosing = choosing_mlp(widths, num_outputs, space)

    def apply(
        params: Params, inputs: Float[Array, "*batch features"]
    ) -> Float[Array, "*batch outputs"]:
        def activated(layer: int, x: Array) -> Array:
            return ACTIVATIONS[str(chosen.get(f"activation{layer}", "relu"))](x)

        return _forward(params, inputs, layers, activated)

    return Network(choosing.init, apply)


def _choices(layers: int) -> list[str]:
    return [f"activation{layer}" for layer in range(layers)]


def _forward(
    params: Params, inputs: Array, layers: int, activated: Callable[[int, Array], Array]
) -> Array:
    """The layers of an ``mlp``, with an activation for each hidden one."""
    x = inputs.astype(params["Dense_0"]["kernel"].dtype)
    for layer in range(layers + 1):
        dense = params[f"Dense_{layer}"]
        x = x @ dense["kernel"]
        x = x + dense["bias"].reshape((1,) * (x.ndim - 1) + (-1,))
        if layer < layers:
            x = activated(layer, x)
    return x
