"""The standard sinusoid tasks: their ranges, their formula, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import sinusoid_tasks

NUM = 2000


@pytest.fixture(scope="module")
def drawn():
    return jax.jit(jax.vmap(sinusoid_tasks(10, 20)))(jax.random.split(jax.random.key(0), NUM))


def test_targets_are_one_sine_of_the_inputs_per_task(drawn):
    """Fitted exactly by a sin(x) + b cos(x), with amplitude and phase in range."""
    x = np.concatenate([drawn.support.inputs, drawn.query.inputs], axis=1)[..., 0]
    y = np.concatenate([drawn.support.targets, drawn.query.targets], axis=1)[..., 0]
    assert x.shape == (NUM, 30) and x.min() >= -5 and x.max() <= 5
    basis = np.stack([np.sin(x), np.cos(x)], axis=-1).astype(np.float64)
    fit = np.stack([np.linalg.lstsq(b, t, rcond=None)[0] for b, t in zip(basis, y, strict=True)])
    np.testing.assert_allclose(np.einsum("nkb,nb->nk", basis, fit), y, atol=2e-4)
    amplitude, phase = np.hypot(*fit.T), np.arctan2(-fit[:, 1], fit[:, 0]) % (2 * np.pi)
    for value, low, high in ((amplitude, 0.1, 5.0), (phase, 0.0, np.pi)):
        assert low - 1e-2 <= value.min() and value.max() <= high + 1e-2
        assert abs(value.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * NUM)


def test_bounds_are_traced():
    """Other bounds meet the same program."""
    draw = jax.jit(lambda tasks, key: tasks(key))
    draw(sinusoid_tasks(), jax.random.key(0))
    task = draw(sinusoid_tasks(amplitude=(2.0, 2.0), phase=(0.0, 0.0)), jax.random.key(0))
    assert draw._cache_size() == 1
    np.testing.assert_allclose(task.query.targets, 2 * jnp.sin(task.query.inputs), atol=1e-5)


@pytest.mark.parametrize(
    ("field", "change"),
    [("support", {"support": 0}), ("query", {"query": 0}), ("phase", {"phase": (1.0, 0.0)})],
)
def test_impossible_settings_are_refused(field, change):
    with pytest.raises(ConfigError, match=field):
        sinusoid_tasks(**change)
