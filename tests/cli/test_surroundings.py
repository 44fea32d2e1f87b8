"""Locales, terminals, home folders, platforms and folders as they happen to be."""

import ast
import io
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import metajax
from metajax.cli import main as program
from metajax.cli.cache import DEFAULT_CACHE, use_compilation_cache
from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.data import list_sets
from metajax.train import WorkdirError, check_workdir, open_workdir, provenance

PACKAGE = Path(metajax.__file__).parent


def text_files_without_encoding(source):
    """Lines that open a file as text in the encoding that the locale happens to have."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if name not in ("open", "read_text", "write_text", "fdopen") or "encoding" in keywords:
            continue
        if name in ("open", "fdopen"):
            place = 0 if isinstance(node.func, ast.Attribute) and name == "open" else 1
            mode = keywords.get("mode") or (node.args[place:] or [None])[0]
            if isinstance(mode, ast.Constant) and "b" in mode.value:
                continue
            owner = getattr(getattr(node.func, "value", None), "id", None)
            if owner in ("Image", "os", "webbrowser"):  # not text
                continue
        yield node.lineno


def test_the_check_below_sees_what_it_should():
    bad = "open('a')\np.open('w')\np.read_text()\np.write_text(x)\nopen(f, mode='a')"
    good = "open('a', 'rb')\np.open('wb')\np.read_text(encoding='utf-8')\nImage.open(f)"
    assert list(text_files_without_encoding(bad)) == [1, 2, 3, 4, 5]
    assert not list(text_files_without_encoding(good))


def test_every_text_file_is_opened_in_a_named_encoding():
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in PACKAGE.rglob("*.py")
        for line in text_files_without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert not found


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_signs_that_the_terminal_lacks_do_not_end_a_command(encoding, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(program, "_list", lambda argv: print("4 ±2 ≤ \udcff") or 0)
    assert main(["list"]) == 0
    shown = out.buffer.getvalue().decode(encoding)
    assert shown.startswith("4 ") and "\\u2264" in shown


def test_a_report_in_an_ascii_locale_is_whole(tmp_path):
    words = ascii(("±", "ü", "≤", [], {"Run": {"ß": "é"}}))
    script = (
        "from pathlib import Path; from metajax.systems import write_page\n"
        f"write_page(Path('.'), *{words})"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, check=True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>±</h1>" in page and page.endswith("</html>\n")


def run_with_output(path_or_fd, argv):
    """Run a command whose standard output is a real file."""
    with open(path_or_fd, "w", encoding="utf-8") as file:
        old, sys.stdout = sys.stdout, file
        try:
            return main(argv)
        finally:
            sys.stdout = old


def test_a_reader_that_went_away_is_no_error(capsys):
    read, write = os.pipe()
    os.close(read)
    assert run_with_output(write, ["list"]) == 0
    assert capsys.readouterr().err == ""


def test_output_that_is_lost_is_said(capsys):
    assert run_with_output("/dev/full", ["list"]) == 1
    assert "what was printed is lost" in capsys.readouterr().err


def test_closed_streams_do_not_end_a_command(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["list"]) == 0
    assert main(["sing"]) == 2


@pytest.fixture
def homeless(monkeypatch):
    """A user without HOME and without an entry among the users."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_without_a_home_programs_are_not_kept(homeless, caplog, monkeypatch):
    set_to = []
    monkeypatch.setattr(jax.config, "update", lambda name, value: set_to.append(name))
    with caplog.at_level("INFO", logger="metajax"):
        use_compilation_cache(DEFAULT_CACHE)
    assert not set_to and "compiled programs are not kept" in caplog.text
    with pytest.raises(ConfigError, match="compilation_cache"):
        use_compilation_cache("~/mine")


def test_without_a_home_folders_are_asked_for(homeless, tmp_path):
    with pytest.raises(ConfigError, match="data_dir"):
        list_sets()
    assert list_sets(tmp_path)
    assert main(["eval", "~/run"]) == 2


@pytest.mark.parametrize("platform", ["nowhere", pytest.param("cuda", marks=pytest.mark.slow)])
def test_a_platform_that_is_not_here_is_one_message(platform, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "metajax.cli.main", "train", "hypino", "--workdir", str(tmp_path)],
        env={**os.environ, "JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"metajax: error: JAX_PLATFORMS = '{platform}': expected")
    assert not any(tmp_path.iterdir())


def config(folder, saved):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(saved), encoding="utf-8")
    return folder


@pytest.fixture
def folders(tmp_path):
    """Folders that are no run, by what each is."""
    sweep = config(tmp_path / "sweep", {"sweep": {"system": "fewshot", "config": {}}})
    config(sweep / "runs" / "0000", {"system": "fewshot", "config": {}})
    (tmp_path / "solution").mkdir()
    (tmp_path / "solution" / "solution.npz").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    (tmp_path / "file").touch()
    with open_workdir(tmp_path / "python", {"steps": 3}):
        pass
    config(tmp_path / "list", [1])
    config(tmp_path / "cut", {})
    (tmp_path / "cut" / "config.json").write_text("{", encoding="utf-8")
    config(tmp_path / "null", {"system": "fewshot", "config": None})
    config(tmp_path / "other", {"system": None, "config": {}})
    return tmp_path


@pytest.mark.parametrize("command", ["eval", "report"])
@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("sweep", "is a sweep: name one of its runs, as"),
        ("sweep/runs", "holds some: name one of 0000"),
        (".", "holds some: name one of"),
        ("python/checkpoints", "is not there"),
        ("solution", "was written by metajax solve"),
        ("empty", "is empty"),
        ("thesis", "metajax train has not written it"),
        ("file", "is a file"),
        ("nowhere", "is not there"),
        ("python", "was written by fit in Python"),
        ("list", "it holds no mapping"),
        ("cut", "cannot be read"),
        ("null", "does not describe a run"),
        ("other", "does not describe a run"),
    ],
)
def test_a_folder_of_another_kind_is_named(command, folder, words, folders, capsys):
    if (command, folder) == ("report", "sweep"):
        words = "does not describe a sweep: 'grid'"  # a whole one has a report
    assert main([command, str(folders / folder)]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "field"),
    [
        (["solve", "PS-C", "--out", "{}/file"], "--out"),
        (["solve", "PS-C", "--out", "{}/file/below"], "--out"),
        (["solve", "PS-C", "--out", "/proc/nowhere"], "--out"),
        (["solve", "PS-C", "--out", "gs://bucket/out"], "--out"),
        (["solve", "gs://bucket/problem.yaml", "--out", "{}/out"], "file"),
        (["solve", "PS-C", "--head", "--model", "ftp://h/run", "--out", "{}/out"], "--model"),
        (["profile", "fewshot", "--json", "{}/file/a.json"], "--json"),
        (["profile", "fewshot", "--json", "{}"], "--json"),
        (["profile", "fewshot", "--trace", "{}/file"], "--trace"),
        (["data", "list", "--data-dir", "gs://bucket/data"], "--data-dir"),
        (["data", "list", "--data-dir", "{}/file"], "data_dir"),
        (["data", "prepare", "mine", "--from", "gs://bucket/images"], "--from"),
        (["train", "fewshot", "--data-dir", "s3://bucket/data"], "data_dir"),
        (["train", "fewshot", "--workdir", "ftp://host/run"], "workdir"),
        (["sweep", "fewshot", "--workdir", "ftp://host/run"], "workdir"),
        (["sweep", "--from", "gs://bucket/sweep.yaml"], "from"),
        (["eval", "ftp://host/run"], "workdir"),
        (["report", "s3://host/run"], "workdir"),
    ],
)
def test_what_cannot_be_written_or_reached_is_named_at_once(
    argv, field, tmp_path, monkeypatch, capsys
):
    (tmp_path / "here").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert main([word.format(tmp_path) for word in argv]) == 2
    assert capsys.readouterr().err.startswith(f"metajax: error: {field} = ")
    assert not any((tmp_path / "here").iterdir()) and not (tmp_path / "out").exists()


def test_another_users_run_is_one_message(tmp_path, monkeypatch, capsys):
    folder = config(tmp_path / "run", {"system": "fewshot", "config": {}})

    def denied(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    argv = ["train", "fewshot", "--workdir", str(folder)]
    for command in (argv, ["eval", str(folder)], ["report", str(folder)]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert "Permission denied" in said and said.count("\n") == 1


def test_a_lock_of_another_user_is_one_message(tmp_path, monkeypatch):
    with open_workdir(tmp_path, {}):
        pass
    whole = Path.open

    def denied(path, *args, **options):
        if path.name == ".lock":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *args, **options)

    monkeypatch.setattr(Path, "open", denied)
    for hold in (check_workdir, lambda *both: open_workdir(*both).__enter__()):
        with pytest.raises(WorkdirError, match=r"cannot be written: .*Permission denied"):
            hold(tmp_path, {})


def test_a_command_is_written_down_as_it_runs_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["my script.py", "--grid", "a b", "$x"])
    assert provenance()["command"] == "python 'my script.py' --grid 'a b' '$x'"
