"""The command line: a real run from end to end, and every refusal before anything compiles."""

import contextlib
import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import pytest

from metajax.cli.arguments import parse_train
from metajax.cli.main import main
from metajax.core import IMPLEMENTATION, ConfigError
from metajax.systems import SYSTEMS, config_from_json, config_to_json, configure, get_system
from metajax.train.checkpoint import find_fault
from runs import contents

SMALL = [
    "--method",
    "transformer",
    "--baselines",
    "sgd",
    "nearest_neighbour",
    "--width",
    "16",
    "--layers",
    "1",
    "--heads",
    "2",
    "--key-size",
    "8",
    "--examples",
    "13",
    "--tasks-per-step",
    "4",
    "--eval-tasks",
    "64",
    "--eval-every",
    "20",
    "--other-sets",
    "random",
    "--log-every",
    "5",
    "--checkpoint-every",
    "5",
    "--no-progress",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("xla"))


def command(workdir, data_dir, cache, *more):
    return [
        sys.executable,
        "-m",
        "metajax.cli.main",
        "train",
        "gpicl",
        *SMALL,
        "--steps",
        "40",
        "--workdir",
        str(workdir),
        "--data-dir",
        str(data_dir),
        "--compilation-cache",
        cache,
        *more,
    ]


# the programs compile in half the time and run slower: here they run for 40 steps
QUICK = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir):
    """One finished run; its folder and what it printed."""
    workdir = tmp_path_factory.mktemp("run") / "w"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(command(workdir, data_dir, "off")[3:]) == 0
    return workdir, printed.getvalue()


@pytest.fixture(scope="module")
def run_of_a_process(tmp_path_factory, data_dir, cache):
    """The folder of the same run, finished by a process of its own."""
    workdir = tmp_path_factory.mktemp("run") / "w"
    done = subprocess.run(
        command(workdir, data_dir, cache), env=QUICK, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return workdir


def test_a_run_leaves_everything_that_the_readme_names(run):
    workdir, printed = run
    evaluation = json.loads((workdir / "eval.json").read_text())
    for kind in ("seen", "unseen", "identity"):
        row = evaluation["rows"][kind]
        assert len(row["mean"]) == len(row["low"]) == len(row["high"]) == 13
        assert all(0 <= a <= 1 for a in row["mean"])
    baselines = {name for name, row in evaluation["rows"].items() if row["baseline"]}
    assert baselines == {"sgd", "nearest_neighbour", "other.random.nearest_neighbour"}
    summary = json.loads((workdir / "summary.json").read_text())
    assert len(summary["params_sha256"]) == 64 and summary["steps"] == 40
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(5, 41, 5))
    assert [row["step"] for row in rows if "unseen/gain" in row] == [20, 40]
    for name in ("accuracy.png", "training.png"):
        assert (workdir / name).read_bytes().startswith(b"\x89PNG")
    page = (workdir / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "1-nearest-neighbor" in page
    for words in ("unseen tasks", "chance", "1-nearest-neighbor", "identity task"):
        assert words in printed


def test_eval_and_report_write_the_same_again(run, data_dir):
    workdir, _ = run
    before = (workdir / "eval.json").read_text()
    options = ["--data-dir", str(data_dir), "--compilation-cache", "off"]
    assert main(["eval", str(workdir), *options]) == 0
    assert (workdir / "eval.json").read_text() == before
    (workdir / "accuracy.png").unlink()
    assert main(["report", str(workdir)]) == 0
    assert (workdir / "accuracy.png").exists()


@pytest.mark.slow
def test_sigterm_saves_exits_75_and_the_same_command_ends_with_the_same_bits(
    run_of_a_process, tmp_path, data_dir, cache
):
    finished = run_of_a_process
    workdir = tmp_path / "w"
    process = subprocess.Popen(
        command(workdir, data_dir, cache), env=QUICK, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not (workdir / "checkpoints" / "5").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 75, errors
    assert b"Run the same command again" in errors
    assert not (workdir / "summary.json").exists()
    subprocess.run(command(workdir, data_dir, cache), env=QUICK, check=True, capture_output=True)
    digests = [
        json.loads((folder / "summary.json").read_text())["params_sha256"]
        for folder in (finished, workdir)
    ]
    assert digests[0] == digests[1]
    lines = [(folder / "metrics.jsonl").read_text() for folder in (finished, workdir)]
    assert lines[0] == lines[1]


def test_a_workdir_of_another_config_is_refused_and_untouched(run, data_dir, capsys):
    workdir, _ = run

    before = contents(workdir)
    code = main(
        [
            "train",
            "gpicl",
            *SMALL,
            "--steps",
            "40",
            "--seed",
            "1",
            "--workdir",
            str(workdir),
            "--data-dir",
            str(data_dir),
            "--compilation-cache",
            "off",
        ]
    )
    assert code == 1
    assert "config.seed is 0 there and 1 here" in capsys.readouterr().err
    assert contents(workdir) == before


@pytest.mark.slow
def test_another_run_in_its_place_moves_it_aside(run_of_a_process, data_dir, cache, tmp_path):
    old, workdir = run_of_a_process, tmp_path / "w"
    shutil.copytree(old, workdir)
    again = command(workdir, data_dir, cache, "--seed", "1", "--on-changed", "restart")
    done = subprocess.run(again, env=QUICK, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((workdir / "config.json").read_text())["config"]["seed"] == 1
    for name in ("config.json", "eval.json", "metrics.jsonl", "summary.json"):
        assert (workdir / "previous/0" / name).read_bytes() == (old / name).read_bytes()
    assert find_fault(workdir / "previous/0/checkpoints/40") is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "gpicle"], ["system = 'gpicle'", "did you mean 'gpicl'"]),
        (["trian", "gpicl"], ["command = 'trian'", "did you mean 'train'"]),
        (["train", "gpicl", "--preset", "digit"], ["preset = 'digit'", "did you mean 'digits'"]),
        (
            ["train", "gpicl", "--method", "transformer", "--heads", "3"],
            ["heads = 3", "divisor of width = 64, e.g. 2"],
        ),
        (["train", "gpicl", "--num-tasks", "0"], ["num_tasks = 0"]),
        (["train", "gpicl", "--learning-rate", "-1"], ["learning_rate = -1.0"]),
        (["train", "gpicl", "--learning-rate", "nan"], ["learning_rate = nan"]),
        (["train", "gpicl", "--tasks-per-step", "0"], ["tasks_per_step = 0"]),
        (["train", "gpicl", "--tasks-at-once", "0"], ["tasks_at_once = 0", "1 or more"]),
        (["train", "gpicl", "--ways", "11"], ["ways = 11", "2 to 10"]),
        (["train", "gpicl", "--log-every", "0"], ["log_every = 0"]),
        (["train", "gpicl", "--base-set", "mnist"], ["metajax data prepare mnist"]),
    ],
)
def test_bad_settings_are_refused_in_one_message(
    arguments, words, data_dir, tmp_path, capsys, monkeypatch
):
    import jax

    def compiled(*args, **kwargs):
        raise AssertionError("something was compiled")

    monkeypatch.setattr(jax.stages.Lowered, "compile", compiled)
    if arguments[:2] == ["train", "gpicl"]:
        arguments = [*arguments, "--workdir", str(tmp_path / "w"), "--data-dir", str(data_dir)]
        arguments += ["--compilation-cache", "off"]
    assert main(arguments) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("metajax: error: ") and "Traceback" not in error
    for word in words:
        assert word in error
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(
    ("arguments", "word"), [(["--widht", "8"], "--width"), (["--width", "wide"], "--width")]
)
def test_unknown_and_ill_typed_fields_are_refused_with_the_nearest(arguments, word, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["train", "gpicl", *arguments])
    assert exit.value.code == 2
    captured = capsys.readouterr()
    assert word in captured.err + captured.out


def test_help_explains_every_field(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["train", "gpicl", "--help"])
    assert exit.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(configure("gpicl")):
        assert "--" + field.name.replace("_", "-") in text
    assert "units" in text and "(required)" not in text


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_preset_survives_config_json(name):
    system = get_system(name)
    for preset in system.presets:
        config = configure(name, preset)
        saved = json.loads(json.dumps(config_to_json(system, config)))
        assert config_from_json(system, saved["config"]) == config


def test_fields_given_override_the_preset():
    config, _, workdir = parse_train(get_system("gpicl"), "cpu", ["--width", "32", "--seed", "4"])
    assert (config.width, config.seed, config.base_set) == (32, 4, "fashion_mnist")
    assert str(workdir) == os.path.join("runs", "gpicl-cpu-width=32-4")
    with pytest.raises(ConfigError):
        parse_train(get_system("gpicl"), None, ["--checkpoint-every", "0"])


@pytest.mark.parametrize(
    "argv",
    [
        ["list"],
        ["--help"],
        ["train", "hyperdistill", "--help"],
        *([name, "--help"] for name in ("sweep", "compare", "profile", "methods")),
    ],
)
def test_what_explains_itself_fits_a_terminal(argv, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.suppress(SystemExit):
        main(argv)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    if argv[0] == "list":
        printed = "\n".join(lines)
        for name in SYSTEMS:
            for preset in get_system(name).presets:
                assert f"metajax train {name} --preset {preset}" in printed
        # presets of one problem differ in their method
        assert "method=drmad" in printed and "method=unrolled" in printed


def test_help_keeps_no_line_break_of_the_source(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["train", "fewshot", "--method", "imaml", "--help"])
    printed = capsys.readouterr().out
    lines = [line.strip("│ ") for line in printed.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("Folder of the run"))
    end = next(i for i in range(start, len(lines)) if "(default: None)" in lines[i])
    # every line but the last has no room for the next one's first word
    width = max(map(len, lines[start:end]))
    for line, after in zip(lines[start:end], lines[start + 1 : end + 1], strict=True):
        assert len(line) + 1 + len(after.split()[0]) > width
    for group in ("run options", "problem options", "training options", "imaml options"):
        assert group in printed


def test_list_and_data_list(data_dir, capsys):
    assert main(["list"]) == 0 and main(["data", "list", "--data-dir", str(data_dir)]) == 0
    printed = capsys.readouterr().out
    assert "--preset paper" in printed and "digits" in printed and "not here" in printed


def test_the_random_bits_of_a_seed_are_not_the_environments(data_dir):
    """With others configured, ``fit`` would reject the key that stands for ``--seed``."""
    jax.config.update("jax_default_prng_impl", "rbg")
    main(["list"])
    assert str(jax.random.key_impl(jax.random.key(0))) == IMPLEMENTATION


def test_importing_metajax_is_light():
    """No TFDS, Grain, matplotlib or Orbax on import, and under 1.5 s of CPU beyond jax."""
    code = (
        "import sys, time, jax, jax.numpy; t = time.process_time(); import metajax;"
        "metajax.fit; print(time.process_time() - t);"
        "print([m for m in ('tensorflow_datasets', 'grain', 'matplotlib', 'orbax', 'tensorflow')"
        " if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert float(printed[0]) < 1.5
    assert printed[1] == "[]"
