"""The methods that read tables, in ``METHODS``."""

from __future__ import annotations

from collections.abc import Callable

from metajax import learners
from metajax.core import Count, MetaLearner, Positive
from metajax.systems.base import Entry, Method
from metajax.systems.tables.problem import Problem
from metajax.systems.training import Training


def reader(
    problem: Problem, training: Training, *, width: Count = 64, row_width: Count = 32
) -> MetaLearner:
    """Weigh solved classifiers by left-out predictions (after Müller et al., arXiv 2112.10510).

    Args:
      width: Units of the two layers that read how the classifiers did.
      row_width: Units of the layer that reads how sure they are of a query.
    """
    return learners.table_reader(problem.settings.classes, width=width, row_width=row_width)


def logistic_regression(
    problem: Problem, training: Training, *, strength: Positive = 1.0
) -> Method:
    """Fit logistic regression to standardized features (a baseline; Cox 1958).

    It is not meta-trained.

    Args:
      strength: Prior variance of a weight: scikit-learn's C.
    """
    return Method(None, learners.table_logistic(problem.settings.classes, strength=strength))


def frequencies(problem: Problem, training: Training) -> Method:
    """Predict how often classes are, whatever the features (a baseline).

    It is not meta-trained.
    """
    return Method(None, learners.table_frequencies(problem.settings.classes))


BASELINES: dict[str, Callable[..., Method]] = {
    "logistic_regression": logistic_regression,
    "frequencies": frequencies,
}
"""Methods without meta-parameters to train: they are only evaluated, with every other method."""

METHODS: dict[str, Entry] = {"reader": reader, **BASELINES}
"""All methods by name, the default first. A new one joins by a line here."""
