"""A trained network on a person's images, and one that held-out images have chosen."""

import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metajax as mj
from metajax.core import ConfigError
from metajax.systems import build, config_to_json, configure
from metajax.systems.growth.evaluate import after_last
from metajax.systems.image_sets import image_pools
from metajax.systems.setup import first_drawn
from small import fit_setup, tiny

IMAGES = np.random.default_rng(1).integers(0, 256, (5, 4, 4), np.uint8)


@pytest.fixture(scope="module")
def drawn():
    """A run of weights as first drawn, and its problem."""
    config = tiny("growth", "from_scratch")
    setup = build(config)
    state = first_drawn(setup.algorithm, setup.example_tasks, jax.random.key(0))
    return mj.Run("drawn", config, setup.method, setup.algorithm.params(state), 0), setup.problem


def test_images_are_predicted_as_the_network_does(drawn, tmp_path):
    run, problem = drawn
    train, _ = image_pools(run.settings, None)
    logits = problem.network(problem.large).apply(
        run.params.networks[0], train.normalise(jnp.asarray(IMAGES[..., None]))
    )
    found = run.ready().predict(IMAGES)
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), atol=1e-6)
    np.testing.assert_array_equal(found.labels, np.argmax(logits, 1))
    path = tmp_path / "images.npz"
    np.savez(path, queries=IMAGES)
    told = run.system.use_for(run.config).files(run, path, None, None)
    np.testing.assert_array_equal(told.columns["predicted"], found.labels)


def test_what_is_no_image_and_no_file_of_images_is_rejected_by_name(drawn, tmp_path):
    run, _ = drawn
    for wrong, field in (
        (lambda: run.ready(1), "task"),
        (lambda: run.adapt(IMAGES), "support"),
        (lambda: run.ready().predict(IMAGES[0]), "inputs"),
        (lambda: run.system.use_for(run.config).files(run, tmp_path / "x.csv", None, None), "DATA"),
    ):
        with pytest.raises(ConfigError) as raised:
            wrong()
        assert raised.value.field == field


@pytest.mark.slow
def test_a_network_is_stopped_where_held_out_images_say_so(tmp_path):
    """With 60% of 400 labels random, a network that is not stopped learns these by heart."""
    values = {"train_images": 400, "label_noise": 0.6}
    accuracy = {}
    for method in ("early_stopping", "from_scratch"):
        setup = build(configure("growth", method=method, **values))
        folder = tmp_path / method
        params = fit_setup(
            setup, workdir=folder, config=config_to_json(setup.config.system, setup.config)
        ).params
        accuracy[method] = setup.evaluate(params, False)["rows"]["test"]["mean"][0]
        # what is loaded predicts by the same network
        _, test = image_pools(setup.problem.settings, None)
        used = mj.load(folder).ready().predict(np.asarray(test.images))
        assert np.mean(used.labels == test.labels) == pytest.approx(accuracy[method], abs=1e-6)
    assert accuracy["early_stopping"] > accuracy["from_scratch"] + 0.05


def test_a_text_is_read_as_it_was_trained_on(tmp_path):
    """Networks read one-hot characters; the row for guessing knows the pair that is there."""
    path = tmp_path / "text.txt"
    path.write_text("abcd" * 100 + "x" * 3)
    config = tiny("growth", "from_scratch", text=str(path), context=2, symbols=4, domains=1)
    setup = build(config)
    problem, tasks = setup.problem, setup.problem.tasks
    assert (problem.ways, tasks.features, tasks.images.shape) == (5, 10, (361, 2))
    drawn = tasks(jax.random.key(0))
    codes = np.asarray(drawn.inputs).reshape(-1, 2, 5).argmax(-1)
    # x, which is not in the part that is trained on, is none of its characters
    assert codes.max() == 3 and problem.test.targets[-3:].tolist() == [4, 4, 4]
    for window, after in zip(codes, np.asarray(drawn.targets).ravel(), strict=True):
        assert (window[1] - window[0]) % 4 == 1 and (after - window[1]) % 4 == 1
    assert after_last(problem).mean() == pytest.approx(1 - 3 / len(problem.test.targets))

    state = first_drawn(setup.algorithm, setup.example_tasks, jax.random.key(0))
    params = setup.algorithm.params(state)
    run = mj.Run("drawn", config, setup.method, params, 0)
    one_hot = jnp.eye(5)[jnp.array([[3, 0], [4, 2]])].reshape(2, 10)
    logits = problem.network(problem.large).apply(params.networks[0], one_hot)
    found = run.ready().predict(["bcda", " c"])
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), atol=1e-6)
    assert found.classes[:4].tolist() == list("abcd")
    with pytest.raises(ConfigError) as raised:
        run.ready().predict("bcda")
    assert raised.value.field == "inputs"
    with pytest.raises(ConfigError) as raised:
        build(tiny("growth", "from_scratch", text=str(path), context=60, domains=1))
    assert raised.value.field == "text"


@pytest.mark.slow
def test_a_network_reads_more_of_a_text_than_its_last_character():
    """The text is Python's own help."""
    path = importlib.util.find_spec("pydoc_data.topics").origin
    setup = build(
        configure("growth", method="from_scratch", text=path, context=6, symbols=40, width=64)
    )
    params = fit_setup(setup).params
    rows = setup.evaluate(params, False)["rows"]
    assert rows["test"]["low"][0] > rows["after_last"]["high"][0]
