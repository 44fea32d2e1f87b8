"""Synthetic tables: sizes, what is padding, and that labels can be learned, or not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import MISSING, TableTasks

TASKS = TableTasks(rows=30, queries=20, features=6, classes=4)


@pytest.fixture(scope="module")
def drawn():
    return jax.device_get(jax.jit(jax.vmap(TASKS))(jax.random.split(jax.random.key(0), 400)))


def test_sizes_vary_within_bounds_and_the_rest_is_padding(drawn):
    inputs, targets = drawn.support
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(drawn))
    rows = (targets != MISSING).sum(1)
    assert rows.min() == 2 and rows.max() == 30 and np.median(rows) < 12
    # known rows come first
    assert (np.diff((targets != MISSING).astype(int), axis=1) <= 0).all()
    assert (inputs[targets == MISSING] == 0).all()
    features = (np.abs(drawn.query.inputs).sum(1) > 0).sum(1)
    assert features.min() <= 2 and features.max() == 6


def test_queries_are_of_classes_that_the_support_holds(drawn):
    for support, query in zip(drawn.support.targets, drawn.query.targets, strict=True):
        assert set(query) <= set(support) | {MISSING}
        assert support.max() < 4
    # two classes in half of the tables, and among the others too
    many = drawn.query.targets[(drawn.support.targets != MISSING).sum(1) > 20]
    classes = np.array([len(set(row) - {MISSING}) for row in many])
    assert 0.4 < (classes == 2).mean() < 0.9 and classes.max() == 4


def test_some_tables_can_be_learned_and_some_cannot(drawn):
    enough = (drawn.support.targets != MISSING).sum(1) > 20
    shares = []
    for inputs, targets, asked, truth in zip(*drawn.support, *drawn.query, strict=True):
        near = np.square(asked[:, None] - inputs[None]).sum(-1) + 1e9 * (targets == MISSING)
        known = truth != MISSING
        shares.append((targets[near.argmin(1)] == truth)[known].mean() if known.any() else 1.0)
    shares = np.array(shares)[enough]
    assert (shares > 0.9).mean() > 0.05 and (shares < 0.65).mean() > 0.2


def test_the_same_key_draws_the_same_table():
    draw = jax.jit(TASKS)
    one, two, other = (draw(jax.random.key(seed)) for seed in (1, 1, 2))
    for same, again in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(same, again)
    assert not jnp.array_equal(one.query.inputs, other.query.inputs)


@pytest.mark.parametrize(
    ("field", "value"), [("least", 1), ("rows", 1), ("queries", 0), ("features", 1), ("classes", 1)]
)
def test_sizes_that_are_too_small_are_rejected(field, value):
    with pytest.raises(ConfigError) as raised:
        TableTasks(**{field: value})
    assert raised.value.field == field
