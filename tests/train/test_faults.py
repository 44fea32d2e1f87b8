"""What the world does to a run: full and read-only disks, broken data, clocks that jump.

With kills and signals (``test_resume``), damaged checkpoints (``test_checkpoint``), steps that are
not finite (``test_loop``) and lost processes (``test_processes``), ``tests/faults.py`` runs all.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import grain
import jax
import numpy as np
import pytest
from array_record.python import array_record_module

import toy_problem
from metajax.core import Evaluator, Examples, HostFed, Task, digest
from metajax.train import (
    CheckpointError,
    HostDataError,
    Interrupted,
    NonFiniteError,
    WorkdirError,
    fit,
)
from metajax.train.checkpoint import find_fault
from runs import SCRIPT, checkpoints, completed, run

KEY = jax.random.key(3)


@pytest.fixture
def disk(tmp_path):
    """A file system of its own, and what remounts it with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        subprocess.run(
            ["mount", *options, "tmpfs", folder], check=True, capture_output=True, timeout=30
        )

    try:
        mount("-t", "tmpfs", "-o", "size=400k")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system here: {error}")
    yield folder, lambda options: mount("-o", f"remount,{options}")
    subprocess.run(["umount", folder], check=True, timeout=30)


@pytest.mark.slow
def test_a_full_disk_is_said_and_with_room_the_run_goes_on(disk, tmp_path):
    folder, remount = disk
    keep = ("--keep-last", 40)
    code, _, err = run(folder / "run", *keep)
    assert code == 1 and "No space left on device" in err, err
    kept = [
        step
        for step in checkpoints(folder / "run")
        if find_fault(folder / "run" / "checkpoints" / str(step)) is None
    ]
    # last, but for what Orbax's own thread may print of the same failure while Python ends
    [said] = [line for line in err.splitlines() if line.startswith("CheckpointError: a checkpoint")]
    assert kept and f"that of step {kept[-1]}" in said
    remount("size=16m")
    code, out, err = run(folder / "run", *keep)
    assert code == 0 and f"resuming from the checkpoint at step {kept[-1]}" in err, err
    wanted, log = completed(tmp_path / "roomy", *keep)
    assert json.loads(out)["digest"] == wanted
    assert (folder / "run" / "metrics.jsonl").read_text() == log


def test_a_read_only_workdir_is_refused_new_or_old(disk):
    folder, remount = disk

    def stop(params, key):
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    with pytest.raises(Interrupted):
        small_fit(folder / "run", evaluators=[Evaluator("stop", 25, stop)], keep_last=1)
    remount("ro")  # which fails while a file is open to be written
    for workdir in (folder / "run", folder / "new"):
        with pytest.raises(WorkdirError, match=f"^workdir {workdir} cannot be written"):
            small_fit(workdir)
    assert checkpoints(folder / "run") == [25]


def small_fit(workdir=None, tasks=None, **options):
    return fit(
        toy_problem.make_algorithm(),
        tasks or toy_problem.make_tasks(),
        steps=40,
        tasks_per_step=4,
        key=KEY,
        workdir=workdir,
        log_every=8,
        checkpoint_every=10,
        progress=False,
        **options,
    )


def set_clock(monkeypatch, hours):
    """The loop's clock, and the wall clock of everything else, Orbax and the bar included."""
    ticks, real = itertools.count(), time.time
    monkeypatch.setattr(time, "perf_counter", lambda: 3600 * hours(next(ticks)))
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours(next(ticks)))


@pytest.mark.parametrize(
    "hours",
    [lambda _: 0.0, lambda tick: tick * 37 % 11 / 600, lambda tick: -float(tick)],
    ids=["stands", "jumps", "backwards"],
)
def test_a_wrong_clock_changes_no_bit(hours, tmp_path, monkeypatch):
    wanted = digest(small_fit().state)
    set_clock(monkeypatch, hours)
    assert digest(small_fit(tmp_path / "run").state) == wanted
    assert checkpoints(tmp_path / "run") == [20, 30, 40]


def test_a_clock_set_forward_by_a_day_at_most_fails_a_save_which_is_said(tmp_path, monkeypatch):
    """Orbax takes its time limits, five minutes at least, from the wall clock."""
    wanted = digest(small_fit().state)
    with monkeypatch.context() as context:
        set_clock(context, lambda tick: 24.0 * tick)
        with contextlib.suppress(CheckpointError):
            small_fit(tmp_path / "run")
    assert digest(small_fit(tmp_path / "run").state) == wanted


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Assemble:
    """A linear map of the rows that the host read."""

    def __call__(self, key, rows):
        targets = rows @ jax.random.normal(key, (toy_problem.FEATURES, 1))
        query = Examples(rows[6:], targets[6:])
        return Task(Examples(rows[:6], targets[:6]), (query, jax.numpy.array(False)))


def from_shards(shards):
    """Batches that Grain reads, in their order, from array_record files."""
    source = grain.sources.ArrayRecordDataSource([str(shard) for shard in shards])
    rows = grain.MapDataset.source(source).map(lambda row: np.frombuffer(row, np.float32))
    return HostFed(rows.repeat().batch(12).batch(4).to_iter_dataset(), Assemble())


@pytest.fixture
def shards(tmp_path):
    """Two files of 960 rows: a run of 40 steps comes to the second at step 21."""
    rows = np.random.default_rng(0).normal(size=(2, 960, toy_problem.FEATURES))
    paths = [tmp_path / f"rows-{number}.array_record" for number in range(2)]
    for path, part in zip(paths, rows.astype(np.float32), strict=True):
        writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
        for row in part:
            writer.write(row.tobytes())
        writer.close()
    return paths


@pytest.mark.slow
def test_a_corrupt_shard_is_named_and_once_mended_the_run_goes_on(shards, tmp_path):
    wanted = digest(small_fit(tasks=from_shards(shards)).state)
    whole = shards[1].read_bytes()
    at = len(whole) // 4  # the second half is padding
    torn = bytes(byte ^ 255 for byte in whole[at : at + 4096])
    shards[1].write_bytes(whole[:at] + torn + whole[at + len(torn) :])
    with pytest.raises(HostDataError, match=r"batch of step \d+ could not be read") as caught:
        small_fit(tmp_path / "run", from_shards(shards))
    last = max(checkpoints(tmp_path / "run"))
    assert last >= 20 and f"checkpoint of step {last} is kept" in str(caught.value)
    shards[1].write_bytes(whole)
    assert digest(small_fit(tmp_path / "run", from_shards(shards)).state) == wanted


def test_a_nan_in_the_data_stops_the_run_at_its_step(tmp_path):
    rows = np.random.default_rng(0).normal(size=(1920, toy_problem.FEATURES)).astype(np.float32)
    rows[24 * 48 + 5] = np.nan
    data = grain.MapDataset.source(rows).repeat().batch(12).batch(4).to_iter_dataset()
    with pytest.raises(NonFiniteError, match=r"step 25 is not finite.*step 20 is kept"):
        small_fit(tmp_path / "run", HostFed(data, Assemble()))
    assert small_fit(tasks=HostFed(data, Assemble()), on_nonfinite="skip").skipped == 1


@pytest.mark.slow
def test_a_file_that_may_grow_no_further_ends_the_run_by_name(tmp_path):
    """A quota, as a limit on the size of any one file: it is the log that reaches it."""
    workdir = tmp_path / "run"
    command = [sys.executable, SCRIPT, workdir, "--log-every", "1"]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 8; exec "$@"', "bash", *map(str, command)],
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert limited.returncode == 1, limited.stderr
    assert "metrics.jsonl cannot be written" in limited.stderr, limited.stderr
    assert find_fault(workdir / "checkpoints" / str(checkpoints(workdir)[-1])) is None
    assert completed(workdir, "--log-every", 1) == completed(tmp_path / "free", "--log-every", 1)
