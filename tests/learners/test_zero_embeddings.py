"""Learners that compare embeddings, one of which is zero: values and derivatives stay finite."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import Examples, Network, Task, enable_x64
from metajax.learners import cross_entropy, matching, prototypical
from metajax.learners.metric import unit

KEY = jax.random.key(0)
SIZES = [0.0, 1e-42, 1e-30, 1e-18, 1e-3, 1.0, 1e18, 1e30]
"""Of the embedding, as far as float32 reaches: squares of most overflow or vanish."""


@pytest.mark.parametrize("size", SIZES)
def test_unit_rows_of_any_length(size):
    row = np.array([[3.0, -4.0]]) * size
    counts = size >= 2e-19
    found = unit(jnp.asarray(row, jnp.float32))
    np.testing.assert_allclose(found, [[0.6, -0.8]] if counts else [[0, 0]], rtol=1e-6)
    slope = jax.jacrev(unit)(jnp.asarray(row, jnp.float32))[0, :, 0]
    across = np.array([[0.64, 0.48], [0.48, 0.36]])
    expected = across / (5 * size) if counts else np.zeros((2, 2))
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.float64])
def test_derivatives_of_every_order_at_zero(dtype):
    with enable_x64(True):
        rows = jnp.asarray([[0.0, 0.0], [1.0, 2.0]], dtype)

        def total(rows):
            return jnp.sum(unit(rows) * jnp.asarray([1.0, 3.0], dtype)[None])

        first, second = jax.jit(jax.grad(total))(rows), jax.jit(jax.hessian(total))(rows)
        assert np.all(np.isfinite(first)) and np.all(np.isfinite(second))
        np.testing.assert_array_equal(first[0], 0)
        assert np.any(first[1] != 0) and first.dtype == dtype


NETWORK = Network(
    lambda key, inputs: {"w": jnp.eye(2), "b": jnp.zeros(2)},
    lambda params, inputs: jax.nn.relu(inputs @ params["w"] + params["b"][None]),
)
LEARNERS = {
    "matching": matching(NETWORK, ways=2, scale=10.0),
    "matching-absent": matching(NETWORK, ways=3),  # a class that the support does not have
    "cosine": prototypical(NETWORK, ways=2, distance="cosine", scale=10.0),
    "cosine-absent": prototypical(NETWORK, ways=3, distance="cosine"),
    "euclidean": prototypical(NETWORK, ways=2),
}


def blank(dead):
    """A task whose ``dead`` examples the network, a scaled identity, embeds as zero."""
    inputs = jnp.array([[1.0, 0.5], [0.2, 1.0], [2.0, 0.3], [0.1, 0.7]])
    labels = jnp.array([0, 1, 0, 1])
    parts = {"support": inputs, "query": inputs + 0.1}
    for part, rows in dead.items():
        parts[part] = parts[part].at[jnp.array(rows)].set(0.0 if part == "support" else -1.0)
    return Task(*(Examples(x, labels) for x in parts.values()))


@functools.cache
def derivatives(name):
    """The loss, its gradient, and the gradient's derivative: one program for all tasks."""

    @jax.jit
    def found(params, task):
        def value_of(params):
            return LEARNERS[name].loss(params, task, KEY)[0]

        first = jax.grad(value_of)
        return value_of(params), first(params), jax.jvp(first, (params,), (params,))[1]

    return found


@pytest.mark.parametrize(
    "dead",
    [{"support": [1]}, {"query": [0]}, {"support": [0, 2]}, {"support": [0, 1, 2, 3]}],
    ids=str,
)
@pytest.mark.parametrize("name", LEARNERS)
def test_a_zero_embedding_leaves_loss_and_gradients_finite(name, dead):
    task = blank(dead)
    params = LEARNERS[name].init(KEY, task)
    for leaf in jax.tree.leaves(derivatives(name)(params, task)):
        assert np.all(np.isfinite(leaf))


def test_matching_is_the_log_of_the_summed_attention_also_where_that_underflows():
    network = Network(lambda key, inputs: {}, lambda params, inputs: inputs)
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]], np.float32)
    support, query = Examples(jnp.asarray(rows), jnp.array([0, 1, 1, 2])), jnp.asarray(rows[:1])
    for scale in (1.0, 30.0, 200.0):
        learner = matching(network, ways=4, scale=scale, loss=cross_entropy)
        found = learner.predict({}, learner.adapt({}, support, KEY), query)[0]
        scores = scale * rows.astype(np.float64) @ rows[0]
        logs = scores - np.logaddexp.reduce(scores)
        expected = [logs[0], np.logaddexp(logs[1], logs[2]), logs[3]]
        np.testing.assert_allclose(found[:3], expected, rtol=1e-5, atol=1e-5)
        assert np.isfinite(found[3]) and found[3] < -80  # a class without an example
