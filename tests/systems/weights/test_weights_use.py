"""Networks for a person's own classes, angles, widths and architectures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metajax as mj
from metajax.core import ConfigError, Examples, cross_entropy
from metajax.hypernet import MLPShape
from metajax.systems import build, config_to_json
from metajax.train import fit
from small import drawn_run, tiny

DRAW = np.random.default_rng(1)
IMAGES = DRAW.integers(0, 256, (5, 4, 4), np.uint8)
PIXELS = jnp.asarray(IMAGES.reshape(5, -1) / 255, jnp.float32)


def labeled(ways, each):
    """Images of classes that differ, with text as labels, in no order."""
    bases = DRAW.integers(0, 200, (ways, 1, 4, 4))
    images = (bases + DRAW.integers(0, 56, (ways, each, 4, 4))).astype(np.uint8)
    order = DRAW.permutation(ways * each)
    names = np.repeat([f"class {place}" for place in range(ways)], each)
    return images.reshape(-1, 4, 4)[order], names[order]


@functools.cache
def drawn(method):
    """A run of weights as first drawn, and its problem."""
    return drawn_run(tiny("weights", method))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A run of a zoo of two classes, trained for some steps, loaded where its set is not."""
    folder = tmp_path_factory.mktemp("zoo")
    setup = build(tiny("weights", "weight_diffusion", steps=6, zoo_steps=4))
    params = fit(
        setup.algorithm,
        setup.tasks,
        steps=6,
        tasks_per_step=1,
        key=jax.random.key(0),
        workdir=folder,
        config=config_to_json(setup.config.system, setup.config),
        progress=False,
    ).params
    return mj.load(folder, folder / "no_data"), params


def test_labeled_images_give_the_network_that_the_model_generates(zoo, tmp_path):
    run, params = zoo
    jax.tree.map(np.testing.assert_array_equal, run.params, params)
    images, names = labeled(2, 6)
    made = run.adapt((images, names))
    pixels = images.reshape(12, -1) / 255
    np.testing.assert_allclose(
        [made.shift, 1 / made.factor], [pixels.mean(), pixels.std()], rtol=1e-5
    )
    read = jnp.asarray((pixels - made.shift) * made.factor, jnp.float32)
    support = Examples(read, jnp.asarray(names == "class 1", jnp.int32))
    generate = jax.jit(run.method.parts.model.generate)
    wanted = generate(params.networks[0], params.networks[-1], support, jax.random.key(0))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), made.weights, wanted)
    found = made.predict(IMAGES)
    logits = made.network.apply(made.weights, (PIXELS - made.shift) * made.factor)
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), atol=1e-5)
    assert list(found.classes) == ["class 0", "class 1"]
    assert list(found.labels) == [f"class {place}" for place in np.argmax(logits, 1)]

    def loss(weights):
        return cross_entropy(made.network.apply(weights, support.inputs), support.targets)

    tuned = run.adapt((images, names), steps=20)
    assert loss(tuned.weights) < loss(made.weights)
    path = tmp_path / "images.npz"
    np.savez(path, inputs=images, labels=names, queries=IMAGES)
    told = run.system.use_for(run.config).files(run, path, None, None)
    np.testing.assert_array_equal(told.columns["predicted"], found.labels)


def test_what_gives_no_network_is_rejected_by_name(zoo, tmp_path):
    run, _ = zoo
    images, names = labeled(3, 2)
    angle = drawn("one_network")[0]
    for wrong, field in (
        (lambda: run.adapt((images, names)), "classes of the support"),
        (lambda: run.adapt(images[0]), "support"),
        (lambda: run.adapt((images, names == "class 1"), steps=-1), "steps"),
        (lambda: run.ready(), "system"),
        (lambda: run.system.use_for(run.config).files(run, tmp_path / "x.csv", None, None), "DATA"),
        (lambda: angle.adapt(61.0), "support"),
        (lambda: angle.adapt((images, names)), "support"),
        (lambda: angle.adapt(10.0, steps=3), "steps"),
        (lambda: drawn("slimmable")[0].adapt(5), "support"),
        (lambda: drawn("slimmable")[0].adapt(2.5), "support"),
        (lambda: drawn("shared_table")[0].adapt("64"), "support"),
        (lambda: drawn("shared_table")[0].adapt((7,)), "widths"),
        (
            lambda: angle.system.use_for(angle.config).files(angle, tmp_path / "x", None, None),
            "DATA",
        ),
    ):
        with pytest.raises(ConfigError) as raised:
            wrong()
        assert raised.value.field == field


def probabilities(run, problem, condition):
    """What a run's learner says of the images."""
    adapted = run.learner.adapt(run.params, condition, jax.random.key(0))
    read = problem.test.normalise(jnp.asarray(IMAGES[..., None]))
    return jax.nn.softmax(run.learner.predict(run.params, adapted, read))


def test_an_angle_gives_its_network(tmp_path):
    run, problem = drawn("mip")
    made = run.adapt(-15)
    wanted = probabilities(run, problem, jnp.array([0.375]))
    np.testing.assert_allclose(made.predict(IMAGES).probabilities, wanted, atol=1e-6)
    assert np.abs(run.adapt(60).predict(IMAGES).probabilities - wanted).max() > 1e-6
    path = tmp_path / "images.npz"
    np.savez(path, condition=-15, queries=IMAGES)
    told = run.system.use_for(run.config).files(run, path, None, None)
    np.testing.assert_array_equal(told.columns["predicted"], np.argmax(wanted, 1))


@pytest.mark.parametrize("method", ["largest_norm", "neumeta"])
def test_a_width_gives_a_network_of_this_width(method):
    run, problem = drawn(method)
    made = run.adapt(3)
    wanted = probabilities(run, problem, jnp.int32(3))
    assert made.weights["Dense_1"]["kernel"].shape == (4, 3)
    np.testing.assert_allclose(made.predict(IMAGES).probabilities, wanted, atol=1e-6)


def test_an_architecture_gives_a_start_for_it():
    run, problem = drawn("shared_table")
    for asked, shape in (((3, 4), MLPShape((3, 4), "relu")), (MLPShape((5,), "tanh"),) * 2):
        made = run.adapt(asked)
        one = jax.tree.map(lambda leaf: leaf[0], problem.padded.architectures([shape]))
        wanted = probabilities(run, problem, one)
        assert made.weights["Dense_0"]["kernel"].shape == (16, shape.widths[0])
        assert len(made.weights) == len(shape.widths) + 1
        np.testing.assert_allclose(made.predict(IMAGES).probabilities, wanted, atol=1e-6)
