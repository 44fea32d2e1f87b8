"""Generators with what is trained after them: edits of weights, or one change for all images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from metajax.core import Algorithm, MetaLearner, Network
from metajax.hypernet import edit_hypernetwork
from metajax.learners.image_edits import after_generator, shared_edit, weight_edits
from metajax.nn import Autoencoder


class EditedGenerator(NamedTuple):
    """A generator of images with what brings it closer to an image.

    Attributes:
      autoencoder: the networks of the generator.
      learner: which is trained after the generator.
      trained: the learner's parameters that move then, by name.
      hypernet: which edits weights; None: the weights are the same for all images.
    """

    autoencoder: Autoencoder
    learner: MetaLearner
    trained: str
    hypernet: Network | None = None


def edited_generator(
    autoencoder: Autoencoder, latents: int, *, passes: int, channels: int = 16, hidden: int = 64
) -> EditedGenerator:
    """Edit a frozen decoder's weights for each image (HyperStyle; Alaluf et al. 2022, 2111.15666).

    Args:
      autoencoder: the networks of the generator.
      latents: size of an image's latent.
      passes: passes of training, each of which reads the reconstruction of the one before.
      channels: of the hypernetwork's first convolution; see
        :func:`metajax.hypernet.edit_hypernetwork`.
      hidden: size of the hypernetwork's hidden layer.

    Returns:
      The generator with its editor; its learner is :func:`weight_edits`.

    Raises:
      ConfigError: a size is below 1.
    """
    latent = jax.ShapeDtypeStruct((1, latents), jnp.float32)
    shapes = jax.eval_shape(autoencoder.decoder.init, jax.random.key(0), latent)
    hypernet = edit_hypernetwork(shapes, channels=channels, hidden=hidden)
    learner = weight_edits(autoencoder, hypernet, passes=passes)
    return EditedGenerator(autoencoder, learner, "editor", hypernet)


def tuned_generator(autoencoder: Autoencoder) -> EditedGenerator:
    """Tune a decoder on all images with the encoder as it is: the baseline of edits.

    Args:
      autoencoder: the networks of the generator.

    Returns:
      The generator with its change; its learner is :func:`shared_edit`.
    """
    return EditedGenerator(autoencoder, shared_edit(autoencoder), "difference")


def generator_training(
    edited: EditedGenerator,
    *,
    noise: float,
    generator_steps: int,
    steps: int,
    optimizer: Callable[[int], optax.GradientTransformation],
) -> Algorithm:
    """Make the algorithm that trains a generator, freezes it, and trains what comes after it.

    Args:
      edited: the generator, with what comes after it.
      noise: standard deviation of a pixel in the generator's loss, levels.
      generator_steps: steps of the generator.
      steps: steps of what comes after it, which has all that are left.
      optimizer: ``optimizer(steps)``, that of a stage of so many steps.

    Returns:
      The algorithm.

    Raises:
      ConfigError: the generator has no step.
    """
    lengths = generator_steps, steps
    return after_generator(
        edited.autoencoder,
        edited.learner,
        edited.trained,
        noise=noise,
        generator_steps=generator_steps,
        optimizer=lambda stage: optimizer(lengths[stage]),
    )
