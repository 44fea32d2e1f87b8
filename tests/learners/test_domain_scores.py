"""Accuracies by domain: on which images, after which support, compared with NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metajax as mj
from metajax import learners
from metajax.core import MetaLearner
from metajax.data import Domains, DomainTasks
from metajax.nn import mlp, token_set_encoder


def measured(learner, params, domains, seed=0, shots=3, supports=2):
    """Accuracies by name, those that there are."""
    measure = jax.jit(learners.domain_accuracies, static_argnames=("learner", "shots", "supports"))
    key = jax.random.key(seed)
    found = measure(learner, params, domains, key, shots=shots, supports=supports)
    return {name: each for name, each in found._asdict().items() if each is not None}


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
    found = measured(same, (), domains())
    np.testing.assert_array_equal(found["own"], np.ones(4))
    np.testing.assert_array_equal(found["opposite"], np.zeros(4))
    across = reader(lambda support, images: jnp.abs(images[:, 0] - support[0, 0]) == 2)
    np.testing.assert_array_equal(measured(across, (), domains())["opposite"], np.ones(4))
    assert "unadapted" not in found


def test_images_of_a_support_are_not_scored():
    def unseen(support, images):
        return jnp.all(images[:, None, 1] != support[None, :, 1], axis=1)

    found = measured(reader(unseen), (), domains())
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
    found = learners.domain_mean_accuracies(sources, targets, 2)
    np.testing.assert_allclose(found, (nearest == labels).mean(1))


SIDES = 8


def sided(seed, own):
    """Domains of two sides, on which labels mean the opposite.

    The first number of an image has the label's sign, or the opposite one on the second side. The
    second number tells the side, with so much noise that many images are needed.
    """
    draw = np.random.default_rng(seed)
    side = np.where(np.arange(SIDES) < SIDES // 2, 1.0, -1.0)[:, None]
    labels = np.arange(400) % 2
    first = np.abs(draw.normal(size=(SIDES, 400))) * np.where(labels, 1, -1)[None] * side
    second = 0.7 * side + draw.normal(size=(SIDES, 400))
    place = np.arange(SIDES)
    return Domains(
        jnp.asarray(np.stack([first, second], -1), jnp.float32),
        jnp.asarray(labels, jnp.int32),
        jnp.asarray(place if own else np.full(SIDES, -1), jnp.int32),
        jnp.asarray(np.stack([place - 1, place + 1], 1) % SIDES, jnp.int32),
    )


def learned(learner, algorithm, steps):
    tasks = DomainTasks(sided(0, True), 24, 40)
    params = mj.fit(
        algorithm, tasks, steps=steps, tasks_per_step=4, key=jax.random.key(0), progress=False
    ).params
    found = measured(learner, params, sided(1, False), 5, 24, 8)
    return {name: float(values.mean()) for name, values in found.items()}


@pytest.mark.slow
def test_what_adapts_finds_the_side_of_a_domain_and_one_network_cannot():
    """Where the domain decides what a label is, images of the opposite domain mislead."""
    network = learners.FeatureNetwork(mlp((32,), 8), mlp((), 2))
    rate = optax.adam(3e-3)
    pooled = learners.pooled_training(network)
    assert learned(pooled, mj.gradient(pooled, rate), 600)["own"] < 0.8
    reads = learners.context_student(mlp((32, 32), 2), mlp((16,), 4))
    found = learned(reads, mj.gradient(reads, rate), 600)
    assert found["own"] > 0.95 and found["opposite"] < 0.1
    experts = learners.Experts(learners.FeatureNetwork(mlp((16,), 8), mlp((), 2)), SIDES)
    encoder = token_set_encoder(num_outputs=8, width=16, heads=2)
    parts = learners.DistilledExperts(experts, encoder, network)
    adapts = parts.distilled(0.05)
    stages = parts.stages((200, 200, 400), adapts)
    found = learned(adapts, learners.in_stages(stages, lambda stage: rate), 800)
    assert found["own"] - found["unadapted"] > 0.1
    assert found["own"] - found["opposite"] > 0.2
