"""Unseen domains: what is measured on which images, and which settings do not fit together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, MetaLearner
from metajax.data import Domains
from metajax.systems import build
from metajax.systems.domains.evaluate import nearest_mean, scores
from small import tiny


def domains(number=4, images=10):
    """Image ``j`` of domain ``d`` is ``(d, j)``, and its label ``j % 2``."""
    d, j = np.meshgrid(np.arange(number), np.arange(images), indexing="ij")
    return Domains(
        jnp.asarray(np.stack([d, j], -1), jnp.float32),
        jnp.arange(images, dtype=jnp.int32) % 2,
        jnp.full(number, -1, jnp.int32),
        jnp.zeros((number, 2), jnp.int32),
    )


def reader(right):
    """A learner that keeps its support, and is right where ``right(support, images)`` is."""

    def predict(params, support, inputs):
        images = inputs.images
        labels = images[:, 1].astype(jnp.int32) % 2
        said = jnp.where(right(support, images), labels, 1 - labels)
        return jax.nn.one_hot(said, 2)

    return MetaLearner(
        lambda key, task: (),
        lambda params, support, key: support.inputs.images,
        predict,
        lambda *_: (jnp.zeros(()), {}),
    )


def test_a_domain_is_adapted_to_by_its_own_images_and_by_those_of_the_opposite_one():
    same = reader(lambda support, images: images[:, 0] == support[0, 0])
    found = scores(same, (), domains(), jax.random.key(0), 3, 2)
    np.testing.assert_array_equal(found["own"], np.ones(4))
    np.testing.assert_array_equal(found["opposite"], np.zeros(4))
    across = reader(lambda support, images: jnp.abs(images[:, 0] - support[0, 0]) == 2)
    np.testing.assert_array_equal(
        scores(across, (), domains(), jax.random.key(0), 3, 2)["opposite"], np.ones(4)
    )


def test_images_of_a_support_are_not_scored():
    def unseen(support, images):
        return jnp.all(images[:, None, 1] != support[None, :, 1], axis=1)

    found = scores(reader(unseen), (), domains(), jax.random.key(0), 3, 2)
    np.testing.assert_array_equal(found["own"], np.ones(4))
    np.testing.assert_array_equal(found["opposite"], np.ones(4))


def test_the_nearest_class_mean_is_that_of_numpy():
    draw = np.random.default_rng(0)
    made = domains()
    images = [draw.normal(size=(4, 10, 3)).astype(np.float32) for _ in range(2)]
    sources, targets = (
        Domains(jnp.asarray(each), made.labels, made.own, made.nearest) for each in images
    )
    labels = np.arange(10) % 2
    means = np.stack([images[0][:, labels == each].mean((0, 1)) for each in (0, 1)])
    nearest = ((images[1][:, :, None] - means) ** 2).sum(-1).argmin(-1)
    np.testing.assert_allclose(nearest_mean(sources, targets, 2), (nearest == labels).mean(1))


@pytest.mark.parametrize(
    ("method", "values", "field"),
    [
        ("meta_dmoe", {"steps": 2}, "steps"),
        ("aggregated_experts", {"steps": 1}, "steps"),
        ("meta_dmoe", {"expert_share": 0.5, "aggregator_share": 0.5}, "aggregator_share"),
        ("meta_dmoe", {"aggregator_width": 5}, "aggregator_width"),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected(method, values, field):
    with pytest.raises(ConfigError) as raised:
        tiny("domains", method, **values)
    assert raised.value.field == field


def test_a_support_of_all_held_out_images_is_rejected():
    with pytest.raises(ConfigError) as raised:
        build(tiny("domains", shots=5000))
    assert raised.value.field == "shots"
