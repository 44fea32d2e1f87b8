"""Exact resume, with real processes that are really killed."""

import hashlib
import json
import os
import random
import time

import pytest

from metajax.train import Interrupted
from runs import checkpoints, completed, finish, run, start


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return completed(tmp_path_factory.mktemp("uninterrupted") / "run")


@pytest.fixture(scope="module")
def uninterrupted_host_fed(tmp_path_factory):
    return completed(tmp_path_factory.mktemp("uninterrupted") / "run", "--host-fed")


def test_the_log_of_an_uninterrupted_run_has_each_row_once(uninterrupted):
    rows = [json.loads(line) for line in uninterrupted[1].splitlines()]
    training = [row["step"] for row in rows if "loss" in row]
    held_out = [row["step"] for row in rows if "held_out/norm" in row]
    assert training == [*range(12, 150, 12), 150]
    assert held_out == [35, 70, 105, 140, 150]


def kill_somewhere(workdir, rng, *options):
    """SIGKILL a run: at a random step it has logged, and a random moment after that."""
    process = start(workdir, *options)
    log = workdir / "metrics.jsonl"
    lines, wait = rng.randint(1, 12), rng.uniform(0, 0.1)
    deadline = time.monotonic() + 200
    while process.poll() is None and time.monotonic() < deadline:
        if log.exists() and log.read_text().count("\n") >= lines:
            break
        time.sleep(0.002)
    time.sleep(wait)
    process.kill()
    return finish(process)[0]


def test_killed_at_random_moments_it_ends_in_the_same_bits_and_rows(uninterrupted, tmp_path):
    rng = random.Random(0)
    codes = [kill_somewhere(tmp_path / "run", rng) for _ in range(2)]
    assert -9 in codes
    assert completed(tmp_path / "run") == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_killed_at_more_random_moments(seed, uninterrupted, tmp_path):
    rng = random.Random(seed)
    for _ in range(4):
        kill_somewhere(tmp_path / "run", rng, "--keep-last", rng.randint(1, 3))
    assert completed(tmp_path / "run") == uninterrupted


@pytest.mark.slow
def test_killed_during_a_save_before_its_seal_and_while_old_ones_go(uninterrupted, tmp_path):
    """With one checkpoint kept, at no moment is there none: the run never starts afresh."""
    workdir, keep = tmp_path / "run", ("--keep-last", 1)
    code, _, err = run(workdir, *keep, "--kill-in", "write", "--after-saves", 2)
    assert code == -9 and "going on" not in err
    assert checkpoints(workdir)[-1] == 20
    code, _, err = run(workdir, *keep, "--kill-in", "seal", "--after-saves", 1)
    assert code == -9 and "resuming from the checkpoint at step 20" in err
    assert 40 in checkpoints(workdir)
    code, _, err = run(workdir, *keep, "--kill-in", "delete", "--after-saves", 1)
    assert code == -9 and "checkpoint 40 was not finished" in err
    assert "using step 30" in err and "resuming from the checkpoint at step 30" in err
    assert completed(workdir, *keep) == uninterrupted
    assert checkpoints(workdir) == [150]


def test_signals_stop_it_with_their_exit_codes_the_state_saved(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    code, _, err = run(workdir, "--signal-at", 1, "--signal", "SIGTERM")
    assert code == 75 and "Interrupted: stopped by SIGTERM after step 35" in err
    assert checkpoints(workdir)[-1] == 35
    # at step 70, which is being saved anyway
    code, _, err = run(workdir, "--signal-at", 1, "--signal", "SIGINT")
    assert code == 130 and "stopped by SIGINT after step 70" in err
    assert completed(workdir) == uninterrupted


def test_exit_codes_are_those_of_the_conventions():
    assert Interrupted(15, "step 3").exit_code == os.EX_TEMPFAIL == 75
    assert Interrupted(2, "step 3").exit_code == 128 + 2


def test_a_second_process_and_another_config_are_refused_and_change_nothing(
    uninterrupted, tmp_path
):
    workdir = tmp_path / "run"
    first = start(workdir, "--wait-at", 1)
    deadline = time.monotonic() + 200
    while not (tmp_path / "waiting").exists():
        assert first.poll() is None and time.monotonic() < deadline, finish(first)
        time.sleep(0.01)
    time.sleep(0.5)  # the save under way is over
    before = contents(workdir)
    code, _, err = run(workdir)
    assert code == 1 and "WorkdirError" in err and "in use by a live run" in err
    code, _, err = run(workdir, "--setting", 1)
    assert code == 1 and "setting is 0 there and 1 here" in err
    assert contents(workdir) == before
    (tmp_path / "go").touch()
    code, out, err = finish(first)
    assert code == 0, err
    assert (json.loads(out)["digest"], (workdir / "metrics.jsonl").read_text()) == uninterrupted


@pytest.mark.slow
def test_a_host_fed_run_reads_on_where_it_stopped(uninterrupted, uninterrupted_host_fed, tmp_path):
    workdir = tmp_path / "run"
    assert uninterrupted_host_fed[0] != uninterrupted[0]
    code, _, _ = run(workdir, "--host-fed", "--signal-at", 1)
    assert code == 75
    kill_somewhere(workdir, random.Random(5), "--host-fed")
    assert completed(workdir, "--host-fed") == uninterrupted_host_fed
