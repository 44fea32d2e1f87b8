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
        continual.in_sequence(found, optax.adam(1e-2), tasks.num_tasks),
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

    @jax.jit
    def bounds(params, task):
        inputs = tasks.held_out_of(task).examples.inputs
        return found.boxed.bounds(params, task, inputs), found.boxed.box(params, task)

    @jax.jit
    def answer(params, task, embedding):
        inputs = tasks.held_out_of(task).examples.inputs
        return TARGET.apply(found.boxed.network(params, embedding), inputs)

    for task in np.arange(tasks.num_tasks, dtype=np.int32):
        within, box = jax.device_get(bounds(params, task))
        lower, upper = within.lower, within.upper
        slack = 1e-5 * float(np.max(np.abs(upper)))
        draws = [rng.uniform(-1, 1, 5) for _ in range(10)] + [rng.choice([-1, 1], 5)] * 5
        for draw in draws:
            embedding = box.center + box.radius * draw.astype(np.float32)
            logits = np.asarray(answer(params, task, embedding))
            assert (logits >= lower - slack).all() and (logits <= upper + slack).all()


def test_zero_lies_in_every_nested_box(trained):
    found, tasks, params = trained
    box_of = jax.jit(found.boxed.box)
    for task in np.arange(tasks.num_tasks, dtype=np.int32):
        box = jax.device_get(box_of(params, task))
        assert (box.lower < 0).all() and (box.upper > 0).all()
        np.testing.assert_allclose(box.radius, 0.5 / 5, rtol=1e-6)
    plain = make(nested=False)
    start = jax.device_get(jax.jit(plain.init)(jax.random.key(0), batch().support))
    center = jax.jit(plain.boxed.box)(start, np.int32(0)).center
    np.testing.assert_array_equal(center, start["embeddings"][0])


def test_what_is_proved_is_right_for_every_embedding(trained):
    found, tasks, params = trained

    @jax.jit
    def everything(params, task):
        inputs, targets = tasks.held_out_of(task).examples
        proved = continual.verified(found.boxed.bounds(params, task, inputs), targets)
        middle = found.predict(params, task, inputs)
        return proved, middle, found.universal(params, inputs), targets

    for task in np.arange(tasks.num_tasks, dtype=np.int32):
        proved, middle, common, targets = everything(params, task)
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
    params = jax.jit(found.init)(jax.random.key(0), batch().support)
    first = jax.device_get(batch(0, 0).support)
    first = first._replace(examples=first.examples._replace(targets=first.examples.targets % 2))
    loss_of = jax.jit(lambda support: found.loss(params, params, support, None))
    loss, metrics = loss_of(first)
    assert metrics["worst"] == pytest.approx(float(loss), rel=1e-5)
    later = first._replace(place=np.int32(STEPS))
    assert loss_of(later)[1]["worst"] > metrics["worst"]


def test_a_new_embedding_starts_from_the_one_before():
    found = make()
    params = jax.device_get(jax.jit(found.init)(jax.random.key(0), batch().support))
    begin = jax.jit(found.begin)
    begun = jax.device_get(begin(params, params, np.int32(1))[0])
    np.testing.assert_array_equal(begun["embeddings"][1], params["embeddings"][0])
    begun, _ = begin(params, params, np.int32(0))
    np.testing.assert_array_equal(begun["embeddings"], params["embeddings"])


@pytest.mark.parametrize(("options", "field"), [({"width": 0.0}, "width"), ({"ramp": 0}, "ramp")])
def test_boxes_out_of_range_are_rejected_by_name(options, field):
    with pytest.raises(ConfigError) as raised:
        make(**options)
    assert raised.value.field == field
