"""A trained sequence of tasks on a person's images: the task is given, or inferred."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metajax as mj
from metajax.continual import least_entropy
from metajax.core import ConfigError
from metajax.systems import build
from metajax.systems.setup import first_drawn
from small import tiny


def drawn(method, **settings):
    """A run of weights as first drawn, and what it was built from."""
    config = tiny("continual", method, **settings)
    setup = build(config)
    state = first_drawn(setup.algorithm, setup.example_tasks, jax.random.key(0))
    params = setup.algorithm.params(state)
    # networks as first drawn are the same for all tasks
    noise = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(noise.normal(0, 0.3, leaf.shape), leaf.dtype), params
    )
    return mj.Run("drawn", config, setup.method, params, 0), setup


@pytest.fixture(scope="module")
def separate():
    return drawn("separate_networks", tasks="split")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 4, 4), np.uint8)


def inputs_of(problem, images):
    flat = jnp.asarray(images.reshape(5, -1), jnp.float32) / 255
    return (flat - problem.mean) / problem.std


def test_a_task_that_is_given_predicts_by_its_own_network(separate, images):
    run, setup = separate
    last = jax.tree.map(lambda leaf: leaf[-1], run.params)
    for task in range(2):
        found = run.ready(task).predict(images)
        predict = setup.method.parts.predict
        logits = predict(last, jnp.int32(task), inputs_of(setup.problem, images))
        expected = jax.nn.softmax(logits)
        np.testing.assert_allclose(found.probabilities, expected, rtol=1e-4, atol=1e-6)
        # the second task has classes 2 and 3 of the set
        np.testing.assert_array_equal(found.labels, np.argmax(expected, 1) + 2 * task)
        np.testing.assert_array_equal(found.tasks, [task] * 5)


def test_a_task_that_is_not_given_is_that_of_least_entropy(separate, images):
    run, setup = separate
    last = jax.tree.map(lambda leaf: leaf[-1], run.params)
    predict = setup.method.parts.predict
    logits, tasks = least_entropy(predict, last, 2, inputs_of(setup.problem, images))
    found = run.ready().predict(images)
    np.testing.assert_array_equal(found.tasks, tasks)
    assert len(set(found.tasks)) == 2
    np.testing.assert_array_equal(found.labels, np.argmax(logits, 1) + 2 * np.asarray(tasks))
    # each image by itself
    np.testing.assert_array_equal(run.ready().predict(images[:2]).tasks, found.tasks[:2])


def test_one_network_needs_no_task_where_classes_are_the_same(images):
    run, _ = drawn("fine_tuning")
    found = run.ready().predict(images)
    assert found.tasks is None
    np.testing.assert_array_equal(found.labels, run.ready(1).predict(images).labels)
    split, _ = drawn("fine_tuning", tasks="split")
    with pytest.raises(ConfigError, match=r"task = None: expected 0 to 1, a task of the sequence$"):
        split.ready()


def test_a_file_of_images_is_predicted(separate, images, tmp_path):
    run = separate[0]
    np.savez(tmp_path / "mine.npz", queries=images)
    told = run.system.use_for(run.config).files(run, tmp_path / "mine.npz", None, None)
    found = run.ready().predict(images)
    np.testing.assert_array_equal(told.columns["predicted"], found.labels)
    np.testing.assert_array_equal(told.columns["task"], found.tasks)
    told.draw().savefig(tmp_path / "mine.png")
    with pytest.raises(ConfigError, match="npz"):
        run.system.use_for(run.config).files(run, tmp_path / "mine.csv", None, None)


def test_what_is_no_task_or_no_image_is_rejected_by_name(separate, images):
    run = separate[0]
    for task in (2, -1, "first"):
        with pytest.raises(ConfigError, match="task = "):
            run.ready(task)
    with pytest.raises(ConfigError, match="inputs = "):
        run.ready(0).predict(images[0])
    with pytest.raises(ConfigError, match="without"):
        run.adapt((images, [0] * 5))
    other = mj.Run("drawn", tiny("fewshot"), None, {}, 0)
    with pytest.raises(ConfigError, match="learned in training"):
        other.ready()
