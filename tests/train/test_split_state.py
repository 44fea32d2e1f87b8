"""A state that several devices hold between them: as on one device, in parts of its size."""

import jax
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from metajax.core import ConfigError, Evaluator, MetaLearner, gradient
from metajax.systems import SYSTEMS, build
from metajax.train import MODEL_AXIS, TASKS_AXIS, fit, largest_axis, make_layout
from small import tiny
from toy_problem import make_tasks

WIDTH = 1024


def wide_algorithm():
    """Two dense layers, wide enough for the rule to split the second."""

    def init(key, task):
        first, second, last = jax.random.split(key, 3)
        return {
            "first": 0.1 * jax.random.normal(first, (task.support.inputs.shape[-1], WIDTH)),
            "second": jax.random.normal(second, (WIDTH, 48)) / 32,
            "last": jax.random.normal(last, (48, 1)) / 7,
        }

    def predict(params, adapted, inputs):
        hidden = jax.numpy.tanh(inputs @ params["first"])
        return jax.numpy.tanh(hidden @ params["second"]) @ params["last"]

    def loss(params, task, key):
        query = task.query[0]
        predicted = predict(params, None, query.inputs)
        return jax.numpy.mean(jax.numpy.square(predicted - query.targets)), {}

    learner = MetaLearner(init, lambda params, support, key: None, predict, loss)
    return gradient(learner, optax.adam(1e-2, eps=1e-3))


def wide_fit(workdir=None, **options):
    options = {"steps": 6, "tasks_per_step": 8, "key": jax.random.key(0)} | options
    return fit(wide_algorithm(), make_tasks(), workdir=workdir, progress=False, **options)


def agree(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        scale = np.max(np.abs(y), initial=1e-8)
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5 * scale)


@pytest.fixture(scope="module")
def alone():
    """The run on one device."""
    return wide_fit()


@pytest.mark.parametrize("model_devices", [2, 4, 8])
def test_a_split_state_trains_as_a_whole_one(model_devices, alone):
    seen = []
    watch = Evaluator("e", 3, lambda params, _: seen.append(jax.tree.map(np.shape, params)) or {})
    split = wide_fit(parallel="jit", model_devices=model_devices, evaluators=[watch])
    agree(split.state, alone.state)
    assert seen == [jax.tree.map(np.shape, alone.params)] * 2  # evaluators see them whole


def test_each_device_holds_its_part_between_steps_and_exchanges_no_parameters():
    layout = make_layout("jit", 8, model_devices=4)
    assert dict(layout.mesh.shape) == {TASKS_AXIS: 2, MODEL_AXIS: 4}
    state = wide_algorithm().init(jax.random.key(0), make_tasks()(jax.random.key(1)))
    placed = layout.place(state)
    for leaf in jax.tree.leaves(placed):
        held = leaf.addressable_data(0).size
        assert held == (leaf.size / 4 if leaf.size >= 4096 else leaf.size)
    assert placed.params["second"].sharding.spec == PartitionSpec(MODEL_AXIS)
    assert placed.params["first"].sharding.spec == PartitionSpec(None, MODEL_AXIS)
    for part, whole in zip(
        jax.tree.leaves(layout.collect(placed)), jax.tree.leaves(state), strict=True
    ):
        np.testing.assert_array_equal(part, whole)


@pytest.mark.parametrize("first", [{}, {"parallel": "jit", "model_devices": 4}])
def test_a_checkpoint_of_one_layout_goes_on_in_another(first, tmp_path, alone):
    second = {} if first else {"parallel": "jit", "model_devices": 2}

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    with pytest.raises(Stop):
        wide_fit(tmp_path, checkpoint_every=2, evaluators=[Evaluator("e", 5, stop)], **first)
    agree(wide_fit(tmp_path, checkpoint_every=2, **second).state, alone.state)


def test_a_rule_of_ones_own(alone):
    def rule(path, leaf, num):
        return PartitionSpec(None, MODEL_AXIS) if path.endswith("second") else PartitionSpec()

    agree(wide_fit(parallel="jit", model_devices=4, partition=rule).state, alone.state)
    with pytest.raises(ConfigError, match=r"partition = .*fits .*first of shape \(4,"):
        wide_fit(parallel="jit", model_devices=8, partition=lambda *_: PartitionSpec(MODEL_AXIS))


@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((64, 128), (None, MODEL_AXIS)),
        ((128, 64), (MODEL_AXIS,)),
        ((130, 64), (None, MODEL_AXIS)),  # 4 does not divide 130
        ((130, 66), ()),
        ((64, 8), ()),  # small
        ((3, 64, 64), (None, MODEL_AXIS)),
    ],
)
def test_the_rule(shape, spec):
    leaf = jax.ShapeDtypeStruct(shape, np.float32)
    assert tuple(largest_axis("any", leaf, 4)) == spec


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model_devices": 2}, "model_devices = 2: expected 1 with parallel = none, or jit"),
        ({"parallel": "pmap", "model_devices": 2}, "expected 1 with parallel = pmap, or jit"),
        ({"parallel": "jit", "model_devices": 3}, "expected a divisor of 8 devices"),
        ({"parallel": "jit", "model_devices": 0}, "expected a whole number of 1 or more"),
        (
            {"parallel": "jit", "model_devices": 2, "tasks_per_step": 6},
            "a multiple of the 4 groups of 2 devices, e.g. 4 or 8",
        ),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        wide_fit(**options)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_system_trains_with_a_split_state(name):
    """All arrays whose size allows it are split, however small."""

    def rule(path, leaf, num):
        axes = [axis for axis, size in enumerate(leaf.shape) if size % num == 0]
        return PartitionSpec(*[None] * axes[-1], MODEL_AXIS) if axes else PartitionSpec()

    run = build(tiny(name, tasks_per_step=4))
    options = {"steps": 1, "tasks_per_step": 4, "key": jax.random.key(0), "progress": False}
    alone = fit(run.algorithm, run.tasks, **options)
    split = fit(
        run.algorithm, run.tasks, parallel="jit", model_devices=2, partition=rule, **options
    )
    for a, b in zip(split.history, alone.history, strict=True):
        for metric, value in b.items():
            assert a[metric] == pytest.approx(value, rel=1e-4, abs=1e-6), metric
