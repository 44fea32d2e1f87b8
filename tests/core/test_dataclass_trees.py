"""Dataclasses as pytrees."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from metajax.core import ConfigError, register_dataclass


@register_dataclass
@dataclass(frozen=True)
class Sum:
    numbers: Any
    factor: int = field(metadata={"static": True})

    def __post_init__(self) -> None:
        if self.numbers is None:
            raise ConfigError("numbers", None, "numbers")

    def value(self):
        return self.factor * jnp.sum(self.numbers)


@register_dataclass
@dataclass(frozen=True)
class Products:
    numbers: Any
    factor: int = field(metadata={"static": True})

    def value(self):
        return self.factor * jnp.cumprod(self.numbers)


def test_trees_of_different_classes_differ():
    """To JAX's own ``register_dataclass`` they are equal, so that one is compiled for the other."""
    one, other = (jax.tree.structure(kind(jnp.ones(3), 2)) for kind in (Sum, Products))
    assert one == jax.tree.structure(Sum(jnp.zeros(3), 2)) and one != other
    assert one != jax.tree.structure(Sum(jnp.ones(3), 3))


def test_a_compiled_function_takes_either():
    value = jax.jit(lambda node: node.value())
    numbers = jnp.array([1.0, 2.0, 4.0])
    assert value(Sum(numbers, 2)) == 14
    assert value(Products(numbers, 2)).tolist() == [2, 4, 16]
    assert value(Sum(numbers, 3)) == 21


def test_leaves_have_the_names_of_fields_and_mapping_keeps_the_class():
    node = Sum({"a": 1.0, "b": 2.0}, 2)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(node)]
    assert paths == [".numbers['a']", ".numbers['b']"]
    assert jax.tree.map(lambda leaf: leaf + 1, node) == Sum({"a": 2.0, "b": 3.0}, 2)


def test_what_is_rebuilt_is_not_checked_again():
    assert jax.tree.map(lambda leaf: None, Sum(1.0, 2)).numbers is None
    with pytest.raises(ConfigError, match="numbers = None"):
        Sum(None, 2)
