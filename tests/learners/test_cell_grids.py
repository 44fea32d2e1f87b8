"""A grid of cells with one set of weights (VSML): what its symmetry promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Examples, Task
from metajax.learners import shared_cells

WAYS, FEATURES, LENGTH = 3, 5, 6


def drawn(learner, seed=0):
    """Meta-parameters, which are the same for tasks of any shape."""
    examples = Examples(jnp.zeros((1, 1, FEATURES)), jnp.zeros((1, 1), int))
    return learner.meta.init(jax.random.key(seed), Task(examples, examples))


@pytest.fixture(scope="module", params=[(), (4,)], ids=["one layer", "a hidden layer"])
def logits(request):
    """Logits of a sequence by inputs and targets, with weights that are far from small."""
    learner = shared_cells(WAYS, width=4, messages=3, hidden=request.param)
    params = drawn(learner)
    params = jax.tree.map(lambda leaf: 3 * leaf, params)

    @jax.jit
    def of(inputs, targets):
        return learner.logits(params, Examples(inputs, targets), jax.random.key(1))

    return of


@pytest.fixture(scope="module")
def sequence():
    inputs = jax.random.normal(jax.random.key(2), (2, LENGTH, FEATURES))
    return inputs, jax.random.randint(jax.random.key(3), (2, LENGTH), 0, WAYS)


def test_features_in_another_order_change_nothing(logits, sequence):
    inputs, targets = sequence
    found = logits(inputs, targets)
    assert np.std(found) > 0.1
    other = logits(inputs[..., jnp.array([3, 0, 4, 1, 2])], targets)
    np.testing.assert_allclose(other, found, atol=1e-5)


def test_classes_in_another_order_permute_the_logits(logits, sequence):
    inputs, targets = sequence
    order = jnp.array([2, 0, 1])
    permuted = logits(inputs, order[targets])
    np.testing.assert_allclose(permuted[..., order], logits(inputs, targets), atol=1e-5)


def test_nothing_leaks_from_later_examples_or_from_the_own_label(logits, sequence):
    inputs, targets = sequence
    found = logits(inputs, targets)
    for place in (0, 3):
        later = inputs.at[:, place + 1 :].add(1.0)
        changed = logits(later, targets.at[:, place:].set((targets[:, place:] + 1) % WAYS))
        np.testing.assert_array_equal(changed[:, : place + 1], found[:, : place + 1])
        assert float(jnp.max(jnp.abs(changed[:, place + 1 :] - found[:, place + 1 :]))) > 1e-3


def test_the_same_weights_fit_any_number_of_features_and_classes():
    few, many = (shared_cells(ways, width=4, messages=3) for ways in (2, 7))
    params = drawn(few)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, drawn(many))
    inputs = jnp.ones((1, 4, 9))
    found = many.logits(params, Examples(inputs, jnp.zeros((1, 4), int)), jax.random.key(0))
    assert found.shape == (1, 4, 7)


def test_one_layer_equals_its_equations():
    """A loop over cells, of one example told and a query, in float64."""
    width, messages = 3, 2
    learner = shared_cells(WAYS, width=width, messages=messages)
    params = drawn(learner, seed=4)
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    inputs = np.random.default_rng(0).normal(size=(1, 2, FEATURES)).astype(np.float32)
    targets = np.array([[1, 0]])

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    cell, out = (np.zeros((FEATURES, WAYS, width)) for _ in range(2))

    def read(x, told):
        for a in range(FEATURES):
            for b in range(WAYS):
                gates = p["from_left"]["bias"] + x[a] * p["from_left"]["kernel"][0]
                gates = gates + told[b] @ p["from_right"]["kernel"]
                gates = gates + out[a, b] @ p["recurrent"]["kernel"]
                i, f, g, o = np.split(gates, 4)
                cell[a, b] = sigmoid(f) * cell[a, b] + sigmoid(i) * np.tanh(g)
                out[a, b] = sigmoid(o) * np.tanh(cell[a, b])
        return out.sum(0) @ p["to_right"]["kernel"][:, 0] / FEATURES**0.5

    blank = np.zeros((WAYS, messages))
    first = read(inputs[0, 0], blank)
    label, shares = np.eye(WAYS)[1], np.exp(first) / np.exp(first).sum()
    read(inputs[0, 0], np.stack([label, label - shares], axis=-1))
    second = read(inputs[0, 1], blank)
    examples = Examples(jnp.asarray(inputs), jnp.asarray(targets))
    found = learner.logits(params, examples, jax.random.key(0))[0]
    np.testing.assert_allclose(found, np.stack([first, second]), atol=1e-5)


def test_units_of_a_hidden_layer_differ_and_the_first_layer_is_told_of_labels():
    """The second label matters: before it, classes are interchangeable."""
    learner = shared_cells(WAYS, width=4, messages=3, hidden=(4,))
    params = drawn(learner)
    inputs = jax.random.normal(jax.random.key(2), (1, 2, FEATURES))
    adapt = jax.jit(learner.meta.adapt)
    first, second = (
        adapt(params, Examples(inputs, jnp.array([[0, label]])), jax.random.key(1))[0].cells.hidden
        for label in (0, 1)
    )
    assert first.shape == (1, FEATURES, 4, 4)
    assert float(jnp.min(jnp.std(first, axis=2))) > 0
    assert float(jnp.max(jnp.abs(first - second))) > 1e-5


@pytest.mark.parametrize(
    ("field", "sizes"),
    [("width", {"width": 0}), ("messages", {"messages": 1}), ("hidden", {"hidden": (0,)})],
)
def test_sizes_that_are_too_small_are_named(field, sizes):
    with pytest.raises(ConfigError) as error:
        shared_cells(WAYS, **sizes)
    assert error.value.field == field
