"""Modalities: what tasks are drawn, what encoders keep, and what adapters are compared with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import draw_orthogonal
from metajax.systems import build, configure
from metajax.systems.weights.modalities.evaluate import (
    halves,
    mean_logits,
    procrustes_logits,
    with_pairs,
)
from metajax.systems.weights.modalities.problem import Modalities
from metajax.systems.weights.modalities.views import gradient_view, profile_view, spectrum_view
from small import fit_setup, tiny

DRAW = np.random.default_rng(0)


@pytest.fixture(scope="module")
def problem():
    return build(tiny("weights", "solved_adapter", image_size=8, most_pairs=4, glyphs=True)).problem


@jax.jit
def drawn_tasks(tasks):
    return jax.vmap(lambda key: tasks(key))(jax.random.split(jax.random.key(0), 40))


def test_a_support_has_no_image_of_its_query_and_as_many_pairs_of_each_class(problem):
    tasks = problem.tasks
    drawn = drawn_tasks(tasks)
    labels = np.tile(np.arange(10), 4)
    for place in range(40):
        support, query = jax.tree.map(lambda leaf, place=place: np.asarray(leaf[place]), drawn)
        number = support.present.sum()
        assert number % 10 == 0 and support.present[:number].all()
        np.testing.assert_array_equal(support.texts, np.asarray(tasks.texts)[labels])
        assert not {row.tobytes() for row in support.inputs} & {
            row.tobytes() for row in query.inputs
        }
    counts = np.asarray(drawn.support.present.sum(axis=1)) // 10
    assert set(counts.tolist()) == {1, 2, 3, 4}


def test_embeddings_are_of_the_class_that_is_said(problem):
    tasks = problem.tasks
    task = jax.tree.map(lambda leaf: leaf[0], drawn_tasks(tasks))
    classes = np.repeat(np.arange(10), tasks.number)
    every = np.asarray(tasks.embeddings)
    for row, label in zip(np.asarray(task.query.inputs), task.query.targets, strict=True):
        found = np.argwhere(np.all(every == row, axis=-1))
        assert label in classes[found[:, 1]]


def test_measured_supports_are_balanced_and_the_same_for_every_run(problem):
    conditions = problem.conditions
    assert isinstance(conditions, Modalities) and set(conditions.groups) == {
        "test",
        "views",
        "glyphs",
    }
    other = build(tiny("weights", "modality_adapter", image_size=8, most_pairs=4, glyphs=True))
    jax.tree.map(np.testing.assert_array_equal, conditions, other.problem.conditions)
    for group in conditions.groups.values():
        tasks, slots, features = group.support.shape
        assert (slots, features) == (40, 5) and group.query.inputs.shape == (tasks, 4, 5)
        assert len(np.unique(group.support[0], axis=0)) == 40
        length = np.sqrt(np.mean(np.square(group.support), axis=-1))
        np.testing.assert_allclose(length, 1, atol=1e-3)


def test_hand_made_views_are_what_they_say():
    images = jnp.asarray(DRAW.normal(size=(3, 8, 8, 1)), jnp.float32)
    gray = np.asarray(images[..., 0], float)
    profiles = np.concatenate([gray.mean(2), gray.mean(1)], axis=1)
    profiles /= np.sqrt((profiles**2).sum(1, keepdims=True) / 20)
    found = np.asarray(jax.jit(profile_view, static_argnums=1)(images, 20))
    np.testing.assert_allclose(found[:, :16], profiles, atol=1e-4)
    assert not np.any(found[:, 16:])

    shifted = jnp.roll(images, (3, 2), axis=(1, 2))
    spectra = [jax.jit(spectrum_view, static_argnums=1)(each, 12) for each in (images, shifted)]
    np.testing.assert_allclose(*spectra, atol=1e-4)
    assert np.abs(spectra[0][0] - spectra[0][1]).max() > 0.1

    # levels that rise to the right have gradients in the first direction, downward in the third
    ramp = jnp.broadcast_to(jnp.arange(8.0)[None, None, :, None], (1, 8, 8, 1))
    for image, direction in ((ramp, 0), (jnp.swapaxes(ramp, 1, 2), 2)):
        counts = jax.jit(gradient_view, static_argnums=1)(image, 32)
        assert set((np.argwhere(counts[0] > 1e-3)[:, 0] % 8).tolist()) == {direction}


def test_procrustes_undoes_a_rotation_and_means_are_those_of_the_pairs():
    texts = jnp.asarray(DRAW.normal(size=(4, 6)), jnp.float32)
    turn = draw_orthogonal(jax.random.key(0), 6)
    inputs = 3 * jnp.tile(texts, (2, 1)) @ turn.T + 1
    pairs = with_pairs(inputs, texts, jnp.int32(1))
    assert pairs.present.tolist() == [True] * 4 + [False] * 4
    logits = procrustes_logits(pairs, texts, inputs)
    centered = texts - jnp.mean(texts, axis=0)[None]
    unit = centered / jnp.linalg.norm(centered, axis=1, keepdims=True)
    np.testing.assert_allclose(logits[:4], 10 * unit @ unit.T, atol=1e-3)

    rows = jnp.asarray(DRAW.normal(size=(8, 6)), jnp.float32)
    found = mean_logits(with_pairs(rows, texts, jnp.int32(2)), texts, rows)
    means = (np.asarray(rows[:4], float) + np.asarray(rows[4:], float)) / 2
    apart = np.sum((np.asarray(rows, float)[:, None] - means[None]) ** 2, axis=-1)
    np.testing.assert_array_equal(np.argmax(found, axis=1), np.argmin(apart, axis=1))


def test_halves_are_disjoint_and_of_one_pair_the_whole():
    first, second = np.asarray(halves(3, 12, jnp.int32(4)))
    assert not np.any(first & second) and np.all(first | second)
    assert first.tolist() == ([True] * 3 + [False] * 3) * 2
    assert np.all(halves(3, 12, jnp.int32(1)))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("eval_pairs", {"eval_pairs": (3,)}),
        ("eval_pairs", {"eval_pairs": ()}),
        ("least_pairs", {"least_pairs": 3}),
        ("glyphs", {"base_set": "fashion_mnist", "glyphs": True}),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_are_rejected_by_name(field, values):
    with pytest.raises(ConfigError) as raised:
        tiny("weights", "solved_adapter", **values)
    assert raised.value.field == field


def test_a_support_larger_than_a_class_is_rejected():
    with pytest.raises(ConfigError) as raised:
        build(tiny("weights", "solved_adapter", most_pairs=1000))
    assert raised.value.field == "most_pairs"


@pytest.mark.slow
def test_a_solved_adapter_is_ahead_of_what_needs_no_training():
    small = {"steps": 300, "eval_every": 300, "glyphs": False, "pair_steps": 5, "width": 32}
    setup = build(configure("weights", "modalities", "solved_adapter", **small))
    result = fit_setup(setup)
    rows = setup.evaluate(result.params, False)["rows"]
    found = np.array(rows["test"]["mean"])
    for name in ("means", "ridge", "procrustes", "scratch"):
        assert np.all(found > np.array(rows[f"test_{name}"]["mean"]) + 0.02)
