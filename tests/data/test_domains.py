"""Domains around a circle of shifts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.continual import turned
from metajax.core import ConfigError
from metajax.data import DomainTasks, ImagePool, domain_circle

SIDE, EACH = 5, 6


def pool(seed, levels):
    images = np.random.default_rng(seed).integers(0, levels, (2 * EACH, SIDE, SIDE, 1))
    labels = jnp.repeat(jnp.arange(2, dtype=jnp.int32), EACH)
    starts = jnp.asarray([0, EACH, 2 * EACH], jnp.int32)
    mean = jnp.float32(images.mean() / 255)
    return ImagePool(
        jnp.asarray(images, jnp.uint8), labels, starts, mean, jnp.float32(0.2 + seed), 2
    )


TRAIN, HELD_OUT = pool(0, 256), pool(1, 100)
SOURCES, TARGETS = domain_circle(TRAIN, HELD_OUT, turned, 4, 2 * np.pi)


def test_source_domains_are_turned_in_equal_steps():
    usual = (np.asarray(TRAIN.images) / 255 - np.asarray(TRAIN.mean)) / 0.2
    for index in range(4):
        expected = np.rot90(usual, index, (1, 2)).reshape(2 * EACH, -1)
        np.testing.assert_allclose(SOURCES.images[index], expected, atol=1e-4)
    np.testing.assert_array_equal(SOURCES.own, range(4))
    np.testing.assert_array_equal(SOURCES.nearest, [[3, 1], [0, 2], [1, 3], [2, 0]])


def test_target_domains_lie_half_way_and_have_the_held_out_images():
    levels = (HELD_OUT.images.astype(jnp.float32) / 255 - TRAIN.mean) / TRAIN.std
    for index in range(4):
        expected = turned(levels, np.pi / 2 * (index + 0.5)).reshape(2 * EACH, -1)
        np.testing.assert_allclose(TARGETS.images[index], expected, atol=1e-4)
    np.testing.assert_array_equal(TARGETS.own, -1)
    np.testing.assert_array_equal(TARGETS.nearest, [[0, 1], [1, 2], [2, 3], [3, 0]])


def test_a_task_is_of_one_domain_and_all_are_drawn():
    tasks = jax.jit(jax.vmap(DomainTasks(SOURCES, 3, 4)))(jax.random.split(jax.random.key(0), 50))
    support, query = tasks
    assert support.targets.shape == (50, 3) and query.inputs.images.shape == (50, 4, SIDE**2)
    own = np.asarray(support.inputs.own)
    assert (own == own[:, :1]).all() and set(own[:, 0]) == set(range(4))
    np.testing.assert_array_equal(query.inputs.own, np.broadcast_to(own[:, :1], (50, 4)))
    np.testing.assert_array_equal(
        query.inputs.nearest, np.asarray(SOURCES.nearest)[own[:, [0] * 4]]
    )
    images, labels = np.asarray(SOURCES.images), np.asarray(SOURCES.labels)
    shown, said = np.asarray(query.inputs.images), np.asarray(query.targets)
    for at in range(5):
        rows = [row.tobytes() for row in images[own[at, 0]]]
        known = dict(zip(rows, labels, strict=True))
        assert [known[row.tobytes()] for row in shown[at]] == said[at].tolist()


def test_a_circle_has_two_domains_or_more():
    with pytest.raises(ConfigError, match="num = 1"):
        domain_circle(TRAIN, HELD_OUT, turned, 1, 1.0)
