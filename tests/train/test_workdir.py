"""A run's folder, and its log."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.train import (
    MetricsLog,
    WorkdirError,
    check_workdir,
    open_workdir,
    plain,
    write_json,
)

CONFIG = {"lr": 0.1, "sizes": (1, 2), "nested": {"name": "a", "off": None}}


def test_a_folder_is_made_and_holds_the_config(tmp_path):
    with open_workdir(tmp_path / "a/b", CONFIG) as path:
        assert json.loads((path / "config.json").read_text()) == {**CONFIG, "sizes": [1, 2]}
    with open_workdir(tmp_path / "a/b", CONFIG):
        pass  # the same config again, tuples and all


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.2}, "lr is 0.1 there and 0.2 here"),
        ({"nested": {"name": "b", "off": None}}, "nested.name is 'a' there and 'b' here"),
        ({"new": 1}, "new stands only here"),
    ],
)
def test_another_config_is_refused_by_field(change, message, tmp_path):
    with open_workdir(tmp_path / "run", CONFIG):
        pass
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    with (
        pytest.raises(WorkdirError, match=message),
        open_workdir(tmp_path / "run", {**CONFIG, **change}),
    ):
        pass
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_a_field_that_is_gone_is_named(tmp_path):
    with open_workdir(tmp_path, CONFIG):
        pass
    fewer = {name: value for name, value in CONFIG.items() if name != "lr"}
    with pytest.raises(WorkdirError, match="lr stands only there"), open_workdir(tmp_path, fewer):
        pass


def test_a_folder_is_refused_beforehand_by_what_is_known_then(tmp_path):
    check_workdir(tmp_path / "run", {"lr": 0.1})
    assert not any(tmp_path.iterdir())
    with (
        open_workdir(tmp_path / "run", CONFIG),
        pytest.raises(WorkdirError, match="in use by a live run"),
    ):
        check_workdir(tmp_path / "run", {"lr": 0.1})
    check_workdir(tmp_path / "run", {"lr": 0.1, "sizes": (1, 2)})
    with pytest.raises(WorkdirError, match=r"lr is 0\.1 there and 0\.2 here"):
        check_workdir(tmp_path / "run", {"lr": 0.2})
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    with pytest.raises(WorkdirError, match="not a run's folder"):
        check_workdir(tmp_path / "thesis", {"lr": 0.1})
    with pytest.raises(WorkdirError, match="cannot be written"):
        check_workdir(tmp_path / "thesis" / "thesis.tex" / "run", {"lr": 0.1})


def test_a_folder_is_held_until_the_end_whatever_the_end(tmp_path):
    with (
        open_workdir(tmp_path, CONFIG),
        pytest.raises(WorkdirError, match="in use by a live run"),
        open_workdir(tmp_path, CONFIG),
    ):
        pass
    with pytest.raises(RuntimeError), open_workdir(tmp_path, CONFIG):
        raise RuntimeError
    with open_workdir(tmp_path, CONFIG):
        pass


def test_what_is_no_runs_folder_is_refused_untouched(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(WorkdirError, match="not a run's folder"), open_workdir(tmp_path, CONFIG):
        pass
    assert os.listdir(tmp_path) == ["thesis.tex"]
    with (
        pytest.raises(WorkdirError, match="is a file"),
        open_workdir(tmp_path / "thesis.tex", CONFIG),
    ):
        pass
    with (
        pytest.raises(WorkdirError, match="cannot be written"),
        open_workdir(tmp_path / "thesis.tex" / "run", CONFIG),
    ):
        pass
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WorkdirError, match="not readable"), open_workdir(tmp_path, CONFIG):
        pass


def test_a_run_killed_while_it_wrote_its_config_can_be_given_again(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.json.4242.tmp").write_text('{"lr": 0')
    with open_workdir(tmp_path, CONFIG) as path:
        assert json.loads((path / "config.json").read_text())["lr"] == 0.1


def test_a_run_of_another_config_that_came_and_went_meanwhile_is_seen(tmp_path, monkeypatch):
    """The config is looked at again once the lock is held."""
    import fcntl

    real = fcntl.flock

    def flock(*args):
        real(*args)
        write_json(tmp_path / "config.json", {"lr": 0.7})

    monkeypatch.setattr("metajax.train.workdir.fcntl.flock", flock)
    with pytest.raises(WorkdirError, match="another config"), open_workdir(tmp_path, CONFIG):
        pass


def test_numpy_and_nan_in_a_config_compare_as_json_and_other_things_are_refused(tmp_path):
    config = {"a": np.float32(0.5), "b": np.arange(3), "c": float("nan"), "d": jnp.int32(4)}
    for _ in range(2):
        with open_workdir(tmp_path, config) as path:
            saved = json.loads((path / "config.json").read_text())
    assert saved == {"a": 0.5, "b": [0, 1, 2], "c": None, "d": 4}
    with (
        pytest.raises(ConfigError, match="JSON values"),
        open_workdir(tmp_path / "new", {"f": print}),
    ):
        pass
    assert not (tmp_path / "new").exists()


def test_write_json_replaces_whole_files_only(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": print})
    assert json.loads(path.read_text()) == {"a": 1}
    write_json(path, [1])
    assert json.loads(path.read_text()) == [1]


def test_files_of_results_are_valid_json_whatever_the_numbers(tmp_path):
    """``NaN`` and ``Infinity``, which Python writes by default, are no JSON."""
    value = {"a": float("nan"), "b": [float("-inf"), 1.5], "c": jnp.array([np.inf, 2.0])}
    write_json(tmp_path / "x.json", value)
    with open_workdir(tmp_path / "run", {}) as path:
        log = MetricsLog(path)
        log.write(1, value)
        log.close()
    texts = [(tmp_path / "x.json").read_text(), (tmp_path / "run/metrics.jsonl").read_text()]
    for text in texts:
        read = json.loads(text, parse_constant=pytest.fail)
        assert read["a"] is None and read["b"] == [None, 1.5] and read["c"] == [None, 2.0]


def test_plain_makes_json_of_arrays_and_null_of_what_is_not_finite():
    value = {"a": jnp.array([1.0, np.nan, np.inf]), "b": (np.int64(3), True, "x", None)}
    assert plain(value) == {"a": [1.0, None, None], "b": [3, True, "x", None]}
    assert plain(jnp.bfloat16(0.5)) == 0.5
    json.dumps(plain(value), allow_nan=False)


def test_a_log_drops_the_rows_past_the_checkpoint_and_a_row_cut_short(tmp_path):
    log = MetricsLog(tmp_path)
    for step in (5, 10, 15):
        log.write(step, {"loss": jnp.float32(step / 3), "curve": np.ones(2)})
    log.close()
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 20, "los')
    log = MetricsLog(tmp_path, step=10)
    assert [row["step"] for row in log.rows] == [5, 10]
    log.write(15, {"loss": 1.0})
    log.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == log.rows and [row["step"] for row in rows] == [5, 10, 15]
    assert rows[0] == {"step": 5, "loss": float(np.float32(5 / 3)), "curve": [1.0, 1.0]}


def test_a_log_without_a_folder_keeps_its_rows_in_memory():
    log = MetricsLog(None)
    log.write(1, {"loss": float("nan")})
    log.sync()
    log.close()
    assert log.rows == [{"step": 1, "loss": None}]
