"""Methods for the condition ``images``: what brings a frozen generator closer to an image."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from metajax import hypernet, learners
from metajax.core import Count, MetaLearner, Network
from metajax.nn import Autoencoder, conv_autoencoder
from metajax.systems.base import Entry, Method
from metajax.systems.weights.images.settings import Settings
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training


class EditParts(NamedTuple):
    """What the evaluation reads of a method.

    Attributes:
      autoencoder: the networks of the generator.
      learner: of the method.
      hypernet: which edits weights; None: the method has the same weights for all images.
    """

    autoencoder: Autoencoder
    learner: MetaLearner
    hypernet: Network | None = None


@functools.lru_cache
def _generator(shape: tuple[int, int, int], latents: int, channels: int) -> Autoencoder:
    """The same networks for all seeds, so that each program is compiled once."""
    return conv_autoencoder(shape, latents=latents, channels=channels)


@functools.lru_cache
def _edits(
    autoencoder: Autoencoder, latents: int, passes: int, channels: int, width: int
) -> EditParts:
    """The same for edits."""
    latent = jax.ShapeDtypeStruct((1, latents), jnp.float32)
    shapes = jax.eval_shape(autoencoder.decoder.init, jax.random.key(0), latent)
    made = hypernet.edit_hypernetwork(shapes, channels=channels, hidden=width)
    return EditParts(autoencoder, learners.weight_edits(autoencoder, made, passes=passes), made)


@functools.lru_cache
def _shared(autoencoder: Autoencoder) -> EditParts:
    """The same for weights that all images share."""
    return EditParts(autoencoder, learners.shared_edit(autoencoder))


def autoencoder_of(settings: Settings) -> Autoencoder:
    """Return the networks of the generator.

    Args:
      settings: of the problem.
    """
    size = settings.image_size
    shape = (size, size, settings.image_channels)
    return _generator(shape, settings.latent_size, settings.generator_channels)


def _method(problem: Problem, training: Training, parts: EditParts, trained: str) -> Method:
    """The method that trains a generator, and then what is called ``trained``."""
    of = problem.settings
    steps = of.generator_steps, training.steps - of.generator_steps
    algorithm = learners.after_generator(
        parts.autoencoder,
        parts.learner,
        trained,
        noise=of.pixel_noise,
        generator_steps=of.generator_steps,
        optimizer=lambda stage: training.make_optimizer(steps[stage]),
    )
    return Method(algorithm, parts=parts)


def weight_edits(
    problem: Problem,
    training: Training,
    *,
    passes: Count = 3,
    editor_channels: Count = 16,
    editor_width: Count = 64,
) -> Method:
    """Edit a frozen decoder's weights for each image (HyperStyle; Alaluf et al., arXiv 2111.15666).

    Args:
      passes: Passes of training, each of which reads the reconstruction of the one before.
      editor_channels: Channels of the hypernetwork's first convolution.
      editor_width: Size of the hypernetwork's hidden layer.
    """
    of = problem.settings
    parts = _edits(autoencoder_of(of), of.latent_size, passes, editor_channels, editor_width)
    return _method(problem, training, parts, "editor")


def shared_edit(problem: Problem, training: Training) -> Method:
    """Tune the decoder on all images for as many steps: a baseline for arXiv 2111.15666."""
    parts = _shared(autoencoder_of(problem.settings))
    return _method(problem, training, parts, "difference")


METHODS: dict[str, Entry] = {"weight_edits": weight_edits, "shared_edit": shared_edit}
"""Methods for the condition ``images``, the default first."""
