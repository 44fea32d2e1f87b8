"""A person's own images, encoders and networks, by runs of edits, of modalities and of pruning."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metajax as mj
from metajax.core import ConfigError
from metajax.hypernet import Pairs
from metajax.systems import build, config_to_json
from metajax.systems.weights.modalities.views import embedded
from metajax.units import keep_largest, mlp_units
from small import drawn_run, fit_setup, tiny

DRAW = np.random.default_rng(2)
IMAGES = DRAW.integers(0, 256, (3, 6, 6), np.uint8)
ROWS = DRAW.normal(size=(7, 4)).astype(np.float32)


@functools.cache
def drawn(method, **values):
    """A run of weights as first drawn, and its problem."""
    return drawn_run(tiny("weights", method, **values))


def told_of(run, path, steps=None):
    """What ``metajax predict`` tells of a file or folder."""
    return run.system.use_for(run.config).files(run, path, None, steps)


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    """A run of edits that has been trained for some steps, loaded where its set is not."""
    folder = tmp_path_factory.mktemp("edits")
    setup = build(tiny("weights", "weight_edits", steps=5))
    config = config_to_json(setup.config.system, setup.config)
    fit_setup(setup, workdir=folder, config=config)
    return mj.load(folder, folder / "no_data")


def test_edits_give_each_image_a_generator_of_its_own(edits, tmp_path):
    made = edits.adapt(IMAGES, steps=3)
    assert made.stages == ["plain", "1 pass", "2 passes", "3 passes"]
    assert edits.adapt(IMAGES).stages == made.stages[:3]  # as many passes as in training
    assert made.reconstructions.shape == (4, 3, 4, 4, 1)
    read = edits.method.parts.autoencoder
    decoded = read.decoder.apply(edits.params["decoder"], made.latents)
    np.testing.assert_allclose(made.reconstructions[0], decoded, atol=1e-6)
    shown = made.predict(made.latents)
    assert np.abs(shown[0, 0] - decoded[0]).max() > 1e-6
    for place in range(3):
        weights = jax.tree.map(lambda leaf, at=place: leaf[at], made.weights)
        one = made.network.apply(weights, made.latents)
        np.testing.assert_allclose(shown[:, place], one, atol=1e-6)
        np.testing.assert_allclose(made.reconstructions[-1, place], one[place], atol=1e-6)

    np.savez(tmp_path / "images.npz", images=IMAGES)
    told = told_of(edits, tmp_path / "images.npz", 1)
    assert list(told.columns) == ["image", "error, plain", "error, 1 pass"]
    np.testing.assert_allclose(
        np.array(told.columns["error, 1 pass"], float), made.errors[1], atol=1e-6
    )
    assert told.draw().axes and told.adapted().latents.shape == (3, 2)


def test_edits_read_a_folder_of_images(edits, tmp_path):
    imageio = pytest.importorskip("PIL.Image")
    for place, image in enumerate(IMAGES):
        imageio.fromarray(image).save(tmp_path / f"{place}.png")
    told = told_of(edits, tmp_path)
    assert told.columns["image"] == ["0.png", "1.png", "2.png"]
    found = np.array(told.columns["error, 2 passes"], float)
    np.testing.assert_allclose(found, edits.adapt(IMAGES).errors[2], atol=1e-6)


def test_a_shared_edit_has_the_same_weights_for_all_images():
    run, _ = drawn("shared_edit")
    more = jax.tree.map(lambda leaf: leaf + 0.1, run.params["difference"])
    run = mj.Run("drawn", run.config, run.method, {**run.params, "difference": more}, 0)
    made = run.adapt(IMAGES)
    assert made.stages == ["plain", "shared_edit"]
    adapted = run.learner if run.method.learner else run.method.parts.learner
    wanted = adapted.predict(run.params, made.latents, None)
    np.testing.assert_allclose(made.reconstructions[1], wanted, atol=1e-6)
    shown = made.predict(made.latents)
    np.testing.assert_allclose(shown[np.arange(3), np.arange(3)], wanted, atol=1e-6)


def pairs_of(problem, labels):
    """The pairs that a modality's reader takes, of rows that have fewer numbers."""
    texts = problem.conditions.texts[labels]
    return Pairs(embedded(jnp.asarray(ROWS), 5), texts, jnp.ones(len(ROWS), bool))


@pytest.mark.parametrize("method", ["solved_adapter", "modality_adapter"])
def test_pairs_of_an_encoder_give_a_projector(method, tmp_path):
    run, problem = drawn(method)
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    made = run.adapt((ROWS, labels))
    weights = run.learner.adapt(run.params, pairs_of(problem, labels), jax.random.key(0))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-5), made.weights, weights)
    logits = run.learner.predict(run.params, weights, embedded(jnp.asarray(3 * ROWS), 5))
    found = made.predict(3 * ROWS)
    np.testing.assert_allclose(found.probabilities, jax.nn.softmax(logits), atol=1e-5)
    path = tmp_path / "pairs.npz"
    np.savez(path, inputs=ROWS, targets=labels, queries=ROWS)
    np.testing.assert_array_equal(told_of(run, path).columns["predicted"], found.labels)

    # classes are the vectors that are given, in the order of their appearance
    texts = np.asarray(problem.conditions.texts)[[4, 2, 7]]
    own = run.adapt((ROWS, 2 * texts[labels]))
    np.testing.assert_allclose(own.texts, texts, atol=1e-4)
    again = run.adapt((ROWS, np.array([4, 2, 7])[labels]))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-4), own.weights, again.weights
    )
    right = [
        np.mean(run.adapt((ROWS, labels), steps=steps).predict(ROWS).labels == labels)
        for steps in (0, 60)
    ]
    assert right[1] > right[0]


@pytest.mark.parametrize("method", ["group_sparse", "metanetwork"])
def test_a_prepared_network_is_pruned(method, tmp_path):
    run, problem = drawn(method)
    labels = np.array([1, 1, 1])
    made = run.adapt((1, 2), steps=0)
    assert {leaf.shape for leaf in jax.tree.leaves(made.weights) if leaf.ndim == 2} == {
        (16, 2),
        (2, 2),
        (2, 10),
    }
    if method == "group_sparse":  # no training in between
        network = jax.tree.map(lambda leaf: leaf[1], run.params.networks[0]["networks"])
        kept = keep_largest(network, mlp_units(network), {"h0": 2, "h1": 2})
        read = problem.test.normalise(jnp.asarray(IMAGES[:, :4, :4, None]))
        wanted = jax.nn.softmax(problem.network.apply(kept, read))
        np.testing.assert_allclose(made.predict(IMAGES[:, :4, :4]).probabilities, wanted, atol=1e-5)
    tuned = run.adapt(2, steps=5)
    assert np.abs(tuned.predict(IMAGES).probabilities - run.adapt(2).predict(IMAGES)[1]).max() > 0
    path = tmp_path / "pruned.npz"
    np.savez(path, units=2, network=1, queries=IMAGES, labels=labels)
    told = told_of(run, path, 0)
    found = told.columns["predicted"]
    np.testing.assert_array_equal(found, made.predict(IMAGES).labels)
    assert f"accuracy {np.mean(found == labels):.3f}" in told.lines[0]
    assert "70 of 138 parameters" in told.lines[0]


def test_a_metanetwork_changes_a_network_of_a_persons_own(tmp_path):
    run, _ = drawn("metanetwork")
    run = mj.Run("r", run.config, run.method, run.params._replace(stage=jnp.int32(1)), 0)
    own = jax.tree.map(lambda leaf: leaf[1], run.params.networks[0]["networks"])
    pruned, unseen = run.adapt((own, 3)), run.adapt((1, 3))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-5), pruned.weights, unseen.weights
    )
    arrays = {f"{layer}/{name}": leaf for layer in own for name, leaf in own[layer].items()}
    np.savez(tmp_path / "own.npz", units=3, queries=IMAGES, **arrays)
    told = told_of(run, tmp_path / "own.npz")
    np.testing.assert_array_equal(told.columns["predicted"], pruned.predict(IMAGES).labels)


def test_what_does_not_fit_is_rejected_by_name(edits, tmp_path):
    modal, sparse = drawn("solved_adapter")[0], drawn("group_sparse")[0]
    meta = drawn("metanetwork")[0]
    labels = np.arange(7) % 3
    for wrong, field in (
        (lambda: edits.adapt(IMAGES / 20.0), "support"),
        (lambda: edits.adapt(np.full((2, 4, 4), 1.5)), "support"),
        (lambda: edits.adapt(IMAGES[:0]), "support"),
        (lambda: edits.adapt(IMAGES, steps=-1), "steps"),
        (lambda: edits.adapt(IMAGES).predict(np.ones((2, 3))), "inputs"),
        (lambda: drawn("shared_edit")[0].adapt(IMAGES, steps=2), "steps"),
        (lambda: told_of(edits, tmp_path), "DATA"),
        (lambda: told_of(edits, tmp_path / "x.csv"), "DATA"),
        (lambda: modal.adapt(ROWS), "support"),
        (lambda: modal.adapt((np.ones((7, 6)), labels)), "support.inputs"),
        (lambda: modal.adapt((np.full((7, 4), np.nan), labels)), "support.inputs"),
        (lambda: modal.adapt((ROWS, labels + 8)), "support.targets"),
        (lambda: modal.adapt((ROWS, labels[:5])), "support.targets"),
        (lambda: modal.adapt((ROWS, ROWS)), "support.targets"),
        (lambda: modal.adapt((ROWS, labels), steps=-1), "steps"),
        (lambda: modal.adapt((ROWS, labels)).predict(ROWS[:, :3]), "inputs"),
        (lambda: told_of(modal, tmp_path / "x"), "DATA"),
        (lambda: sparse.adapt(5), "support"),
        (lambda: sparse.adapt((2, 3)), "support"),
        (lambda: sparse.adapt(2.5), "support"),
        (lambda: sparse.adapt((1, 2, 3)), "support"),
        (lambda: sparse.adapt(2, steps=-1), "steps"),
        (lambda: sparse.adapt(({"Dense_0": {}}, 2)), "support.network"),
        (lambda: meta.adapt(({"Dense_0": {"kernel": ROWS}}, 2)), "support.network"),
        (lambda: told_of(sparse, tmp_path / "x.csv"), "DATA"),
    ):
        with pytest.raises(ConfigError) as raised:
            wrong()
        assert raised.value.field == field, raised.value
