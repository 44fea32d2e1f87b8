"""What a caller has set around a run, and a run leaves out: an ambient mesh, a transfer guard."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding
from jaxtyping import PyTree

P = ParamSpec("P")
R = TypeVar("R")


def is_jit_disabled() -> bool:
    """Return whether ``jax.disable_jit`` holds, under which nothing can be compiled."""
    config: Any = jax.config
    return bool(config.jax_disable_jit)


def _no_mesh() -> contextlib.AbstractContextManager[Any]:
    if jax.sharding.get_abstract_mesh().empty:
        return contextlib.nullcontext()
    return jax.set_mesh(Mesh(np.empty((), object), ()))


def apart_from_surroundings(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that the caller's ambient mesh and transfer guard do not reach.

    The function says itself where its arrays live, and JAX rejects arrays of one mesh within
    another; its transfers are deliberate. Arrays that it returns are whole on every device of the
    ambient mesh, where there is one, so that the caller can use them there.

    Args:
      function: of arrays.

    Returns:
      The function with the same arguments and results.
    """

    @functools.wraps(function)
    def apart(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.transfer_guard("allow"):
            with _no_mesh():
                if any(map(_is_explicit, jax.tree.leaves((args, kwargs)))):
                    args, kwargs = _without_mesh((args, kwargs))
                result = function(*args, **kwargs)
            if jax.sharding.get_abstract_mesh().empty:
                return result
            return jax.tree.map(_within_mesh, result)

    return apart


def _within_mesh(leaf: Any) -> Any:
    """Put an array whole on the devices of the ambient mesh."""
    return jax.device_put(leaf, PartitionSpec()) if isinstance(leaf, jax.Array) else leaf


def _is_explicit(leaf: Any) -> bool:
    """Whether an array's type names a mesh, which no other mesh takes."""
    sharding = getattr(leaf, "sharding", None)
    return isinstance(sharding, NamedSharding) and AxisType.Explicit in sharding.mesh.axis_types


def _without_mesh(tree: PyTree) -> PyTree:
    """Put such arrays whole on one device."""
    # the device itself as the target would leave the mesh in the array's type
    one = SingleDeviceSharding(jax.local_devices()[0])
    return jax.tree.map(
        lambda leaf: jax.device_put(leaf, one) if _is_explicit(leaf) else leaf, tree
    )
