"""GPICL as a whole: it learns to learn, and every way of running it runs."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from metajax.cli.arguments import parse_train
from metajax.core import ConfigError, HostFed
from metajax.learners import KernelRidge
from metajax.systems import (
    build,
    config_from_json,
    configure,
    get_system,
    replace,
    split,
)
from metajax.systems.gpicl import draw_phases, in_rows
from metajax.systems.gpicl.accuracy import score_sequences
from metajax.systems.gpicl.committed import committed_runs
from metajax.systems.gpicl.evaluate import lead
from metajax.systems.gpicl.report import figures, table
from metajax.systems.gpicl.settings import TINY
from metajax.systems.gpicl.tasks import DRAW_BITS
from metajax.systems.gpicl.tuning import candidates, tuned
from metajax.train import fit

SMALL = TINY | {
    "steps": 4,
    "tasks_per_step": 8,
    "eval_tasks": 64,
    "eval_every": 4,
    "other_sets": (),
}


def small(method="transformer", **changes):
    """The settings of a small run, those alone that its method has."""
    config = configure("gpicl", method=method)
    known = {name: value for name, value in SMALL.items() if hasattr(config, name)}
    return replace(config, **(known | changes))


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


def first_params(run, key):
    init = jax.jit(lambda key: run.algorithm.init(key, run.example_tasks(key)))
    return run.algorithm.params(init(key))


@pytest.mark.parametrize(
    "changes",
    [
        {"host_fed": True, "ways": 10},
        {"compute_dtype": "bfloat16", "tasks_at_once": 3, "sequences_per_task": 2},
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
                {"method": "lstm"},
                {"method": "maml"},
            )
        ),
    ],
    ids=lambda changes: next(iter(changes.values())) if isinstance(changes, dict) else None,
)
def test_every_way_of_training_runs_and_is_evaluated(changes, data_dir):
    config = small(**changes)
    run, result = train(config, data_dir)
    assert isinstance(run.tasks, HostFed) == config.host_fed
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.params))
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(result.params))
    evaluation = json.loads(json.dumps(run.evaluate(result.params, False)))
    for figure in figures(evaluation, result.history):
        figure.draw()
    assert "unseen tasks" in table(evaluation)
    few = {**evaluation, "more": {**evaluation["more"], "num_tasks": 4}}
    draw_phases([evaluation, few])  # the battery scores parameters that are not finite


def test_host_fed_tasks_are_the_device_sampled_ones_over_other_images(data_dir):
    """Same id, same raw images: the task that the host-fed path assembles is the very same."""
    config = small(ways=10, host_fed=True)
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
    config = small(steps=100, warmup_steps=10, schedule="cosine")
    optimizer = split(config).training.make_optimizer()
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
        ({"heads": 3}, "heads"),
        ({"warmup_steps": 4}, "warmup_steps"),
        ({"min_ways": 4}, "min_ways"),
        ({"min_ways": 2, "host_fed": True}, "min_ways"),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected_by_name(changes, field):
    with pytest.raises(ConfigError) as error:
        small(**changes)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("words", "now"),
    [
        (["--learner", "lstm"], "--method"),
        (["--channels=3"], "--image-channels"),
        (["--microbatches", "2"], "--tasks-at-once"),
    ],
)
def test_older_words_are_answered_with_the_new(words, now):
    with pytest.raises(ConfigError, match=now):
        parse_train(get_system("gpicl"), None, words)


def test_a_config_of_an_older_run_is_read():
    older = {"learner": "lstm", "width": 32, "heads": 4, "channels": 3, "min_ways": 2}
    config = config_from_json(get_system("gpicl"), older)
    assert config == configure(
        "gpicl",
        method="lstm",
        width=32,
        image_channels=3,
        min_ways=2,
        **{name: getattr(config, name) for name in ("steps", "tasks_per_step", "eval_every")},
    )


def test_what_is_not_meta_trained_is_evaluated_alone(data_dir):
    """Nearest neighbours: no step, no parameters, and the other baseline on the same sequences."""
    config = small(
        "nearest_neighbour",
        other_sets=("random", "mnist"),
        baselines=("sgd", "nearest_neighbour"),
    )
    run = build(config, data_dir)
    key = jax.random.key(0)
    params = first_params(run, key)
    assert run.steps == 0 and run.method.algorithm is None and params == {}
    evaluation = run.evaluate(params, False)
    rows = evaluation["rows"]
    assert list(rows) == ["unseen", "seen", "identity", "sgd", "other.random"]
    assert [name for name, row in rows.items() if row["baseline"]] == ["sgd"]
    assert evaluation["more"]["left_out"] == {"mnist": "not on disk"}
    assert evaluation["more"]["parameters"] == 0
    # ten noise images at most: each is met again soon
    assert rows["other.random"]["mean"][-1] > 0.6


def test_one_program_scores_a_method_on_every_pool_of_its_shapes(data_dir):
    """``measure`` is compiled once for unseen and seen tasks, and not again the next time."""
    run = build(small("mlp"), data_dir)
    key = jax.random.key(0)
    params = first_params(run, key)
    before = score_sequences._cache_size()
    for tasks in (run.problem.unseen, run.problem.seen, run.problem.identity):
        scores = run.method.measure(params, tasks, key, 8)
        assert scores.shape == (8, run.config.examples)
    assert score_sequences._cache_size() == before + 1


def test_a_lead_is_the_mean_of_paired_differences():
    """Over the last ten of 12 positions: half of 40 sequences right there, against none."""
    right, over = np.zeros((40, 12)), np.zeros((40, 12))
    right[::2, 2:] = 1
    over[:, :2] = 1  # before them, where it does not count
    found = lead(right, over)
    assert found["lead"] == 0.5
    assert abs(found["lead_ci95"] - 1.96 * 0.5 * np.sqrt(40 / 39) / np.sqrt(40)) < 1e-4


class Candidates:
    """A method without training whose candidates score what they are."""

    parts = (0.2, 0.7, 0.7, 0.1)

    @staticmethod
    def measure(params, tasks, key, num):
        return np.full((num, 12), params)


def test_candidates_are_all_values_that_are_not_given():
    usual = {"gamma": (0.5, 1.0), "ridge": (0.1, 0.2, 0.3)}
    every = candidates(KernelRidge, usual, gamma=None, ridge=None)
    assert [tuple(map(float, one)) for one in every] == [
        (np.float32(gamma), np.float32(ridge)) for gamma in (0.5, 1.0) for ridge in (0.1, 0.2, 0.3)
    ]
    assert candidates(dict, usual, gamma=0.25) == ({"gamma": 0.25},)


def test_the_best_candidate_on_training_tasks_is_chosen(data_dir):
    problem = build(small("nearest_neighbour"), data_dir).problem
    assert tuned(Candidates, problem, jax.random.key(0)) == 0.7


RESULTS = Path(__file__).parents[3] / "experiments" / "gpicl" / "results"


def test_the_committed_run_that_is_shown_is_that_of_the_results():
    """It stands in the package, so that an installed one has it; only next to its own problem."""
    settings = split(configure("gpicl", "digits")).settings
    (shown,) = committed_runs(settings, "symmetric_ridge")
    run = json.loads((RESULTS / "digits.json").read_text())[0]
    unseen = run["eval"]["unseen"]
    for name in ("accuracy", "ci95", "last", "gain", "gain_ci95", "n"):
        assert shown[name] == unseen[name]
    assert shown["steps"] == run["config"]["steps"]
    assert shown["cpu_seconds"] == run["summary"]["cpu_seconds"]
    assert all(run["config"].get(k, 1) == v for k, v in shown["settings"].items())
    assert not committed_runs(settings, "transformer")
    assert not committed_runs(split(configure("gpicl", "digits", ways=4)).settings, "similarity")


def test_the_widest_table_fits_the_page_of_the_report():
    """Ten ways, eight numbers of examples and leads: a page takes 121 characters a line."""
    shown = table(json.loads((RESULTS / "table.json").read_text())[0]["eval"])
    assert "lead" in shown and max(map(len, shown.splitlines())) <= 120


def test_evaluations_of_older_versions_are_read():
    """Committed results, of the layout before rows, in today's: the same numbers, and figures."""
    older = json.loads((RESULTS / "cpu.json").read_text())[0]["eval"]
    found = in_rows(older)
    assert in_rows(found) is found
    assert found["rows"]["unseen"]["mean"] == older["unseen"]["accuracy"]
    assert (
        found["rows"]["sgd"]["baseline"]
        and found["more"]["sgd"]["gain"] == (older["baselines"]["sgd"]["gain"])
    )
    digits = found["rows"]["other.digits"]
    half = (np.array(digits["high"]) - np.array(digits["low"])) / 2
    np.testing.assert_allclose(half, older["other_sets"]["digits"]["ci95"], atol=1e-9)
    assert "unseen tasks over digits" in table(older)
    for figure in figures(older, []):
        figure.draw()
    draw_phases(json.loads((RESULTS / "sweep_tasks.json").read_text()))


def test_the_paper_preset_has_the_papers_size():
    """Width 256, 4 layers, 8 heads of 32, 100 examples, 512 sequences a step, 50,000 steps."""
    paper = configure("gpicl", "paper")
    assert (paper.width, paper.layers, paper.heads, paper.key_size) == (256, 4, 8, 32)
    assert (paper.examples, paper.steps, paper.learning_rate) == (100, 50_000, 1e-3)
    assert paper.tasks_per_step * paper.sequences_per_task == 512
    assert paper.label_scale == 1 and paper.bias_fraction == 0
    assert paper.min_ways is None and paper.clip_norm is None


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_the_digits_preset_learns_to_learn(data_dir):
    """Seed 0: 2 points or more ahead of the nearest neighbor, and not behind LDA, paired."""
    run, result = train(configure("gpicl", "digits"), data_dir)
    evaluation = run.evaluate(result.params, False)
    gains = {name: evaluation["more"][name]["gain"] for name in ("unseen", "seen")}
    ahead = {name: evaluation["more"][name] for name in ("nearest_neighbour", "lda")}
    assert ahead["nearest_neighbour"]["lead"] - ahead["nearest_neighbour"]["lead_ci95"] >= 0.02
    assert ahead["lda"]["lead"] >= -0.01
    assert (
        evaluation["more"]["committed.transformer"]["last"] < evaluation["more"]["unseen"]["last"]
    )
    assert abs(evaluation["rows"]["unseen"]["mean"][0] - 1 / 3) < 0.06
    assert abs(gains["seen"] - gains["unseen"]) < 0.1


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_few_tasks_are_learned_by_heart(data_dir):
    """Four tasks, seed 0: seen tasks are known from the first example on, unseen ones are not."""
    config = configure("gpicl", "digits", "transformer", num_tasks=4, steps=800, other_sets=())
    run, result = train(config, data_dir)
    rows = run.evaluate(result.params, False)["rows"]
    seen, unseen = rows["seen"]["mean"], rows["unseen"]["mean"]
    assert np.mean(seen[-10:]) > np.mean(unseen[-10:]) + 0.2
