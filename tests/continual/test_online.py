"""Predicting a stream of shifted images: what each predictor changes, reads and keeps."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sequence_toys import pool

from metajax import continual
from metajax.continual.adaptation import entropies, mean_where
from metajax.continual.source import mix
from metajax.core import ConfigError, derive, digest
from metajax.nn import Averages, conv2d, normalise_by, parted_conv_net

KEY = jax.random.key(2)
TRAIN, HELD_OUT = pool(0, 40), pool(1, 20)
NETWORK = parted_conv_net(TRAIN.num_classes, (4, 6))
META = continual.meta_networks(NETWORK)
STREAM = continual.shift_stream(TRAIN, HELD_OUT, 2.0, batch=16, images_per_shift=40, num_rounds=2)
SOURCE_STEPS = 60


@pytest.fixture(scope="module")
def stages():
    """What was trained before the warm-up, and after it."""
    warm = continual.warm_up(META, optax.sgd(0.02, 0.9))
    algorithm = continual.source_training(NETWORK, optax.adam(1e-2), SOURCE_STEPS, warm)
    tasks = continual.SourceImages(TRAIN, 16)

    @jax.jit
    def steps(state):
        def one(state, number):
            key = derive(KEY, "step", state.step)
            drawn = jax.tree.map(lambda leaf: leaf[None], tasks(key))
            return algorithm.update(state, drawn, key)[0], None

        return jax.lax.scan(one, state, length=SOURCE_STEPS)[0]

    before = steps(jax.jit(lambda: algorithm.init(KEY, tasks(KEY)))())
    return before.params, steps(before).params


@pytest.fixture(scope="module")
def params(stages):
    return stages[1]


@jax.jit
def images_of(step):
    return STREAM(KEY, step).inputs


PREDICTORS = {
    "source": continual.frozen(NETWORK, False),
    "batch_statistics": continual.frozen(NETWORK, True),
    "tent": continual.adapting(continual.tent(NETWORK), optax.adam(1e-3)),
    "ecotta": continual.adapting(continual.ecotta(META), optax.sgd(1e-2, 0.9)),
    "warmed": continual.warmed(META),
}


@functools.partial(jax.jit, static_argnums=0)
def stream_through(online, params, stream=STREAM):
    return continual.run_stream(online, params, stream, KEY)


def test_the_warm_up_leaves_the_source_network_as_it_is(stages):
    before, after = stages
    assert digest((after.network, after.averages)) == digest((before.network, before.averages))
    assert digest((after.meta, after.meta_averages)) != digest((before.meta, before.meta_averages))


def test_averages_move_a_tenth_of_the_way():
    kept, used = Averages(jnp.zeros(2), jnp.ones(2)), Averages(jnp.ones(2), jnp.full(2, 3.0))
    np.testing.assert_allclose(mix(kept, used).mean, 0.1, rtol=1e-6)
    np.testing.assert_allclose(mix(kept, used).variance, 1.2, rtol=1e-6)


@pytest.mark.parametrize("name", [pytest.param("tent", marks=pytest.mark.slow), "ecotta"])
def test_a_stream_leaves_what_is_frozen_bit_identical(params, name):
    state, found = stream_through(PREDICTORS[name], params)
    assert found.before_update.shape == (2, 8, 2)  # the third batch of a kind would be partial
    assert digest(state.params) == digest(params)
    adaptation = {"tent": continual.tent(NETWORK), "ecotta": continual.ecotta(META)}[name]
    assert digest(state.at) != digest(adaptation.adapted(params))


def test_predictions_are_made_before_the_update(params):
    """The first batch is predicted by what was trained, the second is not."""
    first, second = images_of(0), images_of(1)
    plain = {"tent": PREDICTORS["batch_statistics"], "ecotta": PREDICTORS["warmed"]}
    for name, without in plain.items():
        online = PREDICTORS[name]
        state, logits = jax.jit(online.step)(online.init(params), first)
        plainly = jax.jit(without.step)
        np.testing.assert_allclose(logits, plainly(params, first)[1], rtol=1e-4, atol=1e-5)
        again = jax.jit(online.step)(state, second)[1]
        assert np.abs(again - plainly(params, second)[1]).max() > 1e-3


def test_a_predictor_tells_what_it_adapts_and_clean_images_are_each_scored_once(params):
    adaptation = continual.tent(NETWORK)
    assert continual.adapting(adaptation, optax.sgd(0.1)).adaptation is adaptation
    online = continual.frozen(NETWORK, False)
    assert online.adaptation is None
    found = continual.clean_accuracies(online, params, STREAM, jax.random.key(0))
    again = continual.clean_accuracies(online, params, STREAM, jax.random.key(1))
    assert len(found) * STREAM.batch == len(STREAM.images.labels)
    # another order of the same images
    assert float(jnp.mean(found)) == pytest.approx(float(jnp.mean(again)))


def test_adaptation_lowers_the_entropy_of_a_batch_it_sees_again(params):
    images = images_of(3)
    online = continual.adapting(continual.ecotta(META, 1.0, 0.0), optax.sgd(1e-2))
    step = jax.jit(online.step)
    state, logits = step(online.init(params), images)
    after = step(state, images)[1]
    assert jnp.mean(entropies(after)) < jnp.mean(entropies(logits)) - 1e-4


def test_identity_meta_networks_are_the_source_network(params):
    def identity(of):
        ones, zeros = jnp.ones_like(of["norm"]["scale"]), jnp.zeros_like(of["norm"]["bias"])
        norm, block = {"scale": ones, "bias": zeros}, of["block"]
        return {"norm": norm, "block": block | {"scale": zeros, "bias": zeros}}

    meta = {name: identity(of) for name, of in params.meta.items()}
    # the variance at which the normalization divides by 1
    kept = jax.tree.map(
        lambda of: Averages(jnp.zeros_like(of.mean), jnp.full_like(of.variance, 1 - 1e-5)),
        params.meta_averages,
        is_leaf=lambda leaf: isinstance(leaf, Averages),
    )
    by_averages = jax.jit(functools.partial(META.apply, use_batch=False))
    found = by_averages(params._replace(meta=meta, meta_averages=kept), images_of(0))
    expected = jax.jit(continual.frozen(NETWORK, False).step)(params, images_of(0))[1]
    np.testing.assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.drift, 0, atol=1e-5)


def drift_of(meta, params, images):
    return META.apply(params._replace(meta=meta), images, True).drift


def test_the_drift_of_a_part_reaches_its_own_meta_network_alone(params):
    slopes = jax.jit(jax.jacrev(drift_of))(params.meta, params, images_of(0))
    for index in range(2):
        for part in range(2):
            of = jax.tree.map(lambda leaf, part=part: leaf[part], slopes[f"part_{index}"])
            size = optax.tree.norm(of)
            assert (size > 1e-3) if index == part else (size == 0)


def test_the_frozen_network_gets_no_gradient_from_the_drift(params):
    def drift(network):
        found = META.apply(params._replace(network=network), images_of(0), True)
        return jnp.sum(found.drift)

    slopes = jax.jit(jax.grad(drift))(params.network)
    assert all(not leaf.any() for leaf in jax.tree.leaves(slopes))


def slope_of(adaptation):
    return jax.jit(jax.value_and_grad(adaptation.loss, has_aux=True))


def test_gradients_are_those_of_stops_written_out(params):
    """A second pass with the input stopped, which keeps twice the activations."""
    images, adaptation = images_of(2), continual.ecotta(META, 0.9, 0.5)

    def part_of(meta, out, x):
        norm, block = meta["norm"], meta["block"]
        through, _ = normalise_by(out, norm["scale"], norm["bias"], None, True)
        past = conv2d(x, block["kernel"], stride=2)
        past, _ = normalise_by(past, block["scale"], block["bias"], None, True)
        return through + jax.nn.relu(past)

    def written_out(meta):
        x, drift = images, 0.0
        for index, part in enumerate(NETWORK.parts):
            name = f"part_{index}"
            out, _ = part(params.network[name], params.averages[name], x, False)
            stopped, still = jax.lax.stop_gradient((x, out))
            drift += jnp.mean(jnp.abs(part_of(meta[name], still, stopped) - still))
            x = part_of(meta[name], out, x)
        entropy = entropies(NETWORK.head(params.network["head"], x))
        return mean_where(entropy, entropy < 0.9 * np.log(4)) + 0.5 * drift

    value, slopes = jax.jit(jax.value_and_grad(written_out))(params.meta)
    (loss, _), found = slope_of(adaptation)(params.meta, params, images)
    assert loss == pytest.approx(float(value), rel=1e-5)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(slopes), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_without_a_confident_prediction_nothing_moves(params):
    adaptation = continual.ecotta(META, 0.0, 0.0)
    (loss, _), slopes = slope_of(adaptation)(params.meta, params, images_of(0))
    assert loss == 0 and all(not leaf.any() for leaf in jax.tree.leaves(slopes))


def test_the_mean_of_the_chosen_values_is_theirs():
    values = jnp.array([1.0, 2.0, 6.0])
    assert mean_where(values, jnp.array([True, False, True])) == 3.5
    np.testing.assert_allclose(entropies(jnp.zeros((2, 4))), np.log(4), rtol=1e-6)


def kept_by(adaptation_of, channels=(12, 24, 48), layers=1):
    """What an adaptation of a network keeps for the pull-back of 64 images of 14 x 14, bytes."""
    network = parted_conv_net(10, channels, layers=layers, convolution="native")
    meta = continual.meta_networks(network)

    def made(key, images):
        params, averages = network.init(key, images)
        return continual.SourceParams(params, averages, *meta.init(key, params, averages, images))

    images = jax.ShapeDtypeStruct((64, 14, 14, 1), jnp.float32)
    params = jax.eval_shape(made, KEY, images)
    return continual.residual_bytes(adaptation_of(network, meta), params, images)


def tent_of(network, meta):
    return continual.tent(network)


def ecotta_of(network, meta):
    return continual.ecotta(meta)


def entropy_alone(network, meta):
    def loss(at, params, images):
        logits = meta.apply(params._replace(meta=at), images, True).logits
        return jnp.mean(entropies(logits)), logits

    return continual.Adaptation(lambda params: params.meta, loss)


def test_meta_networks_keep_less_for_the_pull_back_where_parts_are_deep():
    """Less than half of TENT's at eight convolutions a part, more than TENT's at one.

    What TENT keeps grows by each layer's floats; of a frozen layer, the signs alone are kept.
    """
    tent, ecotta = ([kept_by(of, layers=n) for n in (1, 8)] for of in (tent_of, ecotta_of))
    assert ecotta[1] < tent[1] / 2
    assert ecotta[0] > tent[0]
    # a byte for each sign; no gradient passes the first part, which reads the images
    assert ecotta[1] - ecotta[0] == 7 * 64 * (4 * 4 * 24 + 2 * 2 * 48)


def test_the_drift_keeps_no_activation_of_the_meta_networks_twice():
    """It adds what its own derivative needs: a number for each output, and few more."""
    outputs = 64 * (7 * 7 * 12 + 4 * 4 * 24)
    more = kept_by(ecotta_of, (12, 24)) - kept_by(entropy_alone, (12, 24))
    assert more < 1.1 * 4 * outputs


def test_a_stream_has_each_kind_in_turn_and_no_image_twice():
    def rows(step):
        return STREAM._drawn(derive(KEY, "order", step // 2), step % 2)[0]

    seen = np.concatenate([np.asarray(rows(jnp.int32(step))).reshape(16, -1) for step in (2, 3)])
    assert len(np.unique(seen, axis=0)) == len(seen)
    # the second batch of the fifth kind
    assert continual.SHIFTS[4] == "brightness"
    levels = images_of(9) * STREAM.std + STREAM.mean
    shifted = continual.shift_images(rows(jnp.int32(9)), "brightness", 2.0, KEY)
    np.testing.assert_allclose(levels, shifted, atol=1e-5)


def test_bad_streams_are_rejected_by_name():
    for field, options in (
        ("images_per_shift", {"batch": 16, "images_per_shift": 15}),
        ("images_per_shift", {"images_per_shift": 81}),
        ("batch", {"batch": 0}),
        ("num_rounds", {"num_rounds": 0}),
        ("severity", {"severity": 5.5}),
        ("severity", {"severity": float("nan")}),
    ):
        with pytest.raises(ConfigError) as raised:
            continual.shift_stream(TRAIN, HELD_OUT, **{"severity": 2.0, **options})
        assert raised.value.field == field


@pytest.mark.slow
def test_batch_statistics_win_under_strong_contrast_and_brightness(params):
    """The reason to adapt at all: averages of the source are wrong for shifted images."""
    kinds = [continual.SHIFTS.index(name) for name in ("contrast", "brightness")]
    strong = dataclasses.replace(STREAM, severity=jnp.float32(5))
    source, batch = (
        np.asarray(stream_through(PREDICTORS[name], params, strong)[1].before_update)[:, kinds]
        for name in ("source", "batch_statistics")
    )
    assert batch.mean() > source.mean() + 0.1
