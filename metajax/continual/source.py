"""Training a network with averages on source data, and predicting without updates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key, PyTree

from metajax.continual.online import Online
from metajax.core import (
    Algorithm,
    Examples,
    Params,
    Task,
    accuracy,
    derive,
    mean_over_parts,
    optimizer_step,
    prepare_optimizer,
    register_dataclass,
)
from metajax.data import ImagePool
from metajax.nn import PartedNetwork

KEPT = 0.9
"""What averages keep of themselves in a step; the rest is the batch's."""


@register_dataclass
@dataclass(frozen=True)
class SourceImages:
    """Draws of labeled images, as the task distribution of :func:`source_training`.

    Attributes:
      pool: of images.
      num: of a draw. Static.
    """

    pool: ImagePool
    num: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        inputs, targets = self.pool.examples(key, self.num)
        images = inputs.reshape(self.num, *self.pool.images.shape[1:])
        return Task(Examples(images, targets), None)


class SourceParams(NamedTuple):
    """What is trained before a stream begins.

    Attributes:
      network: parameters of the source network.
      averages: statistics that its normalization kept.
      meta: parameters of networks that are trained with the source network frozen; empty: none.
      meta_averages: statistics that their normalization kept.
    """

    network: Params
    averages: PyTree
    meta: Params
    meta_averages: PyTree


class WarmUp(NamedTuple):
    """What is trained on source data after the source network, which is frozen then.

    Attributes:
      init: ``init(key, network, averages, images) -> (meta, meta_averages)``.
      apply: ``apply(params, images) -> (logits, meta_averages)``, the averages those of the batch.
      optimizer: of ``params.meta``.
    """

    init: Callable[..., tuple[Params, Any]]
    apply: Callable[[SourceParams, Array], tuple[Float[Array, "n classes"], Any]]
    optimizer: optax.GradientTransformation


class SourceState(NamedTuple):
    """State of :func:`source_training`.

    Attributes:
      params: the present ones.
      opt_state: of the source network's optimizer.
      warm_state: of the warm-up's optimizer.
      step: how many steps were taken.
    """

    params: SourceParams
    opt_state: Any
    warm_state: Any
    step: Int32[Array, ""]


def source_training(
    network: PartedNetwork,
    optimizer: optax.GradientTransformation,
    source_steps: int,
    warm_up: WarmUp | None = None,
) -> Algorithm:
    """Make the algorithm that trains a network on labeled images, then what is on top of it.

    A step's draws are batches of images, each normalized by itself.

    Args:
      network: the source network.
      optimizer: of the source network.
      source_steps: steps after which the source network is frozen.
      warm_up: what is trained in later steps; None: they change nothing.

    Returns:
      The algorithm; its parameters are :class:`SourceParams`.
    """
    rule = prepare_optimizer(optimizer, has_function=False)
    warm_rule = None
    if warm_up is not None:
        warm_rule = prepare_optimizer(warm_up.optimizer, has_function=False)

    def init(key: Key[Array, ""], task: Any) -> SourceState:
        images = task.support.inputs
        params, averages = network.init(key, images)
        meta: Params = {}
        meta_averages: Any = {}
        if warm_up is not None:
            meta, meta_averages = warm_up.init(derive(key, "meta"), params, averages, images)
        found = SourceParams(params, averages, meta, meta_averages)
        warm_state = None if warm_rule is None else warm_rule.init(meta)
        return SourceState(found, rule.init(params), warm_state, jnp.int32(0))

    def update(
        state: SourceState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[SourceState, dict[str, Any]]:
        params = state.params

        def mean_loss(apply: Callable[..., Any], at: Params, tasks: Any) -> Any:
            logits, used = jax.vmap(lambda images: apply(at, images))(tasks.support.inputs)
            targets = tasks.support.targets
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
            loss = jnp.mean(losses)
            metrics = {"loss": loss, "accuracy": accuracy(logits, targets)}
            return loss, (metrics, jax.tree.map(lambda leaf: jnp.mean(leaf, 0), used))

        def over_draws(function: Callable[[Any], Any]) -> Any:
            return mean_over_parts(lambda tasks, keys: function(tasks), tasks, key, axis_name)

        def slope(apply: Callable[..., Any], at: Params) -> Any:
            """The gradient, the metrics and the batches' statistics."""
            of_mean = jax.grad(functools.partial(mean_loss, apply), has_aux=True)
            grads, (metrics, used) = over_draws(functools.partial(of_mean, at))
            return grads, metrics, used

        def as_it_is(at: Params, images: Array) -> Any:
            return network.apply(at, params.averages, images, False)

        def train_source() -> Any:
            grads, metrics, used = slope(
                lambda at, images: network.apply(at, params.averages, images, True), params.network
            )
            at, opt_state = optimizer_step(
                rule, params.network, state.opt_state, grads, value=metrics["loss"]
            )
            moved = params._replace(network=at, averages=mix(params.averages, used))
            return moved, opt_state, state.warm_state, metrics

        def train_meta() -> Any:
            if warm_up is None or warm_rule is None:
                # nothing is left to train
                _, (metrics, _) = over_draws(functools.partial(mean_loss, as_it_is, params.network))
                return params, state.opt_state, state.warm_state, metrics
            grads, metrics, used = slope(
                lambda at, images: warm_up.apply(params._replace(meta=at), images), params.meta
            )
            at, warm_state = optimizer_step(
                warm_rule, params.meta, state.warm_state, grads, value=metrics["loss"]
            )
            moved = params._replace(meta=at, meta_averages=mix(params.meta_averages, used))
            return moved, state.opt_state, warm_state, metrics

        moved, opt_state, warm_state, metrics = jax.lax.cond(
            state.step < source_steps, train_source, train_meta
        )
        return SourceState(moved, opt_state, warm_state, state.step + 1), metrics

    return Algorithm(init, update, lambda state: state.params)


def mix(averages: PyTree, used: PyTree) -> PyTree:
    """Move averages a tenth of the way to a batch's statistics.

    Args:
      averages: kept so far.
      used: of the batch.

    Returns:
      The averages from now on.
    """
    return jax.tree.map(lambda old, new: KEPT * old + (1 - KEPT) * new, averages, used)


@functools.lru_cache(maxsize=8)
def frozen(network: PartedNetwork, use_batch: bool) -> Online:
    """Predict a stream by the source network as it is.

    Args:
      network: the source network.
      use_batch: normalize by each batch's own statistics (Nado et al. 2020, arXiv 2006.10963),
        not by the averages of the source data.

    Returns:
      The predictor, the same object for the same arguments, so that it is compiled once.
    """

    def init(params: SourceParams) -> SourceParams:
        return params

    def step(params: SourceParams, images: Array) -> tuple[SourceParams, Array]:
        return params, network.apply(params.network, params.averages, images, use_batch)[0]

    return Online(init, step)
