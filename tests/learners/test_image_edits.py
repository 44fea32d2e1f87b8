"""A frozen generator, its edits for each image, and its rivals."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Task, enable_x64, prepare_optimizer
from metajax.hypernet import edit_hypernetwork, render_edited
from metajax.learners import (
    EditedGenerator,
    edited_along,
    edited_images,
    encode,
    generator_stages,
    image_errors,
    image_generator,
    in_stages,
    shared_edit,
    tuned_latent,
    tuned_weights,
    weight_edits,
)
from metajax.nn import conv_autoencoder

DRAW = np.random.default_rng(0)
IMAGES = jnp.asarray(DRAW.uniform(size=(4, 6, 6, 1)), jnp.float32)
TASK = Task(IMAGES, IMAGES)
AUTOENCODER = conv_autoencoder((6, 6, 1), latents=2, channels=3)
SHAPES = jax.eval_shape(AUTOENCODER.decoder.init, jax.random.key(0), jnp.zeros((1, 2)))
HYPERNET = edit_hypernetwork(SHAPES, channels=2, hidden=6)
EDITS = weight_edits(AUTOENCODER, HYPERNET, passes=2)
SHARED = shared_edit(AUTOENCODER)
KEY = jax.random.key(3)


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


GENERATED = 2
"""Steps of the generator; after it, as many follow."""


@functools.cache
def trained(name):
    """Parameters after each step."""
    learner = {"editor": EDITS, "difference": SHARED}[name]
    edited = EditedGenerator(AUTOENCODER, learner, name)
    stages = generator_stages(edited, [GENERATED, GENERATED], noise=0.2)
    algorithm = in_stages(stages, lambda stage: optax.adam(1e-2))
    tasks = jax.tree.map(lambda leaf: leaf[None], TASK)
    update, state = jax.jit(algorithm.update), algorithm.init(KEY, TASK)
    found = [algorithm.params(state)]
    for step in range(2 * GENERATED):
        state, metrics = update(state, tasks, jax.random.fold_in(KEY, step))
        assert np.isfinite(metrics["loss"])
        found.append(algorithm.params(state))
    return found


@pytest.mark.parametrize("name", ["editor", "difference"])
def test_the_generator_is_trained_first_and_never_again(name):
    found = trained(name)
    for before, after in itertools.pairwise(found[: GENERATED + 1]):
        assert_equal(after[name], before[name])
        kernels = [params["decoder"]["grid"]["kernel"] for params in (before, after)]
        assert np.abs(kernels[1] - kernels[0]).max() > 0
    for after in found[GENERATED + 1 :]:
        assert_equal({**after, name: None}, {**found[GENERATED], name: None})
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), found[-1][name], found[GENERATED][name])
    assert all(leaf > 0 for leaf in jax.tree.leaves(moved))


def test_all_methods_have_the_same_generator():
    for name in ("encoder", "decoder"):
        assert_equal(trained("editor")[-1][name], trained("difference")[-1][name])


def test_no_gradient_reaches_the_generator_nor_a_pass_before():
    params = trained("editor")[-1]
    grads = jax.jit(jax.grad(lambda params: EDITS.loss(params, TASK, KEY)[0]))(params)
    assert not any(np.abs(x).max() for x in jax.tree.leaves((grads["encoder"], grads["decoder"])))

    def one_pass_at_a_time(own):
        """The mean of the losses of both passes, each from deltas that are given."""
        whole = {**params, "editor": own}
        latents = encode(AUTOENCODER, params, IMAGES)
        given = edited_along(AUTOENCODER, HYPERNET, params, latents, IMAGES, 1)
        total = 0.0
        for index in range(2):
            before = jax.tree.map(lambda leaf, at=index: leaf[at], given)
            new = HYPERNET.apply(whole["editor"], IMAGES, before.images)
            deltas = jax.tree.map(jnp.add, before.deltas, new)
            shown = render_edited(AUTOENCODER.decoder, params["decoder"], latents, deltas)
            total += jnp.mean(jnp.square(shown - IMAGES)) / 2
        return total

    expected = jax.jit(jax.grad(one_pass_at_a_time))(params["editor"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
        grads["editor"],
        expected,
    )


def test_the_gradient_is_that_of_differences_in_float64():
    """Of one pass, before which there is nothing to stop at."""
    learner = weight_edits(AUTOENCODER, HYPERNET, passes=1)
    given = trained("editor")[-1], TASK, trained("editor")[0]["editor"]
    with enable_x64(True):
        params, task, way = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), given)

        @jax.jit
        def loss(step):
            own = jax.tree.map(lambda leaf, other: leaf + step * other, params["editor"], way)
            return learner.loss({**params, "editor": own}, task, KEY)[0]

        slope, near = jax.jit(jax.grad(loss))(0.0), 1e-5
        assert abs(slope) > 1e-6
        difference = (loss(near) - loss(-near)) / (2 * near)
        np.testing.assert_allclose(slope, difference, rtol=1e-6)


def test_untrained_edits_are_the_plain_reconstruction():
    params = trained("editor")[GENERATED]  # the generator alone
    plain = AUTOENCODER.decoder.apply(params["decoder"], encode(AUTOENCODER, params, IMAGES))
    np.testing.assert_allclose(EDITS.adapt(params, IMAGES, KEY).images, plain, atol=1e-6)
    shared = trained("difference")[GENERATED]
    found = SHARED.predict(shared, SHARED.adapt(shared, IMAGES, KEY), IMAGES)
    assert_equal(found, plain)
    learner = image_generator(AUTOENCODER)
    assert_equal(learner.predict(params, learner.adapt(params, IMAGES, KEY), IMAGES), plain)


def test_edits_along_passes_are_those_of_each_number():
    params = trained("editor")[-1]
    latents = encode(AUTOENCODER, params, IMAGES)
    along = edited_along(AUTOENCODER, HYPERNET, params, latents, IMAGES, 3)
    for passes in range(4):
        found = edited_images(AUTOENCODER, HYPERNET, params, latents, IMAGES, passes)
        np.testing.assert_allclose(along.images[passes], found.images, atol=1e-6)
    assert np.abs(along.images[3] - along.images[0]).max() > 1e-4


@pytest.mark.parametrize("what", ["weights", "latent"])
def test_tuning_is_adam_on_one_image(what):
    """Against a loop of optax's own steps."""
    params = trained("editor")[GENERATED]
    latents = encode(AUTOENCODER, params, IMAGES)
    decoder, rate, steps = AUTOENCODER.decoder, 3e-2, 4

    def tune(latent, image):
        def note(moved):
            weights, at = (moved, latent) if what == "weights" else (params["decoder"], moved)
            return jnp.mean(jnp.square(decoder.apply(weights, at[None])[0] - image))

        tuning = tuned_weights if what == "weights" else tuned_latent
        return tuning(decoder, params["decoder"], latent, image, jnp.float32(rate), steps, note)

    found, errors = jax.jit(jax.vmap(tune))(latents, IMAGES)
    np.testing.assert_allclose(
        errors[:, 0], image_errors(decoder.apply(params["decoder"], latents), IMAGES), rtol=1e-5
    )
    moved = params["decoder"] if what == "weights" else latents[1:2]

    def loss(moved):
        weights, latent = (moved, latents[1:2]) if what == "weights" else (params["decoder"], moved)
        return jnp.mean(jnp.square(decoder.apply(weights, latent) - IMAGES[1:2]))

    @jax.jit
    def step(moved, state):
        updates, state = rule.update(jax.grad(loss)(moved), state, moved)
        return optax.apply_updates(moved, updates), state

    rule = prepare_optimizer(optax.adam(rate), has_function=False)
    state, expected = rule.init(moved), [loss(moved)]
    for _ in range(steps):
        moved, state = step(moved, state)
        expected.append(loss(moved))
    np.testing.assert_allclose(errors[1], expected, rtol=1e-4)
    assert errors[1, -1] < errors[1, 0]
    one = jax.tree.map(lambda leaf: leaf[1], found)
    final = one if what == "weights" else one[None]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4), final, moved)


def test_edits_without_a_pass_are_rejected():
    with pytest.raises(ConfigError, match="passes"):
        weight_edits(AUTOENCODER, HYPERNET, passes=0)
