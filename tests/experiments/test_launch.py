"""The recipes of experiments/launch: their syntax, their commands, and what they do on a signal.

Nothing here reaches a cloud: gcloud and xpk are stand-ins that write down what they are told.
"""

import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metajax.cli.arguments import parse_train
from metajax.cli.sweep import read_request
from metajax.data.images import KNOWN_SETS
from metajax.sweep import expand
from metajax.systems import get_system

FOLDER = Path(__file__).parents[2] / "experiments" / "launch"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
TASKS = sorted(FOLDER.glob("*.yaml"))
RECIPES = [*SCRIPTS, *TASKS]
NAMED = {"ids": lambda path: path.name}
ACCOUNT = {"PROJECT": "project", "ZONE": "zone", "CLUSTER": "cluster", "BUCKET": "bucket"}


def commands(path: Path) -> list[list[str]]:
    """The words of each metajax command of a recipe, variables replaced by 1."""
    text = path.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = re.findall(r"\.venv/bin/metajax ([^'\n]*)", "\n".join(lines))
    plain = [re.sub(r"\$\{?\w+\}?", "1", re.split(r" >>|[\"']$", each)[0]) for each in found]
    return [shlex.split(each) for each in plain]


ALL = [(path, words) for path in RECIPES for words in commands(path)]


def test_each_recipe_has_its_command():
    by_recipe = {path.name: words[:2] for path, words in ALL}
    train = ["train", "gpicl"]
    assert by_recipe == {
        "gke_xpk.sh": train,
        "prepare_host.sh": ["data", "prepare"],
        "queued_tpu.sh": train,
        "sky_tpu.yaml": train,
        "sweep_chips.sh": ["sweep", "gpicl"],
    }


@pytest.mark.parametrize(("path", "words"), ALL, ids=lambda part: getattr(part, "name", "command"))
def test_each_command_parses(path, words):
    if words[0] == "data":
        assert words[1:] == ["prepare", "fashion_mnist"] and words[2] in KNOWN_SETS
    elif words[0] == "train":
        assert words[2] == "--preset"
        config, options, workdir = parse_train(get_system(words[1]), words[3], words[4:])
        assert options.distributed and options.parallel == "jit" and workdir.is_absolute()
        # each of the slice's chips gets as many tasks as any other
        (chips,) = set(re.findall(r"\bv6e-(\d+)", path.read_text()))
        assert config.tasks_per_step % int(chips) == 0
        assert config.base_set == "fashion_mnist"  # what prepare_host.sh brings
    else:
        _, request = read_request(words[1:])
        config, _, _ = parse_train(get_system(request.system), request.preset, request.rest)
        assert len(expand(config, request.grid, request.random)) == 6


@pytest.mark.parametrize("path", SCRIPTS, **NAMED)
def test_bash_reads_the_script(path):
    subprocess.run(["bash", "-n", path], check=True)


@pytest.mark.parametrize("path", SCRIPTS, **NAMED)
def test_shellcheck_finds_nothing(path):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", TASKS, **NAMED)
def test_skypilot_reads_the_task(path, monkeypatch):
    sky = pytest.importorskip("sky", reason="skypilot is not installed")
    monkeypatch.chdir(FOLDER.parents[1])  # workdir: .
    task = sky.Task.from_yaml(str(path))
    (resources,) = task.resources
    assert resources.use_spot and "/bucket" in task.storage_mounts
    assert "experiments/launch/prepare_host.sh" in task.setup


def stand_in(folder: Path, name: str, script: str) -> None:
    """A command of that name, first on the PATH of what `bash` runs."""
    path = folder / name
    path.write_text(f"#!/usr/bin/env bash\n{script}")
    path.chmod(0o755)


def bash(folder: Path, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **ACCOUNT, "PATH": path, "LOG": str(folder / "log"), **environment},
    )


WRITE_WORDS = """printf '%s\\0' "$@" > "$LOG" """


@pytest.mark.parametrize("step", ["cluster", "storage", "run", "delete"])
def test_xpk_knows_every_word(step, tmp_path):
    stand_in(tmp_path, "xpk", WRITE_WORDS)
    done = bash(tmp_path, FOLDER / "gke_xpk.sh", step, "--dry-run")
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "log").read_text().split("\0")[:-1]
    assert words[-1] == "--dry-run"
    if importlib.util.find_spec("xpk") is None:
        pytest.skip("xpk is not installed: its parser was not asked")
    script = (
        "import argparse, sys\nfrom xpk.parser.core import set_parser\n"
        "parser = argparse.ArgumentParser()\nset_parser(parser=parser)\n"
        "parser.parse_args(sys.argv[1:])"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_xpk_recipe_refuses_another_step(tmp_path):
    done = bash(tmp_path, FOLDER / "gke_xpk.sh", "launch")
    assert done.returncode == 2 and "STEP is" in done.stderr


GCLOUD = """
echo "$*" >> "$LOG"
here=$(dirname "$0")
case "$*" in
  *"queued-resources describe"*) cat "$here/state" 2>/dev/null ;;
  *"queued-resources create"*) echo ACTIVE > "$here/state" ;;
  *"queued-resources delete"*) rm "$here/state" ;;
  *"storage ls"*) test -f "$here/done" ;;
  *"metajax train"*)
    code=$(head -n 1 "$here/codes")
    sed -i 1d "$here/codes"
    if [ "$code" = taken ]; then echo SUSPENDED > "$here/state"; exit 255; fi
    if [ "$code" = 0 ]; then touch "$here/done"; fi
    exit "$code" ;;
esac
"""


def queued(folder: Path, codes: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script with a gcloud whose training ends so, one word for each time."""
    stand_in(folder, "gcloud", GCLOUD)
    stand_in(folder, "git", "exit 0")
    stand_in(folder, "sleep", "exit 0")
    (folder / "codes").write_text(codes.replace(" ", "\n") + "\n")
    done = bash(folder, FOLDER / "queued_tpu.sh")
    return done, (folder / "log").read_text().splitlines()


def test_the_queue_goes_on_after_preemptions_until_the_run_is_done(tmp_path):
    done, log = queued(tmp_path, "75 taken 255 0")
    assert done.returncode == 0, done.stderr
    train = [line for line in log if "metajax train" in line]
    assert len(train) == 4 and len(set(train)) == 1
    assert "--worker all" in train[0]
    # one slice was taken away; the other is given back at the end
    assert sum("queued-resources create" in line for line in log) == 2
    assert sum("queued-resources delete" in line for line in log) == 2
    assert "queued-resources delete" in log[-1]


def test_the_queue_stops_where_the_run_fails_and_keeps_the_slice(tmp_path):
    done, log = queued(tmp_path, "2 0")
    assert done.returncode == 2 and "the slice is kept" in done.stderr
    assert sum("metajax train" in line for line in log) == 1
    assert not any("queued-resources delete" in line for line in log)


METAJAX = """
echo "chip $TPU_VISIBLE_CHIPS: $*" >> "$LOG"
trap 'exit 75' TERM
case $TPU_VISIBLE_CHIPS in {case} esac
"""


def checkout(folder: Path, case: str) -> Path:
    """A copy of the sweep's script beside a stand-in for metajax."""
    (folder / "experiments" / "launch").mkdir(parents=True)
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(FOLDER / "sweep_chips.sh", folder / "experiments" / "launch")
    stand_in(folder / ".venv" / "bin", "metajax", METAJAX.replace("{case}", case))
    return folder / "experiments" / "launch" / "sweep_chips.sh"


@pytest.mark.parametrize(
    ("case", "code"), [("*) exit 0 ;;", 0), ("1) exit 1 ;;", 1), ("0) exit 75 ;; *) exit 1 ;;", 75)]
)
def test_each_chip_sweeps_a_seed_of_its_own(case, code, tmp_path):
    script = checkout(tmp_path, case)
    done = bash(tmp_path, script, "3", tmp_path / "sweep")
    assert done.returncode == code, done.stderr
    log = sorted((tmp_path / "log").read_text().splitlines())
    assert [line.partition(":")[0] for line in log] == ["chip 0", "chip 1", "chip 2"]
    for chip, line in enumerate(log):
        assert f"--seed {chip} --workdir {tmp_path}/sweep/seed-{chip} " in line


def test_a_signal_is_handed_on_to_each_chip(tmp_path):
    script = checkout(tmp_path, "*) while true; do sleep 0.05; done ;;")
    log = tmp_path / "log"
    process = subprocess.Popen(
        ["bash", script, "2", tmp_path / "sweep"], env={**os.environ, "LOG": str(log)}
    )
    end = time.monotonic() + 30
    while not (log.exists() and len(log.read_text().splitlines()) == 2):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.2)  # until the traps are set
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 75
