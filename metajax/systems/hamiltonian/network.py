"""Motion from a graph network: the symplectic gradient of an energy, or the network itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params
from metajax.nn import Graph, graph_net
from metajax.physics import Derivative, Hamiltonian, Phase, port_hamiltonian, symplectic_gradient
from metajax.systems.hamiltonian.tasks import Snapshots

DAMPING = -3.0
"""What the network's damping starts from before a softplus: .05 per unit of momentum's rate."""
WAVES = 8
"""Frequencies of the network's force: half a turn, a turn, ... in a trajectory's duration."""
FORCE_SCALE = 4.0
"""Force per unit of its parameters: gradient steps then move it as fast as the energy."""


class Architecture(NamedTuple):
    """What a network of motion is made from: equal ones make one program.

    Attributes:
      structure: ``hamiltonian``, ``port``, ``driven`` or ``direct``; see
        :class:`~metajax.systems.hamiltonian.Settings`.
      width: of the hidden layers.
      layers: hidden layers of each part.
      rounds: of messages between particles.
      duration: of a trajectory, which the waves of a force are fractions of (s).
    """

    structure: str
    width: int
    layers: int
    rounds: int
    duration: float


def architecture_of(settings: Any) -> Architecture:
    """Return the network's part of the settings of a problem, or of a run.

    Args:
      settings: with the network's fields.
    """
    return Architecture(*(getattr(settings, name) for name in Architecture._fields))


def to_graph(state: Float[Phase, "particles 2"]) -> Graph:
    """Make one system's graph: a node each for its particles, an edge from each to each other."""
    senders, receivers = np.nonzero(~np.eye(state.q.shape[0], dtype=bool))
    return Graph(jnp.concatenate(state, axis=-1), senders, receivers)


def make_motion(architecture: Architecture) -> Network:
    """Make the network ``(params, snapshots) -> time derivatives``, a ``Phase`` of float32.

    Its derivative of one state, ``motion(state, params)``, comes from :func:`make_derivative`.

    Args:
      architecture: of the network.

    Returns:
      The network.
    """
    inner = _inner(architecture)

    def init(key: Key[Array, ""], snapshots: Snapshots) -> Params:
        state = jax.tree.map(lambda leaf: leaf[0], snapshots.state)
        params = {"graph": inner.init(key, to_graph(state))}
        if architecture.structure in ("port", "driven"):
            params["damping"] = jnp.full((), DAMPING)
        if architecture.structure == "driven":
            params["force"] = jnp.zeros((2, WAVES, state.q.shape[-1]))
        return params

    derivative = make_derivative(architecture)

    def apply(params: Params, snapshots: Snapshots) -> Phase:
        return jax.vmap(derivative, (0, None, 0))(snapshots.state, params, snapshots.time)

    return Network(init, apply)


def last_layer(
    architecture: Architecture, params: Params, snapshots: Snapshots
) -> Float[Array, "points width"]:
    """The last hidden layer, summed over particles.

    Outputs are linear in the head's kernel: their derivative in it is what the head sees.
    """
    inner, head = _inner(architecture), params["graph"]["head"]

    def one(state: Phase) -> Array:
        def total(kernel: Array) -> Float[Array, ""]:
            graph = {**params["graph"], "head": {**head, "kernel": kernel}}
            return jnp.sum(inner.apply(graph, to_graph(state)))

        return jax.grad(total)(head["kernel"])[:, 0]

    return jax.vmap(one)(snapshots.state)


def force_waves(duration: float, time: Any) -> Float[Array, "2 waves"]:
    """What a network's force of time is a combination of: cosines and sines, at one time."""
    turns = jnp.arange(1, WAVES + 1, dtype=jnp.float32) / 2
    phases = jnp.float32(2 * np.pi / duration) * turns * time
    return jnp.stack([jnp.cos(phases), jnp.sin(phases)])


def make_derivative(architecture: Architecture) -> Derivative:
    """Make the equations of motion ``(state, params, time) -> rates`` of one system's network.

    Args:
      architecture: of the network.

    Returns:
      The derivative of a state.
    """
    inner = _inner(architecture)

    def damping(state: Phase, params: Params) -> Float[Array, ""]:
        return jax.nn.softplus(params["damping"])

    def force(params: Params, time: Any) -> Float[Array, "1 2"]:
        waves = force_waves(architecture.duration, time)
        return FORCE_SCALE * jnp.tensordot(waves, params["force"], 2)[None]

    if architecture.structure == "hamiltonian":
        return symplectic_gradient(make_energy(architecture))
    if architecture.structure in ("port", "driven"):
        return port_hamiltonian(
            make_energy(architecture),
            damping,
            force if architecture.structure == "driven" else None,
        )

    def derivative(state: Phase, params: Params, time: Any = 0.0) -> Phase:
        rates = inner.apply(params["graph"], to_graph(state))
        return Phase(*jnp.split(rates, 2, axis=-1))

    return derivative


def make_energy(architecture: Architecture) -> Hamiltonian:
    """Make the energy ``(state, params) -> energy`` of one system's network; not of ``direct``."""
    inner = _inner(architecture)

    def energy(state: Phase, params: Params) -> Float[Array, ""]:
        return inner.apply(params["graph"], to_graph(state))

    return energy


def _inner(architecture: Architecture) -> Network:
    direct = architecture.structure == "direct"
    return graph_net(
        architecture.width,
        architecture.rounds,
        layers=architecture.layers,
        num_outputs=4 if direct else 1,
        readout="nodes" if direct else "sum",
    )
