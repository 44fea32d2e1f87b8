"""A person's arrays, as a learner takes them."""

import numpy as np
import pytest

from metajax import using
from metajax.core import ConfigError


def test_levels_are_brought_to_size_and_floats_are_taken_as_they_are():
    form = using.ImageForm((2, 2, 1))
    levels = np.full((3, 4, 4), 51, np.uint8)
    np.testing.assert_allclose(form.encode("inputs", levels), np.full((3, 2, 2, 1), 0.2))
    floats = np.random.default_rng(0).normal(size=(3, 2, 2, 1))
    np.testing.assert_array_equal(form.encode("inputs", floats), floats.astype(np.float32))
    assert form.query.shape == (2, 2, 1) and form.query.dtype == np.float32


@pytest.mark.parametrize(
    "wrong",
    [
        [[1, 2], [1]],
        "text",
        np.zeros((3, 4)),
        np.zeros((3, 4, 4)),
        np.zeros((3, 4, 4, 2), np.uint8),
    ],
)
def test_what_is_no_image_is_rejected_by_its_name(wrong):
    with pytest.raises(ConfigError, match="images") as raised:
        using.ImageForm((2, 2, 1)).encode("mine", wrong)
    assert raised.value.field == "mine"


def test_rows_are_for_learners_of_sequences():
    rows = using.ImageForm((2, 2, 1), sequence=True).encode("inputs", [[1, 2, 3]])
    assert rows.dtype == np.float32 and rows.tolist() == [[1, 2, 3]]


def test_numbers_are_checked_by_dimensions_and_values():
    assert using.read_numbers("x", [[1, 2]], (2,), "rows").tolist() == [[1, 2]]
    assert np.isnan(using.read_numbers("x", [np.nan], (1,), "numbers")).all()
    for wrong in ([1, 2], [["a"]], [[1, 2], [3]], None):
        with pytest.raises(ConfigError, match="expected rows"):
            using.read_numbers("x", wrong, (2,), "rows")
    with pytest.raises(ConfigError, match="not finite"):
        using.read_numbers("x", [np.inf], (1,), "numbers", finite=True)
