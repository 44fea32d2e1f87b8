"""Zoos and models of their weights: what is exact, and what a diffusion learns of a known zoo."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, Task, count, cross_entropy, derive, gradient
from metajax.hypernet import decode_principal, encode_principal
from metajax.learners import (
    LatentDiffusion,
    SetReader,
    autoencoder_code,
    checked_descent,
    flat_weights,
    nearest_network,
    network_zoo,
    ridge_predictions,
    weight_diffusion,
    weight_regression,
    weights_from,
    with_solved_head,
    zoo_mean,
    zoo_training,
)
from metajax.nn import mlp

NETWORKS, WAYS, SHOTS, FEATURES = 12, 2, 3, 3
NETWORK = mlp([2], WAYS)
DRAW = np.random.default_rng(0)
KEY = jax.random.key(0)


def embed(support):
    """The mean of each class."""
    of = (support.targets[None] == jnp.arange(WAYS)[:, None]).astype(jnp.float32)
    return ((of @ support.inputs) / jnp.sum(of, axis=1)[:, None]).reshape(-1)


def examples(num, count):
    inputs = DRAW.normal(size=(num, count, FEATURES)).astype(np.float32)
    targets = np.broadcast_to(np.arange(count) % WAYS, (num, count))
    inputs += 2 * targets[..., None] * DRAW.normal(size=(num, 1, FEATURES)).astype(np.float32)
    return Examples(jnp.asarray(inputs), jnp.asarray(targets, jnp.int32))


TASK = Task(examples(NETWORKS, WAYS * SHOTS), examples(NETWORKS, 8))
ONE = jax.tree.map(lambda leaf: leaf[0], TASK.support)
BATCH = jax.tree.map(lambda leaf: leaf[None, None], TASK)  # a step's one task of one part
SMALL = LatentDiffusion(4, denoiser_hidden=(8,), noise_levels=10, batch=5, moves=0)
LARGER = replace(SMALL, batch=64)
MODEL = weight_diffusion(NETWORK, embed, SMALL)
SETS = weight_diffusion(NETWORK, embed, LARGER, SetReader(4, WAYS, align_share=0.4))


def known_zoo():
    """Networks whose weights are a linear map of their embedding."""
    embeddings = DRAW.normal(size=(60, WAYS * FEATURES)).astype(np.float32)
    start = NETWORK.init(KEY, TASK.query.inputs[0])
    slope = DRAW.normal(size=(WAYS * FEATURES, count(start))).astype(np.float32)
    rows = 0.3 + embeddings @ slope
    networks = jax.vmap(lambda row: weights_from(row, start))(jnp.asarray(rows))
    return {"start": start, "networks": networks, "embeddings": jnp.asarray(embeddings)}, slope


def row_of(weights):
    return np.asarray(flat_weights(jax.tree.map(lambda leaf: leaf[None], weights))[0])


@pytest.fixture(scope="module")
def stages():
    """States before and after the model takes over from the zoo."""
    algorithm = zoo_training(
        NETWORK, embed, MODEL, zoo_steps=3, make_optimizer=lambda steps: optax.adam(1e-2)
    )
    update = jax.jit(algorithm.update)
    states = [jax.jit(algorithm.init)(KEY, jax.tree.map(lambda leaf: leaf[0], BATCH))]
    for step in range(5):
        states.append(update(states[-1], BATCH, derive(KEY, "update", step))[0])
    return states


@pytest.mark.slow
def test_networks_of_a_zoo_are_those_that_are_trained_alone(stages):
    one = jax.tree.map(lambda leaf: leaf[4:5], TASK)
    alone = gradient(network_zoo(NETWORK, embed), optax.adam(1e-2))
    state = alone.init(KEY, one)
    update = jax.jit(alone.update)
    start = stages[0].stages[0].params["start"]
    state = state._replace(
        params={**state.params, "networks": jax.tree.map(lambda leaf: leaf[None], start)}
    )
    for _ in range(3):
        state, _ = update(state, jax.tree.map(lambda leaf: leaf[None], one), KEY)
    found = flat_weights(stages[3].stages[0].params["networks"])[4]
    np.testing.assert_allclose(found, flat_weights(state.params["networks"])[0], atol=1e-5)


def test_the_model_begins_with_the_trained_zoo_and_leaves_it(stages):
    zoos = [state.stages[0].params for state in stages]
    models = [state.stages[1].params for state in stages]
    jax.tree.map(np.testing.assert_array_equal, zoos[3], zoos[5])
    for name in ("start", "embeddings"):
        jax.tree.map(np.testing.assert_array_equal, zoos[0][name], zoos[5][name])
    jax.tree.map(np.testing.assert_array_equal, models[0], models[3])
    rows = flat_weights(zoos[5]["networks"])
    code = models[5]["code"]["principal"]
    np.testing.assert_allclose(code.mean, jnp.mean(rows, axis=0), atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, models[4]["code"], models[5]["code"])
    back = decode_principal(code, models[5]["latents"])
    left = np.sum((back - rows) ** 2) / np.sum((rows - rows.mean(0)[None]) ** 2)
    np.testing.assert_allclose(left, 1 - code.share, rtol=1e-3)
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), models[4]["denoiser"], models[5]["denoiser"]
    )
    assert min(jax.tree.leaves(moved)) > 0


def test_a_key_and_a_support_decide_the_weights_and_order_does_not_matter(stages):
    zoo, model = (stage.params for stage in stages[5].stages)
    generate = jax.jit(MODEL.generate)
    first = row_of(generate(zoo, model, ONE, KEY))
    np.testing.assert_array_equal(row_of(generate(zoo, model, ONE, KEY)), first)
    assert np.abs(row_of(generate(zoo, model, ONE, jax.random.key(1))) - first).max() > 1e-4
    turned = jax.tree.map(lambda leaf: leaf[::-1], ONE)
    np.testing.assert_allclose(row_of(generate(zoo, model, turned, KEY)), first, atol=1e-5)
    sets = SETS.stages[0].begin(zoo, jax.jit(SETS.stages[0].learner.init)(KEY, TASK))
    generate = jax.jit(SETS.generate)
    first = row_of(generate(zoo, sets, ONE, KEY))
    np.testing.assert_allclose(row_of(generate(zoo, sets, turned, KEY)), first, atol=1e-5)
    other = ONE._replace(targets=1 - ONE.targets)
    assert np.abs(row_of(generate(zoo, sets, other, KEY)) - first).max() > 1e-4


def test_a_code_of_all_components_returns_the_networks(stages):
    zoo = stages[5].stages[0].params
    whole = weight_diffusion(NETWORK, embed, replace(SMALL, components=NETWORKS - 1))
    model = whole.stages[0].begin(zoo, {"code": {}, "coder": {}})
    rows = flat_weights(zoo["networks"])
    np.testing.assert_allclose(whole.decoded(model, rows), rows, atol=1e-5)
    more = weight_diffusion(NETWORK, embed, replace(SMALL, components=NETWORKS))
    with pytest.raises(ConfigError, match="1 to 11 components of 12 vectors"):
        more.stages[0].learner.init(KEY, TASK)


def test_closed_forms_give_what_a_known_zoo_has():
    zoo, slope = known_zoo()
    near = {**zoo, "embeddings": zoo["embeddings"].at[7].set(embed(ONE))}

    @jax.jit
    def found(zoo, near):
        rows = flat_weights(zoo["networks"])
        return (
            weight_regression(embed).generate(zoo, {}, ONE, KEY),
            zoo_mean().generate(zoo, {}, ONE, KEY),
            nearest_network(embed).generate(near, {}, ONE, KEY),
            ridge_predictions(zoo["embeddings"], rows, zoo["embeddings"]),
            rows,
        )

    regression, mean, nearest, again, rows = found(zoo, near)
    right = 0.3 + np.asarray(embed(ONE)) @ slope
    np.testing.assert_allclose(row_of(regression), right, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(row_of(mean), np.mean(rows, 0), atol=1e-5)
    np.testing.assert_array_equal(row_of(nearest), rows[7])
    np.testing.assert_allclose(again, rows, rtol=1e-3, atol=1e-3)


def cross_entropy_of(weights):
    return cross_entropy(NETWORK.apply(weights, ONE.inputs), ONE.targets)


def test_moved_draws_never_fit_the_support_worse_and_0_moves_are_the_plain_draw(stages):
    zoo, model = (stage.params for stage in stages[5].stages)
    # logits of large networks: steps of a fixed size that suit others would diverge here
    steep = {**model, "code": jax.tree.map(lambda leaf: 30 * leaf, model["code"])}
    moved = weight_diffusion(NETWORK, embed, replace(SMALL, moves=6))
    keys = jax.random.split(KEY, 8)

    @jax.jit
    def losses(model):
        def drawn(of):
            return jax.vmap(lambda key: cross_entropy_of(of.generate(zoo, model, ONE, key)))(keys)

        return [drawn(of) for of in (moved, dict(moved.variants)["unmoved"])]

    for each in (model, steep):
        better, plain = losses(each)
        assert np.all(np.asarray(better) <= np.asarray(plain) * (1 + 1e-6))
        assert np.mean(better) < np.mean(plain)
    of_none = weight_diffusion(NETWORK, embed, LARGER)
    assert not of_none.variants
    published = row_of(jax.jit(MODEL.generate)(zoo, model, ONE, KEY))
    for same in (of_none, dict(moved.variants)["unmoved"]):
        found = row_of(jax.jit(same.generate)(zoo, model, ONE, KEY))
        np.testing.assert_array_equal(found, published)
    with pytest.raises(ConfigError, match="0 or more"):
        weight_diffusion(NETWORK, embed, replace(SMALL, moves=-1))


def test_weights_of_regression_move_by_checked_steps_in_the_latents(stages):
    zoo, model = (stage.params for stage in stages[5].stages)
    moved = weight_diffusion(NETWORK, embed, LatentDiffusion(4, noise_levels=10, moves=3))
    found = jax.jit(dict(moved.variants)["moved_regression"].generate)(zoo, model, ONE, KEY)
    code = model["code"]["principal"]

    def loss(latent):
        weights = weights_from(decode_principal(code, latent), zoo["start"])
        return WAYS * SHOTS * cross_entropy_of(weights)

    weights = weight_regression(embed).generate(zoo, {}, ONE, KEY)
    first = encode_principal(code, row_of(weights))
    latent = checked_descent(loss, first, 3)
    assert np.abs(latent - first).max() > 1e-2
    np.testing.assert_allclose(row_of(found), decode_principal(code, latent), atol=1e-5)


def test_a_solved_head_is_the_ridge_solution_and_leaves_the_features(stages):
    zoo = stages[5].stages[0].params
    plain = zoo_mean()
    weights = plain.generate(zoo, {}, ONE, KEY)
    by_head = with_solved_head(plain, NETWORK, WAYS, "Dense_1")
    solved = jax.jit(by_head.generate)(zoo, {}, ONE, KEY)
    np.testing.assert_array_equal(solved["Dense_0"]["kernel"], weights["Dense_0"]["kernel"])
    wanted = np.eye(WAYS)[np.asarray(ONE.targets)]

    def apart(weights):
        return np.sum((np.asarray(NETWORK.apply(weights, ONE.inputs)) - wanted) ** 2)

    assert apart(solved) < apart(weights)
    first = weights["Dense_0"]
    features = jax.nn.relu(ONE.inputs @ first["kernel"] + first["bias"][None])
    design = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    before, after = (
        np.concatenate([w["Dense_1"]["kernel"], w["Dense_1"]["bias"][None]])
        for w in (weights, solved)
    )
    # where the gradient of the penalized squares is 0, for one strength of the pull to the first
    slope, pull = design.T @ (design @ after - wanted), after - before
    strength = -np.sum(slope * pull) / np.sum(pull**2)
    size = np.abs(design.T @ wanted).max()
    assert strength > -1e-5 * size
    np.testing.assert_allclose(slope, -strength * pull, atol=1e-4 * size)


def test_a_code_is_trained_before_its_latents_are_taken_and_stays_after():
    coder = {"latents": "autoencoder", "coder_hidden": 6, "coder_share": 0.25}
    small = replace(SMALL, components=3, **coder)
    model = weight_diffusion(NETWORK, embed, small, SetReader(4, WAYS, align_share=0.25))
    algorithm = zoo_training(
        NETWORK,
        embed,
        model,
        zoo_steps=2,
        model_steps=8,
        make_optimizer=lambda steps: optax.adam(1e-2),
    )
    update = jax.jit(algorithm.update)
    state = jax.jit(algorithm.init)(KEY, jax.tree.map(lambda leaf: leaf[0], BATCH))
    after = {}
    for step in range(8):
        state, _ = update(state, BATCH, derive(KEY, "update", step))
        after[step + 1] = algorithm.params(state).networks

    def moves(entry, before, later):
        pairs = zip(jax.tree.leaves(before[entry]), jax.tree.leaves(later[entry]), strict=True)
        return any(np.any(a != b) for a, b in pairs)

    # 2 steps of the zoo, 2 of the code, 2 of the encoder, the others of the denoiser
    coded, aligned, last = after[4][1], after[6][2], after[8][3]
    assert moves("coder", after[3][1], coded) and not moves("encoder", after[3][1], coded)
    assert moves("encoder", coded, aligned) and moves("aligner", coded, aligned)
    for entry in ("coder", "encoder", "aligner"):
        assert not moves(entry, aligned, last)
    assert moves("denoiser", after[7][3], last) and not moves("denoiser", coded, aligned)
    latents = np.asarray(last["latents"])
    np.testing.assert_allclose(latents.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(latents.std(0), 1, rtol=1e-3)
    rows = flat_weights(after[8][0]["networks"])
    code = autoencoder_code(3, hidden=6)
    params = {**last["code"], "trained": last["coder"]}
    np.testing.assert_allclose(code.encode(params, rows), latents, atol=1e-3)
    np.testing.assert_allclose(model.decoded(last, rows), code.decode(params, latents), atol=1e-4)
    with pytest.raises(ConfigError, match="sum below 1"):
        weight_diffusion(NETWORK, embed, SMALL, SetReader(4, WAYS, align_share=1.0))
    with pytest.raises(ConfigError, match="autoencoder"):
        weight_diffusion(NETWORK, embed, replace(SMALL, latents="coder"))
