"""Sealed checkpoints: every damage is noticed, and the one before is used."""

import json
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toy_problem
from metajax.core import Evaluator, digest
from metajax.train import Checkpointer, CheckpointError, fit, restore_params
from metajax.train.checkpoint import SEAL, find_fault, newest_good

KEY = jax.random.key(4)
STATE = {
    "w": jnp.arange(12, dtype=jnp.float32).reshape(3, 4),
    "n": jnp.int32(3),
    "h": jnp.ones(5, jnp.bfloat16),
    "key": jax.random.key(9),
    "empty": {},
}


def run(workdir=None, **changes):
    settings = {
        "steps": 24,
        "tasks_per_step": 16,
        "key": KEY,
        "progress": False,
        "log_every": 5,
        "checkpoint_every": 8,
        **changes,
    }
    return fit(toy_problem.make_algorithm(), toy_problem.make_tasks(), workdir=workdir, **settings)


class Stop(Exception):
    pass


def run_and_stop(workdir, at, **changes):
    """A run that is cut off just after ``at`` steps."""

    def stop(params, key):
        raise Stop

    with pytest.raises(Stop):
        run(workdir, evaluators=[Evaluator("stop", at, stop)], **changes)


@pytest.fixture(scope="module")
def two_saved(tmp_path_factory):
    """A folder with checkpoints of steps 1 and 2."""
    directory = tmp_path_factory.mktemp("two") / "checkpoints"
    checkpointer = Checkpointer(directory)
    checkpointer.save(1, STATE, {"step": 1})
    checkpointer.save(2, {**STATE, "w": STATE["w"] + 1}, {"step": 2})
    checkpointer.close()
    return directory


@pytest.fixture(scope="module")
def folder_of_whole(tmp_path_factory):
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture(scope="module")
def whole(folder_of_whole):
    """What a run that is not stopped returns."""
    return run(folder_of_whole)


@pytest.fixture(scope="module")
def finished(folder_of_whole, whole):
    return folder_of_whole, digest(whole.state)


def files_of(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_state_and_meta_survive_the_round_trip_bit_for_bit(two_saved):
    checkpointer = Checkpointer(two_saved)
    state, meta = checkpointer.restore(STATE)
    assert digest(state) == digest({**STATE, "w": STATE["w"] + 1})
    assert meta == {"step": 2} and checkpointer.good_step == 2
    assert jax.tree.structure(state) == jax.tree.structure(STATE)
    checkpointer.close()


def test_the_seal_covers_every_file(two_saved):
    folder = two_saved / "2"
    assert find_fault(folder) is None
    sealed = json.loads((folder / SEAL).read_text())
    assert sorted(sealed) == [str(path) for path in files_of(folder) if path.name != SEAL]
    assert len(sealed) > 5


def check_fallback(directory, reason, caplog):
    """The newest of two checkpoints is faulty: told, put aside, and the other one used."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="metajax"):
        checkpointer = Checkpointer(directory)
    assert checkpointer.good_step == 1
    state, meta = checkpointer.restore(STATE)
    assert digest(state) == digest(STATE) and meta == {"step": 1}
    [message] = [r.getMessage() for r in caplog.records if r.name == "metajax"]
    assert "checkpoint 2 " in message and reason in message and "using step 1" in message
    assert not (directory / "2").exists() and (directory.parent / "damaged/2-0").is_dir()
    checkpointer.save(2, state, meta)  # its place is free again
    checkpointer.close()
    assert newest_good(directory)[0] == 2


def test_a_flipped_byte_in_any_file_is_noticed(two_saved, tmp_path, caplog):
    """At the beginning, in the middle and at the end of each file."""
    names = files_of(two_saved / "2")
    for number, name in enumerate(names):
        size = (two_saved / "2" / name).stat().st_size
        for position in {0, size // 2, size - 1} if size else ():
            path = tmp_path / "checkpoints" / "2" / name
            shutil.rmtree(tmp_path, ignore_errors=True)
            shutil.copytree(two_saved, tmp_path / "checkpoints")
            raw = bytearray(path.read_bytes())
            raw[position] ^= 0x04
            path.write_bytes(raw)
            fault = find_fault(tmp_path / "checkpoints" / "2")
            assert fault is not None and "is damaged" in fault, (name, position)
        if number % 4 == 0:  # the whole way, for some of the files
            check_fallback(tmp_path / "checkpoints", "is damaged", caplog)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "has changed since"),
        (lambda path: path.write_bytes(b""), "has changed since"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.with_name("intruder").touch(), "does not belong to it"),
        (lambda path: (path.parents[1] / SEAL).unlink(), "was not finished"),
        (lambda path: (path.parents[1] / SEAL).write_text("{"), "not readable"),
        (lambda path: (path.parents[1] / SEAL).write_text("[]"), "is damaged"),
        (lambda path: shutil.rmtree(path.parent), "is missing"),
    ],
    ids=["cut", "emptied", "deleted", "added", "unsealed", "cut seal", "other seal", "no arrays"],
)
def test_other_damage_is_noticed(damage, reason, two_saved, tmp_path, caplog):
    shutil.copytree(two_saved, tmp_path / "checkpoints")
    manifest = next((tmp_path / "checkpoints/2/state").glob("manifest*"))
    damage(manifest)
    check_fallback(tmp_path / "checkpoints", reason, caplog)


def test_a_run_whose_newest_checkpoints_are_damaged_ends_in_the_same_bits(
    finished, tmp_path, caplog
):
    workdir, expected = finished
    rows = (workdir / "metrics.jsonl").read_text()
    copy = tmp_path / "run"
    shutil.copytree(workdir, copy)
    (copy / "checkpoints/24" / SEAL).unlink()
    files = [p for p in (copy / "checkpoints/16/state").rglob("*") if p.is_file()]
    array = max(files, key=lambda p: p.stat().st_size)
    array.write_bytes(array.read_bytes()[:-3])
    with caplog.at_level(logging.INFO, logger="metajax"):
        result = run(copy)
    assert digest(result.state) == expected
    assert (copy / "metrics.jsonl").read_text() == rows
    told = caplog.text
    assert "checkpoint 24 was not finished" in told and "checkpoint 16 is damaged" in told
    assert "resuming from the checkpoint at step 8" in told
    assert sorted(p.name for p in (copy / "damaged").iterdir()) == ["16-0", "24-0"]
    for step in (8, 16, 24):
        (copy / "checkpoints" / str(step) / SEAL).unlink()
    with caplog.at_level(logging.WARNING, logger="metajax"):
        result = run(copy)
    assert digest(result.state) == expected and "starting from step 0" in caplog.text


def test_a_finished_run_is_not_run_again(finished):
    workdir, expected = finished
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    result = run(workdir)
    assert digest(result.state) == expected
    assert (result.step, result.compile_seconds) == (24, 0)
    assert [row["step"] for row in result.history] == [5, 10, 15, 20, 24]
    assert {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("first", "second"),
    [("jit", "none"), ("jit", "pmap"), ("pmap", "none"), ("none", "jit"), ("pmap", "jit")],
)
def test_a_run_goes_on_in_another_layout(first, second, whole, tmp_path):
    """Saved by eight devices and restored by one, and the other way round."""
    run_and_stop(tmp_path, 18, parallel=first)
    result = run(tmp_path, parallel=second)
    for a, b in zip(jax.tree.leaves(result.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(result.history, whole.history, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_rows_of_a_resumed_run_are_those_of_an_uninterrupted_one(finished, tmp_path):
    """The checkpoint of step 16 lies within a row's window of 15 to 20."""
    expected = (finished[0] / "metrics.jsonl").read_text()
    run_and_stop(tmp_path, 22)
    log = tmp_path / "metrics.jsonl"
    rows = log.read_text()
    assert [json.loads(row)["step"] for row in rows.splitlines()] == [5, 10, 15, 20]
    log.write_text(rows + '{"step": 22, "lo')  # a row cut short by the kill
    assert digest(run(tmp_path).state) == finished[1]
    assert (tmp_path / "metrics.jsonl").read_text() == expected


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"keep_last": 1}, [24]),
        ({}, [16, 20, 24]),
        ({"keep_last": 1, "keep_every": 8}, [8, 16, 24]),
    ],
)
def test_old_checkpoints_go_but_for_those_to_keep(settings, kept, tmp_path):
    run(tmp_path, checkpoint_every=4, **settings)
    assert sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir()) == kept


def test_an_old_checkpoint_stays_until_the_new_one_is_sealed(tmp_path, monkeypatch):
    checkpointer = Checkpointer(tmp_path / "checkpoints", keep_last=1)
    checkpointer.save(1, STATE, {})
    checkpointer.wait()

    def fail(folder):
        raise OSError("disk full")

    monkeypatch.setattr("metajax.train.checkpoint.write_seal", fail)
    checkpointer.save(2, STATE, {})
    with pytest.raises(CheckpointError, match="disk full"):
        checkpointer.wait()
    checkpointer.close()
    assert newest_good(tmp_path / "checkpoints")[0] == 1


def test_a_saved_state_may_be_donated_at_once(tmp_path):
    """The write goes on behind, from a copy."""
    step = jax.jit(lambda state: {"x": state["x"] + 1}, donate_argnums=0)
    state = {"x": jax.random.normal(KEY, (2_000_000,))}
    before = digest(state)
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    checkpointer.save(1, state, {})
    for _ in range(20):
        state = step(state)
    jax.block_until_ready(state)
    checkpointer.wait()
    assert digest(checkpointer.restore(state)[0]) == before
    checkpointer.close()


def test_saved_meta_may_be_changed_at_once(tmp_path):
    """The loop goes on collecting rows in the very list that it has given to be saved."""
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    for step in range(1, 6):
        meta = {"window": [{"loss": 1.0}]}
        checkpointer.save(step, STATE, meta)
        meta["window"].append({"loss": 2.0})
        checkpointer.wait()
        assert checkpointer.restore(STATE)[1] == {"window": [{"loss": 1.0}]}
    checkpointer.close()


def test_restore_params_takes_the_newest_good_checkpoint_and_changes_nothing(
    finished, tmp_path, caplog
):
    copy = tmp_path / "run"
    shutil.copytree(finished[0], copy)
    (copy / "checkpoints/24" / SEAL).unlink()
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    algorithm, tasks = toy_problem.make_algorithm(), toy_problem.make_tasks()
    params, step = restore_params(copy, algorithm, tasks, jax.random.key(77))
    assert step == 16 and "checkpoint 24 was not finished" in caplog.text
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    expected = run(steps=16).params
    for name, value in expected.items():
        np.testing.assert_allclose(params[name], value, rtol=1e-6, atol=1e-6)


def test_what_cannot_be_restored_is_said(finished, tmp_path):
    tasks = toy_problem.make_tasks()
    with pytest.raises(CheckpointError, match="no finished checkpoint"):
        restore_params(tmp_path / "nothing", toy_problem.make_algorithm(), tasks, KEY)
    assert not (tmp_path / "nothing").exists()
    algorithm = toy_problem.make_algorithm()
    other = algorithm._replace(
        init=lambda key, task: (algorithm.init(key, task), jnp.zeros(3)),
    )
    with pytest.raises(CheckpointError, match="does not fit this algorithm"):
        restore_params(finished[0], other, tasks, KEY)
