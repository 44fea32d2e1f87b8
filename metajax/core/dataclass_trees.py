"""Dataclasses as pytrees."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from jax.tree_util import GetAttrKey, register_pytree_with_keys

Class = TypeVar("Class", bound=type)


def register_dataclass(cls: Class) -> Class:
    """Make a dataclass a pytree; fields with ``static`` metadata are part of its structure.

    Use it instead of ``jax.tree_util.register_dataclass``, to which (JAX 0.10 and 0.12) trees of
    different classes are equal where their static fields and their leaves' places are. Their hashes
    differ. Where they collide in a table, once in some hundred processes, ``jax.jit`` runs what it
    compiled for the other class. Nor does this one run ``__init__`` when JAX rebuilds an instance:
    a ``__post_init__`` may reject values without meeting JAX's placeholders.

    Args:
      cls: a dataclass whose fields may be set by ``object.__setattr__``.

    Returns:
      The same class.
    """
    static = [field.name for field in fields(cls) if field.metadata.get("static")]
    dynamic = [field.name for field in fields(cls) if not field.metadata.get("static")]
    names = dynamic + static

    def flatten(node: Any) -> tuple[Any, Any]:
        children = tuple(getattr(node, name) for name in dynamic)
        return children, tuple(getattr(node, name) for name in static)

    def flatten_with_keys(node: Any) -> tuple[Any, Any]:
        children, structure = flatten(node)
        keys = map(GetAttrKey, dynamic)
        return tuple(zip(keys, children, strict=True)), structure

    def unflatten(structure: Any, children: Any) -> Any:
        node: Any = object.__new__(cls)
        for name, value in zip(names, (*children, *structure), strict=True):
            object.__setattr__(node, name, value)
        return node

    register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
