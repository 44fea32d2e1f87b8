"""Generators with what is trained after them: edits of weights, or one change for all images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from metajax.core import MetaLearner, Network
from metajax.hypernet import edit_hypernetwork
from metajax.learners.image_edits import image_generator, shared_edit, weight_edits
from metajax.learners.stages import Stage, check_each
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


def generator_stages(edited: EditedGenerator, steps: Sequence[int], *, noise: float) -> list[Stage]:
    """Train a generator, freeze it, and train what comes after it.

    Args:
      edited: the generator, with what comes after it.
      steps: of the two stages.
      noise: standard deviation of a pixel in the generator's loss, levels.

    Returns:
      The stages, for :func:`in_stages`.

    Raises:
      ConfigError: there are steps of other than two stages.
    """
    check_each("steps", steps, 2)
    generator = edited.learner._replace(loss=image_generator(edited.autoencoder, noise).loss)
    return [
        Stage(generator, steps[0], ["encoder", "decoder"]),
        Stage(edited.learner, steps[1], [edited.trained]),
    ]
