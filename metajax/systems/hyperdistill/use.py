"""How a trained inner learner is used on a person's own images, or points of a curve."""

from __future__ import annotations

from typing import Any

from metajax.systems.classes import classes_of_images
from metajax.systems.curves import CURVES
from metajax.systems.hyperdistill.problem import Problem
from metajax.systems.hyperdistill.settings import Settings
from metajax.systems.parts import blank_parts
from metajax.systems.use import Use


def blank(settings: Settings) -> Problem:
    """Return the problem with blank images: no set is read."""
    return Problem(settings, *blank_parts(settings))


def use(config: Any) -> Use:
    """Adapt to labelled images, or to points of a curve, as the run was trained to."""
    if config.images:
        return classes_of_images(config, flat=False, problem=blank)
    return CURVES
