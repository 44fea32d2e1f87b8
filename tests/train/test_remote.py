"""A run whose folder is in a store."""

import json
import logging
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import runs
import stores
import toy_problem
from metajax.core import ConfigError, Evaluator, digest, local_path
from metajax.train import (
    Checkpointer,
    CheckpointError,
    WorkdirError,
    as_path,
    check_workdir,
    fit,
    in_use,
    leases,
    open_workdir,
    restore_params,
)
from metajax.train.checkpoint import write_seal
from metajax.train.mirror import save_alone

KEY = jax.random.key(4)


class Stop(Exception):
    pass


def run(workdir=None, at=None, **changes):
    def stop(params, key):
        raise Stop

    settings = {
        "steps": 24,
        "tasks_per_step": 16,
        "key": KEY,
        "progress": False,
        "log_every": 5,
        "checkpoint_every": 8,
        "keep_last": 2,
        "evaluators": [] if at is None else [Evaluator("stop", at, stop)],
        **changes,
    }
    return fit(toy_problem.make_algorithm(), toy_problem.make_tasks(), workdir=workdir, **settings)


def steps_of(bucket):
    return sorted(int(path.name) for path in (bucket / "run/checkpoints").iterdir())


def test_a_run_in_a_store_is_that_of_a_local_folder(bucket, tmp_path):
    with pytest.raises(Stop):
        run("gs://bucket/run", at=20)
    assert steps_of(bucket) == [8, 16]
    result = run("gs://bucket/run")
    there = run(tmp_path / "local")
    assert digest(result.state) == digest(there.state)
    assert steps_of(bucket) == [16, 24]
    log = (bucket / "run/metrics.jsonl").read_bytes()
    assert log == (tmp_path / "local/metrics.jsonl").read_bytes()
    assert sorted(path.name for path in (bucket / "run").iterdir()) == [
        "checkpoints",
        "config.json",
        "fingerprint.json",
        "metrics.jsonl",
    ]
    params, step = restore_params(
        "gs://bucket/run", toy_problem.make_algorithm(), toy_problem.make_tasks(), KEY
    )
    assert step == 24 and digest(params) == digest(result.params)
    again = run("gs://bucket/run")
    assert digest(again.state) == digest(result.state) and again.compile_seconds == 0
    with pytest.raises(WorkdirError, match="tasks_per_step is 16 there and 8 here"):
        run("gs://bucket/run", tasks_per_step=8)


@pytest.fixture
def saved(bucket):
    """A run that was cut off at step 20, with checkpoints of steps 8 and 16."""
    with pytest.raises(Stop):
        run("gs://bucket/run", at=20)
    return bucket / "run"


def test_an_upload_cut_short_and_a_damaged_checkpoint_are_put_aside(saved, caplog):
    (saved / "checkpoints/8/metajax.sha256").unlink()
    files = [path for path in (saved / "checkpoints/16/state").rglob("*") if path.is_file()]
    array = max(files, key=lambda path: path.stat().st_size)
    array.write_bytes(array.read_bytes()[:-1] + b"?")
    with caplog.at_level(logging.WARNING, logger="metajax"):
        result = run("gs://bucket/run")
    assert digest(result.state) == digest(run().state)
    assert "checkpoint 16 is damaged" in caplog.text and "changed since" in caplog.text
    assert "checkpoint 8 was not finished: moved to gs://bucket/run/damaged/8-0" in caplog.text
    moved = saved / "damaged" / "16-0" / array.relative_to(saved / "checkpoints/16")
    assert moved.read_bytes().endswith(b"?")
    rows = [json.loads(line) for line in (saved / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 10, 15, 20, 24]


def test_a_save_that_fails_is_no_checkpoint(bucket, monkeypatch):
    whole = stores.LocalStore.open

    def fails(self, path, mode="rb", **options):
        if "w" in mode and "checkpoints/16" in str(path):
            raise PermissionError("403 Forbidden")
        return whole(self, path, mode, **options)

    monkeypatch.setattr(stores.LocalStore, "open", fails)
    with pytest.raises(CheckpointError, match=r"403 Forbidden.*The last good one: that of step 8"):
        run("gs://bucket/run")
    monkeypatch.undo()
    monkeypatch.setenv(stores.ROOT, str(bucket.parent))
    assert digest(run("gs://bucket/run").state) == digest(run().state)


def test_a_store_that_lets_nobody_write_is_named_before_anything_is_computed(bucket, monkeypatch):
    def denied(self, path, mode="rb", **options):
        raise RuntimeError("403 storage.objects.create")

    monkeypatch.setattr(stores.LocalStore, "open", denied)
    with pytest.raises(WorkdirError, match=r"cannot be written: RuntimeError: 403"):
        run("gs://bucket/run")


def test_a_store_is_held_by_one_run(bucket):
    with open_workdir("gs://bucket/run", {}) as path:
        (claim,) = (bucket / "run").glob(".lease.*")
        for enter in (check_workdir, lambda *a: open_workdir(*a).__enter__()):
            with pytest.raises(WorkdirError, match=rf"in use by a live run .process {os.getpid()}"):
                enter("gs://bucket/run", {})
        assert in_use("gs://bucket/run")
        leases.check_held(path)
    assert not claim.exists() and not in_use("gs://bucket/run")


def another(folder, **changes):
    """A claim of another machine's process."""
    now = time.time()
    claim = {
        "host": "elsewhere",
        "pid": 7,
        "started": 1,
        "machine": "other",
        "since": now - 500,
        "alive": now,
        "holds": True,
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lease.elsewhere.7.1.json"
    path.write_text(json.dumps(claim))
    return path


def test_a_claim_without_a_sign_of_life_is_taken_over(bucket, caplog):
    path = another(bucket / "run")
    with pytest.raises(
        WorkdirError, match=r"process 7 on elsewhere.*delete gs://bucket/run/.lease"
    ):
        run("gs://bucket/run")
    assert [file.name for file in (bucket / "run").iterdir()] == [path.name]
    another(bucket / "run", alive=time.time() - 2 * leases.STALE_SECONDS)
    with (
        caplog.at_level(logging.WARNING, logger="metajax"),
        open_workdir("gs://bucket/run", {}),
    ):
        assert not path.exists()
    assert "taking over gs://bucket/run from process 7 on elsewhere" in caplog.text


def test_a_killed_process_of_this_machine_holds_nothing(bucket):
    ours = leases._own()
    with subprocess.Popen(["sleep", "0"]) as ended:
        ended.wait()
    another(bucket / "run", pid=ended.pid, machine=ours.machine, host=ours.host)
    with open_workdir("gs://bucket/run", {}):
        pass  # at once, though its last sign of life is new


def test_a_run_that_was_taken_for_dead_stops_before_it_writes(bucket, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.05)

    def taken(params, key):
        another(bucket / "run", since=time.time() + 1)
        time.sleep(0.5)
        return {}

    with pytest.raises(WorkdirError, match="taken over by another run"):
        run("gs://bucket/run", evaluators=[Evaluator("taken", 12, taken)])
    assert steps_of(bucket) == [8]


def test_a_claim_is_renewed(bucket, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_SECONDS", 0.02)
    with open_workdir("gs://bucket/run", {}):
        (claim,) = (bucket / "run").glob(".lease.*")
        first = json.loads(claim.read_text())
        end = time.time() + 10
        while json.loads(claim.read_text())["alive"] == first["alive"]:
            assert time.time() < end
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("s3://bucket/run", "pip install s3fs"),
        ("az://bucket/run", "pip install adlfs"),
        ("ftp://host/run", "a local path, or BUCKET/FOLDER of a store"),
        ("file:///tmp/run", "a local path, or BUCKET/FOLDER of a store"),
        ("gs://", "gs://BUCKET/FOLDER"),
        ("gs:///run", "a local path, or BUCKET/FOLDER of a store"),
        (Path("s3://bucket/run"), "pip install s3fs"),  # pathlib makes one slash of two
    ],
)
def test_a_store_that_cannot_be_reached_is_named_before_anything_is_computed(path, words, bucket):
    with pytest.raises(ConfigError, match=f"^workdir = .*{re.escape(words)}"):
        run(path)


def test_local_paths_stay_local_and_home_is_expanded(tmp_path, monkeypatch):
    assert type(as_path(tmp_path)) is type(tmp_path) and as_path("a/b") == Path("a/b")
    assert as_path("C:/run") == Path("C:/run")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert as_path("~/run") == tmp_path / "run" == local_path("~/run", "--out")
    for path in ("gs://bucket/x", Path("gs://bucket/x")):
        with pytest.raises(ConfigError, match=r"^--out = .*a local path"):
            local_path(path, "--out")


def test_tensorboard_cannot_write_to_a_store(bucket):
    with pytest.raises(ConfigError, match="tensorboard"):
        run("gs://bucket/run", tensorboard=True)


@pytest.fixture
def in_processes(bucket, tmp_path, monkeypatch):
    """The bucket, which processes that a test starts find too."""
    stores.have_processes_register(tmp_path, monkeypatch)
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    return bucket


@pytest.mark.slow
def test_a_killed_run_is_continued_at_once_to_the_same_bits(in_processes, tmp_path):
    for phase, saves in (("seal", 3), ("delete", 1)):
        code, _, said = runs.run("gs://bucket/run", "--kill-in", phase, "--after-saves", saves)
        assert code == -signal.SIGKILL, said
    assert list((in_processes / "run").glob(".lease.*"))
    code, out, said = runs.run("gs://bucket/run")
    assert code == 0 and "taking over" in said, said
    digest, log = runs.completed(tmp_path / "local")
    assert json.loads(out)["digest"] == digest
    assert (in_processes / "run/metrics.jsonl").read_text() == log
    assert not list((in_processes / "run").glob(".lease.*"))


@pytest.mark.slow
def test_two_processes_share_a_store(in_processes, tmp_path):
    options = ["--tasks-per-step", 8, "--parallel", "jit", "--checkpoint-every", 20]

    def both(workdir, *more):
        started = runs.start_two(workdir, *options, *more)
        found = [runs.finish(process) for process in started]
        assert [code for code, _, _ in found] == [0, 0], found
        return {json.loads(out.splitlines()[-1])["digest"] for _, out, _ in found}

    (here,) = both(tmp_path / "local")
    assert both("gs://bucket/run") == {here}
    for folder in (in_processes / "run", tmp_path / "local"):
        assert sorted(int(path.name) for path in (folder / "checkpoints").iterdir()) == [
            120,
            140,
            150,
        ]
    for step in (140, 150):  # the one before the last is taken, by both
        (in_processes / f"run/checkpoints/{step}/metajax.sha256").unlink()
    assert both("gs://bucket/run") == {here}


def test_what_one_process_of_several_saves_is_an_ordinary_checkpoint(tmp_path):
    state = {
        "w": jnp.arange(12, dtype=jnp.float32).reshape(3, 4),
        "n": jnp.int32(3),
        "h": jnp.ones(5, jnp.bfloat16),
        "key": jax.random.key(9, impl="rbg"),
        "empty": {},
    }
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    save_alone(checkpoints, 7, state, {"step": 7})
    write_seal(checkpoints / "7")
    checkpointer = Checkpointer(checkpoints)
    restored, meta = checkpointer.restore(state)
    checkpointer.close()
    assert meta == {"step": 7}
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    for got, want in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
        assert got.dtype == want.dtype and digest(got) == digest(want)


def test_a_run_in_a_store_is_started_over_whole(bucket):
    """The old run's objects are copied to ``previous/0`` and deleted where they were."""
    run("gs://bucket/run")
    old = {p.name: p.read_bytes() for p in (bucket / "run").iterdir() if p.is_file()}
    run("gs://bucket/run", tasks_per_step=8, on_changed="restart")
    aside = bucket / "run/previous/0"
    assert {p.name: p.read_bytes() for p in aside.iterdir() if p.is_file()} == old
    assert {p.name for p in (aside / "checkpoints").iterdir()} == {"16", "24"}
    assert steps_of(bucket) == [16, 24]
