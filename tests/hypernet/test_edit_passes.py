"""Edits for each image: none of them is the decoder, deltas of passes sum, any number of passes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import (
    Edited,
    edit_hypernetwork,
    edit_pass,
    modulate,
    no_deltas,
    refined,
    render_edited,
)
from metajax.nn import conv2d, conv_autoencoder

DRAW = np.random.default_rng(0)
IMAGES = jnp.asarray(DRAW.uniform(size=(3, 8, 8, 1)), jnp.float32)
LATENTS = jnp.asarray(DRAW.normal(size=(3, 2)), jnp.float32)
DECODER = conv_autoencoder((8, 8, 1), latents=2, channels=4).decoder
PARAMS = DECODER.init(jax.random.key(0), LATENTS)
HYPERNET = edit_hypernetwork(PARAMS, channels=2, hidden=5)


def random_deltas(num=3):
    """Deltas unlike zero, of each image."""
    zeros = no_deltas(PARAMS, num)
    return jax.tree.map(lambda leaf: jnp.asarray(DRAW.normal(size=leaf.shape), jnp.float32), zeros)


def drawn_editor():
    """An editor whose output layer is no longer zero."""
    own = HYPERNET.init(jax.random.key(1), IMAGES, IMAGES)
    kernel = own["deltas"]["kernel"]
    own["deltas"]["kernel"] = 0.3 * jax.random.normal(jax.random.key(2), kernel.shape)
    return lambda images, reconstructions: HYPERNET.apply(own, images, reconstructions)


@jax.jit
def render(deltas):
    return render_edited(DECODER, PARAMS, LATENTS, deltas)


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_deltas_of_zero_are_the_decoders_weights_bit_for_bit():
    zeros = no_deltas(PARAMS, 3)
    shapes = {name: layer["kernel"] for name, layer in zeros.items()}
    assert shapes.pop("grid") is None and all(layer["bias"] is None for layer in zeros.values())
    assert {name: leaf.shape for name, leaf in shapes.items()} == {
        "conv_0": (3, 4, 4),
        "conv_1": (3, 4, 4),
        "conv_2": (3, 4, 1),
    }
    same = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (3, *leaf.shape)), PARAMS)
    assert_equal(jax.jit(jax.vmap(modulate, (None, 0)))(PARAMS, zeros), same)
    np.testing.assert_allclose(render(zeros), DECODER.apply(PARAMS, LATENTS), atol=1e-6)


def test_a_hypernetwork_starts_as_the_plain_reconstruction():
    own = HYPERNET.init(jax.random.key(1), IMAGES, IMAGES)
    plain = render(no_deltas(PARAMS, 3))
    deltas = HYPERNET.apply(own, IMAGES, plain)
    assert_equal(deltas, no_deltas(PARAMS, 3))

    def editor(images, reconstructions):
        return HYPERNET.apply(own, images, reconstructions)

    assert_equal(refined(editor, render, IMAGES, no_deltas(PARAMS, 3), 3).images, plain)
    grads = jax.grad(
        lambda own: jnp.sum(jnp.square(render(HYPERNET.apply(own, IMAGES, plain)) - IMAGES))
    )(own)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads["deltas"]))


def test_deltas_of_passes_sum():
    editor, deltas = drawn_editor(), random_deltas()
    edited = Edited(deltas, render(deltas))
    total, parts = deltas, []
    for _ in range(3):
        parts.append(editor(IMAGES, edited.images))
        edited = edit_pass(editor, render, IMAGES, edited)
        total = jax.tree.map(jnp.add, total, parts[-1])
        assert_equal(edited.deltas, total)
        assert_equal(edited.images, render(total))
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(parts))


def test_one_program_makes_any_number_of_passes():
    editor, traces = drawn_editor(), []

    @jax.jit
    def make(passes):
        traces.append(passes)
        return refined(editor, render, IMAGES, no_deltas(PARAMS, 3), passes).images

    edited = Edited(no_deltas(PARAMS, 3), render(no_deltas(PARAMS, 3)))
    for passes in range(4):
        found = make(jnp.int32(passes))
        np.testing.assert_allclose(found, edited.images, atol=2e-6)
        edited = edit_pass(editor, render, IMAGES, edited)
    assert len(traces) == 1


def test_products_of_patches_are_the_grouped_convolution():
    """A kernel of its own for each image: XLA calls it a convolution with a group an image."""
    kernel = jnp.asarray(DRAW.normal(size=(3, 3, 4, 5)), jnp.float32)
    maps = jnp.asarray(DRAW.normal(size=(3, 6, 7, 4)), jnp.float32)
    delta = jnp.asarray(DRAW.normal(size=(3, 4, 5)), jnp.float32)

    def one(x, change):
        return conv2d(x[None], modulate(kernel, change), "patches")[0]

    found = jax.vmap(one)(maps, delta)
    own = np.asarray(kernel, float)[None] * (1 + np.asarray(delta, float))[:, None, None]
    grouped = jax.lax.conv_general_dilated(
        maps.transpose(1, 2, 0, 3).reshape(1, 6, 7, 12),
        jnp.asarray(own.transpose(1, 2, 3, 0, 4).reshape(3, 3, 4, 15), jnp.float32),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=3,
    )
    expected = grouped.reshape(6, 7, 3, 5).transpose(2, 0, 1, 3)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_batch_is_a_loop_over_images():
    editor = drawn_editor()
    together = refined(editor, render, IMAGES, no_deltas(PARAMS, 3), 2).images
    for index in range(3):
        here = slice(index, index + 1)

        def alone(deltas, here=here):
            return render_edited(DECODER, PARAMS, LATENTS[here], deltas)

        found = refined(editor, alone, IMAGES[here], no_deltas(PARAMS, 1), 2).images
        np.testing.assert_allclose(found[0], together[index], atol=2e-6)


def test_what_cannot_be_edited_is_rejected():
    with pytest.raises(ConfigError, match="a kernel of four axes"):
        edit_hypernetwork({"kernel": jnp.zeros((2, 3))})
    with pytest.raises(ConfigError, match="hidden"):
        edit_hypernetwork(PARAMS, hidden=0)
