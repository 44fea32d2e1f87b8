"""How a trained sequence learner is used on labeled images or rows of a person's own."""

from __future__ import annotations

import dataclasses
from typing import Any

from metajax.systems.base import Use
from metajax.systems.gpicl.problem import Problem, make_problem
from metajax.systems.gpicl.settings import Settings, Training
from metajax.systems.uses import classes_of_images


def over_noise(settings: Settings) -> Problem:
    """Return the problem over noise in place of its images: no set is read."""
    noise = dataclasses.replace(settings, base_set="random", other_sets=(), host_fed=False)
    return make_problem(noise, Training())._replace(settings=settings)


def use(config: Any) -> Use:
    """Read labeled images, or rows, as a sequence in random order, and tell classes apart."""
    return classes_of_images(config, sequence=True, problem=over_noise)
