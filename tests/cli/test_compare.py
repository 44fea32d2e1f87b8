"""``metajax methods`` and ``metajax compare``: what they reject, and one from end to end."""

import json
import re

import numpy as np
import pytest
import scipy.stats

from metajax.cli.main import main
from metajax.sweep import Outcome, compared, expand, over_runs, write_comparison
from metajax.systems import SYSTEMS, configure, get_system

SMALL = [
    "--width",
    "8",
    "--steps",
    "4",
    "--tasks-per-step",
    "2",
    "--eval-every",
    "4",
    "--eval-tasks",
    "8",
    "--eval-steps",
    "2",
    "--no-progress",
    "--compilation-cache",
    "off",
]


def compare(folder, *more):
    argv = ["compare", "fewshot", "--workdir", str(folder), "--engine", "vmap", *SMALL]
    return main([*argv, *map(str, more)])


def found(folder):
    return json.loads((folder / "compare.json").read_text())


def times(folder):
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "c"
    assert compare(folder, "--methods", "maml", "ridge", "--seeds", 2, "--inner-steps", 1) == 0
    return folder


def rows_of(folder, method):
    runs = [folder / run["folder"] for run in method["runs"].values()]
    return [json.loads((run / "eval.json").read_text())["rows"]["new_tasks"] for run in runs]


def test_methods_are_in_one_table_with_the_wider_interval(done):
    content = found(done)
    assert list(content["methods"]) == ["maml", "ridge"] and content["seeds"] == [0, 1]
    assert content["command"].startswith("metajax compare fewshot")
    assert content["hardware"][0]["platform"] == "cpu" and content["versions"][0]["jax"]
    assert content["settings"]["width"] == 8 and "seed" not in content["settings"]
    for method in content["methods"].values():
        rows = rows_of(done, method)
        last = [row["mean"][-1] for row in rows]
        assert method["score"]["mean"][-1] == pytest.approx(np.mean(last))
        halves = {
            "seeds": scipy.stats.t.ppf(0.975, 1) * scipy.stats.sem(last),
            "tasks": np.mean([row["high"][-1] - row["mean"][-1] for row in rows]),
        }
        wider = max(halves, key=lambda over: halves[over])
        assert method["score"]["interval_over"][-1] == wider
        assert method["score"]["high"][-1] - np.mean(last) == pytest.approx(halves[wider])
        assert method["score"]["n"] == {"seeds": 2, "tasks": 8}
        assert method["train_cpu_seconds"] > 0 and list(method["baselines"]) == ["first_drawn"]
    # a layer of 8, one of 8 x 8, and an output, which ridge solves
    assert content["methods"]["maml"]["parameters"] == 16 + 72 + 9
    assert content["methods"]["maml"]["settings"] == {"inner_steps": 1, "inner_lr": None}
    text = (done / "compare.md").read_text()
    table = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0] for row in table] == [
        "| method",
        "| maml",
        "| ridge",
        "| *new tasks, weights as first drawn (maml)*",
    ]
    assert table[2][1:3] == ["", ""] and "±" in table[2][3]  # ridge takes no steps
    page = (done / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert (done / "curves.png").exists() and (done / "scores.png").exists()


def test_again_it_trains_only_what_is_new_and_what_diverges_is_named(done, tmp_path, capsys):
    before = times(done / "runs")
    same = ("--methods", "maml", "ridge", "--inner-steps", 1)
    assert compare(done, *same, "--seeds", 2) == 0
    assert times(done / "runs") == before
    # one seed less, and a method with settings of its own
    out, other = tmp_path / "out", ("--set", "ridge.learning-rate=1e38")
    assert compare(done, *same, *other, "--out", out) == 1
    after = times(done / "runs")
    assert {name: after[name] for name in before} == before
    said = capsys.readouterr()
    assert "over tasks alone: there is one seed" in said.out
    assert "1 of 2 runs did not end well" in said.err
    maml, ridge = found(out)["methods"].values()
    assert maml["score"]["over_seeds"] is None and set(maml["score"]["interval_over"]) == {"tasks"}
    assert ridge["score"] is None and ridge["settings"]["learning_rate"] == 1e38
    run = ridge["runs"]["0"]
    assert run["status"] == "failed" and re.fullmatch(r"step \d is not finite", run["error"])
    assert run["folder"] == "runs/ridge,learning_rate=1e+38-0"
    text = (out / "compare.md").read_text()
    assert f"Without a score: ridge, seed 0: failed: {run['error']}" in text
    assert "| no score | 0 of 1 |" in text


def test_the_report_is_written_again_and_a_comparison_is_no_run(done, tmp_path, capsys):
    (done / "compare.md").unlink()
    assert main(["report", str(done)]) == 0
    assert (done / "compare.md").exists()
    assert main(["eval", str(done)]) == 1
    assert "is a comparison: name one of its runs" in capsys.readouterr().err
    (tmp_path / "compare.json").write_text('{"methods": 3}')
    assert main(["report", str(tmp_path)]) == 1
    assert "metajax compare writes it again" in capsys.readouterr().err


def test_what_is_the_same_for_all_methods_is_said_once(tmp_path):
    """The class of the nearest mean image does not depend on the method; first weights do."""
    points = [
        point._replace(label=f"run-{point.number}")
        for point in expand(configure("fewshot"), {"method": "maml,ridge"}, {}, seeds=2)
    ]

    def row(last, baseline=False):
        ends = {end: [last] for end in ("mean", "low", "high")}
        against = "new_tasks" if baseline else None
        return {"title": "row", **ends, "n": 8, "baseline": baseline, "compared_with": against}

    for point in points:
        at, number = tmp_path / "runs" / point.name, point.number
        at.mkdir(parents=True)
        rows = {"new_tasks": row(None if number == 3 else 1.0 + number)}
        rows |= {"nearest_mean": row(0.5, True), "first_drawn": row(2.0 + number, True)}
        head = {"metric": "error", "greatest": False, "axis": "steps", "setting": "some"}
        (at / "eval.json").write_text(json.dumps({**head, "points": [0], "rows": rows}))
        said = {"parameters": 3, "train_cpu_seconds": 2.0 * number, "hardware": {"a": number // 2}}
        (at / "summary.json").write_text(json.dumps({**said, "versions": {"jax": "1"}}))
    outcomes = {point.number: Outcome("done") for point in points}
    content = compared(tmp_path, points, outcomes, "command")
    assert list(content["baselines"]) == ["nearest_mean"]
    assert content["hardware"] == [{"a": 0}, {"a": 1}] and content["versions"] == [{"jax": "1"}]
    maml, ridge = content["methods"].values()
    assert (maml["baselines"]["first_drawn"]["mean"], maml["train_cpu_seconds"]) == ([2.5], 1.0)
    # what was trained but has no finite score does not count, and is named
    assert maml["baselines"]["first_drawn"]["compared_with"] == "score"
    assert ridge["score"]["mean"] == [3.0] and ridge["score"]["n"]["seeds"] == 1
    assert ridge["runs"]["1"]["status"] == "diverged"
    text, _ = write_comparison(tmp_path / "out", content)
    assert "ridge, seed 1: diverged: its score on new tasks is not finite" in text
    assert re.search(r"^ridge .* 1 of 2 ", text, flags=re.MULTILINE)
    # the interval of maml, over two seeds, includes the score of the baseline
    assert "A baseline that needs no meta-training is better: row than ridge by 2.5 ±0." in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--methods maml rigde", "methods = 'rigde': .*did you mean 'ridge'"),
        ("--methods maml maml", "each method once"),
        ("--methods maml matching", "method = 'matching': .*one that regresses"),
        ("--method maml", "--method = 'maml': expected --methods"),
        ("--learner maml", "--method instead|--methods"),
        ("--methods maml --strength 2", "--strength = '2': expected options of maml; .* imaml"),
        ("--methods maml --set ridge.scale=2", "method of --set = 'ridge'"),
        ("--methods maml --set inner_steps=2", "METHOD.FIELD=VALUE"),
        ("--methods maml --set maml.inner_stepz=2", "did you mean 'inner_steps'"),
        ("--methods maml --set maml.shots=2", "--shots: the problem is the same for all"),
        ("--methods maml --set maml.seed=2", "--seed: all methods have the same seeds"),
        ("--methods maml --set maml.inner_steps=0", "inner_steps = 0: expected a whole number"),
        ("--methods maml --set maml.inner_steps=x", "maml.inner_steps = 'x': expected a whole"),
        ("--methods maml --seeds 0", "seeds = 0"),
        ("--methods maml --workers 0", "workers = 0"),
        ("--methods maml --preset digit", "did you mean 'digits'"),
        ("--methods maml --steps 0", "steps = 0"),
    ],
)
def test_words_are_rejected_before_anything_runs(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "fewshot", *words.split()]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_method_of_another_problem_of_the_family_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "weights", "--methods", "mip", "neumeta"]) == 2
    said = "methods = 'neumeta': expected one that preset angles fits: mip, raw, one_network"
    assert said in capsys.readouterr().err
    assert main(["compare", "weights", "--methods", "mip", "neumetta"]) == 2
    assert "did you mean 'neumeta'" in capsys.readouterr().err


def test_by_default_all_that_fit_are_compared(tmp_path, monkeypatch, capsys):
    """And each run's process is given the options that its method has."""
    commands = {}

    def run_processes(folder, points, command, **options):
        commands.update({point.name: command(point, folder) for point in points})
        raise SystemExit(0)

    monkeypatch.setattr("metajax.sweep.run_processes", run_processes)
    words = ["--inner-steps", "3", "--set", "imaml.strength=.5", "--classes", "5", "2", "3"]
    with pytest.raises(SystemExit):
        main(["compare", "fewshot", "--workdir", str(tmp_path / "c"), *words])
    methods = [name for name in get_system("fewshot").methods if name not in CLASSIFIERS]
    assert [name.split(",")[0].split("-")[0] for name in commands] == methods
    assert "imaml,inner_steps=3,strength=0.5-0" in commands and "ridge-0" in commands
    assert "--inner-steps" not in commands["ridge-0"]
    command = commands["imaml,inner_steps=3,strength=0.5-0"]
    assert command[command.index("--classes") + 1 :][:3] == ["5", "2", "3"]
    assert command[command.index("--strength") + 1] == "0.5"


CLASSIFIERS = ("logistic", "svm", "prototypical", "matching")


def test_an_interval_over_seeds_or_tasks_whichever_is_wider():
    def row(mean, half):
        low, high = ([m + s * h for m, h in zip(mean, half, strict=True)] for s in (-1, 1))
        return {"mean": mean, "low": low, "high": high, "n": 10}

    score = over_runs([row([1.0, 5.0], [3.0, 0.1]), row([1.2, 7.0], [5.0, 0.3])])
    assert score["mean"] == pytest.approx([1.1, 6.0])
    assert score["interval_over"] == ["tasks", "seeds"]
    half = np.subtract(score["high"], score["mean"])
    assert half == pytest.approx([4.0, 12.7062])  # t of one degree of freedom, times 1
    assert score["over_tasks"]["high"][1] == pytest.approx(6.2)


def test_equal_scores_of_seeds_have_no_interval():
    """The mean of three times 0.1 is another number in floating point."""
    row = {"mean": [0.1], "low": [0.1], "high": [0.1], "n": 10}
    assert np.mean([0.1, 0.1, 0.1]) != 0.1
    score = over_runs([row, row, row])
    assert score["mean"] == score["low"] == score["high"] == [0.1]
    assert score["over_seeds"] == {"low": [0.1], "high": [0.1]}


def test_every_method_is_listed_with_its_paper(capsys):
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == list(SYSTEMS)
    assert main(["methods", "fewshot"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("fewshot: ")
    assert [row.split()[0] for row in rows] == list(get_system("fewshot").methods)
    assert all(re.search(r"\d{4}, arXiv \d{4}\.\d{5}", row) for row in rows)
    assert main(["methods", "weights"]) == 0
    _, *rows = capsys.readouterr().out.splitlines()
    heads = [row.strip(" :") for row in rows if not row.startswith("  ")]
    assert heads == [kind.summary for kind in get_system("weights").kinds]
    assert main(["methods", "fewshoot"]) == 2
    assert "did you mean 'fewshot'" in capsys.readouterr().err


@pytest.mark.slow
def test_processes_add_to_what_one_program_has_trained(done):
    before = times(done / "runs")
    methods = ("--methods", "maml", "ridge", "--seeds", 3, "--inner-steps", 1)
    assert compare(done, *methods, "--engine", "process", "--workers", 2) == 0
    after = times(done / "runs")
    assert {name: after[name] for name in before} == before
    assert all(one["score"]["n"]["seeds"] == 3 for one in found(done)["methods"].values())
    summary = json.loads((done / "runs/ridge-2/summary.json").read_text())
    assert summary["command"].startswith("metajax train fewshot --preset sinusoid --method ridge")
