"""What a condition brings to the family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Key

from metajax.core import Params
from metajax.data import ImagePool
from metajax.systems.base import Entry, Method, Objective, Use, no_check
from metajax.systems.scores import Evaluation
from metajax.systems.show import Figure
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Settings


class Kind(NamedTuple):
    """What a condition brings: its problem, its methods, and how they are measured and shown.

    Attributes:
      make: ``make(settings, train, test)`` makes the problem of images to train on and images to
        measure on; these have the statistics of the first.
      methods: as in a family's registry, the default first.
      presets: named settings, the usual one first.
      tiny: the smallest settings that each method still does all of its work with.
      evaluate: what ``eval.json`` holds.
      measure: what is measured along training.
      objective: what a sweep compares runs by.
      table: what a person reads first, of the content of ``eval.json``.
      figures: of the content of ``eval.json`` and of what was logged.
      check: ``check(config)`` raises where settings of this condition do not fit together.
      evaluation: settings that concern evaluation and report alone, beyond those whose names begin
        with ``eval_``.
      use: how a run is used on a person's own data; None: by its learner alone.
    """

    make: Callable[[Settings, ImagePool, ImagePool], Problem]
    methods: Mapping[str, Entry]
    presets: Mapping[str, Mapping[str, Any]]
    tiny: Mapping[str, Any]
    evaluate: Callable[[Problem, Method, Params, Any], Evaluation]
    measure: Callable[[Problem, Method, Params, Key[Array, ""]], dict[str, Any]]
    objective: Objective
    table: Callable[[dict[str, Any]], str]
    figures: Callable[[dict[str, Any], list[dict[str, Any]]], list[Figure]]
    check: Callable[[Any], None] = no_check
    evaluation: tuple[str, ...] = ()
    use: Use | None = None
