"""A small sequence of tasks, and learners for it, which the tests of learning in sequence share."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import metajax as mj
from metajax import continual
from metajax.data import ImagePool
from metajax.hypernet import generator, shared_head
from metajax.nn import mlp

SIDE, CLASSES, EACH, TASKS, STEPS = 4, 4, 12, 3, 20


def pool(seed, each=EACH):
    """Images of four classes, each about a pattern of its own."""
    patterns = np.random.default_rng(7).uniform(0, 255, (CLASSES, SIDE, SIDE, 1))
    noise = np.random.default_rng(seed).normal(0, 20, (CLASSES, each, SIDE, SIDE, 1))
    images = np.clip(patterns[:, None] + noise, 0, 255).astype(np.uint8)
    starts = np.arange(CLASSES + 1) * each
    return ImagePool(
        jnp.asarray(images.reshape(-1, SIDE, SIDE, 1)),
        jnp.asarray(np.repeat(np.arange(CLASSES, dtype=np.int32), each)),
        jnp.asarray(starts, jnp.int32),
        jnp.float32(0.5),
        jnp.float32(0.3),
        CLASSES,
    )


@functools.cache
def sequence():
    return continual.permuted(pool(0), pool(1, 5), TASKS, jax.random.key(3))


NETWORK = mlp((8,), CLASSES)


def target(key):
    return NETWORK.init(key, jnp.zeros((1, SIDE**2)))


def hypernet(order="apart", **options):
    hidden = (7,) if order == "in_a_row" else (7, 6)
    head = shared_head(30, order=order, **{"embedding": 3} | options)
    return generator(target, hidden=hidden, head=head)


def by_hypernet(order="apart", **options):
    return continual.task_hypernetwork(
        hypernet(order), NETWORK, TASKS, **{"embedding": 5, "look_ahead": False} | options
    )


def train(learner, steps=TASKS * STEPS, seed=0, rate=3e-2, **options):
    """Train on the whole sequence; return the result of ``fit``."""
    return mj.fit(
        continual.in_sequence(learner, optax.adam(rate), TASKS),
        continual.sequence_tasks(sequence(), STEPS, 8, 4),
        steps=steps,
        tasks_per_step=2,
        key=jax.random.key(seed),
        progress=False,
        **options,
    )


@functools.cache
def draws():
    tasks = continual.sequence_tasks(sequence(), STEPS, 8, 4)
    return jax.jit(lambda key, step: tasks(key, step))


def batch(index=1, place=3, seed=0):
    """What a step of a task sees."""
    return draws()(jax.random.key(seed), np.int32(index * STEPS + place))
