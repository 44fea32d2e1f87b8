"""Choosing the settings of a baseline, as training chooses the weights of a method."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax.core import Params
from metajax.systems.base import Method
from metajax.systems.gpicl.accuracy import LAST
from metajax.systems.gpicl.problem import Problem
from metajax.systems.gpicl.tasks import without_curriculum
from metajax.systems.setup import first_drawn

TRIED_ON = 256
"""Sequences of training tasks that a baseline's settings are chosen by."""

KERNEL_RIDGE = {"gamma": (0.5, 0.25, 1.0, 2.0), "ridge": (0.03, 0.01, 0.1, 0.3)}
LINEAR_RIDGE = {"ridge": (0.3, 0.03, 0.1, 1.0)}
DISCRIMINANT = {"shrinkage": (0.3, 0.03, 0.1, 0.6)}
LOGISTIC = {"strength": (1.0, 0.1, 10.0)}


def candidates(
    kind: Callable[..., Params], usual: Mapping[str, Sequence[float]], **given: float | None
) -> tuple[Params, ...]:
    """Return the parameters ``kind(**settings)`` of a baseline that are to be tried.

    Args:
      kind: what makes parameters of settings.
      usual: by setting, the values that are tried where none is given.
      given: by setting, its value; None: the usual ones, each with each.
    """
    values = [usual[name] if value is None else (value,) for name, value in given.items()]
    every = (dict(zip(given, chosen, strict=True)) for chosen in itertools.product(*values))
    return tuple(jax.tree.map(jnp.float32, kind(**settings)) for settings in every)


def tuned(method: Method, problem: Problem, key: Key[Array, ""]) -> Params:
    """Return the candidate of a method that does best over the last positions of training tasks.

    Images are those of training. The first of equals is taken; so is the first of all where the
    host reads the images, which are not on the device then.

    Args:
      method: its ``parts`` are candidates for its parameters; None: they are what it draws first.
      problem: its training tasks are tried, without curriculum.
      key: of the draws.
    """
    if not method.parts:
        assert method.learner is not None
        return first_drawn(method.learner, problem.unseen, key)
    if problem.settings.host_fed or len(method.parts) == 1:
        return method.parts[0]
    assert method.measure is not None
    tasks = without_curriculum(problem.example_tasks)
    found = [
        np.asarray(method.measure(params, tasks, key, TRIED_ON))[:, -LAST:].mean()
        for params in method.parts
    ]
    return method.parts[int(np.argmax(found))]
