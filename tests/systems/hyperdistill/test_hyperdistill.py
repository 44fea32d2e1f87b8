"""The sinusoid bed through the shared loop, and what its settings refuse."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import get_system
from metajax.systems.hyperdistill import (
    PRESETS,
    Config,
    build,
    error_by_step,
    make_learner,
    make_problem,
)
from metajax.train import fit

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = Config(
    inner_steps=4, steps=2, tasks_per_step=2, width=8, layers=2, eval_tasks=6, eval_queries=5,
    terms=2, pairs=2, shots=5, queries=5, eval_every=1,
)  # fmt: skip


@pytest.mark.parametrize("method", ["distilled", "drmad"])
def test_a_run_trains_evaluates_and_reports(method):
    run = build(dataclasses.replace(TINY, method=method))
    result = fit(
        run.algorithm, run.tasks, steps=run.steps, tasks_per_step=run.tasks_per_step,
        key=jax.random.key(0), evaluators=run.evaluators, progress=False,
    )  # fmt: skip
    evaluation = json.loads(json.dumps(run.evaluate(result.params, False)))
    assert len(evaluation["new_tasks"]["error"]) == 5 and evaluation["new_tasks"]["n"] == 6
    system = get_system("hyperdistill")
    assert method in system.table(evaluation)
    for figure in system.figures(evaluation, result.history):
        figure.draw()


def test_the_error_after_the_last_step_is_the_learners_loss():
    """Fitting task by task with the learner gives what the evaluation gives."""
    run, learner = build(TINY), make_learner(TINY)
    params = learner.init(jax.random.key(1), None)
    keys = jax.random.split(jax.random.key(2), 3)
    errors = error_by_step(make_problem(TINY), params, run.tasks, jax.random.key(2), 3, 4)
    losses = [learner.loss(params, run.tasks(key), key)[0] for key in keys]
    np.testing.assert_allclose(errors[:, -1], losses, rtol=1e-5)


def test_the_weights_are_uniform_below_the_root_of_the_fan_in():
    params = make_learner(Config()).init(jax.random.key(0), None)
    for layer, fan_in in zip([*params.hparams, params.start], [1, 100, 100, 100], strict=True):
        for leaf in layer.values():
            assert np.abs(leaf).max() <= fan_in**-0.5
        if leaf.size > 50:
            assert abs(np.asarray(leaf).std() - (3 * fan_in) ** -0.5) < 0.15 * fan_in**-0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gamma", 1.0), ("momentum", -0.1), ("every", 7), ("inner_lr", 0.0), ("steps", 0),
        ("calibrate_every", 0), ("reptile_rate", 1.5), ("eval_tasks", 1), ("seed", -1),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        Config(**{field: value})


def test_presets_build():
    for config in PRESETS.values():
        assert build(config).steps == config.steps
