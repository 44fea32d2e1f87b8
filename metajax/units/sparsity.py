"""A penalty that empties whole units, so that they can be left out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError, Params
from metajax.units.axes import Units
from metajax.units.taking import unit_norms


def group_penalty(
    params: Params, units: Units, ratio: float = 16.0, *, squared: bool = False
) -> Float[Array, ""]:
    """Return the sum of the norms of all weights that belong to each unit, weak units more.

    A unit counts ``ratio ** ((most - norm) / (most - least))`` times, by the greatest and the least
    norm of its name. So the weakest unit shrinks ``ratio`` times as fast as the strongest one.
    Added to a loss, it drives units to zero that are hardly needed, and :func:`keep_largest` leaves
    them out (group lasso; Yuan and Lin 2006; weighted as by Fang et al. 2023, arXiv 2301.12900, and
    Yu et al. 2025, arXiv 2506.12041). The weighting has no derivative.

    Args:
      params: of the network.
      units: the names of its units.
      ratio: 1 or more; 1 counts all alike.
      squared: sum halves of the squared norms instead. The gradient of a weight is then the weight
        itself times the factors of its units, the gradient of structured sparsity of both papers;
        the norm's own pulls small units as hard as large ones.

    Raises:
      ConfigError: the ratio is below 1, or the names do not fit the parameters.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.units import group_penalty, reads
      >>> params = {"in": jnp.array([[3.0, 1.0]]), "out": jnp.array([[4.0], [0.0]])}
      >>> units = {"in": (None, "h"), "out": (reads("h"), None)}
      >>> float(group_penalty(params, units, 1.0)), float(group_penalty(params, units, 2.0))
      (6.0, 7.0)
    """
    if not ratio >= 1:
        raise ConfigError("ratio", ratio, "1 or more")
    total = []
    for norms in unit_norms(params, units).values():
        fixed = jax.lax.stop_gradient(norms)
        most, least = jnp.max(fixed), jnp.min(fixed)
        spread = jnp.where(most > least, most - least, 1)
        sizes = jnp.square(norms) / 2 if squared else norms
        total.append(jnp.sum(ratio ** ((most - fixed) / spread) * sizes))
    return jnp.sum(jnp.stack(total))
