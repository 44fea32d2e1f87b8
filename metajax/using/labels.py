"""Classes by a person's own names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from metajax.core import ConfigError, described
from metajax.using.queries import support_pair

NEEDED = 2
"""Classes of a support, at least."""


class Labels(NamedTuple):
    """What queries are, by a learner that tells classes apart.

    Attributes:
      labels: the likeliest class of each query, by its name: as it was called in the support.
      probabilities: of every class.
      classes: the classes' names, in the order of the probabilities.
    """

    labels: np.ndarray
    probabilities: Float[np.ndarray, "queries classes"]
    classes: np.ndarray


def label(classes: np.ndarray, probabilities: Float[np.ndarray, "queries classes"]) -> Labels:
    """Return the likeliest class of each query, by its name.

    Args:
      classes: names, of any dtype.
      probabilities: of the classes, in their order.
    """
    return Labels(classes[probabilities.argmax(axis=1)], probabilities, classes)


class Names(NamedTuple):
    """The classes of a support, and its labels as places among them."""

    classes: np.ndarray
    places: Int[np.ndarray, " examples"]

    def label(self, probabilities: Float[np.ndarray, "queries classes"]) -> Labels:
        """Return the likeliest class of each query, by its name."""
        return label(self.classes, probabilities)


def name_classes(labels: Any, most: int) -> Names:
    """Code labels of any kind.

    Raises:
      ConfigError: they are no labels, or of too few or too many classes.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "biuUSO" or None in array.tolist():
        expected = "labels [examples], whole numbers or text"
        raise ConfigError("support.targets", described(array), expected)
    array = array.astype(str) if array.dtype.kind == "O" else array
    classes, places = np.unique(array, return_inverse=True)
    if not NEEDED <= len(classes) <= most:
        expected = f"{NEEDED} to {most}, the most that are told apart"
        raise ConfigError("classes of the support", len(classes), expected)
    return Names(classes, places.astype(np.int32))


def read_labeled(
    support: Any, encode: Callable[[str, Any], np.ndarray], most: int
) -> tuple[np.ndarray, Names]:
    """Return the inputs of a support as they are read, and its classes.

    Args:
      support: a pair ``(inputs, labels)``; labels are whole numbers or text.
      encode: ``encode(field, inputs) -> array`` reads inputs, as :meth:`ImageForm.encode` does.
      most: classes that a support may have.

    Returns:
      The inputs, and the classes with the place of each label among them.

    Raises:
      ConfigError: it is no pair, one part of it is not what it should be, or they differ in length.
    """
    inputs, labels = support_pair(support, "(inputs, labels)")
    names, encoded = name_classes(labels, most), encode("support.inputs", inputs)
    if len(encoded) != len(names.places):
        expected = f"{len(encoded)} labels, one for each of the inputs"
        raise ConfigError("support.targets", f"{len(names.places)} labels", expected)
    return encoded, names
