"""A run can be given more steps: it then is the run that it would have been from the start."""

import json
import os
import signal

import jax
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import ConfigError, Evaluator, digest, gradient
from metajax.train import Interrupted, WorkdirError, fit
from runs import contents


def norm(params, key):
    return {"norm": np.sqrt(sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(params)))}


def run(workdir, steps, log_every=5, eval_every=8, **changes):
    settings = {"key": jax.random.key(4), "tasks_per_step": 4, "progress": False, **changes}
    return fit(
        toy_problem.make_algorithm(),
        toy_problem.make_tasks(),
        steps=steps,
        workdir=workdir,
        log_every=log_every,
        evaluators=[Evaluator("new", eval_every, norm)],
        **settings,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 24 steps from the start."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder, 24)


@pytest.mark.parametrize(
    "steps",
    [
        [7, 10, 16],
        pytest.param([12], marks=pytest.mark.slow),
        pytest.param([1, 7, 20], marks=pytest.mark.slow),
    ],
)
def test_extended_runs_equal_one_of_all_steps_bit_for_bit(steps, whole, tmp_path):
    """Cut on and off the periods of the log and of the evaluator."""
    for some in steps:
        assert run(tmp_path, some).history[-1]["step"] == some
    folder, result = whole
    extended = run(tmp_path, 24)
    assert digest(extended.state) == digest(result.state)
    assert extended.history == result.history
    for name in ("metrics.jsonl", "config.json"):
        assert (tmp_path / name).read_text() == (folder / name).read_text()


def test_rows_that_other_periods_have_too_stay(tmp_path):
    run(tmp_path, 12)
    extended = run(tmp_path, 24, log_every=6, eval_every=12)
    assert [row["step"] for row in extended.history if "loss" in row] == [5, 10, 12, 18, 24]
    assert [row["step"] for row in extended.history if "new/norm" in row] == [8, 12, 24]


def test_fewer_steps_than_are_done_are_rejected_and_change_nothing(tmp_path):
    run(tmp_path, 12)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"steps = 6: expected 12 or more.*not shortened"):
        run(tmp_path, 6)
    assert contents(tmp_path) == before


def test_with_restart_fewer_steps_begin_again_and_the_old_run_is_kept(tmp_path):
    run(tmp_path, 12)
    assert run(tmp_path, 6, on_changed="restart").step == 6
    assert digest(run(tmp_path, 6).state) == digest(run(None, 6).state)
    (old,) = (tmp_path / "previous").iterdir()
    assert json.loads((old / "config.json").read_text())["steps"] == 12


def test_an_algorithm_made_from_the_number_of_steps_is_another_one(tmp_path):
    """A cosine that ends with the last step: the longer run would have gone another way."""

    def train(steps):
        rate = optax.cosine_decay_schedule(0.1, steps)
        return fit(
            gradient(toy_problem.make_learner(), optax.sgd(rate)),
            toy_problem.make_tasks(),
            steps=steps,
            tasks_per_step=4,
            key=jax.random.key(4),
            workdir=tmp_path,
            progress=False,
        )

    train(4)
    before = contents(tmp_path)
    with pytest.raises(WorkdirError, match="is another one"):
        train(8)
    assert contents(tmp_path) == before


def test_an_unfinished_run_can_be_given_fewer_steps_than_it_was_to_have(tmp_path, whole):
    def stop(params, key):
        os.kill(os.getpid(), signal.SIGTERM)
        return norm(params, key)

    with pytest.raises(Interrupted):
        fit(
            toy_problem.make_algorithm(),
            toy_problem.make_tasks(),
            steps=100,
            tasks_per_step=4,
            key=jax.random.key(4),
            workdir=tmp_path,
            log_every=5,
            evaluators=[Evaluator("new", 8, stop)],
            progress=False,
        )
    assert digest(run(tmp_path, 24).state) == digest(whole[1].state)
    assert (tmp_path / "metrics.jsonl").read_text() == (whole[0] / "metrics.jsonl").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 24


def test_what_may_change_does_and_is_written_down_and_nothing_else(tmp_path):
    def config(lr, tasks):
        return {"system": "a", "config": {"lr": lr, "tasks": tasks}}

    may_change = ("config.tasks",)
    run(tmp_path, 2, config=config(0.1, 5), may_change=may_change)
    run(tmp_path, 2, config=config(0.1, 7), may_change=may_change)
    assert json.loads((tmp_path / "config.json").read_text())["config"] == {"lr": 0.1, "tasks": 7}
    with pytest.raises(WorkdirError, match=r"config\.lr is 0\.1 there and 0\.2 here") as caught:
        run(tmp_path, 2, config=config(0.2, 8), may_change=may_change)
    assert "tasks" not in str(caught.value)
    with pytest.raises(WorkdirError, match=r"config\.tasks is 7 there and 8 here"):
        run(tmp_path, 2, config=config(0.1, 8))
