"""How a trained embedding is used on labeled images of a person's own."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import Use
from metajax.systems.federated.problem import Problem
from metajax.systems.federated.settings import Settings
from metajax.systems.uses import blank_parts, classes_of_images


def blank(settings: Settings) -> Problem:
    """Return the problem over blank images in place of the set's: no set is read."""
    return Problem(settings, blank_parts(settings).train, None)


def use(config: Any) -> Use:
    """Tell classes of images apart by the prototypes of their features."""
    return classes_of_images(config, sequence=False, problem=blank)
