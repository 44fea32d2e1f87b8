"""The reader of tables: what by construction changes nothing, and what an untrained one knows."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Examples, Task
from metajax.learners import table_frequencies, table_logistic, table_reader

KEY = jax.random.key(0)
CLASSES = 3
READER = table_reader(CLASSES, width=6, row_width=4)


@pytest.fixture(scope="module")
def support():
    rng = np.random.default_rng(0)
    labels = np.arange(10) % CLASSES
    inputs = rng.normal(size=(10, 5)) + rng.normal(size=(CLASSES, 5))[labels]
    inputs[:, 4] = 7.0
    return Examples(jnp.asarray(inputs, jnp.float32), jnp.asarray(labels, jnp.int32))


@pytest.fixture(scope="module")
def asked():
    return jax.random.normal(jax.random.key(1), (4, 5))


@pytest.fixture(scope="module")
def params(support):
    return jax.jit(READER.init)(KEY, Task(support, support))


def reading(learner):
    """A compiled function that adapts to a support and predicts."""

    @jax.jit
    def found(params, support, inputs):
        return learner.predict(params, learner.adapt(params, support, KEY), inputs)

    return found


@pytest.fixture(scope="module")
def read(params):
    return functools.partial(reading(READER), params)


def test_the_order_of_rows_and_features_changes_nothing(read, support, asked):
    expected = read(support, asked)
    np.testing.assert_allclose(jnp.exp(expected).sum(1), 1, atol=1e-5)
    order = jax.random.permutation(jax.random.key(2), 10)
    turned = jax.tree.map(lambda leaf: leaf[order], support)
    np.testing.assert_allclose(read(turned, asked), expected, atol=1e-4)
    columns = jnp.array([3, 0, 4, 1, 2])
    swapped = support._replace(inputs=support.inputs[:, columns])
    np.testing.assert_allclose(read(swapped, asked[:, columns]), expected, atol=1e-4)


def test_units_of_measure_change_nothing(read, support, asked):
    unit, shift = jnp.array([10.0, 0.1, 3.0, 1.0, 2.0]), jnp.array([1.0, -2.0, 0.0, 5.0, 1.0])
    unit, shift = unit[None], shift[None]
    moved = support._replace(inputs=support.inputs * unit + shift)
    np.testing.assert_allclose(read(moved, asked * unit + shift), read(support, asked), atol=1e-3)


def test_permuted_classes_permute_the_outputs(read, support, asked):
    turned = support._replace(targets=(support.targets + 1) % CLASSES)
    expected = jnp.roll(read(support, asked), 1, axis=1)
    np.testing.assert_allclose(read(turned, asked), expected, atol=1e-4)


def test_padding_rows_features_and_classes_changes_nothing(read, params, support, asked):
    wide = jnp.pad(support.inputs, ((0, 2), (0, 3)), constant_values=5.0).at[:, 5:].set(0)
    padded = Examples(wide, jnp.pad(support.targets, (0, 2), constant_values=-1))
    found = read(padded, jnp.pad(asked, ((0, 0), (0, 3))))
    np.testing.assert_allclose(found, read(support, asked), atol=1e-4)
    more = table_reader(CLASSES + 2, width=6, row_width=4)
    found = reading(more)(params, support, asked)
    np.testing.assert_allclose(found[:, :CLASSES], read(support, asked), atol=1e-4)
    assert jnp.exp(found[:, CLASSES:]).max() < 1e-8


def test_a_column_that_does_not_vary_says_nothing(read, support, asked):
    other = asked.at[:, 4].set(1e6)
    np.testing.assert_array_equal(read(support, other), read(support, asked))


def test_queries_are_predicted_each_by_itself(read, support, asked):
    found = read(support, jnp.concatenate([asked[:1], 100 * asked[1:]]))
    np.testing.assert_allclose(found[0], read(support, asked)[0], atol=1e-5)


def test_an_empty_support_gives_even_probabilities(read, support, asked):
    empty = support._replace(targets=jnp.full_like(support.targets, -1))
    np.testing.assert_allclose(jnp.exp(read(empty, asked)), 1 / CLASSES, atol=1e-5)


def test_what_is_no_class_is_rejected(params, support):
    with pytest.raises(ConfigError, match=r"support\.targets"):
        READER.adapt(params, support._replace(targets=support.targets + 1), KEY)
    with pytest.raises(ConfigError, match=r"support\.inputs"):
        READER.adapt(params, support._replace(inputs=support.inputs[:, 0]), KEY)
    for make in (table_reader, table_logistic, table_frequencies):
        with pytest.raises(ConfigError, match="classes"):
            make(0)


def test_baselines_are_scikit_learns(support, asked):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    found = reading(table_logistic(CLASSES))({}, support, asked)
    # its constant is free, ours has a wide prior
    scaler = StandardScaler().fit(support.inputs)
    model = LogisticRegression(tol=1e-6).fit(scaler.transform(support.inputs), support.targets)
    expected = model.predict_proba(scaler.transform(asked))
    np.testing.assert_allclose(jnp.exp(found), expected, atol=0.05)
    found = reading(table_frequencies(CLASSES))({}, support, asked)
    np.testing.assert_allclose(jnp.exp(found[0]), (np.array([4, 3, 3]) + 0.5) / 11.5, rtol=1e-5)
