"""`metajax solve`: what it writes, what it says of a solution, and its exit codes."""

import json

import numpy as np
import pytest
from problem_files import HEAT, written

from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.physics.pde import PDE
from metajax.physics.solver import DoubtfulSolutionWarning, read_problem, solving
from metajax.systems.hypino import solve


def test_the_heat_equation_from_a_file(tmp_path, capsys):
    """The closed form, from the command line; the folder is not written to twice."""
    path, out = written(tmp_path, HEAT), tmp_path / "out"
    arguments = [
        "solve",
        str(path),
        "--out",
        str(out),
        "--features",
        "250",
        "--size",
        "33",
        "--compilation-cache",
        "off",
    ]
    assert main(arguments) == 0
    assert "residual" in capsys.readouterr().out
    with np.load(out / "solution.npz") as found:
        x, y = np.meshgrid(found["x"], found["y"])
        true = np.exp(-0.05 * np.pi**2 * (y + 1)) * np.sin(np.pi * (x + 1) / 2)
        assert np.mean((found["u"] - true) ** 2) < 1e-10
        assert np.sqrt(np.mean(found["residual"] ** 2)) < 1e-3
    errors = json.loads((out / "errors.json").read_text())
    assert errors["neumann_rms"] is None and errors["dirichlet_rms"] < 1e-4
    assert (out / "solution.png").stat().st_size > 1000
    assert main(arguments) == 2
    assert "--out" in capsys.readouterr().err


def test_what_needs_a_model_is_refused_without_one(tmp_path, capsys):
    path = written(tmp_path, HEAT)
    pde = read_problem(path)
    for field, value in (("rounds", 1), ("tuning", 1), ("head", False)):
        with pytest.raises(ConfigError, match=field):
            solve(pde, **{field: value})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    empty = str(tmp_path / "run")
    for more, named in ((["--model", empty], "--finetune"), (["--head", "--model", empty], "run")):
        more = [*more, "--compilation-cache", "off"]
        assert main(["solve", str(path), "--out", str(tmp_path / "out"), *more]) != 0
        assert named in capsys.readouterr().err
    options = ["--out", str(tmp_path / "out"), "--size", "33", "--compilation-cache", "off"]
    assert main(["solve", "HT", *options]) == 2
    assert "129" in capsys.readouterr().err


LAPLACE = [0, 0, 0, 1, 1]
NEUMANN = "coefficients: {u_xx: 1, u_yy: 1}\nsource: 1\nneumann: {square: FLUX}\n"


def solved(tmp_path, text, *more):
    """The exit code, and what errors.json holds."""
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--features", "100", "--size", "9", *more]
    arguments += ["--compilation-cache", "off"]
    code = main(["solve", str(written(tmp_path, text)), *arguments])
    file = out / "errors.json"
    return code, json.loads(file.read_text()) if file.exists() else None


def test_a_solution_that_nothing_speaks_against_is_good(tmp_path, capsys):
    code, errors = solved(tmp_path, HEAT)
    assert (code, errors["verdict"], errors["warnings"]) == (0, "reliable", [])
    assert "warning" not in capsys.readouterr().err


def test_data_that_contradict_each_other_end_in_exit_code_3(tmp_path, capsys):
    code, errors = solved(tmp_path, NEUMANN.replace("FLUX", "0"))
    assert (code, errors["verdict"]) == (3, "failed")
    assert "contradicts the source" in capsys.readouterr().err
    with pytest.warns(DoubtfulSolutionWarning, match="contradicts"):
        found = solve(PDE(LAPLACE, 1.0, neumann=0.0), features=100, size=9)
    assert found.verdict == "failed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NEUMANN.replace("FLUX", "0.5"), ["up to a constant", "hardly determine"]),
        (HEAT.replace("-0.2", "0.2"), ["backward in time"]),
        (HEAT.replace("bottom:", "top:"), ["backward in time"]),
        (
            "coefficients: {u_xx: 1, u_yy: 1}\ndirichlet: {square: 0}\nneumann: {square: 1}",
            ["the equation does not hold", "dirichlet does not hold", "on left"],
        ),
        # at an eigenvalue u is not determined, though its data are those of a good problem
        (
            "coefficients: {u: 4.934802, u_xx: 1, u_yy: 1}\nsource: x\ndirichlet: {square: 0}",
            ["hardly determine"],
        ),
        (
            "coefficients: {u_xx: 1, u_yy: 1}\ndirichlet: {square: 0, far: 1}\n"
            "domain: {less: [{disk: {centre: [3, 0], radius: 0.5, name: far}}]}",
            ["'far' is no part of the boundary"],
        ),
    ],
)
def test_what_may_be_wrong_is_warned_of_by_name_with_exit_code_0(tmp_path, capsys, text, words):
    code, errors = solved(tmp_path, text)
    assert (code, errors["verdict"]) == (0, "check")
    said = capsys.readouterr().err
    assert all(word in said and word in " ".join(errors["warnings"]) for word in words), said


def test_a_solution_that_is_not_finite_is_wrong(tmp_path, monkeypatch):
    def broken(*args):
        u, applied = everywhere(*args)
        return np.where(np.arange(len(u)) == 3, np.inf, u), applied

    everywhere = solving.everywhere
    monkeypatch.setattr(solving, "everywhere", broken)
    code, errors = solved(tmp_path, HEAT)
    assert (code, errors["verdict"]) == (3, "failed")
    assert "not finite" in errors["warnings"][-1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"sin(pi * (x + 1) / 2)"', '"log(x)"', ["dirichlet['bottom']", "nan", "y = -1"]),
        ("left: 0", "left: .nan", ["dirichlet['left'] = nan: expected a finite number"]),
        ("coefficients", 'source: "exp(1000 * x)"\ncoefficients', ["source", "inf", "x = 0.7"]),
    ],
)
def test_data_that_are_not_finite_are_rejected_before_anything_is_solved(
    tmp_path, capsys, old, new, words
):
    assert solved(tmp_path, HEAT.replace(old, new)) == (2, None)
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
