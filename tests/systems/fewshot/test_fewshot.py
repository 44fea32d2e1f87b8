"""What is particular to few-shot learning; every method's contract is held by tests/battery."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import Method, build, configure
from metajax.systems.fewshot.evaluate import evaluate, scores
from small import tiny


def test_the_score_after_the_inner_steps_is_the_learners_loss():
    config = tiny("fewshot", "maml", tasks="sinusoid", shots=3, width=6)
    setup = build(config)
    problem, learner = setup.problem, setup.method.learner
    tasks = setup.tasks
    params = jax.jit(learner.init)(jax.random.key(1), tasks(jax.random.key(0)))
    found = scores(learner, problem.loss, params, tasks, jax.random.key(2), 3, "query_loss", 3)

    @jax.jit
    def loss(params, key):
        task_key, adapt_key = jax.random.split(key)
        return learner.loss(params, tasks(task_key), adapt_key)[0]

    losses = [loss(params, key) for key in jax.random.split(jax.random.key(2), 3)]
    np.testing.assert_allclose(found[:, config.inner_steps], losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("ways", 1), ("classes", (5, 0, 3)), ("image_channels", 2), ("eval_tasks", 1)],
)
def test_impossible_settings_are_rejected(field, value):
    with pytest.raises(ConfigError, match=field):
        configure("fewshot", "digits", **{field: value})


def test_more_ways_than_classes_are_rejected_with_the_number():
    with pytest.raises(ConfigError, match=r"ways = 9: expected at most 8, .*in four rotations"):
        configure("fewshot", "digits", ways=9)


@pytest.mark.parametrize("method", ["prototypical", "matching", "svm"])
def test_a_classifier_is_rejected_on_sinusoids(method):
    with pytest.raises(ConfigError, match="regresses"):
        build(configure("fewshot", "sinusoid", method=method))


def test_too_few_images_are_rejected_by_number(tmp_path):
    config = tiny("fewshot", None, image_size=4, shots=100, queries=100)
    with pytest.raises(ConfigError, match=r"shots \+ queries.*at most 17"):
        build(config, tmp_path)


@pytest.mark.parametrize("preset", ["sinusoid", "sinusoid_quick", "digits"])
def test_presets_build(preset, tmp_path):
    config = configure("fewshot", preset)
    assert build(config, tmp_path).steps == config.steps


def test_a_method_that_is_no_meta_learner_measures_itself(tmp_path):
    """A function of the tasks alone, without parameters, learner or algorithm: always class 0."""
    config = tiny("fewshot", None)
    setup = build(config, tmp_path)

    def measure(params, tasks, key, num):
        def one(key):
            return jnp.mean((tasks(key).query.targets == 0).astype(jnp.float32))[None]

        return jax.vmap(one)(jax.random.split(key, num))

    found = evaluate(setup.problem, Method(None, measure=measure), {}, config, False)
    assert found.rows["new_tasks"].score.mean == pytest.approx([1 / config.ways])
    assert "first_drawn" not in found.rows and "nearest_mean" in found.rows
