"""Random features whose distribution is made for a problem."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Params
from metajax.systems.hypino.solved import zero_head

SCALES = 0.5, 1.0, 2.0, 4.0
"""Of the parts of the distribution: as first drawn, those of ``random_features``."""


def first_maps(key: Key[Array, ""]) -> Params:
    """Return the distribution that a hypernetwork starts with.

    It is a mixture of as many equal parts as there are :data:`SCALES`. In each, a, b and c of
    ``tanh(a x + b y + c)`` are an affine map of three uniform numbers from -1 to 1, in units of the
    part's scale: ``map`` ``[parts, 3, 3]``, which starts as the identity, and ``shift``
    ``[parts, 3]``, which starts at 0. A map scales features, turns them and, since
    ``c = -(a x0 + b y0)`` is linear in a and b, places them around any point.

    Args:
      key: which nothing is drawn from.
    """
    parts = len(SCALES)
    return {"map": jnp.stack([jnp.eye(3)] * parts), "shift": jnp.zeros((parts, 3))}


def draw_from(maps: Params, key: Key[Array, ""], num: int) -> Float[Array, "3 num"]:
    """Draw a, b and c of ``num`` features, in turn by one part of the distribution after the other.

    Args:
      maps: of :func:`first_maps`.
      key: what is drawn from.
      num: how many.
    """
    dtype = maps["map"].dtype
    part = jnp.arange(num) % len(SCALES)
    uniform = jax.random.uniform(key, (num, 3), dtype, -1.0, 1.0)
    moved = jnp.einsum("nij,nj->in", maps["map"][part], uniform) + maps["shift"][part].T
    return jnp.asarray(SCALES, dtype)[part][None] * moved


def drawn(num: int, maps: Params, key: Key[Array, ""]) -> Params:
    """Weights of :func:`~metajax.systems.hypino.solved.tanh_network` that are drawn so."""
    inner = draw_from(maps, key, num)
    return {"inner": inner, "head": zero_head(inner)}
