"""One run in two real processes with four devices each, connected by jax.distributed."""

import json
import signal
import time

import pytest

from runs import finish, run, start_two

pytestmark = pytest.mark.slow

OPTIONS = ["--tasks-per-step", 8, "--parallel", "jit", "--checkpoint-every", 20]


def start_both(workdir, options=()):
    return start_two(workdir, *OPTIONS, *options)


def alone(workdir, *options):
    """Run to the end in one process with all eight devices."""
    code, _, err = run(workdir, *OPTIONS, "--devices", 8, *options)
    assert code == 0, err


def completed(workdir, *options):
    """Run both to the end; the digest of the final state, the same in both."""
    found = [finish(process) for process in start_both(workdir, options)]
    assert [code for code, _, _ in found] == [0, 0], found
    first, second = (json.loads(out.splitlines()[-1])["digest"] for _, out, _ in found)
    assert first == second
    return first


def rows(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def sealed(workdir):
    return sorted(int(p.parent.name) for p in workdir.glob("checkpoints/*/metajax.sha256"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    return completed(folder), folder


@pytest.mark.parametrize("fed", [[], ["--host-fed"]], ids=["sampled", "host-fed"])
def test_two_processes_train_as_one(fed, uninterrupted, tmp_path):
    """The log, held-out measurements in it, agrees with eight devices of one process."""
    together = uninterrupted[1]
    if fed:
        together = tmp_path / "together"
        completed(together, *fed)
    alone(tmp_path / "alone", *fed)
    found, wanted = rows(together), rows(tmp_path / "alone")
    assert [row.keys() for row in found] == [row.keys() for row in wanted]
    for row, expected in zip(found, wanted, strict=True):
        # training carries on what sums of another order rounded
        assert row == pytest.approx(expected, rel=1e-5 if row["step"] <= 24 else 1e-4)
    assert sealed(together) == sealed(tmp_path / "alone") == [120, 140, 150]


def test_one_process_goes_on_from_the_checkpoint_of_two(uninterrupted, tmp_path):
    folder = tmp_path / "run"
    for process in start_both(folder, ["--signal-at", "2"]):  # the first alone evaluates
        code, _, err = finish(process)
        assert code == 75, err
    assert sealed(folder)[-1] == 70
    alone(folder)
    assert rows(folder)[-1] == pytest.approx(rows(uninterrupted[1])[-1], rel=1e-4)


def stopped_in_the_middle(folder, stop):
    """Both wait in their first evaluation while ``stop`` does to them what it does.

    Returns what each ended with, and the seconds that this took.
    """
    waiting, go = folder.parent / "waiting", folder.parent / "go"
    both = start_both(folder, ["--wait-at", "1"])
    until(waiting.exists, both)
    stop(both)
    waiting.unlink()
    go.touch()
    began = time.monotonic()
    found = [finish(process) for process in both]
    go.unlink()
    return found, time.monotonic() - began


def test_a_signal_to_either_or_the_end_of_either_stops_both_and_both_go_on(uninterrupted, tmp_path):
    """One run that is stopped four times ends in the bits of the one that never was."""
    folder = tmp_path / "run"
    for signalled in (0, 1):
        found, _ = stopped_in_the_middle(
            folder, lambda both, one=signalled: both[one].send_signal(signal.SIGTERM)
        )
        for code, _, err in found:
            assert code == 75 and "SIGTERM" in err, err
        assert sealed(folder)[-1] % 20  # saved for the signal, not on schedule
    for killed in (0, 1):
        found, seconds = stopped_in_the_middle(folder, lambda both, one=killed: both[one].kill())
        code, out, err = found[1 - killed]
        assert code not in (0, -signal.SIGKILL), (out, err)
        if killed == 1:  # the first holds the connection service: without it, jax ends the others
            assert code == 75 and "has lost another" in err, err
        assert seconds < 120
        assert sealed(folder)[-1] >= 80
    assert completed(folder) == uninterrupted[0]


def test_another_config_is_refused_in_both(uninterrupted):
    for process in start_both(uninterrupted[1], ["--setting", "3"]):
        code, _, err = finish(process)
        assert code == 1 and "setting is 0 there and 3 here" in err, err


@pytest.mark.parametrize("parallel", ["none", "pmap"])
def test_what_several_processes_cannot_run_is_refused(parallel, tmp_path):
    for process in start_both(tmp_path / "run", ["--parallel", parallel]):
        code, _, err = finish(process)
        assert code == 1 and "expected jit, for 2 processes" in err, err
    assert not (tmp_path / "run").exists()


def until(condition, processes):
    """Wait, unless a process ends."""
    end = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < end and all(p.poll() is None for p in processes)
        time.sleep(0.05)
