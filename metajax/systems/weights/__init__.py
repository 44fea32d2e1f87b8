"""Networks that make networks: weights generated for an angle, a width, or another condition.

A method of this family gives a learner whose tasks have a condition as their support, and images
with their classes as their query: it adapts by generating weights. The setting ``condition`` says
what networks differ in: it is one of ``KINDS``, which brings its methods, and how they are measured
and shown. A method that is made for another condition is rejected by name.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Array, Key

from metajax.core import Params
from metajax.systems.base import Method, Objective, Use
from metajax.systems.layout import family
from metajax.systems.scores import Evaluation
from metajax.systems.show import Figure
from metajax.systems.weights.conditions import Conditions
from metajax.systems.weights.kinds import KINDS, METHODS, kind_of, make_problem
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import TINY, Settings

__all__ = ["KINDS", "SYSTEM", "Conditions", "Problem", "Settings"]

KIND_LIST = KINDS.values()


def _evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    return KINDS[config.condition].evaluate(problem, method, params, config)


def _measure(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    return KINDS[problem.settings.condition].measure(problem, method, params, key)


def _objective(config: Any) -> Objective:
    return KINDS[config.condition].objective


def _check(config: Any) -> None:
    KINDS[config.condition].check(config)


def _use(config: Any) -> Use | None:
    return KINDS[config.condition].use


def _table(evaluation: dict[str, Any]) -> str:
    return kind_of(evaluation["method"]).table(evaluation)


def _figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    return kind_of(evaluation["method"]).figures(evaluation, history)


SYSTEM = family(
    __name__,
    summary="networks that make or change networks: for a width, classes, an image, or pruning",
    presets={name: values for kind in KIND_LIST for name, values in kind.presets.items()},
    usual_presets={
        method: next(iter(kind.presets)) for kind in KIND_LIST for method in kind.methods
    },
    methods=METHODS,
    problem=make_problem,
    evaluate=_evaluate,
    evaluators={"new_tasks": _measure},
    table=_table,
    figures=_figures,
    objective=_objective,
    evaluation=tuple(name for kind in KIND_LIST for name in kind.evaluation),
    alike_in=("seed",),
    check=_check,
    use=_use,
    tied_to_steps={
        "neumeta": "the length of its stages",
        "metanetwork": "how fast its sparsity rises",
    },
    tiny={**TINY, **{name: value for kind in KIND_LIST for name, value in kind.tiny.items()}},
)
"""What the command line and a sweep know of this family."""
