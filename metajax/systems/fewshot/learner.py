"""From a config to a learner, and to the algorithm that meta-trains it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from metajax.core import Algorithm, MetaLearner, Network, gradient
from metajax.learners import (
    anil,
    cavia,
    cross_entropy,
    evolution,
    first_order_maml,
    imaml,
    maml,
    matching,
    mean_squared_error,
    meta_sgd,
    multi_step_gradient,
    prototypical,
    reptile,
    ridge,
)
from metajax.learners.losses import Loss
from metajax.nn import conv_net, mlp
from metajax.systems.fewshot.config import CLOSED_FORM, Config


def make_network(config: Config) -> Network:
    """The regressor or the convolutional network; features alone for learners with a head."""
    headless = config.learner in CLOSED_FORM
    if config.tasks == "images":
        outputs = None if headless else config.ways
        context = config.context_size if config.learner == "cavia" else None
        return conv_net(
            outputs, channels=config.channels, layers=config.layers, context_size=context
        )
    if headless:
        return mlp((config.width,) * (config.layers - 1), config.width)
    return mlp((config.width,) * config.layers, 1)


def make_loss(config: Config) -> Loss:
    """The squared error on sinusoids, the cross-entropy on images."""
    return mean_squared_error if config.tasks == "sinusoid" else cross_entropy


def make_learner(config: Config, step_weights: jax.Array | None = None) -> MetaLearner:
    """The config's learner; where the outer update is its own, the learner that uses its result."""
    network, loss = make_network(config), make_loss(config)
    images = config.tasks == "images"
    sgd, steps = optax.sgd(config.rate), config.inner_steps
    match config.learner:
        case "first_order_maml":
            return first_order_maml(network, loss, sgd, steps=steps)
        case "anil":
            head = "head" if images else f"Dense_{config.layers}"
            return anil(network, loss, sgd, steps=steps, inner=head)
        case "meta_sgd":
            return meta_sgd(network, loss, sgd, steps=steps)
        case "maml_plus_plus":
            return maml(
                network, loss, sgd, steps=steps, rates="per_step", step_weights=step_weights
            )
        case "imaml":
            return imaml(
                network, loss, sgd, steps=steps, strength=config.strength, damping=config.damping
            )
        case "cavia":
            size = config.context_size
            if not images:
                return cavia(network, loss, sgd, steps=steps, context_size=size)

            def beside(context, images):
                return (images, context)

            return cavia(network, loss, sgd, steps=steps, context_size=size, attach=beside)
        case "ridge":
            ways = config.ways if images else None
            return ridge(network, loss, ways=ways, scale=config.scale if images else 1.0)
        case "prototypical":
            return prototypical(network, ways=config.ways)
        case "matching":
            return matching(network, ways=config.ways, scale=config.scale)
        case _:  # maml, and the start that reptile and evolution find
            return maml(network, loss, sgd, steps=steps)


def make_algorithm(config: Config) -> Algorithm:
    """Adam on the learner's loss, or the learner's own outer update."""
    adam = optax.adam(config.learning_rate)
    if config.clip_norm is not None:
        adam = optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)
    # one task after the other where each one's own kernels would make batched products slow
    in_turn = config.tasks == "images" and jax.default_backend() == "cpu"
    if config.learner == "reptile":
        rate = optax.linear_schedule(config.reptile_rate, 0.0, config.steps)
        return reptile(
            make_network(config),
            make_loss(config),
            optax.sgd(config.rate),
            optax.sgd(rate),
            steps=config.inner_steps,
        )
    if config.learner == "evolution":
        return evolution(
            make_learner(config),
            adam,
            sigma=config.sigma,
            pairs=config.pairs,
            tasks_at_once=1 if in_turn else None,
        )
    tasks_at_once = 1 if in_turn and config.learner not in CLOSED_FORM else None
    if config.learner == "maml_plus_plus":
        return multi_step_gradient(
            lambda weights: make_learner(config, weights),
            adam,
            steps=config.inner_steps,
            anneal_steps=config.anneal_steps,
            tasks_at_once=tasks_at_once,
        )
    return gradient(make_learner(config), adam, tasks_at_once=tasks_at_once)


def nearest_mean(config: Config) -> MetaLearner:
    """The baseline of images: the class whose mean image is nearest; with one shot, 1-NN."""
    pixels = Network(
        lambda key, images: {"none": jnp.zeros(())},
        lambda params, images: images.reshape(images.shape[0], -1),
    )
    return prototypical(pixels, ways=config.ways)
