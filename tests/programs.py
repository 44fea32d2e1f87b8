"""Twelve networks of several libraries, whose programs are read as graphs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from metajax.nn import (
    Graph,
    causal_transformer,
    conv_net,
    from_equinox,
    from_linen,
    from_nnx,
    graph_net,
    mlp,
)

X = jax.ShapeDtypeStruct((4, 6), jnp.float32)
IMAGES = jax.ShapeDtypeStruct((4, 8, 8, 1), jnp.float32)


@jax.custom_jvp
def bent(x):
    return jnp.sin(x)


bent.defjvp(lambda at, along: (bent(*at), jnp.cos(at[0]) * along[0]))


@jax.custom_vjp
def squashed(x):
    return jnp.tanh(x)


squashed.defvjp(lambda x: (squashed(x), x), lambda x, slope: (slope,))


class Block(nn.Module):
    """A residual layer."""

    @nn.compact
    def __call__(self, x, _):
        return x + bent(nn.Dense(6)(nn.LayerNorm()(x))), None


class Scanned(nn.Module):
    """Three blocks stacked by scan, their activations computed again, and a head."""

    @nn.compact
    def __call__(self, x):
        blocks = nn.scan(
            nn.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        x, _ = blocks()(x, None)
        return nn.Dense(2)(x)


class LinenConv(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3))(x)), (2, 2))
        return nn.remat(nn.Dense)(2)(x.reshape(len(x), -1))


class NNXNet(nnx.Module):
    def __init__(self, *, rngs):
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.second = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(squashed(self.norm(self.first(x))))


class NNXRemat(NNXNet):
    def __call__(self, x):
        return self.second(nnx.remat(lambda first, x: nnx.gelu(first(x)))(self.first, x))


def equinox_mlp():
    eqx = pytest.importorskip("equinox")
    return from_equinox(lambda key: eqx.nn.MLP(6, 2, 8, 2, key=key)), jax.vmap


def equinox_scan():
    """Layers made by ``filter_vmap`` and passed through by ``scan``, as Equinox advises."""
    eqx = pytest.importorskip("equinox")

    class Deep(eqx.Module):
        layers: Any
        head: Any

        def __init__(self, key):
            make = eqx.filter_vmap(lambda key: eqx.nn.Linear(6, 6, key=key))
            self.layers = make(jax.random.split(key, 5))
            self.head = eqx.nn.Linear(6, 2, key=key)

        def __call__(self, x):
            arrays, static = eqx.partition(self.layers, eqx.is_array)

            @jax.checkpoint
            def step(x, layer):
                return jax.nn.relu(eqx.combine(layer, static)(x)), None

            return self.head(jax.lax.scan(step, x, arrays)[0])

    return from_equinox(Deep), jax.vmap


def looped(params, x):
    def step(state):
        number, x = state
        return number + 1, squashed(x @ params["loop"])

    _, x = jax.lax.while_loop(lambda state: state[0] < 3, step, (0, x))
    branches = (lambda x: x @ params["left"], lambda x: jnp.exp(x @ params["right"]))
    return jax.lax.cond(jnp.sum(x) > 0, *branches, x)


def of(network, *inputs, mapped=None):
    params = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    apply = network.apply
    if mapped is not None:
        apply = mapped(apply, (None, 0))
    return apply, params, inputs


def graph_case():
    edge = np.zeros(2, np.int32)
    graph = Graph(np.zeros((3, 4), np.float32), edge, edge)
    network = graph_net(8, 1)

    def apply(params, nodes):
        return network.apply(params, graph._replace(nodes=nodes))

    params = jax.eval_shape(network.init, jax.random.key(0), graph)
    return apply, params, (graph.nodes,)


def transformer_case():
    sizes = {"num_outputs": 3, "width": 8, "layers": 2, "heads": 2, "key_size": 4}
    network = causal_transformer(**sizes, max_length=5)
    return of(network, jax.ShapeDtypeStruct((2, 5, 3), jnp.float32))


def equinox_case(make):
    network, mapped = make()
    return of(network, X, mapped=mapped)


def plain_case():
    square = jax.ShapeDtypeStruct((6, 6), jnp.float32)
    return looped, dict.fromkeys(("left", "loop", "right", "unused"), square), (X,)


# some kinds and their numbers, and the length of leaves that are stacked
CASES = {
    "mlp": (lambda: of(mlp([8, 8], 2), X), {"matmul": 3, "add": 3, "rectifier": 2}, 0),
    "conv_net": (lambda: of(conv_net(3, channels=4, layers=2), IMAGES), {"matmul": 3}, 0),
    "transformer": (transformer_case, {"exponential": 2, "saturating": 2, "matmul": 14}, 0),
    "graph_net": (graph_case, {"lookup": 3}, 0),
    "linen": (lambda: of(from_linen(LinenConv()), IMAGES), {"convolution": 1, "matmul": 1}, 0),
    "linen, scan": (
        lambda: of(from_linen(Scanned()), X),
        {"carry": 1, "wave": 1, "matmul": 2},
        3,
    ),
    "nnx": (lambda: of(from_nnx(NNXNet), X), {"matmul": 2, "saturating": 1}, 0),
    "nnx, remat": (lambda: of(from_nnx(NNXRemat), X), {"matmul": 2, "saturating": 1}, 0),
    "equinox": (lambda: equinox_case(equinox_mlp), {"matmul": 3, "rectifier": 2}, 0),
    "equinox, scan": (
        lambda: equinox_case(equinox_scan),
        {"matmul": 2, "rectifier": 1, "carry": 1},
        5,
    ),
    "loops": (plain_case, {"matmul": 3, "carry": 1, "saturating": 1, "exponential": 1}, 0),
    "linear": (lambda: of(mlp([], 2), X), {"matmul": 1, "add": 1}, 0),
}
