"""Methods for the condition ``images``: what brings a frozen generator closer to an image."""

from __future__ import annotations

import functools

from metajax import learners
from metajax.core import Count
from metajax.learners import EditedGenerator
from metajax.systems.base import Entry, Method
from metajax.systems.weights.images.problem import EditProblem
from metajax.systems.weights.settings import Training

# the same networks for all seeds, so that each program is compiled once
_edited = functools.lru_cache(learners.edited_generator)
_tuned = functools.lru_cache(learners.tuned_generator)


def _method(problem: EditProblem, training: Training, edited: EditedGenerator) -> Method:
    """The method that trains a generator, and then what comes after it."""
    of = problem.settings
    steps = of.generator_steps, training.steps - of.generator_steps
    stages = learners.generator_stages(edited, steps, noise=of.pixel_noise)
    return Method(training.descend_stages(stages), parts=edited)


def weight_edits(
    problem: EditProblem,
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
    edited = _edited(
        problem.autoencoder,
        problem.settings.latent_size,
        passes=passes,
        channels=editor_channels,
        hidden=editor_width,
    )
    return _method(problem, training, edited)


def shared_edit(problem: EditProblem, training: Training) -> Method:
    """Tune the decoder on all images for as many steps: a baseline for arXiv 2111.15666."""
    return _method(problem, training, _tuned(problem.autoencoder))


METHODS: dict[str, Entry] = {"weight_edits": weight_edits, "shared_edit": shared_edit}
"""Methods for the condition ``images``, the default first."""
