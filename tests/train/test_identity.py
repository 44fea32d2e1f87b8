"""A workdir belongs to one algorithm: what is rejected, restarted and resumed."""

import json
import os
import shutil

import jax
import jax.numpy as jnp
import optax
import pytest

import toy_problem
from metajax.core import ConfigError, Evaluator, digest, gradient
from metajax.train import (
    CheckpointError,
    WorkdirError,
    fit,
    population,
    save_finished,
)
from metajax.train.identity import FILE
from metajax.train.workdir import start_over

KEY = jax.random.key(4)


def toy(rate=0.05, **options):
    return gradient(toy_problem.make_learner(**options), optax.sgd(rate, momentum=0.9))


def run(workdir, algorithm=None, tasks=None, **changes):
    settings = {"steps": 8, "tasks_per_step": 8, "checkpoint_every": 4, **changes}
    return fit(
        algorithm or toy(),
        tasks or toy_problem.make_tasks(),
        key=KEY,
        workdir=workdir,
        progress=False,
        log_every=4,
        **settings,
    )


def stopped(workdir, algorithm=None, at=4, **options):
    class Stop(Exception):
        pass

    def stop(params, key):
        raise Stop

    with pytest.raises(Stop):
        run(workdir, algorithm, evaluators=[Evaluator("stop", at + 1, stop)], **options)


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("finished") / "run"
    return workdir, digest(run(workdir).state)


@pytest.fixture
def copied(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"


def test_a_finished_run_of_another_algorithm_is_not_returned(finished):
    workdir, _ = finished
    before = files(workdir)
    with pytest.raises(WorkdirError) as caught:
        run(workdir, toy(0.5))
    said = str(caught.value)
    assert "the finished run" in said and "-0.05 there, float32 -0.5 here" in said
    assert "restart" in said and "ignore" in said
    with pytest.raises(WorkdirError, match=r"0\.1 there, float32 0\.2 here"):
        run(workdir, toy(inner_lr=0.2))
    tasks = toy_problem.make_tasks()
    other = toy_problem.LinearTasks(tasks.pool + 1, tasks.broken_key)
    with pytest.raises(WorkdirError, match=r"tasks.pool \(float32\[600, 4\]\) has other values"):
        run(workdir, tasks=other)
    assert files(workdir) == before
    assert digest(run(workdir).state) == finished[1]
    assert files(workdir) == before


def test_a_stopped_run_of_another_algorithm_is_not_resumed(tmp_path):
    stopped(tmp_path / "run")
    with pytest.raises(WorkdirError, match="saved at step 4"):
        run(tmp_path / "run", toy(0.5))
    assert digest(run(tmp_path / "run").state) == digest(run(None).state)


def test_what_has_saved_nothing_may_become_another_run(tmp_path):
    stopped(tmp_path / "run", at=1)
    assert digest(run(tmp_path / "run", toy(0.5)).state) == digest(run(None, toy(0.5)).state)
    with pytest.raises(WorkdirError, match="another one"):
        run(tmp_path / "run")


@pytest.mark.parametrize(
    "options",
    [{}, {"parallel": "jit"}, {"parallel": "pmap"}, {"devices": jax.devices()[2:3]}],
    ids=["none", "jit", "pmap", "device"],
)
def test_no_layout_changes_the_identity(options, finished):
    assert run(finished[0], **options).compile_seconds == 0


def test_what_decides_no_result_changes_no_identity(finished):
    evaluator = Evaluator("e", 3, lambda params, key: {})
    options = {"log_every": 3, "checkpoint_every": 2, "keep_last": 1, "evaluators": [evaluator]}
    settings = {"steps": 8, "tasks_per_step": 8, "key": KEY, "progress": False}
    result = fit(toy(), toy_problem.make_tasks(), workdir=finished[0], **settings, **options)
    assert result.compile_seconds == 0


def test_restart_moves_the_old_run_aside_and_loses_nothing(copied, caplog):
    before = files(copied)
    result = run(copied, toy(0.5), on_changed="restart")
    assert digest(result.state) == digest(run(None, toy(0.5)).state)
    assert result.history[0]["step"] == 4 and len(result.history) == 2
    moved = copied / "previous" / "0"
    for path, content in before.items():
        if path.name != ".lock":
            assert (moved / path.relative_to(copied)).read_bytes() == content
    assert str(moved) in caplog.text
    # the same command again finds it finished, whatever it is called with
    assert run(copied, toy(0.5), on_changed="restart").compile_seconds == 0
    run(copied, toy(0.25), on_changed="restart")
    assert sorted(path.name for path in (copied / "previous").iterdir()) == ["0", "1"]
    assert run(moved).compile_seconds == 0  # a workdir as it was


def test_restart_serves_another_config_too(copied):
    with pytest.raises(WorkdirError, match=r'tasks_per_step is 8 there.*\n.*on_changed="restart"'):
        run(copied, tasks_per_step=4)
    with pytest.raises(WorkdirError, match="tasks_per_step is 8 there"):
        run(copied, tasks_per_step=4, on_changed="ignore")
    run(copied, tasks_per_step=4, on_changed="restart")
    assert json.loads((copied / "config.json").read_text())["tasks_per_step"] == 4
    kept = json.loads((copied / "previous/0/config.json").read_text())
    assert kept["tasks_per_step"] == 8


def test_a_restart_cut_short_leaves_no_mixture(copied, monkeypatch):
    """Killed after each move: the old algorithm and the new one both begin again, or resume."""

    class Killed(BaseException):
        pass

    real, whole = os.replace, copied.with_name("whole")
    shutil.copytree(copied, whole)
    for after in range(1, 5):
        shutil.rmtree(copied)
        shutil.copytree(whole, copied)
        moves = 0

        def replace(source, target, after=after):
            nonlocal moves
            if moves == after:
                raise Killed
            moves += 1
            real(source, target)

        with monkeypatch.context() as context:
            context.setattr("metajax.train.workdir.os.replace", replace)
            with pytest.raises(Killed):
                start_over(copied, json.loads((copied / "config.json").read_text()))
        result = run(copied, toy(0.5), on_changed="restart")
        assert result.compile_seconds > 0
        assert (copied / "previous/0/checkpoints/8").is_dir()
        assert run(copied, toy(0.5)).compile_seconds == 0


def test_ignore_resumes_with_a_warning_and_the_mixture_stays_known(tmp_path, caplog):
    workdir = tmp_path / "run"
    stopped(workdir)
    result = run(workdir, toy(0.5), on_changed="ignore")
    assert "-0.05 there, float32 -0.5 here" in caplog.text and "ignore" in caplog.text
    assert digest(result.state) not in {digest(run(None).state), digest(run(None, toy(0.5)).state)}
    for rate in (0.05, 0.5):  # it belongs to neither alone
        with pytest.raises(WorkdirError, match="another one"):
            run(workdir, toy(rate))
    assert run(workdir, toy(0.5), on_changed="ignore").compile_seconds == 0
    assert len(json.loads((workdir / FILE).read_text())) == 2


def test_ignore_of_another_state_fails_and_leaves_the_run_as_it_was(finished):
    before = files(finished[0])
    other = gradient(toy_problem.make_learner(), optax.adam(0.05))
    with pytest.raises(CheckpointError, match=r"opt_state.*\[\]\) is only here"):
        run(finished[0], other, on_changed="ignore")
    assert files(finished[0]) == before
    assert run(finished[0]).compile_seconds == 0


def test_a_run_from_before_the_fingerprint_resumes_with_a_warning(copied, finished, caplog):
    (copied / FILE).unlink()
    assert digest(run(copied).state) == finished[1]
    assert "resumes unchecked" in caplog.text
    caplog.clear()
    assert digest(run(copied).state) == finished[1]
    assert not caplog.text
    with pytest.raises(WorkdirError, match="another one"):
        run(copied, toy(0.5))


def test_other_libraries_lock_nobody_out(copied, caplog):
    path = copied / FILE
    [known] = json.loads(path.read_text())
    known["software"]["jax"] = "0.1"
    known["programs"]["an update"].update(form="0", full="0")
    path.write_text(json.dumps([known]))
    assert run(copied).compile_seconds == 0
    assert "other libraries" in caplog.text and "an update: the program differs" in caplog.text
    with pytest.raises(
        WorkdirError, match="an update: constants differ"
    ):  # since it ran with these
        run(copied, toy(0.5))


def test_a_damaged_fingerprint_is_said(copied):
    (copied / FILE).write_text("[{")
    with pytest.raises(WorkdirError, match=f"{FILE} cannot be read"):
        run(copied)


def test_on_changed_is_checked(tmp_path):
    with pytest.raises(ConfigError, match=r"on_changed = 'restrat'.*did you mean 'restart'"):
        run(tmp_path / "run", on_changed="restrat")
    assert not (tmp_path / "run").exists()


def test_metrics_may_change_within_a_window(tmp_path):
    """They decide no result, so the run resumes; a row holds what its steps reported."""
    learner = toy_problem.make_learner()

    def with_metric(name):
        def loss(params, task, key):
            value, metrics = learner.loss(params, task, key)
            return value, {name: metrics["before"]}

        return gradient(learner._replace(loss=loss), optax.sgd(0.05, momentum=0.9))

    stopped(tmp_path / "run", with_metric("one"), steps=8, checkpoint_every=2, at=2)
    result = run(tmp_path / "run", with_metric("other"), checkpoint_every=2)
    assert {"one", "other"} <= result.history[0].keys()
    assert digest(result.state) == digest(run(None).state)


def test_a_run_that_was_trained_another_way_is_found_finished_and_checked(tmp_path):
    algorithm, tasks = toy(), toy_problem.make_tasks()
    result = run(None)
    settings = {"tasks_per_step": 8, "key": KEY}
    save_finished(tmp_path / "run", result, algorithm=algorithm, tasks=tasks, **settings)
    again = run(tmp_path / "run")
    assert again.compile_seconds == 0 and digest(again.state) == digest(result.state)
    with pytest.raises(WorkdirError, match="another one"):
        run(tmp_path / "run", toy(0.5))
    with pytest.raises(WorkdirError, match="another one"):
        save_finished(tmp_path / "run", result, algorithm=toy(0.5), tasks=tasks, **settings)


def test_a_population_is_known_by_its_members(tmp_path):
    tasks = toy_problem.make_tasks()

    def members(rates):
        return population(
            lambda values: toy(values["rate"]),
            {"rate": jnp.array(rates)},
            jax.random.split(KEY, 2),
            [tasks, tasks],
            tasks_per_step=4,
        )

    settings = {"tasks_per_step": 1, "steps": 2}
    run(tmp_path / "run", *members([0.1, 0.2]), **settings)
    assert run(tmp_path / "run", *members([0.1, 0.2]), **settings).compile_seconds == 0
    with pytest.raises(WorkdirError, match=r"tasks.*rate.*has other values \(\[0.1.*, 0.3"):
        run(tmp_path / "run", *members([0.1, 0.3]), **settings)
