"""Starts of architectures: zeros where one has no weights, and the graph hypernetwork's own."""

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import Examples, Task
from metajax.hypernet import MLPShape, graph_hypernetwork, padded_mlp
from metajax.learners import predicted_starts, shared_starts
from metajax.nn import mlp

KEY = jax.random.key(0)
TARGET = padded_mlp(inputs=3, outputs=2, layers=2, width=4)
SMALL = jax.tree.map(lambda leaf: leaf[0], TARGET.architectures([MLPShape((2,), "relu")]))
INPUTS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
TASK = Task(SMALL, Examples(jnp.asarray(INPUTS), jnp.arange(5, dtype=jnp.int32) % 2))


def test_an_architecture_has_the_first_layers_and_units_of_the_shared_network():
    learner = shared_starts(TARGET)
    params = learner.init(KEY, TASK)
    assert all(np.all(leaf["kernel"] != 0) for leaf in params.values())
    adapted = learner.adapt(params, SMALL, KEY)
    first, head = params["layer_0"], params["head"]
    own = {
        "Dense_0": {"kernel": first["kernel"][:, :2], "bias": first["bias"][:2]},
        "Dense_1": {"kernel": head["kernel"][:2], "bias": head["bias"]},
    }
    found = learner.predict(params, adapted, INPUTS)
    np.testing.assert_allclose(found, mlp((2,), 2).apply(own, INPUTS), rtol=1e-5, atol=1e-6)
    slopes = jax.grad(learner.loss, has_aux=True)(params, TASK, KEY)[0]
    assert np.any(slopes["layer_0"]["kernel"][:, :2])
    assert not np.any(slopes["layer_0"]["kernel"][:, 2:])


def test_predicted_starts_are_those_of_the_hypernetwork():
    made = graph_hypernetwork(4, rank=2, width=4, rounds=1)
    learner = predicted_starts(TARGET, made)
    params = jax.jit(learner.init)(KEY, TASK)
    weights, of = jax.jit(learner.adapt)(params, SMALL, KEY)
    wanted = made.start(params, SMALL.graph, SMALL.nodes, TARGET.like, TARGET.masks(SMALL))
    for one, other, mask in zip(
        *map(jax.tree.leaves, (weights, wanted, TARGET.masks(SMALL))), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        assert not np.any(np.asarray(one)[np.asarray(mask) == 0])
    np.testing.assert_array_equal(
        learner.predict(params, (weights, of), INPUTS), TARGET.apply(weights, SMALL, INPUTS)
    )
