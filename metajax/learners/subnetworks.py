"""Many architectures trained at a time: with shared weights, or each alone, the baseline."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    accuracy,
    cross_entropy,
    derive,
    one_of,
)
from metajax.learners.idle import not_adapted
from metajax.units import (
    Architecture,
    Space,
    Supernet,
    all_architectures,
    fair_architectures,
    largest_architecture,
    sample_architecture,
    sandwich,
)

Sampling = Literal["random", "sandwich", "fair"]


def shared_subnetworks(
    net: Supernet,
    network: Network,
    space: Space,
    sampling: Sampling = "random",
    num: int = 4,
) -> MetaLearner:
    """Train the weights of a supernet, by several of its architectures at a time.

    Each architecture of an update classifies its own part of the task's examples, so that an update
    costs as much as one of the largest network. Architectures are drawn in the compiled program.

    Args:
      net: the supernet.
      network: the largest network; ``apply(params, inputs, architecture)`` as for
        :func:`choosing_mlp`.
      space: of architectures.
      sampling: ``random``; ``sandwich``: with the smallest and the largest (Yu and Huang 2019,
        arXiv 1903.05134); ``fair``: every option equally often (Chu et al. 2019, arXiv 1907.01845).
      num: architectures of an update. With ``fair`` the space gives their number. Examples that
        they cannot share evenly are left out.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples`; it predicts by the largest
      architecture and does not adapt.

    Raises:
      ConfigError: ``sampling`` is none of the three, or ``num`` is below 1, or below 3 for
        ``sandwich``. From ``loss``: a task has fewer examples than there are architectures.
    """
    one_of("sampling", sampling, ("random", "sandwich", "fair"))
    if num < (least := 3 if sampling == "sandwich" else 1):
        raise ConfigError("num", num, f"{least} or more for sampling = {sampling!r}")

    def draw(key: Key[Array, ""]) -> Architecture:
        if sampling == "sandwich":
            return sandwich(key, space, num)
        if sampling == "fair":
            return fair_architectures(key, space)
        return jax.vmap(lambda key: sample_architecture(key, space))(jax.random.split(key, num))

    def init(key: Key[Array, ""], task: Examples) -> Params:
        return net.init(key, task.inputs)

    def predict(params: Params, adapted: Any, inputs: Array) -> Array:
        return _apply(net, network, params, largest_architecture(space), inputs)

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        many = draw(key)
        paths, examples = len(jax.tree.leaves(many)[0]), len(task.targets)
        each = examples // paths
        if not each:
            raise ConfigError(
                "examples", examples, f"one or more for each of {paths} architectures"
            )
        parts = jax.tree.map(
            lambda leaf: leaf[: paths * each].reshape(paths, each, *leaf.shape[1:]), task
        )

        def of(architecture: Architecture, part: Examples) -> tuple[Array, Array]:
            logits = _apply(net, network, params, architecture, part.inputs)
            return cross_entropy(logits, part.targets), accuracy(logits, part.targets)

        losses, shares = jax.vmap(of)(many, parts)
        return jnp.mean(losses), {"accuracy": jnp.mean(shares)}

    return MetaLearner(init, not_adapted, predict, loss)


def all_subnetworks(
    net: Supernet, network: Network, space: Space, params: Params, inputs: Array
) -> Float[Array, "architectures n outputs"]:
    """Return the outputs of all architectures of a supernet, one after the other.

    All layers of all architectures at a time would fill the memory.

    Args:
      net: see :func:`shared_subnetworks`.
      network: see :func:`shared_subnetworks`.
      space: of architectures, in the order of :func:`metajax.units.all_architectures`.
      params: of the supernet.
      inputs: of the network.
    """

    def of(architecture: Architecture) -> Array:
        return _apply(net, network, params, architecture, inputs)

    return jax.lax.map(of, all_architectures(space))


def lone_subnetworks(make: Callable[[tuple[int, ...]], Network], space: Space) -> MetaLearner:
    """Train every architecture of a space alone, with weights of its own, all at a time.

    What a supernet is compared with. Networks of equal sizes are mapped. The loss is the sum of all
    networks' losses, so an optimizer that treats each number by itself trains them as if each was
    alone.

    Args:
      make: ``make(sizes) -> network`` for one option of each choice among numbers, in their order;
        ``apply(params, inputs, architecture)`` as for :func:`choosing_mlp`.
      space: of architectures.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples`. Its predictions have a first
      axis of the architectures, in the order of :func:`all_architectures` for a space whose choices
      among numbers come first.

    Raises:
      ConfigError: the space is no space.
    """
    all_architectures(space)  # raises where it is no space
    words = {name: options for name, options in space.items() if isinstance(options[0], str)}
    numbers = (options for name, options in space.items() if name not in words)
    sizes = [[size for size in options if isinstance(size, int)] for options in numbers]
    groups = [make(group) for group in itertools.product(*sizes)]

    def variants() -> Architecture:
        return all_architectures(words) if words else {}

    def init(key: Key[Array, ""], task: Examples) -> Params:
        def of(network: Network, key: Key[Array, ""]) -> Params:
            number = len(jax.tree.leaves(variants())[0]) if words else 1
            keys = jax.random.split(key, number)
            return jax.vmap(lambda key: network.init(key, task.inputs))(keys)

        return tuple(of(network, derive(key, "group", at)) for at, network in enumerate(groups))

    def predict(params: Params, adapted: Any, inputs: Array) -> Float[Array, "networks n ways"]:
        found = [
            jax.vmap(network.apply, in_axes=(0, None, 0))(own, inputs, variants())
            for network, own in zip(groups, params, strict=True)
        ]
        return jnp.concatenate(found)

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        logits = predict(params, (), task.inputs)
        losses = jax.vmap(cross_entropy, (0, None))(logits, task.targets)
        return jnp.sum(losses), {
            "accuracy": jnp.mean(jax.vmap(accuracy, (0, None))(logits, task.targets))
        }

    return MetaLearner(init, not_adapted, predict, loss)


def _apply(
    net: Supernet, network: Network, params: Params, architecture: Architecture, inputs: Array
) -> Array:
    return network.apply(net.masked(params, architecture), inputs, architecture)
