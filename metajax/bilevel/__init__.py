"""Bilevel optimisation: inner problems, and every hypergradient behind one interface."""

from metajax.bilevel.distilled import Distilled, distilled, estimate_theta
from metajax.bilevel.evolution import es, pes
from metajax.bilevel.exact import forward, unrolled
from metajax.bilevel.implicit import conjugate_gradient, neumann
from metajax.bilevel.problem import InnerState, descend
from metajax.bilevel.registry import (
    ESTIMATORS,
    estimate,
    evaluate_hypergradient,
    hypergradient,
)
from metajax.bilevel.short import drmad, first_order, one_step
from metajax.bilevel.types import Estimate, Hypergradient, InnerProblem

__all__ = [
    "ESTIMATORS",
    "Distilled",
    "Estimate",
    "Hypergradient",
    "InnerProblem",
    "InnerState",
    "conjugate_gradient",
    "descend",
    "distilled",
    "drmad",
    "es",
    "estimate",
    "estimate_theta",
    "evaluate_hypergradient",
    "first_order",
    "forward",
    "hypergradient",
    "neumann",
    "one_step",
    "pes",
    "unrolled",
]
