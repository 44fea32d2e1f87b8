"""A run that is stopped hands over what it has done, with a workdir and without."""

import os
import signal
import threading

import jax
import pytest

import toy_problem
from metajax.core import Evaluator, digest
from metajax.train import Interrupted, NonFiniteError, fit


def run(evaluators=(), tasks=None, **changes):
    settings = {
        "steps": 12,
        "tasks_per_step": 4,
        "key": jax.random.key(4),
        "progress": False,
        "log_every": 4,
        **changes,
    }
    return fit(
        toy_problem.make_algorithm(),
        toy_problem.make_tasks() if tasks is None else tasks,
        evaluators=evaluators,
        **settings,
    )


def sends(signum, at=6):
    """An evaluator that sends this process a signal at a step."""

    def function(params, key):
        os.kill(os.getpid(), signum)
        return {}

    return [Evaluator("signal", at, function)]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_without_a_workdir_the_error_carries_the_work_done(signum):
    before = signal.getsignal(signum)
    with pytest.raises(Interrupted, match=r"after step 6; no workdir .* `state`") as caught:
        run(sends(signum))
    assert signal.getsignal(signum) is before
    stopped, whole = caught.value, run(steps=6)
    assert stopped.step == 6 and stopped.signum == signum
    assert digest(stopped.state) == digest(whole.state)
    assert digest(stopped.params) == digest(whole.params)
    # the last row averages the two steps since the row before, as the whole run's last does
    losses = [row for row in stopped.history if "loss" in row]
    assert losses == whole.history and [row["step"] for row in losses] == [4, 6]


def test_with_a_workdir_it_is_saved_and_carried(tmp_path):
    with pytest.raises(Interrupted, match="the state is saved") as caught:
        run(sends(signal.SIGINT), workdir=tmp_path)
    assert caught.value.step == 6
    assert digest(caught.value.state) == digest(run(steps=6).state)
    assert digest(run(workdir=tmp_path).state) == digest(run().state)


def test_a_signal_while_a_finished_run_is_read_is_not_lost(tmp_path, monkeypatch):
    from metajax.train import Checkpointer

    run(workdir=tmp_path)
    restore = Checkpointer.restore

    def and_signal(self, like):
        os.kill(os.getpid(), signal.SIGINT)
        return restore(self, like)

    monkeypatch.setattr(Checkpointer, "restore", and_signal)
    with pytest.raises(Interrupted, match="after step 12") as caught:
        run(workdir=tmp_path)
    assert caught.value.step == 12


def test_a_fit_inside_an_evaluator_stops_both_and_the_outer_one_carries_its_own_work():
    def inner(params, key):
        run(sends(signal.SIGINT, at=2))
        return {}

    with pytest.raises(Interrupted, match="after step 6") as caught:
        run([Evaluator("inner", 6, inner)])
    assert digest(caught.value.state) == digest(run(steps=6).state)
    assert caught.value.__cause__.step == 2


def test_in_a_thread_it_trains_and_leaves_signals_alone():
    results = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: results.append(run()))
    thread.start()
    thread.join()
    assert results[0].step == 12 and signal.getsignal(signal.SIGINT) is before


def test_a_handler_that_is_not_pythons_is_left_in_place(monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda signum: None)
    assert run(steps=2).step == 2


def test_a_non_finite_step_carries_the_same():
    tasks = toy_problem.make_tasks(jax.random.key(4), broken_step=6, num_tasks=4)
    with pytest.raises(NonFiniteError) as caught:
        run(tasks=tasks)
    assert caught.value.step == 7
    assert digest(caught.value.params) == digest(run(steps=6).params)
    assert [row["step"] for row in caught.value.history] == [4, 6]
