"""Pieces of a diffusion of a zoo's latents: what each of them changes, and what it leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import Examples, Task, count, cross_entropy
from metajax.hypernet import denoiser
from metajax.learners import autoencoder_code, flat_weights, principal_code, weights_from
from metajax.learners.zoo_latents import (
    ZooLatents,
    aligning_loss,
    code_of,
    coding_loss,
    condition,
    denoising_loss,
    drawn_latent,
    first_model,
    moved_weights,
    tokens,
    with_trained_code,
    with_zoo,
)
from metajax.nn import mlp, token_set_encoder

NETWORKS, WAYS, SIZE = 8, 2, 3
KEY = jax.random.key(0)
DRAW = np.random.default_rng(0)
NETWORK = mlp([2], WAYS)


def embed(support):
    """The mean of all inputs: 3 numbers."""
    return jnp.mean(support.inputs, axis=0)


def examples(number):
    inputs = DRAW.normal(size=(NETWORKS, number, 3)).astype(np.float32)
    targets = np.tile(np.arange(number) % WAYS, (NETWORKS, 1)).astype(np.int32)
    return Examples(jnp.asarray(inputs), jnp.asarray(targets))


TASK = Task(examples(4), examples(6))
ONE = jax.tree.map(lambda leaf: leaf[0], TASK.support)
ZOO = {
    "networks": jax.vmap(lambda key: NETWORK.init(key, ONE.inputs))(
        jax.random.split(KEY, NETWORKS)
    ),
    "embeddings": jax.vmap(embed)(TASK.support),
    "start": NETWORK.init(KEY, ONE.inputs),
}


def parts_of(*, coded=False, read=False):
    encoder = token_set_encoder(num_outputs=4, width=4, heads=1, prefixes=WAYS) if read else None
    code = autoencoder_code(SIZE, hidden=5, factor=0.1, batch=4) if coded else principal_code(SIZE)
    noise = denoiser(SIZE, 6, [8])
    return ZooLatents(NETWORK, embed, code, noise, encoder, WAYS, SIZE, 6, 4)


def test_a_model_that_knows_its_zoo_reads_standardized_embeddings():
    parts = parts_of()
    model = jax.jit(lambda: with_zoo(parts, ZOO, first_model(parts, KEY, TASK, False)))()
    known = np.asarray(condition(parts, model, TASK.support))
    np.testing.assert_allclose(known.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(known.std(0), 1, rtol=1e-4)
    assert model["latents"].shape == (NETWORKS, SIZE)
    # a feature that is the same in all tasks is 0, not infinite
    alike = {**ZOO, "embeddings": ZOO["embeddings"].at[:, 0].set(2.0)}
    flat = with_zoo(parts, alike, model)
    assert flat["deviation"][0] == 1 and flat["center"][0] == 2


def test_latents_wait_for_a_code_that_is_trained():
    parts = parts_of(coded=True)
    first = first_model(parts, KEY, TASK, False)
    model = jax.jit(lambda: with_zoo(parts, ZOO, first))()
    assert not np.any(model["latents"])
    # the loss moves what is trained of the code alone
    slope = jax.grad(lambda model: coding_loss(parts, model, TASK, KEY)[0])(model)
    moved = {name for name, leaves in slope.items() if any(map(np.any, jax.tree.leaves(leaves)))}
    assert "coder" in moved and not {"denoiser", "latents", "center"} & moved
    latents = jax.jit(lambda: with_trained_code(parts, model))()["latents"]
    np.testing.assert_allclose(np.std(latents, axis=0), 1, rtol=0.1)


def test_an_encoder_reads_a_support_in_any_order():
    parts = parts_of(read=True)
    model = first_model(parts, KEY, TASK, True)
    assert model["aligner"]["map"].shape == (4 * WAYS, SIZE)
    both, here = tokens(ONE, WAYS)
    assert both.shape == (4, 3 + WAYS) and here.all()
    np.testing.assert_array_equal(both[:, 3:], np.eye(WAYS)[np.asarray(ONE.targets)])
    order = np.array([2, 0, 3, 1])
    turned = jax.tree.map(lambda leaf: leaf[:, order], TASK.support)
    reads = [condition(parts, model, support) for support in (TASK.support, turned)]
    np.testing.assert_allclose(*reads, atol=1e-5)


@pytest.mark.parametrize("loss", [aligning_loss, denoising_loss], ids=lambda loss: loss.__name__)
def test_losses_of_stages_reach_what_they_train(loss):
    parts = parts_of(read=True)
    model = with_zoo(parts, ZOO, first_model(parts, KEY, TASK, True))
    slope = jax.jit(jax.grad(lambda model: loss(parts, model, TASK, KEY)[0]))(model)
    moved = {name for name, leaves in slope.items() if any(map(np.any, jax.tree.leaves(leaves)))}
    assert {"aligner" if loss is aligning_loss else "denoiser"} <= moved - {"latents"}
    assert ("denoiser" in moved) == (loss is denoising_loss)
    assert "code" not in moved and "coder" not in moved


def test_a_draw_becomes_weights_that_fit_the_support_better_by_moves():
    parts = parts_of()
    model = with_zoo(parts, ZOO, first_model(parts, KEY, TASK, False))

    @jax.jit
    def both(key):
        latent = drawn_latent(parts, model, ONE, key)
        return latent, [moved_weights(parts, ZOO, model, ONE, latent, moves) for moves in (0, 8)]

    latent, (plain, moved) = both(KEY)
    assert latent.shape == (1, SIZE) and count(plain) == count(ZOO["start"])
    row = parts.code.decode(code_of(model), latent)[0]
    jax.tree.map(np.testing.assert_array_equal, plain, weights_from(row, ZOO["start"]))

    def error(weights):
        return cross_entropy(NETWORK.apply(weights, ONE.inputs), ONE.targets)

    assert error(moved) < error(plain)
    rows = flat_weights(jax.tree.map(lambda leaf: leaf[None], moved))
    assert np.abs(rows - row[None]).max() > 1e-4
