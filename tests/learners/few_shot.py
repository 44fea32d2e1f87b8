"""Small tasks and networks for the tests of few-shot learners."""

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import Examples, Network, Task

WAYS = 3
KEY = jax.random.key(0)
Q, C, V, THETA = np.random.default_rng(0).uniform(0.5, 1.5, (4, 4))
"""Curvatures, the support's minimum, the query's, and meta-parameters of the quadratic."""


def regression_task(seed=0, examples=6, dtype=jnp.float64):
    inputs = np.random.default_rng(seed).normal(size=(2, examples, 2))
    targets = np.sin(2 * inputs[..., :1] - inputs[..., 1:]) + seed
    parts = zip(jnp.asarray(inputs, dtype), jnp.asarray(targets, dtype), strict=True)
    return Task(*(Examples(*part) for part in parts))


def classification_task(seed=0, shots=2, dtype=jnp.float64):
    inputs = np.random.default_rng(seed).normal(size=(2, WAYS * shots, 2))
    labels = jnp.asarray(np.tile(np.arange(WAYS, dtype=np.int32), shots))
    return Task(*(Examples(jnp.asarray(x, dtype), labels) for x in inputs))


def smooth(outputs=1, width=4):
    """An MLP that ends in tanh, in the dtype of its inputs; it starts the same from every key."""

    def init(key, inputs):
        draw, sizes = np.random.default_rng(0), (inputs.shape[-1], width, outputs)
        return {
            f"layer_{i}": {
                "kernel": jnp.asarray(draw.normal(size=sizes[i : i + 2]), inputs.dtype),
                "bias": jnp.asarray(draw.normal(size=sizes[i + 1]), inputs.dtype),
            }
            for i in (0, 1)
        }

    def apply(params, inputs):
        for layer in params.values():
            inputs = jnp.tanh(inputs @ layer["kernel"] + layer["bias"][None])
        return inputs

    return Network(init, apply)


def blobs(key):
    """A classification task: two examples of each class around its centre, in both parts."""
    draw = jax.random.normal(key, (5, WAYS, 2))
    inputs = (2 * draw[:1] + draw[1:]).reshape(2, 2 * WAYS, 2)
    return Task(*(Examples(x, jnp.tile(jnp.arange(WAYS), 2)) for x in inputs))


linear = Network(
    lambda key, inputs: {"w": jnp.asarray(THETA, inputs.dtype)},
    lambda params, inputs: inputs * params["w"][None],
)


def quadratic_loss(outputs, targets):
    """``sum_i q_i (w_i - c_i)^2 / 2`` for inputs of one row of ones."""
    return jnp.sum(jnp.asarray(Q, outputs.dtype) * (outputs - targets)[0] ** 2) / 2


def quadratic_task(centre=C, dtype=jnp.float32):
    def row(x):
        return jnp.asarray(x[None], dtype)

    ones = row(np.ones(4))
    return Task(Examples(ones, row(centre)), Examples(ones, row(V)))
