"""What is particular to HyperDistill's family: its test-beds, its scores, its older words."""

import functools
import json
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.core import ConfigError
from metajax.systems import (
    Training,
    build,
    config_from_json,
    config_to_json,
    configure,
    get_system,
    split,
)
from metajax.systems.hyperdistill import SYSTEM
from metajax.systems.hyperdistill.testbed import make_testbed
from small import fit_setup, tiny

small = functools.partial(tiny, "hyperdistill", steps=2)

IMAGES = {
    "testbed": "anil",
    "every": 2,
    "image_size": 4,
    "ways": 2,
    "batch_size": 4,
    "channels": 2,
    "eval_tasks": 2,
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


draw = jax.jit(lambda tasks, key: tasks(key))

RUNS = [
    IMAGES,
    IMAGES | {"testbed": "warpgrad", "crop": 1, "flip": True, "rotations": True},
    IMAGES | {"testbed": "weights", "label_noise": 0.4, "optimizer": "sgd", "schedule": "linear"},
]


@pytest.mark.slow  # half a minute each to compile
@pytest.mark.parametrize("values", RUNS, ids=lambda values: values["testbed"])
def test_every_image_testbed_trains_and_is_scored(values, data_dir):
    config = small(eval_every=1, **values)
    setup = build(config, data_dir)
    result = fit_setup(setup, evaluators=setup.evaluators)
    evaluation = json.loads(json.dumps(setup.evaluate(result.params, False)))
    assert evaluation["points"] == [0, 1, 2, 3, 4]
    assert all(0 <= score <= 1 for score in evaluation["rows"]["new_tasks"]["mean"])
    system = get_system("hyperdistill")
    assert "The paper" not in system.table(evaluation)  # it reports no digits
    check_non_finite(system, config, setup, result.params, result.history)


def test_the_median_is_of_the_last_scores_and_the_baseline_of_the_first_weights():
    config = small()
    run = build(config)
    first = jax.jit(lambda key: run.method.learner.init(key, None))(jax.random.key(config.seed))
    evaluation = run.evaluate(first, False)
    key = jax.random.key(2110_02508)
    last = np.asarray(run.method.measure(first, run.problem.test, key, config.eval_tasks))[:, -1]
    for row in evaluation["rows"].values():
        assert row["mean"][-1] == pytest.approx(np.mean(last), rel=1e-5)
    assert evaluation["more"]["last_median"]["new_tasks"] == pytest.approx(np.median(last))
    assert np.median(last) != pytest.approx(np.mean(last), rel=1e-3)
    assert evaluation["points"] == [0, 1, 2, 3, 4]
    table = get_system("hyperdistill").table(evaluation)
    assert f"Median over the tasks: {np.median(last):.3f}." in table
    assert "The paper: squared error .327 (HyperDistill)" in table


def test_the_learning_rate_falls_over_the_updates_of_all_meta_steps():
    """Two meta-steps of four inner steps with an update after every second: four updates."""
    training = split(small(None, every=2, schedule="linear", learning_rate=0.1, steps=2)).training
    rate = training.rate(updates=4)
    np.testing.assert_allclose([rate(n) for n in range(5)], [0.1, 0.075, 0.05, 0.025, 0.0])
    warm = split(small(schedule="linear", learning_rate=0.1, steps=4, warmup_steps=2)).training
    rates = [warm.rate(updates=16)(n) for n in (0, 4, 8, 12, 16)]
    np.testing.assert_allclose(rates, [0.0, 0.05, 0.1, 0.05, 0.0], atol=1e-8)


def test_hyperparameters_move_until_the_last_update_of_the_schedule():
    """Two updates in each meta-step: a schedule over two meta-steps ends with the fourth."""
    setup = build(small("first_order", every=2, schedule="linear", steps=2))
    update = jax.jit(setup.algorithm.update)
    state = jax.jit(lambda key: setup.algorithm.init(key, setup.tasks(key)))(jax.random.key(0))
    tasks = jax.jit(jax.vmap(setup.tasks))(jax.random.split(jax.random.key(1), 2))
    moved = []
    for step in range(3):
        after, _ = update(state, tasks, jax.random.key(step))
        pairs = zip(
            *map(jax.tree.leaves, (state.params.hparams, after.params.hparams)), strict=True
        )
        moved.append(any(np.any(np.asarray(a) != np.asarray(b)) for a, b in pairs))
        state = after
    assert moved == [True, True, False]


def test_the_error_after_the_last_step_is_the_learners_loss():
    """Fitting task by task with the learner gives what the evaluation gives."""
    setup = build(small())
    tasks, learner = setup.tasks, setup.method.learner
    params = jax.jit(lambda key: learner.init(key, None))(jax.random.key(1))
    errors = setup.method.measure(params, tasks, jax.random.key(2), 3)

    @jax.jit
    def loss(params, tasks, key):
        task_key, _ = jax.random.split(key)
        return learner.loss(params, tasks(task_key), key)[0]

    losses = [loss(params, tasks, key) for key in jax.random.split(jax.random.key(2), 3)]
    np.testing.assert_allclose(errors[:, -1], losses, rtol=1e-5)


@pytest.mark.parametrize("testbed", ["anil", "warpgrad", "weights"])
def test_a_step_moves_what_a_task_fits_and_outputs_depend_on_both_parts(testbed, data_dir):
    """anil: the last block and the head; warpgrad: all blocks; weights: all of the network."""
    settings = split(small(**IMAGES | {"testbed": testbed})).settings
    parts, task = (
        make_testbed(settings),
        draw(SYSTEM.problem(settings, Training(), data_dir).tasks, jax.random.key(0)),
    )
    params = jax.jit(parts.init)(jax.random.key(1), task)
    fitted = {"anil": {"conv_1", "head"}}.get(testbed, {"conv_0", "conv_1", "head"})
    assert set(params.start) == fitted

    def trained(params):
        state = parts.inner.init(params.hparams, params.start)
        batch = jax.tree.map(lambda leaf: leaf[:4], task.support)
        return parts.inner.update(state, params.hparams, batch)

    state, slopes = jax.jit(
        lambda params: (
            trained(params),
            jax.grad(lambda p: parts.inner.outer_loss(trained(p), p.hparams, task.query))(params),
        )
    )(params)
    for name, layer in params.start.items():
        moved = jax.tree.map(
            lambda a, b: np.any(np.asarray(a) != np.asarray(b)), layer, state.params[name]
        )
        assert any(jax.tree.leaves(moved)), name
    assert all(np.any(np.asarray(leaf) != 0) for leaf in jax.tree.leaves(slopes.hparams))


def test_the_weighed_loss_is_the_mean_of_losses_times_their_weights(data_dir):
    """Against the definition by hand; the weight counts as a constant of the inner step."""
    settings = split(small(**IMAGES | {"testbed": "weights"})).settings
    parts, task = (
        make_testbed(settings),
        draw(SYSTEM.problem(settings, Training(), data_dir).tasks, jax.random.key(0)),
    )
    hparams, w = jax.jit(parts.init)(jax.random.key(1), task)
    batch = jax.tree.map(lambda leaf: leaf[:4], task.support)
    state = parts.inner.init(hparams, w)

    @jax.jit
    def losses(w):
        logits = parts.predict(state._replace(params=w), hparams, batch.inputs)
        return -jax.nn.log_softmax(logits)[jnp.arange(4), batch.targets]

    first, second = (jax.device_get(hparams[name]) for name in ("Dense_0", "Dense_1"))
    hidden = np.maximum(np.asarray(losses(w))[:, None] @ first["kernel"] + first["bias"], 0)
    raw = (hidden @ second["kernel"] + second["bias"])[:, 0]
    weights = (0.1 + 0.9 / (1 + np.exp(-raw))).astype(np.float32)
    slope = jax.jit(jax.grad(lambda w: jnp.mean(weights * losses(w))))(w)
    expected = jax.tree.map(lambda p, g: p - settings.inner_lr * g, w, slope)
    new = jax.jit(parts.inner.update)(state, hparams, batch).params
    chex.assert_trees_all_close(new, expected, rtol=1e-4, atol=1e-6)


def test_test_classes_are_never_trained_on(data_dir):
    """The parts' images are all different: digits holds no image twice."""
    problem = SYSTEM.problem(split(small(**IMAGES)).settings, Training(), data_dir)
    parts: list[Any] = [problem.tasks, problem.valid, problem.test]
    pools = [np.asarray(part.pool.images).reshape(-1, 16) for part in parts]
    assert [part.pool.num_classes for part in parts] == [5, 2, 3]
    seen = {image.tobytes() for image in pools[0]}
    for pool in pools[1:]:
        assert np.mean([image.tobytes() in seen for image in pool]) < 0.01


def test_the_weights_are_uniform_below_the_root_of_the_fan_in():
    learner = build(configure("hyperdistill")).method.learner
    params = jax.jit(lambda key: learner.init(key, None))(jax.random.key(0))
    for layer, fan_in in zip([*params.hparams, params.start], [1, 100, 100, 100], strict=True):
        for leaf in layer.values():
            assert np.abs(leaf).max() <= fan_in**-0.5
        if leaf.size > 50:
            assert abs(np.asarray(leaf).std() - (3 * fan_in) ** -0.5) < 0.15 * fan_in**-0.5


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("one_step", {"every": 7}, "every = 7: .*divisor of inner_steps = 30"),
        ("random_search", {"trial_steps": 7}, "trial_steps = 7: .*divisor of steps = 30"),
        (None, {"testbed": "anil", "layers": 1}, "layers = 1: .*2 or more"),
        (None, {"testbed": "anil", "rotations": True, "ways": 9}, "at most 8.*four rotations"),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected_by_name(method, changes, message):
    with pytest.raises(ConfigError, match=message):
        configure("hyperdistill", method=method, **changes)


def test_ways_are_no_matter_on_sinusoids():
    assert configure("hyperdistill", ways=9).ways == 9


def test_a_config_file_of_older_words_is_read_as_the_same_settings():
    system = get_system("hyperdistill")
    config = configure(system, "anil_cifar100")
    values = config_to_json(system, config)["config"]
    older = {"bed": "testbed", "outer_lr": "learning_rate", "outer_optimizer": "optimizer"}
    values |= {old: values.pop(now) for old, now in older.items()}
    values |= {"outer_decay": values.pop("schedule") == "linear", "pairs": 16, "terms": 5}
    assert config_from_json(system, values) == config
    assert config_from_json(system, values | {"outer_decay": False}).schedule == "constant"
