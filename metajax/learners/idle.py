"""What learners have in common that do not adapt."""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, Key

from metajax.core import Params


def not_adapted(params: Params, support: Any, key: Key[Array, ""]) -> tuple[()]:
    """Return the empty ``adapted`` of a learner that does not read its support.

    Args:
      params: of the learner.
      support: of a task.
      key: not used.
    """
    return ()
