"""Exact estimators against central differences on a small MLP, with real optimisers inside."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.bilevel import descend, evaluate_hypergradient, hypergradient
from metajax.core import enable_x64
from metajax.nn import mlp

NETWORK = mlp([6], 1, jnp.tanh)
OPTIMIZERS = {
    "sgd": lambda h: optax.sgd(jnp.exp(h["log_lr"])),
    "momentum": lambda h: optax.sgd(jnp.exp(h["log_lr"]), 0.9),
    "adam": lambda h: optax.adam(jnp.exp(h["log_lr"]), eps_root=1e-6),
}


def make(optimizer):
    """Weight decays per array, the learning rate and a scale of the initialisation are learned."""

    def error(params, batch):
        inputs, targets = batch
        return jnp.mean((NETWORK.apply(params, inputs) - targets) ** 2)

    def inner_loss(params, hparams, batch):
        decay = jax.tree.map(lambda h, p: jnp.exp(h) * jnp.sum(p**2), hparams["log_decay"], params)
        return error(params, batch) + sum(jax.tree.leaves(decay))

    return descend(
        inner_loss,
        lambda params, hparams, batch: error(params, batch),
        OPTIMIZERS[optimizer],
        init=lambda hparams, start: jax.tree.map(lambda p: hparams["scale"] * p, start),
    )


@pytest.mark.parametrize(
    ("optimizer", "estimator"),
    [("sgd", "unrolled"), ("momentum", "unrolled"), ("adam", "unrolled"), ("adam", "forward")],
)
def test_the_hypergradient_is_that_of_finite_differences(optimizer, estimator):
    with enable_x64(True):
        keys = iter(jax.random.split(jax.random.key(0), 5))
        inputs = jax.random.normal(next(keys), (8, 5, 2))
        batches = (inputs, jnp.sin(inputs[..., :1] * inputs[..., 1:]))
        outer = (inputs[0] + 0.3, jnp.cos(inputs[0, :, :1]))
        start = jax.tree.map(
            lambda p: p.astype(jnp.float64),
            jax.jit(NETWORK.init)(next(keys), inputs[0].astype(jnp.float32)),
        )
        rate = -4.0 if optimizer == "adam" else -2.5
        hparams = {
            "log_decay": jax.tree.map(lambda p: jnp.float64(-3.0), start),
            "log_lr": jnp.float64(rate),
            "scale": jnp.float64(1.1),
        }
        problem = make(optimizer)
        flat, unravel = jax.flatten_util.ravel_pytree(hparams)

        @jax.jit
        def loss(flat):
            state = problem.init(unravel(flat), start)
            for i in range(8):
                state = problem.update(
                    state, unravel(flat), jax.tree.map(lambda x, i=i: x[i], batches)
                )
            return problem.outer_loss(state, unravel(flat), outer)

        step = 1e-5
        differences = [
            (loss(flat + step * e) - loss(flat - step * e)) / (2 * step) for e in np.eye(flat.size)
        ]

        @jax.jit
        def estimated(hparams):
            return evaluate_hypergradient(
                hypergradient(estimator), problem, hparams, start, batches, outer
            )

        found = estimated(hparams)
        found = jax.flatten_util.ravel_pytree(found)[0]
        np.testing.assert_allclose(found, differences, rtol=1e-5, atol=1e-8)
        assert np.all(np.abs(found) > 1e-7)  # every hyperparameter matters here
