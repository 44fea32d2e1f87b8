"""The test-beds through the shared loop, and what their settings refuse."""

import dataclasses
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.core import ConfigError
from metajax.systems import get_system
from metajax.systems.hyperdistill import (
    PRESETS,
    Config,
    build,
    make_bed,
    make_learner,
    make_tasks,
    scores_by_step,
)
from metajax.train import fit

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = Config(
    inner_steps=4,
    steps=2,
    tasks_per_step=2,
    width=8,
    layers=2,
    eval_tasks=6,
    eval_queries=5,
    terms=2,
    pairs=2,
    shots=5,
    queries=5,
    eval_every=1,
    trial_steps=1,
)
IMAGES = dataclasses.replace(
    TINY,
    bed="anil",
    every=2,
    image_size=4,
    ways=2,
    batch_size=4,
    channels=2,
    eval_tasks=2,
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


BEDS = [
    TINY,
    dataclasses.replace(TINY, method="drmad"),
    dataclasses.replace(TINY, method="random_search"),
]
SLOW_BEDS = [  # half a minute each to compile
    IMAGES,
    dataclasses.replace(IMAGES, bed="warpgrad", crop=1, flip=True, rotations=True),
    dataclasses.replace(
        IMAGES, bed="weights", label_noise=0.4, outer_optimizer="sgd", outer_decay=True
    ),
]


@pytest.mark.parametrize(
    "config",
    [*BEDS, *(pytest.param(config, marks=pytest.mark.slow) for config in SLOW_BEDS)],
    ids=lambda config: f"{config.bed}-{config.method}",
)
def test_a_run_trains_evaluates_and_reports(config, data_dir):
    run = build(config, data_dir)
    result = fit(
        run.algorithm,
        run.tasks,
        steps=run.steps,
        tasks_per_step=run.tasks_per_step,
        key=jax.random.key(0),
        evaluators=run.evaluators,
        progress=False,
    )
    evaluation = json.loads(json.dumps(run.evaluate(result.params, False)))
    new = evaluation["new_tasks"]
    assert new["steps"] == [0, 1, 2, 3, 4] and len(new["score"]) == 5
    assert new["n"] == config.eval_tasks
    system = get_system("hyperdistill")
    assert config.method in system.table(evaluation)
    for figure in system.figures(evaluation, result.history):
        figure.draw()
    check_non_finite(system, config, run, result.params, result.history)


def test_the_error_after_the_last_step_is_the_learners_loss():
    """Fitting task by task with the learner gives what the evaluation gives."""
    tasks, learner = make_tasks(TINY).train, make_learner(TINY)
    params = learner.init(jax.random.key(1), None)
    errors = scores_by_step(make_bed(TINY), params, tasks, jax.random.key(2), 3, 4, 1)
    losses = []
    for key in jax.random.split(jax.random.key(2), 3):
        task_key, _ = jax.random.split(key)
        losses.append(learner.loss(params, tasks(task_key), key)[0])
    np.testing.assert_allclose(errors[:, -1], losses, rtol=1e-5)


@pytest.mark.parametrize("bed", ["anil", "warpgrad", "weights"])
def test_a_step_moves_what_a_task_fits_and_outputs_depend_on_both_parts(bed, data_dir):
    """anil: the last block and the head; warpgrad: all blocks; weights: all of the network."""
    config = dataclasses.replace(IMAGES, bed=bed)
    parts, task = make_bed(config), make_tasks(config, data_dir).train(jax.random.key(0))
    params = parts.init(jax.random.key(1), task)
    fitted = {"anil": {"conv_1", "head"}}.get(bed, {"conv_0", "conv_1", "head"})
    assert set(params.start) == fitted

    def trained(params):
        state = parts.problem.init(params.hparams, params.start)
        batch = jax.tree.map(lambda leaf: leaf[:4], task.support)
        return parts.problem.update(state, params.hparams, batch)

    state, slopes = jax.jit(
        lambda params: (
            trained(params),
            jax.grad(lambda p: parts.problem.outer_loss(trained(p), p.hparams, task.query))(params),
        )
    )(params)
    for name, layer in params.start.items():
        moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), layer, state.params[name])
        assert any(jax.tree.leaves(moved)), name
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(slopes.hparams))


def test_the_weighed_loss_is_the_mean_of_losses_times_their_weights(data_dir):
    """Against the definition by hand; the weight counts as a constant of the inner step."""
    config = dataclasses.replace(IMAGES, bed="weights")
    parts, task = make_bed(config), make_tasks(config, data_dir).train(jax.random.key(0))
    hparams, w = parts.init(jax.random.key(1), task)
    batch = jax.tree.map(lambda leaf: leaf[:4], task.support)
    state = parts.problem.init(hparams, w)

    @jax.jit
    def losses(w):
        logits = parts.predict(state._replace(params=w), hparams, batch.inputs)
        return -jax.nn.log_softmax(logits)[jnp.arange(4), batch.targets]

    hidden = jax.nn.relu(
        losses(w)[:, None] @ hparams["Dense_0"]["kernel"] + hparams["Dense_0"]["bias"][None]
    )
    raw = (hidden @ hparams["Dense_1"]["kernel"] + hparams["Dense_1"]["bias"][None])[:, 0]
    weights = 0.1 + 0.9 / (1 + jnp.exp(-raw))
    slope = jax.jit(jax.grad(lambda w: jnp.mean(weights * losses(w))))(w)
    expected = jax.tree.map(lambda p, g: p - config.inner_lr * g, w, slope)
    new = jax.jit(parts.problem.update)(state, hparams, batch).params
    chex.assert_trees_all_close(new, expected, rtol=1e-4, atol=1e-6)


def test_test_classes_are_never_trained_on(data_dir):
    """The parts' images are all different: digits holds no image twice."""
    tasks = make_tasks(IMAGES, data_dir)
    pools = [np.asarray(part.pool.images).reshape(-1, 16) for part in tasks]
    assert [part.pool.num_classes for part in tasks] == [5, 2, 3]
    seen = {image.tobytes() for image in pools[0]}
    for pool in pools[1:]:
        assert np.mean([image.tobytes() in seen for image in pool]) < 0.01


def test_the_weights_are_uniform_below_the_root_of_the_fan_in():
    params = make_learner(Config()).init(jax.random.key(0), None)
    for layer, fan_in in zip([*params.hparams, params.start], [1, 100, 100, 100], strict=True):
        for leaf in layer.values():
            assert np.abs(leaf).max() <= fan_in**-0.5
        if leaf.size > 50:
            assert abs(np.asarray(leaf).std() - (3 * fan_in) ** -0.5) < 0.15 * fan_in**-0.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gamma", 1.0),
        ("momentum", -0.1),
        ("every", 7),
        ("inner_lr", 0.0),
        ("steps", 0),
        ("calibrate_every", 0),
        ("reptile_rate", 1.5),
        ("eval_tasks", 1),
        ("seed", -1),
        ("image_channels", 2),
        ("crop", -1),
        ("classes", (5, 0, 3)),
        ("label_noise", 2.0),
    ],
)
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        Config(**{field: value})


def test_more_ways_than_classes_are_refused_by_number():
    with pytest.raises(ConfigError, match=r"at most 8.*four rotations"):
        dataclasses.replace(PRESETS["anil_digits"], ways=9)


@pytest.mark.parametrize("name", [name for name in PRESETS if PRESETS[name].base_set == "digits"])
def test_presets_build(name, data_dir):
    assert build(PRESETS[name], data_dir).steps == PRESETS[name].steps
