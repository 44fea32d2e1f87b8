"""Edits of a generator in the family: what is seen, how tuning is measured, what it costs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import build
from metajax.systems.page import PIXELS_PER_INCH
from metajax.systems.weights.images.evaluate import (
    crossings,
    measured,
    nearest_class,
    operations,
)
from metajax.systems.weights.images.report import crossing_line, edit_pictures
from small import tiny

PHONE = 360
"""Pixels that a page has beside its margins on a phone."""


def test_unseen_classes_are_never_drawn():
    found = build(tiny("weights", "weight_edits", known_classes=3, edit_images=5)).problem
    images = found.conditions
    assert set(np.asarray(images.labels)) == {0, 1, 2} >= set(np.asarray(images.known_labels))
    assert len(images.known) == len(images.unseen) == len(images.chosen) == 5

    def rows(of):
        return {tuple(row) for row in np.asarray(of).reshape(len(of), -1).tolist()}

    drawn = found.tasks(jax.random.key(0))
    assert rows(drawn.support) | rows(images.chosen) <= rows(images.train)
    assert 0 <= images.train.min() < images.train.max() <= 1
    np.testing.assert_array_equal(drawn.support, drawn.query)
    alike = build(tiny("weights", "shared_edit", known_classes=3, edit_images=5, seed=1)).problem
    np.testing.assert_array_equal(alike.conditions.unseen, images.unseen)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("generator_steps", 600),
        ("image_steps", ()),
        ("weight_rates", ()),
        ("latent_rates", ()),
    ],
)
def test_settings_that_do_not_fit_are_rejected_by_name(field, value):
    with pytest.raises(ConfigError) as raised:
        tiny("weights", "weight_edits", **{"steps": 600, field: value})
    assert raised.value.field == field


def test_a_generator_of_all_classes_is_rejected():
    with pytest.raises(ConfigError, match="known_classes"):
        build(tiny("weights", "weight_edits", known_classes=10))


def test_the_classifier_takes_the_nearest_image():
    draw = np.random.default_rng(0)
    train, asked = draw.uniform(size=(9, 2, 2, 1)), draw.uniform(size=(5, 2, 2, 1))
    labels = np.arange(9)
    apart = np.square(train[None] - asked[:, None]).sum((2, 3, 4))
    given = (jnp.asarray(x, jnp.float32) for x in (asked, train))
    found = nearest_class(*given, jnp.asarray(labels, jnp.int32))
    np.testing.assert_array_equal(found, labels[apart.argmin(1)])


def test_the_crossing_is_the_first_number_of_steps_that_is_as_good():
    cost = {"image": 10.0, "pass": 20.0, "step": 35.0}
    edits, steps = np.array([1.0, 0.5, 0.1, 0.7]), np.array([1.0, 0.6, 0.5, 0.2])
    found = crossings(edits, steps, cost)
    assert [each["steps"] for each in found] == [2, None, 1]
    assert [each["edit_operations"] for each in found] == [30.0, 50.0, 70.0]
    assert [each["tune_operations"] for each in found] == [80.0, None, 45.0]
    assert "2 steps, 2.7 times" in crossing_line(found[0])
    assert "does not get so far" in crossing_line(found[1])


def test_operations_are_counted_as_by_hand():
    """XLA's count is that of the products of matrices, and little more."""
    setup = build(
        tiny("weights", "weight_edits", image_size=8, generator_channels=12, latent_size=3)
    )
    key = jax.random.key(0)
    params = setup.algorithm.params(setup.algorithm.init(key, setup.problem.tasks(key)))
    found = operations(setup.method.parts, setup.problem.conditions, params)
    grid, half, whole = 2 * 2 * 12 * 3, 4 * 4 * 9 * 12 * 12, 8 * 8 * 9 * 12 * 12
    by_hand = 2 * (grid + half + whole + 8 * 8 * 9 * 12)
    assert by_hand < found["image"] < 1.2 * by_hand
    # backward twice as much, but for the gradient of the latent; a pass has one forward
    assert 2.7 * by_hand < found["step"] < 3.6 * by_hand
    assert found["latent_step"] < found["step"]
    editor = 2 * (4 * 4 * 9 * 2 * 2 + 2 * 2 * 9 * 2 * 4 + 16 * 3 + 3 * (144 + 144 + 12))
    assert by_hand + editor < found["pass"] < 1.3 * (by_hand + editor)


@pytest.mark.slow
def test_tuning_takes_the_best_rate_on_training_images_for_each_number_of_steps():
    setup = build(
        tiny("weights", "weight_edits", edit_images=4, image_size=8, generator_channels=4)
    )
    key = jax.random.key(0)
    params = setup.algorithm.params(setup.algorithm.init(key, setup.problem.tasks(key)))
    images, rates = setup.problem.conditions, [1e-3, 3e-2]

    def errors(weight_rates):
        return measured(
            setup.method.parts,
            params,
            images,
            jnp.array([0.1], jnp.float32),
            jnp.asarray(weight_rates, jnp.float32),
            1,
            3,
        )

    both, each = errors(rates), [errors([rate]) for rate in rates]
    swapped = setup.problem._replace(
        conditions=type(images)(**{**vars(images), "known": images.chosen})
    )
    chosen = [
        measured(
            setup.method.parts,
            params,
            swapped.conditions,
            jnp.array([0.1], jnp.float32),
            jnp.array([rate], jnp.float32),
            1,
            3,
        )["known"]["weights"].errors.mean(1)
        for rate in rates
    ]
    best = np.argmin(chosen, axis=0)
    for group in ("known", "unseen"):
        expected = [each[rate][group]["weights"].errors[step] for step, rate in enumerate(best)]
        np.testing.assert_allclose(both[group]["weights"].errors, expected, rtol=1e-5)
    # an untrained editor and no step are the plain reconstruction
    plain = both["known"]["weights"].errors[0]
    np.testing.assert_allclose(both["known"]["method"].errors, [plain] * 2, rtol=1e-5)
    np.testing.assert_allclose(both["known"]["latents"].errors[0], plain, rtol=1e-5)


def test_pictures_have_unseen_classes_below():
    shown = {"shape": [1, 2, 1], "columns": {"original": ["00ff"], "plain": ["0909"]}}
    canvas = edit_pictures({"known": shown, "unseen": shown})
    axes = canvas.get_axes()
    assert len(axes) == 4 and axes[2].get_ylabel() == "unseen"
    assert [each.get_title() for each in axes[:2]] == ["original", "plain"]
    np.testing.assert_array_equal(axes[2].get_images()[0].get_array(), [[0, 255]])


def test_a_phone_shows_pictures_whole_and_their_names_side_by_side():
    names = ["original", "plain", "1 pass", "2 passes", "3 passes", "tuned, 10 steps", "tuned, 50"]
    shown = {"shape": [2, 2, 1], "columns": dict.fromkeys(names, ["00ff00ff"] * 4)}
    canvas = edit_pictures({"known": shown, "unseen": shown})
    canvas.draw_without_rendering()
    assert canvas.get_figwidth() * PIXELS_PER_INCH <= PHONE
    titles = [axes.title.get_window_extent() for axes in canvas.get_axes()[:7]]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(titles))
