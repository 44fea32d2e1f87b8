"""Networks that make networks: weights generated for an angle, a width, or another condition.

A method of this family gives a learner whose tasks have a condition as their support, and images
with their classes as their query: it adapts by generating weights. What the condition is, its
methods, and how they are measured and shown, is of one of several kinds of problem, a folder each.
"""

from __future__ import annotations

from metajax.systems.layout import united
from metajax.systems.weights.conditions import Conditions
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import TINY, Training

__all__ = ["SYSTEM", "Conditions", "Problem"]

SYSTEM = united(
    __name__,
    ("angles", "widths", "architectures", "classes", "images", "modalities", "pruning"),
    summary="networks that make or change networks: for a width, classes, an image, or pruning",
    tiny=TINY,
    training=Training,
    alike_in=("seed",),
    renamed={"condition": "preset"},
)
"""What the command line and a sweep know of this family."""
