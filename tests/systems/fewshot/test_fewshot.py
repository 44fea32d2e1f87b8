"""Every few-shot learner through the shared loop, and what the settings refuse."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.core import ConfigError
from metajax.systems import get_system
from metajax.systems.fewshot import (
    CLASSIFIERS,
    CLOSED_FORM,
    LEARNERS,
    PRESETS,
    Config,
    build,
    make_learner,
    make_loss,
    make_tasks,
    scores,
)
from metajax.train import fit

pytestmark = pytest.mark.usefixtures("quick_compile")

SINUSOID = Config(
    shots=3,
    queries=3,
    width=6,
    inner_steps=2,
    steps=2,
    tasks_per_step=2,
    pairs=2,
    anneal_steps=2,
    eval_every=1,
    eval_tasks=4,
    eval_steps=3,
    eval_queries=4,
    context_size=2,
)
IMAGES = dataclasses.replace(
    SINUSOID, tasks="images", shots=2, layers=1, image_size=4, ways=2, channels=2
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


RUNS = [(name, "images" if name in CLASSIFIERS else "sinusoid") for name in LEARNERS]
RUNS += [("maml", "images")]
QUICK = {("maml", "sinusoid"), ("prototypical", "images"), ("reptile", "sinusoid")}
"""One of each kind; the contract of all learners is held by tests/battery."""


@pytest.mark.parametrize(
    ("learner", "tasks"),
    [run if run in QUICK else pytest.param(*run, marks=pytest.mark.slow) for run in RUNS],
)
def test_a_run_trains_evaluates_and_reports(learner, tasks, data_dir):
    config = dataclasses.replace(IMAGES if tasks == "images" else SINUSOID, learner=learner)
    run = build(config, data_dir)
    result = fit(
        run.algorithm,
        run.tasks,
        steps=run.steps,
        tasks_per_step=run.tasks_per_step,
        key=jax.random.key(0),
        evaluators=run.evaluators,
        progress=False,
    )
    evaluation = json.loads(json.dumps(run.evaluate(result.params, False)))
    points = 1 if learner in CLOSED_FORM else 4
    assert len(evaluation["new_tasks"]["score"]) == points
    assert evaluation["new_tasks"]["n"] == 4
    system = get_system("fewshot")
    assert learner in system.table(evaluation)
    for figure in system.figures(evaluation, result.history):
        figure.draw()
    check_non_finite(system, config, run, result.params, result.history)


def test_the_score_after_the_inner_steps_is_the_learners_loss():
    tasks, learner = make_tasks(SINUSOID).train, make_learner(SINUSOID)
    params = learner.init(jax.random.key(1), tasks(jax.random.key(0)))
    found = scores(
        learner, make_loss(SINUSOID), params, tasks, jax.random.key(2), 3, "query_loss", 3
    )
    losses = []
    for key in jax.random.split(jax.random.key(2), 3):
        task_key, adapt_key = jax.random.split(key)
        losses.append(learner.loss(params, tasks(task_key), adapt_key)[0])
    np.testing.assert_allclose(found[:, SINUSOID.inner_steps], losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shots", 0),
        ("ways", 1),
        ("inner_lr", 0.0),
        ("strength", -1.0),
        ("reptile_rate", 1.5),
        ("classes", (5, 0, 3)),
        ("image_channels", 2),
        ("eval_tasks", 1),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        Config(**{field: value})


@pytest.mark.parametrize("learner", CLASSIFIERS)
def test_a_classifier_is_refused_on_sinusoids(learner):
    with pytest.raises(ConfigError, match="regresses"):
        Config(learner=learner)


def test_too_few_images_are_refused_by_number(data_dir):
    with pytest.raises(ConfigError, match=r"shots \+ queries.*at most 17"):
        build(dataclasses.replace(IMAGES, shots=100, queries=100), data_dir)


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].base_set == "digits"])
def test_presets_build(name, data_dir):
    assert build(PRESETS[name], data_dir).steps == PRESETS[name].steps
