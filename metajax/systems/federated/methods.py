"""The methods of federated learning of classes: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from metajax import learners
from metajax.systems.base import Entry, Method
from metajax.systems.federated.problem import Problem
from metajax.systems.federated.settings import Training
from metajax.systems.parts import PIXELS


def prototypes(problem: Problem, training: Training) -> Method:
    """Send sums of features trained by episodes (Federated Reconnaissance, arXiv 2109.00150)."""
    network = problem.network()
    learner = learners.prototypical(network, ways=problem.settings.ways)
    return Method(training.descend(learner), learner, parts=network)


def random_embedding(problem: Problem, training: Training) -> Method:
    """Send sums of features as first drawn: the baseline without training."""
    network = problem.network()
    return Method(None, learners.prototypical(network, ways=problem.settings.ways), parts=network)


def pixels(problem: Problem, training: Training) -> Method:
    """Send sums of images: the baseline without an embedding."""
    return Method(None, learners.prototypical(PIXELS, ways=problem.settings.ways), parts=PIXELS)


METHODS: dict[str, Entry] = {
    "prototypes": prototypes,
    "random_embedding": random_embedding,
    "pixels": pixels,
}
"""All methods of the family, the default first."""
