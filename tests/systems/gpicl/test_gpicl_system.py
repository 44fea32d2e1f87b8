"""GPICL as a whole: it learns to learn, and every way of running it runs."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.core import ConfigError, HostFed
from metajax.systems import get_system
from metajax.systems.gpicl import PRESETS, Config, build
from metajax.systems.gpicl.report import draw_phases, figures, table
from metajax.systems.gpicl.system import make_optimizer
from metajax.systems.gpicl.tasks import DRAW_BITS
from metajax.train import fit

TINY = Config(
    width=16,
    layers=1,
    heads=2,
    key_size=8,
    examples=6,
    steps=4,
    tasks_per_step=8,
    eval_tasks=64,
    eval_every=4,
    other_sets=(),
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def train(config, data_dir, **options):
    run = build(config, data_dir)
    key = jax.random.key(config.seed)
    result = fit(
        run.algorithm,
        run.tasks,
        steps=run.steps,
        tasks_per_step=run.tasks_per_step,
        key=key,
        evaluators=run.evaluators,
        progress=False,
        **options,
    )
    return run, result


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize(
    "changes",
    [
        {"host_fed": True, "ways": 10},
        {"compute_dtype": "bfloat16", "microbatches": 2, "sequences_per_task": 2},
        *(
            pytest.param(changes, marks=pytest.mark.slow)
            for changes in (
                {
                    "schedule": "cosine",
                    "warmup_steps": 2,
                    "clip_norm": 1.0,
                    "bias_fraction": 0.9,
                    "min_ways": 2,
                },
                {"learner": "lstm"},
                {"learner": "maml"},
            )
        ),
    ],
    ids=lambda changes: next(iter(changes.values())) if isinstance(changes, dict) else None,
)
def test_every_way_of_training_runs_and_is_evaluated(changes, data_dir):
    config = dataclasses.replace(TINY, **changes)
    run, result = train(config, data_dir)
    assert isinstance(run.tasks, HostFed) == config.host_fed
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(result.params))
    evaluation = json.loads(json.dumps(run.evaluate(result.params, False)))
    for figure in figures(evaluation, result.history):
        figure.draw()
    assert "unseen tasks" in table(evaluation)
    draw_phases([evaluation, {**evaluation, "num_tasks": 4}])
    check_non_finite(get_system("gpicl"), config, run, result.params, result.history)


@pytest.mark.usefixtures("quick_compile")
def test_host_fed_tasks_are_the_device_sampled_ones_over_other_images(data_dir):
    """Same id, same raw images: the task that the host-fed path assembles is the very same."""
    config = dataclasses.replace(TINY, ways=10, host_fed=True)
    run = build(config, data_dir)
    raw = jax.tree.map(lambda leaf: leaf[0], next(iter(run.tasks.batches)))
    key = jax.random.key(3)
    task = run.tasks.assemble(key, raw)
    tasks = run.tasks.assemble.tasks
    draw = tasks.draw(jax.random.bits(key, (DRAW_BITS,), jax.numpy.uint32))
    again = tasks.assemble(draw, tasks.pool.normalise(raw["images"]), raw["labels"])
    jax.tree.map(np.testing.assert_array_equal, task, again)
    assert task.support.inputs.shape == (1, 5, 16)


def test_schedules_follow_the_config():
    """Updates of Adam on a constant gradient have the size of the learning rate."""
    config = dataclasses.replace(TINY, steps=100, warmup_steps=10, schedule="cosine")
    optimizer = make_optimizer(config)
    with jax.numpy_dtype_promotion("standard"):
        state, sizes = optimizer.init(jax.numpy.ones(1)), []
        for _ in range(101):
            update, state = optimizer.update(jax.numpy.ones(1), state)
            sizes.append(float(-update[0]))
    assert abs(sizes[0]) < 1e-9 and abs(sizes[100]) < 1e-7
    assert abs(sizes[10] - 1e-3) < 1e-6 and abs(sizes[5] - 5e-4) < 1e-6
    assert abs(sizes[55] - 5e-4) < 1e-5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"width": 0}, "width"),
        ({"heads": 3}, "heads"),
        ({"microbatches": 3}, "microbatches"),
        ({"warmup_steps": 4}, "warmup_steps"),
        ({"channels": 2}, "channels"),
        ({"min_ways": 4}, "min_ways"),
        ({"min_ways": 2, "host_fed": True}, "min_ways"),
        ({"bias_fraction": -0.1}, "bias_fraction"),
        ({"num_tasks": 2**32}, "num_tasks"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_configs_are_refused_by_name(changes, field):
    with pytest.raises(ConfigError) as error:
        dataclasses.replace(TINY, **changes)
    assert error.value.field == field


def test_the_paper_preset_has_the_papers_size():
    """Width 256, 4 layers, 8 heads of 32, 100 examples, 512 sequences a step, 50,000 steps."""
    paper = PRESETS["paper"]
    assert (paper.width, paper.layers, paper.heads, paper.key_size) == (256, 4, 8, 32)
    assert (paper.examples, paper.steps, paper.learning_rate) == (100, 50_000, 1e-3)
    assert paper.tasks_per_step * paper.sequences_per_task == 512
    assert paper.label_scale == 1 and paper.bias_fraction == 0
    assert paper.min_ways is None and paper.clip_norm is None


@pytest.mark.slow
def test_the_digits_preset_learns_to_learn(data_dir):
    """Seed 0: on unseen tasks, at least 20 points gained from the first to the last ten."""
    run, result = train(PRESETS["digits"], data_dir)
    evaluation = run.evaluate(result.params, False)
    assert evaluation["unseen"]["gain"] >= 0.20
    assert abs(evaluation["unseen"]["accuracy"][0] - 1 / 3) < 0.06
    assert abs(evaluation["seen"]["gain"] - evaluation["unseen"]["gain"]) < 0.1


@pytest.mark.slow
def test_few_tasks_are_learned_by_heart(data_dir):
    """Four tasks, seed 0: seen tasks are known from the first example on, unseen ones are not."""
    config = dataclasses.replace(PRESETS["digits"], num_tasks=4, steps=2000, other_sets=())
    run, result = train(config, data_dir)
    evaluation = run.evaluate(result.params, False)
    seen, unseen = evaluation["seen"]["accuracy"], evaluation["unseen"]["accuracy"]
    assert np.mean(seen[-10:]) > np.mean(unseen[-10:]) + 0.2
