"""`metajax solve`: what it writes, what it says of a solution, and its exit codes."""

import json

import numpy as np
import pytest
from PIL import Image
from problem_files import HEAT, written

from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.physics.pde import PDE, Rectangle
from metajax.physics.solver import PDEProblem
from metajax.systems.hypino.command import with_parameters

LAPLACE = [0, 0, 0, 1, 1]
POISSON = "coefficients: {u_xx: 1, u_yy: 1}\nsource: 1\ndirichlet: 0"
NEUMANN = "coefficients: {u_xx: 1, u_yy: 1}\nsource: 1\nneumann: {square: FLUX}\n"


def solved(tmp_path, text, *more):
    """The exit code, and what errors.json holds."""
    out = tmp_path / "out"
    arguments = ["--out", str(out), "--features", "200", "--size", "9", *more]
    arguments += ["--compilation-cache", "off"]
    code = main(["solve", str(written(tmp_path, text)), *arguments])
    file = out / "errors.json"
    return code, json.loads(file.read_text()) if file.exists() else None


def test_the_heat_equation_from_a_file(tmp_path, capsys):
    """The closed form, from the command line; the folder is not written to twice."""
    code, errors = solved(tmp_path, HEAT)
    assert (code, errors["verdict"], errors["warnings"]) == (0, "reliable", [])
    said = capsys.readouterr()
    assert said.out.startswith("verdict: reliable\n") and "warning" not in said.err
    with np.load(tmp_path / "out" / "solution.npz") as found:
        x, y = np.meshgrid(found["x"], found["y"])
        true = np.exp(-0.05 * np.pi**2 * (y + 1)) * np.sin(np.pi * (x + 1) / 2)
        assert np.abs(found["u"] - true).max() < 1e-5
        assert np.sqrt(np.mean(found["residual"] ** 2)) < 1e-3
    assert errors["error"] < 1e-4 and errors["left"]["equation"] < 1e-4
    assert (tmp_path / "out" / "solution.png").stat().st_size > 1000
    assert solved(tmp_path, HEAT)[0] == 2
    assert "--out" in capsys.readouterr().err


def test_a_problem_in_time_with_another_parameter_and_a_film(tmp_path):
    """In units of its own: a rod of length 10 over 2 units of time."""
    text = """
domain: {box: {x: [0, 10], t: [0, 2]}}
parameters: {k: 1}
coefficients: {u_t: 1, u_xx: -k}
dirichlet: {left: 0, right: 0}
time: t
initial: 50 * sin(pi * x / 10)
"""
    code, errors = solved(tmp_path, text, "--set", "k=4", "--animate")
    assert (code, errors["verdict"]) == (0, "reliable")
    with np.load(tmp_path / "out" / "solution.npz") as found:
        x, t = np.meshgrid(found["x"], found["t"])
        true = 50 * np.exp(-4 * (np.pi / 10) ** 2 * t) * np.sin(np.pi * x / 10)
        assert t.max() == 2 and np.abs(found["u"] - true).max() < 1e-3
    with Image.open(tmp_path / "out" / "solution.gif") as film:
        assert film.n_frames == 9


def test_what_cannot_be_right_ends_in_exit_code_3(tmp_path, capsys):
    code, errors = solved(tmp_path, NEUMANN.replace("FLUX", "0"))
    assert (code, errors["verdict"]) == (3, "failed")
    said = capsys.readouterr()
    assert said.out.startswith("verdict: failed\n- ") and "probably wrong" in said.err
    assert errors["warnings"][0] in said.out


def test_what_may_be_wrong_is_said_with_exit_code_0(tmp_path, capsys):
    """A source that jumps along a curve, which 200 functions follow within some percent."""
    jump = POISSON.replace("source: 1", "source: where(x**4 + y**4 > 0.1, 1, 0)")
    code, errors = solved(tmp_path, jump)
    assert (code, errors["verdict"]) == (0, "check")
    said = capsys.readouterr()
    assert said.out.startswith("verdict: check\n- ") and not said.err
    assert errors["warnings"] and all(f"- {text}\n" in said.out for text in errors["warnings"])


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--tolerance", "2"], "--tolerance = 2.0"),
        (["--most-seconds", "0"], "--most-seconds = 0.0"),
        (["--features", "0"], "--features = 0"),
        (["--set", "speed=2"], "--set"),
        (["--animate"], "--animate"),
        (["--model", "."], "--finetune"),
    ],
)
def test_options_that_cannot_be_are_rejected_before_anything_is_solved(
    tmp_path, capsys, more, named
):
    assert solved(tmp_path, HEAT, *more) == (2, None)
    assert named in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonlinear: u**3\n" + POISSON, "nonlinear"),
        (POISSON.replace("u_yy: 1", "u_yy: 1 + x**2"), "u_yy"),
        (POISSON + "\ndomain: {box: {x: [0, 2], y: [0, 1]}}", "domain"),
    ],
)
def test_what_hypernetworks_do_not_read_is_rejected_by_name(tmp_path, capsys, text, named):
    assert solved(tmp_path, text, "--head") == (2, None)
    said = capsys.readouterr().err
    assert "--head" in said and named in said and "constant coefficients" in said


def cooling(**changes):
    """Heat in a rod of length 10 over 2 units of time."""
    given = {
        "coefficients": {"u_t": 1, "u_xx": "-k"},
        "domain": Rectangle((0.0, 0.0), (10.0, 2.0)),
        "dirichlet": {"left": 20.0, "right": 80.0},
        "time": "t",
        "initial": "20 + 6 * x",
        "parameters": {"k": 0.2},
        "coordinates": ("x", "t"),
    }
    return PDEProblem(**(given | changes))


def test_parameters_are_set_by_name():
    found = with_parameters(cooling(), ["k=0.5"])
    assert found.parameters == {"k": 0.5} and cooling().parameters == {"k": 0.2}
    for text, expected in (
        ("speed=1", "k"),
        ("k=fast", "number"),
        ("k=nan", "finite"),
        ("k", "number"),
    ):
        with pytest.raises(ConfigError, match="--set") as raised:
            with_parameters(cooling(), [text])
        assert expected in str(raised.value)
    with pytest.raises(ConfigError, match="none"):
        with_parameters(PDE(LAPLACE, dirichlet=0.0), ["k=1"])
