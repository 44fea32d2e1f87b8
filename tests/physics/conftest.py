"""Instances of all mechanics in float64, drawn once."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

from metajax.core import enable_x64
from metajax.physics import Phase, get_mechanics

NUM = 64


class Instances(NamedTuple):
    """Parameters and initial states on a leading axis, with their energies and derivatives."""

    parameters: Any
    states: Phase
    energies: jax.Array
    rates: Phase


@functools.cache
def _instances(name):
    mechanics = get_mechanics(name)

    def instance(key):
        parameters, state = mechanics.draw(key)
        energy = mechanics.hamiltonian(state, parameters)
        return Instances(parameters, state, energy, mechanics.derivative(state, parameters))

    with enable_x64(True):
        keys = jax.random.split(jax.random.key(7), NUM)
        return jax.device_get(jax.jit(jax.vmap(instance))(keys))


@pytest.fixture
def instances():
    """``instances(name)``: 64 :class:`Instances` in float64, as numpy arrays."""
    return _instances


@pytest.fixture
def instance():
    """``instance(name)``: parameters and state of the first of them."""
    return lambda name: jax.tree.map(lambda leaf: leaf[0], _instances(name)[:2])


@pytest.fixture
def x64():
    with enable_x64(True):
        yield jnp.float64
