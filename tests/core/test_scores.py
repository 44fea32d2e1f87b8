"""Which labels are classes, and scores that are no accident of NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, accuracy, correct, valid_labels

LOGITS = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0], [0.0, 1.0, 2.0]], np.float32)


def test_the_share_of_largest_outputs_at_the_target():
    targets = jnp.array([1, 0, 0])
    np.testing.assert_array_equal(correct(jnp.asarray(LOGITS), targets), [1, 1, 0])
    np.testing.assert_allclose(accuracy(jnp.asarray(LOGITS), targets), 2 / 3, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (0, slice(None))])
def test_an_output_that_is_not_finite_has_no_score(bad, place):
    """Not even where its largest finite number is the target's: the first NaN counts as largest."""
    outputs = LOGITS.copy()
    outputs[place] = bad
    for target in range(3):
        found = jax.jit(correct)(jnp.asarray(outputs), jnp.array([target, 0, 2]))
        np.testing.assert_array_equal(found, [np.nan, 1, 1])
    assert np.isnan(accuracy(jnp.asarray(outputs), jnp.array([0, 0, 2])))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.uint32])
@pytest.mark.parametrize("label", [-1, 3, 127, -128, 255, 2**31 - 1])
def test_labels_that_are_no_class(label, dtype):
    """Refused where they are known, no score where they are traced."""
    info = np.iinfo(dtype)
    if not info.min <= label <= info.max:
        return
    labels = jnp.array([label, 0, 2], dtype)
    with pytest.raises(ConfigError, match=rf"targets = {label}: expected labels from 0 to 2"):
        accuracy(jnp.asarray(LOGITS), labels)
    found = jax.jit(correct)(jnp.asarray(LOGITS), labels)
    np.testing.assert_array_equal(found, [np.nan, 1, 1])


def test_more_classes_than_the_labels_type_can_count():
    valid = jax.jit(lambda labels: valid_labels(labels, 1000))
    np.testing.assert_array_equal(valid(jnp.array([0, 255], jnp.uint8)), [True, True])
    assert np.all(valid_labels(np.zeros((0,), np.int32), 3) == np.zeros((0,), bool))


def test_many_examples_in_sixteen_bits_are_counted_in_float32():
    outputs = jnp.zeros((1001, 2), jnp.bfloat16)
    found = accuracy(outputs, jnp.zeros(1001, jnp.int32).at[0].set(1))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, 1000 / 1001, rtol=1e-6)


@pytest.mark.parametrize("labels", [jnp.zeros(3), jnp.zeros(3, bool)])
def test_labels_that_are_no_whole_numbers_are_refused_by_name(labels):
    with pytest.raises(ConfigError, match=r"targets = '(float32|bool)': expected whole numbers"):
        jax.jit(correct)(jnp.asarray(LOGITS), labels)
