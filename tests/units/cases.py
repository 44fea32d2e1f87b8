"""The library's networks at small sizes, with the names of their units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import Params
from metajax.nn import Graph, causal_transformer, conv_net, graph_net, mlp
from metajax.units import conv_units, graph_units, mlp_units, transformer_units


class Case(NamedTuple):
    """A network that is made for the sizes of its units."""

    make: Callable[..., Any]
    """``make(**sizes)``; without any it is the network of ``params``."""
    params: Params
    units: Any
    inputs: Any


def drawn(shapes: Params) -> Params:
    """Parameters none of which is 0 or 1, so that no unit does nothing; nothing is compiled."""
    leaves, structure = jax.tree.flatten(shapes)
    draw = np.random.default_rng(0)
    new = [
        jnp.asarray(draw.normal(size=x.shape) * 2 * max(x.shape) ** -0.5, x.dtype) for x in leaves
    ]
    return jax.tree.unflatten(structure, new)


def some_slow(names: Iterable[str], *slow: str) -> list[Any]:
    """Parameters of a test of which some are left to the slow run."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


def array(*shape: int) -> Any:
    return jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)


def make_mlp(h0: int = 6, h1: int = 5, activation: Any = jax.nn.relu) -> Any:
    return mlp([h0, h1], 3, activation)


def make_conv(c0: int = 4, c1: int = 4) -> Any:
    """Its blocks take their sizes from the parameters."""
    return conv_net(3, channels=4, layers=2, context_size=2)


def make_transformer(width: int = 8, ffn0: int = 16, heads0: int = 2, layers: int = 1) -> Any:
    sizes = {"width": width, "mlp_ratio": ffn0 // width, "heads": heads0}
    return causal_transformer(num_outputs=3, layers=layers, key_size=3, max_length=5, **sizes)


def make_graph(state0: int = 4, layers: int = 1, rounds: int = 1, **others: int) -> Any:
    """Its states have the same size; its messages take theirs from the parameters."""
    return graph_net(state0, rounds, layers=layers, num_outputs=2, activation=jax.nn.relu)


def graph() -> Graph:
    senders, receivers = np.int32([0, 1, 2, 3, 1]), np.int32([1, 2, 3, 0, 3])
    return Graph(array(4, 3), senders, receivers, array(5, 2))


def make_cases() -> dict[str, Case]:
    found = {}
    for name, make, inputs, named in (
        ("mlp", make_mlp, (array(7, 4),), mlp_units),
        ("conv", make_conv, (array(3, 8, 8, 2), array(2)), conv_units),
        ("transformer", make_transformer, (array(2, 5, 4),), lambda p: transformer_units(p, 2)),
        ("graph", make_graph, (graph(),), graph_units),
    ):
        params = drawn(jax.eval_shape(make().init, jax.random.key(0), *inputs))
        found[name] = Case(make, params, named(params), inputs)
    return found
