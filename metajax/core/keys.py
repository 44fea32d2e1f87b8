"""Random keys: every draw of a run is ``fold_in(run key, step, purpose)``."""

from __future__ import annotations

import math
import zlib
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32, Integer, Key, UInt32

from metajax.core.errors import ConfigError

IMPLEMENTATION = "threefry2x32"
"""The random bits that metajax's own seeds stand for."""


def check_key(name: str, key: Key[Array, "..."]) -> None:
    """Reject keys whose draws depend on what else is drawn with them.

    Under ``vmap`` those of ``rbg`` and ``unsafe_rbg`` give a batch bits that are not those of its
    members: how many of a step's tasks a device works on at once would change them.

    Args:
      name: of the argument.
      key: one or more typed keys.

    Raises:
      ConfigError: they are of such an implementation.
    """
    implementation = str(jax.random.key_impl(key))
    if implementation in ("rbg", "unsafe_rbg"):
        raise ConfigError(
            name,
            f"a key of {implementation}",
            f"jax.random.key(seed, impl={IMPLEMENTATION!r}): with {implementation} the draws for a "
            "task depend on which other tasks are computed with it",
        )


def check_one_key(name: str, key: Any) -> None:
    """Reject what is not one typed key, and what :func:`check_key` rejects.

    Args:
      name: of the argument.
      key: as it was given.

    Raises:
      ConfigError: it is not.
    """
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.shape:
        raise ConfigError(name, key, "one typed key, e.g. jax.random.key(0)")
    check_key(name, key)


def stream(key: Key[Array, ""], purpose: str) -> Key[Array, ""]:
    """Return the key that one ``purpose`` folds its step numbers into; see :func:`derive`.

    Args:
      key: the run's.
      purpose: what is drawn, any name.
    """
    return jax.random.fold_in(key, zlib.crc32(purpose.encode()))


def derive(key: Key[Array, ""], purpose: str, step: int | Integer[Array, ""] = 0) -> Key[Array, ""]:
    """Return the key for one ``purpose`` at one ``step`` of the run that ``key`` belongs to.

    The step number is thus the whole random state of a run: a resumed run draws what the run
    never stopped would have drawn. ``step`` may be traced. Purposes are told apart by a 32-bit
    hash of their name, stable across processes and Python versions.

    Args:
      key: the run's.
      purpose: what is drawn, any name.
      step: the meta-step, 0 or more.

    Examples:
      >>> import jax
      >>> from metajax.core import derive
      >>> run = jax.random.key(0)
      >>> bool((derive(run, "tasks", 3) == derive(run, "tasks", 3)).all())
      True
      >>> bool((derive(run, "tasks", 3) == derive(run, "noise", 3)).all())
      False
    """
    return jax.random.fold_in(stream(key, purpose), step)


def random_indices(
    key: Key[Array, ""], shape: tuple[int, ...], num: UInt32[Array, "..."]
) -> Int32[Array, "..."]:
    """Return integers drawn uniformly from 0 to ``num - 1``; ``num`` may be an array of ``shape``.

    See :func:`indices_from`. It compiles in a quarter of the time of ``jax.random.randint``, which
    draws twice.

    Args:
      key: of the draw.
      shape: of what is returned.
      num: how many integers there are to choose from.
    """
    return indices_from(jax.random.bits(key, shape, jnp.uint32), num)


def indices_from(bits: UInt32[Array, "..."], num: UInt32[Array, "..."]) -> Int32[Array, "..."]:
    """Turn random bits into integers from 0 to ``num - 1``: the remainders.

    One index is likelier than another by at most ``num / 2**32`` of its probability, and exactly
    as likely where ``num`` is a power of 2. For samplers that draw all their bits in one call:
    every call of ``jax.random`` costs a third of a second to compile on CPU.

    Args:
      bits: 32 random bits each.
      num: how many integers there are to choose from, broadcast to the shape of ``bits``.

    Returns:
      One index for each, int32.
    """
    return (bits % jnp.broadcast_to(num, bits.shape)).astype(jnp.int32)


def normals_from(bits: UInt32[Array, "..."]) -> Float32[Array, "..."]:
    """Turn random bits into standard normal numbers, by the inverse of their distribution.

    As ``jax.random.normal`` does from a key; 23 of the 32 bits count, so none exceeds 5.3.

    Args:
      bits: 32 random bits each.

    Returns:
      One number for each, of mean 0 and variance 1.
    """
    # odd multiples of 2**-23 between -1 and 1: exact in float32, and never -1 or 1
    uniform = (bits >> 9).astype(jnp.float32) * 2.0**-22 - (1 - 2.0**-23)
    return jax.lax.erf_inv(uniform) * math.sqrt(2.0)


def task_keys(
    key: Key[Array, ""], num_tasks: int, axis_name: str | None = None
) -> Key[Array, " num_tasks"]:
    """Return one key per task held here, the same whichever way the tasks are split over devices.

    ``num_tasks`` counts the tasks on this device; under a mapped ``axis_name`` device ``d`` holds
    tasks ``d * num_tasks`` to ``(d + 1) * num_tasks - 1`` of the step.

    Args:
      key: of the step.
      num_tasks: tasks on this device.
      axis_name: of the mapped devices, or None.

    Raises:
      ConfigError: a key of ``rbg`` or ``unsafe_rbg``; see :func:`check_key`.
    """
    check_key("key", key)
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * num_tasks
    indices = first + jnp.arange(num_tasks)
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)
