"""Hyperparameters of one's own inner loss, tuned on held-out data."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.bilevel import descend, tune
from metajax.core import ConfigError

TRUTH = np.array([1.0, -2.0, 0.5, 0.0, 0.0, 0.0])


def ridge_loss(w, hparams, batch):
    x, y = batch
    return jnp.mean((x @ w - y) ** 2) + jnp.exp(hparams) * jnp.sum(w**2)


def squared_error(w, hparams, batch):
    x, y = batch
    return jnp.mean((x @ w - y) ** 2)


@pytest.fixture(scope="module")
def data():
    """Twelve noisy examples to fit, and as many to validate on (seed 0)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6))
    y = x @ TRUTH + 3 * rng.normal(size=24)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return (x[:12], y[:12]), (x[12:], y[12:])


def solved(log_decay, data):
    """The minimum of the ridge loss in closed form, and its held-out loss."""
    (x, y), (u, v) = data
    w = np.linalg.solve(x.T @ x / 12 + np.exp(log_decay) * np.eye(6), x.T @ y / 12)
    return w, np.mean((u @ w - v) ** 2)


def test_the_ridge_of_least_held_out_loss_is_found(data):
    """Against a grid of closed-form ridge regressions: the same decay, weights and loss."""
    problem = descend(ridge_loss, squared_error, optax.sgd(0.1, momentum=0.9))
    found = tune(
        problem,
        jnp.float32(-5.0),
        jnp.zeros(6),
        *data,
        inner_steps=150,
        steps=120,
        optimizer=optax.adam(0.1),
    )
    grid = np.linspace(-6, 2, 400)
    losses = [solved(decay, data)[1] for decay in grid]
    best = grid[int(np.argmin(losses))]
    assert -5 < best < 1.5
    assert abs(float(found.hparams) - best) < 0.1
    np.testing.assert_allclose(found.params, solved(best, data)[0], atol=0.03)
    assert min(losses) - 1e-3 < found.loss.min() < min(losses) + 1e-3 < found.loss[0]


def test_settings_that_do_not_work_are_rejected_by_name(data):
    problem = descend(ridge_loss, squared_error, optax.sgd(0.1))
    with pytest.raises(ConfigError, match="inner_steps"):
        tune(problem, jnp.float32(-5.0), jnp.zeros(6), *data, inner_steps=0)
    wild = descend(ridge_loss, squared_error, optax.sgd(1e3))
    with pytest.raises(ConfigError, match="stays finite"):
        tune(wild, jnp.float32(-5.0), jnp.zeros(6), *data, inner_steps=150, steps=2)
