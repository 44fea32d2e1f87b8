"""Instances of every system in float64, drawn once."""

import functools

import jax
import jax.numpy as jnp
import pytest

from metajax.physics import get_physics

NUM = 64


@functools.cache
def _instances(name):
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(7), NUM)
        return jax.jit(jax.vmap(get_physics(name).draw))(keys)


@pytest.fixture
def instances():
    """``instances(name)``: parameters and states of 64 instances on a leading axis, in float64."""
    return _instances


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield jnp.float64
