"""Classes keep the names that a person gave them."""

import numpy as np
import pytest

from metajax import using
from metajax.core import ConfigError


def as_it_is(field, inputs):
    return np.asarray(inputs)


@pytest.mark.parametrize("names", [["b", "a", "b"], [7, -1, 7], np.array(["y", "x", "y"], object)])
def test_places_and_probabilities_lead_back_to_the_names(names):
    encoded, found = using.read_labeled((np.zeros(3), names), as_it_is, 2)
    assert len(encoded) == 3
    assert found.classes[found.places].tolist() == list(names)
    back = found.label(np.eye(2)[found.places])
    assert back.labels.tolist() == list(names)


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ([0.5, 1.0, 0.5], "support.targets"),
        ([None, "a", "b"], "support.targets"),
        ([[1], [2], [1]], "support.targets"),
        ([1, 2], "support.targets"),
        ([1, 1, 1], "classes of the support"),
        ([1, 2, 3], "classes of the support"),
    ],
)
def test_what_names_no_classes_is_rejected(labels, field):
    with pytest.raises(ConfigError) as raised:
        using.read_labeled((np.zeros(3), labels), as_it_is, 2)
    assert raised.value.field == field
