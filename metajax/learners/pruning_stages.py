"""Networks that are prepared for pruning, and trained when some of their units are gone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.core import (
    Examples,
    MetaLearner,
    Network,
    Params,
    Range,
    Task,
    check_sizes,
    cross_entropy,
    derive,
    optimizer_step,
    prepare_optimizer,
    random_indices,
)
from metajax.hypernet import fed_loss
from metajax.units import Units, group_penalty

Strength = Float[Array, ""] | float


@dataclass(frozen=True)
class Sparsity:
    """How hard units are pulled to zero, relative to each other."""

    shrink_ratio: Annotated[float, Range(1)] = 16.0
    """How many times harder the weakest unit of a layer is pulled than the strongest one."""
    squared: bool = False
    """Pull each weight in proportion to itself, as the paper does, not all units alike."""

    def penalty(self, params: Params, units: Units) -> Float[Array, ""]:
        """Return the penalty of a network: :func:`metajax.units.group_penalty`.

        Args:
          params: of the network.
          units: the names of its units.
        """
        return group_penalty(params, units, self.shrink_ratio, squared=self.squared)


ALIKE = Sparsity()
"""All units alike, so that small ones vanish."""
PROPORTIONAL = Sparsity(squared=True)
"""Weights in proportion to themselves (Fang et al. 2023, arXiv 2301.12900)."""


def sparse_networks(
    network: Network,
    units: Units,
    num: int,
    *,
    strength: Strength = 0.0,
    sparsity: Sparsity = ALIKE,
) -> MetaLearner:
    """Train several networks, each from its own start, with a penalty that empties their units.

    Group-sparse fine-tuning, the preparation of Fang et al. (2023, arXiv 2301.12900). The loss is
    the sum over networks. So with an optimizer that treats each weight by itself, such as Adam,
    each is the network that it would be alone.

    Args:
      network: inputs to logits.
      units: the names of its units.
      num: of networks.
      strength: factor of :func:`metajax.units.group_penalty`, which may be traced; 0 for plain
        training.
      sparsity: how hard the penalty pulls each unit.

    Returns:
      The learner, whose parameters are ``{"networks": params}`` with a leading axis. The query of a
      task has as many sets of images or more, of which the first are used. It does not adapt.

    Raises:
      ConfigError: there is no network; or, from its loss, the ratio is below 1.
    """
    check_sizes(num=num)

    def init(key: Key[Array, ""], task: Task) -> Params:
        inputs = task.query.inputs[0]
        return {"networks": jax.vmap(lambda one: network.init(one, inputs))(_split(key, num))}

    def one(params: Params, query: Examples) -> tuple[Array, Array]:
        error = cross_entropy(network.apply(params, query.inputs), query.targets)
        return error, sparsity.penalty(params, units)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        errors, penalties = jax.vmap(one)(params["networks"], _first(task.query, num))
        metrics = {"cross_entropy": jnp.mean(errors), "penalty": jnp.mean(penalties)}
        return jnp.sum(errors) + strength * jnp.sum(penalties), metrics

    return MetaLearner(init, _first_network, _predict(network), loss)


def pruning_metanetwork(
    network: Network,
    metanet: Network,
    units: Units,
    num: int,
    *,
    at_once: int = 2,
    strength: Strength = 0.0,
    sparsity: Sparsity = PROPORTIONAL,
) -> MetaLearner:
    """Train a network that changes others so that they can be pruned (MetaPruning, 2506.12041).

    The meta-loss is the cross-entropy of changed networks on training images. The gradient of
    structured sparsity is added to its gradient by the changed weights. Both reach the
    metanetwork's parameters as one vector-Jacobian product (:func:`metajax.hypernet.fed_loss`).

    Args:
      network: that is changed: inputs to logits.
      metanet: ``apply(params, network's params) -> network's params``, such as
        :func:`metajax.hypernet.graph_metanetwork`.
      units: the names of the network's units.
      num: of networks to learn from.
      at_once: networks of a step, drawn at random.
      strength: factor of the sparsity, which may be traced: it should rise in training.
      sparsity: how hard each unit is pulled.

    Returns:
      The learner, whose parameters are ``metanet`` and ``networks``. Those have a leading axis and
      no gradient: put trained ones in place of the first draw. The query of a task has ``at_once``
      sets of images or more, of which the first are used. It does not adapt.

    Raises:
      ConfigError: there is no network, or none in a step; or, from its loss, the ratio is below 1.
    """
    check_sizes(num=num, at_once=at_once)
    zoo = sparse_networks(network, units, num)

    def init(key: Key[Array, ""], task: Task) -> Params:
        networks: Any = zoo.init(key, task)
        first = jax.tree.map(lambda leaf: leaf[0], networks["networks"])
        return {**networks, "metanet": metanet.init(derive(key, "metanet"), first)}

    def one(meta: Params, params: Params, query: Examples) -> tuple[Array, Array, Array]:
        changed = metanet.apply(meta, params)

        def error(params: Params) -> Float[Array, ""]:
            return cross_entropy(network.apply(params, query.inputs), query.targets)

        def penalty(params: Params) -> Float[Array, ""]:
            return sparsity.penalty(params, units)

        def slope(params: Params) -> Params:
            return jax.tree.map(lambda leaf: strength * leaf, jax.grad(penalty)(params))

        return fed_loss(error, slope, changed), error(changed), penalty(changed)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        rows = random_indices(derive(key, "networks"), (at_once,), jnp.uint32(num))
        some = jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf[rows]), params["networks"])
        query = _first(task.query, at_once)
        fed, errors, penalties = jax.vmap(one, (None, 0, 0))(params["metanet"], some, query)
        metrics = {"cross_entropy": jnp.mean(errors), "penalty": jnp.mean(penalties)}
        return jnp.mean(fed), jax.lax.stop_gradient(metrics)

    return MetaLearner(init, _first_network, _predict(network), loss)


def train_masked(
    network: Network,
    params: Params,
    masks: Params,
    draw: Callable[[Key[Array, ""]], Examples],
    optimizer: optax.GradientTransformation,
    key: Key[Array, ""],
    steps: int,
) -> Params:
    """Train those weights of a network that masks keep; all others are zeros.

    With the masks of units (:func:`metajax.units.mask_units` of ones) it is the training of the
    small network of these units, for an optimizer that treats each weight by itself. Masks are
    arrays, so networks of all sizes are trained by one program.

    Args:
      network: inputs to logits.
      params: of the network.
      masks: 1 for each weight that is kept and 0 for the others.
      draw: ``draw(key) -> examples`` of a step.
      optimizer: any of optax.
      key: of the examples.
      steps: of training, 0 or more.

    Returns:
      The trained parameters, times the masks.
    """
    rule = prepare_optimizer(optimizer, has_function=False)

    def kept(params: Params) -> Params:
        return jax.tree.map(jnp.multiply, params, masks)

    def step(carried: tuple[Params, Any], number: Array) -> tuple[tuple[Params, Any], None]:
        params, state = carried
        examples = draw(derive(key, "examples", number))

        def loss(params: Params) -> Float[Array, ""]:
            return cross_entropy(network.apply(kept(params), examples.inputs), examples.targets)

        value, grads = jax.value_and_grad(loss)(params)
        return optimizer_step(rule, params, state, grads, value=value), None

    numbers = jnp.arange(steps, dtype=jnp.int32)
    start = kept(params)
    trained, _ = jax.lax.scan(step, (start, rule.init(start)), numbers)[0]
    return kept(trained)


def _split(key: Key[Array, ""], num: int) -> Key[Array, " num"]:
    return jax.random.split(derive(key, "networks"), num)


def _first(query: Examples, num: int) -> Examples:
    return jax.tree.map(lambda leaf: leaf[:num], query)


def _first_network(params: Any, support: Any, key: Key[Array, ""]) -> Params:
    return jax.tree.map(lambda leaf: leaf[0], params["networks"])


def _predict(network: Network) -> Callable[[Params, Params, Array], Array]:
    def predict(params: Params, adapted: Params, inputs: Array) -> Array:
        return network.apply(adapted, inputs)

    return predict
