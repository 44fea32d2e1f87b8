"""Motion from a graph network: the symplectic gradient of an energy, or the network itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Network, Params
from metajax.nn import Graph, graph_net
from metajax.physics import Phase, port_hamiltonian, symplectic_gradient
from metajax.systems.hamiltonian.config import Config
from metajax.systems.hamiltonian.tasks import Snapshots

DAMPING = -3.0
"""What the network's damping starts from before a softplus: .05 per unit of momentum's rate."""


def to_graph(state: Float[Phase, "particles 2"], real: Bool[Array, " particles"]) -> Graph:
    """Make one system's graph: a node each for its particles, an edge from each to each other."""
    particles = state.q.shape[0]
    senders, receivers = np.nonzero(~np.eye(particles, dtype=bool))
    return Graph(
        jnp.concatenate(state, axis=-1), senders, receivers,
        node_mask=real, edge_mask=real[senders] & real[receivers],
    )  # fmt: skip


def make_motion(config: Config) -> Network:
    """Make the network ``(params, snapshots) -> time derivatives``, a ``Phase`` of float32.

    Its derivative of one state, ``motion(state, params)``, comes from :func:`make_derivative`.
    """
    inner = _inner(config)

    def init(key: Key[Array, ""], snapshots: Snapshots) -> Params:
        state, real = jax.tree.map(lambda leaf: leaf[0], snapshots)
        params = {"graph": inner.init(key, to_graph(state, real))}
        if config.structure == "port":
            params["damping"] = jnp.full((), DAMPING)
        return params

    def apply(params: Params, snapshots: Snapshots) -> Phase:
        one = lambda state, real: make_derivative(config, real)(state, params)  # noqa: E731
        return jax.vmap(one)(*snapshots)

    return Network(init, apply)


def last_layer(
    config: Config, params: Params, snapshots: Snapshots
) -> Float[Array, "points width"]:
    """The last hidden layer, summed over particles.

    Outputs are linear in the head's kernel: their derivative in it is what the head sees.
    """
    inner, head = _inner(config), params["graph"]["head"]

    def one(state: Phase, real: Array) -> Array:
        def total(kernel: Array) -> Float[Array, ""]:
            graph = {**params["graph"], "head": {**head, "kernel": kernel}}
            return jnp.sum(inner.apply(graph, to_graph(state, real)))

        return jax.grad(total)(head["kernel"])[:, 0]

    return jax.vmap(one)(*snapshots)


def make_derivative(config: Config, real: Bool[Array, " particles"]) -> Any:
    """Make the equations of motion ``(state, params, time) -> rates`` of one system's network."""
    inner = _inner(config)

    def energy(state: Phase, params: Params) -> Float[Array, ""]:
        return inner.apply(params["graph"], to_graph(state, real))

    if config.structure == "hamiltonian":
        return symplectic_gradient(energy)
    if config.structure == "port":
        return port_hamiltonian(energy, lambda _, params: jax.nn.softplus(params["damping"]))

    def derivative(state: Phase, params: Params, time: Any = 0.0) -> Phase:
        rates = inner.apply(params["graph"], to_graph(state, real))
        return Phase(*jnp.split(rates, 2, axis=-1))

    return derivative


def _inner(config: Config) -> Network:
    direct = config.structure == "direct"
    return graph_net(
        config.width, config.rounds, layers=config.layers,
        num_outputs=4 if direct else 1, readout="nodes" if direct else "sum",
    )  # fmt: skip
