"""HyperInterval: bounds that hold for every embedding of a box, and the one in all boxes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sequence_toys import CLASSES, SIDE, STEPS, batch, pool

import metajax as mj
from metajax import continual
from metajax.core import ConfigError
from metajax.nn import mlp

TARGET = mlp((8,), 2)


def make(**options):
    given = {"embedding": 5, "hidden": (9, 9), "strength": 0.1, "ramp": 25} | options
    return continual.interval_hypernetwork(SIDE**2, (8,), 2, CLASSES // 2, **given)


@pytest.fixture(scope="module")
def trained():
    found, tasks = make(), continual.split(pool(0), pool(1, 5), 2)
    result = mj.fit(
        continual.in_sequence(found.learner, optax.adam(1e-2), tasks.num_tasks),
        continual.sequence_tasks(tasks, 100, 16),
        steps=200,
        tasks_per_step=1,
        key=jax.random.key(0),
        progress=False,
    )
    return found, tasks, jax.tree.map(lambda leaf: leaf[-1], result.params)


def test_every_network_of_a_box_is_within_the_bounds(trained):
    found, tasks, params = trained
    rng = np.random.default_rng(0)
    bounds, network = jax.jit(found.bounds), jax.jit(found.network)
    for task in range(tasks.num_tasks):
        inputs = tasks.held_out_of(jnp.int32(task)).examples.inputs
        within = bounds(params, jnp.int32(task), inputs)
        lower, upper = within.lower, within.upper
        box = found.box(params, jnp.int32(task))
        slack = 1e-5 * float(jnp.max(jnp.abs(upper)))
        draws = [rng.uniform(-1, 1, 5) for _ in range(10)] + [rng.choice([-1, 1], 5)] * 5
        for draw in draws:
            made = network(params, box.center + box.radius * jnp.asarray(draw, jnp.float32))
            logits = TARGET.apply(made, inputs)
            assert (logits >= lower - slack).all() and (logits <= upper + slack).all()


def test_zero_lies_in_every_nested_box(trained):
    found, tasks, params = trained
    for task in range(tasks.num_tasks):
        box = found.box(params, jnp.int32(task))
        assert (box.lower < 0).all() and (box.upper > 0).all()
        np.testing.assert_allclose(box.radius, 0.5 / 5, rtol=1e-6)
    plain = make(nested=False)
    start = plain.learner.init(jax.random.key(0), batch().support)
    np.testing.assert_array_equal(plain.box(start, jnp.int32(0)).center, start["embeddings"][0])


def test_what_is_proved_is_right_for_every_embedding(trained):
    found, tasks, params = trained
    for task in range(tasks.num_tasks):
        inputs, targets = tasks.held_out_of(jnp.int32(task)).examples
        proved = continual.verified(found.bounds(params, jnp.int32(task), inputs), targets)
        middle = found.learner.predict(params, jnp.int32(task), inputs)
        common = found.universal(params, inputs)
        for logits in (middle, common):
            assert proved <= np.mean(np.argmax(logits, -1) == np.asarray(targets))
    assert float(proved) > 0.5


def test_the_worst_logits_are_the_ends_that_hurt():
    bounds = mj.nn.between(jnp.array([[0.0, 1.0, 2.0]]), jnp.array([[5.0, 6.0, 7.0]]))
    found = continual.worst_logits(bounds, jnp.array([1]))
    np.testing.assert_allclose(found, [[5.0, 1.0, 7.0]])
    assert continual.verified(bounds, jnp.array([1])) == 0
    sure = mj.nn.between(jnp.array([[0.0, 6.5, 2.0]]), jnp.array([[5.0, 8.0, 6.0]]))
    assert continual.verified(sure, jnp.array([1])) == 1


def test_at_the_first_step_of_a_task_the_box_is_a_point():
    found = make()
    params = found.learner.init(jax.random.key(0), batch().support)
    first = batch(0, 0).support
    first = first._replace(examples=first.examples._replace(targets=first.examples.targets % 2))
    loss, metrics = found.learner.loss(params, params, first, None)
    assert metrics["worst"] == pytest.approx(float(loss), rel=1e-5)
    later = first._replace(place=jnp.int32(STEPS))
    assert found.learner.loss(params, params, later, None)[1]["worst"] > metrics["worst"]


def test_a_new_embedding_starts_from_the_one_before():
    found = make()
    params = found.learner.init(jax.random.key(0), batch().support)
    begun, _ = found.learner.begin(params, params, jnp.int32(1))
    np.testing.assert_array_equal(begun["embeddings"][1], params["embeddings"][0])
    begun, _ = found.learner.begin(params, params, jnp.int32(0))
    np.testing.assert_array_equal(begun["embeddings"], params["embeddings"])


@pytest.mark.parametrize(("options", "field"), [({"width": 0.0}, "width"), ({"ramp": 0}, "ramp")])
def test_boxes_out_of_range_are_rejected_by_name(options, field):
    with pytest.raises(ConfigError) as raised:
        make(**options)
    assert raised.value.field == field
