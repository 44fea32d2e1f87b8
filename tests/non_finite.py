"""What a run is worth whose parameters are not finite, for the tests of all systems."""

from __future__ import annotations

import io
import json

import jax
import jax.numpy as jnp
import numpy as np

from metajax.sweep.results import flatten
from metajax.train import to_json


def check_non_finite(system, config, run, params, history) -> None:
    """Score parameters that are NaN: no number that could pass for a result, and still a report.

    Args:
      system: the run's.
      config: its settings.
      run: as the system has built it.
      params: finite parameters.
      history: rows of a log, whose numbers become null too.
    """

    def unknown(leaf):
        inexact = jnp.issubdtype(leaf.dtype, jnp.inexact)
        return jnp.asarray(np.full(leaf.shape, np.nan, leaf.dtype)) if inexact else leaf

    found = run.evaluate(jax.tree.map(unknown, params), False)
    text = to_json(found)
    evaluation = json.loads(text, parse_constant=raise_on)
    assert system.objective(config).metric not in flatten(evaluation)
    assert "non-finite" in system.table(evaluation)
    rows = [
        {name: value if name == "step" else None for name, value in row.items()} for row in history
    ]
    for figure in system.figures(evaluation, rows):
        figure.draw().savefig(io.BytesIO(), dpi=30)
    without = {figure.name for figure in system.figures(evaluation, [])}
    for figure in system.figures(evaluation, rows[:1] + list(history)[1:]):
        if figure.name not in without:  # else drawn above, and no other
            figure.draw().savefig(io.BytesIO(), dpi=30)


def raise_on(name):
    raise ValueError(f"{name} is no JSON")
