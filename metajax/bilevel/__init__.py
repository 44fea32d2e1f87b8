"""Bilevel optimization: inner problems, and every hypergradient behind one interface."""

from metajax.bilevel.batches import full_batches, minibatches
from metajax.bilevel.distillation import Distilled, distilled, estimate_theta
from metajax.bilevel.evolution import es, pes
from metajax.bilevel.exact import forward, unrolled
from metajax.bilevel.implicit import conjugate_gradient, neumann
from metajax.bilevel.long_run import RunParams, RunState, online_run
from metajax.bilevel.online_tuning import (
    Batches,
    OnlineParams,
    OnlineState,
    inner_learner,
    online,
)
from metajax.bilevel.problem import InnerState, descend
from metajax.bilevel.registry import (
    ESTIMATORS,
    estimate,
    evaluate_hypergradient,
    hypergradient,
)
from metajax.bilevel.search import SearchState, random_search
from metajax.bilevel.short import drmad, first_order, one_step
from metajax.bilevel.tuning import TunedHyperparameters, tune
from metajax.bilevel.types import Estimate, Hypergradient, InnerProblem

__all__ = [
    "ESTIMATORS",
    "Batches",
    "Distilled",
    "Estimate",
    "Hypergradient",
    "InnerProblem",
    "InnerState",
    "OnlineParams",
    "OnlineState",
    "RunParams",
    "RunState",
    "SearchState",
    "TunedHyperparameters",
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
    "full_batches",
    "hypergradient",
    "inner_learner",
    "minibatches",
    "neumann",
    "one_step",
    "online",
    "online_run",
    "pes",
    "random_search",
    "tune",
    "unrolled",
]
