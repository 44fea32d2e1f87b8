"""One problem at a time: files that are read safely, solutions that say what they are worth."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.physics.pde import PDE, Disk, Rectangle, Square, benchmark, nodes
from metajax.systems.hypino import (
    DoubtfulSolutionWarning,
    Model,
    read_problem,
    solve,
    solving,
)
from metajax.systems.hypino.solving import generate
from pdes import CONFIG, METHOD, TARGET, quadratics

pytestmark = pytest.mark.usefixtures("quick_compile")

HEAT = """
coefficients: {u_y: 1, u_xx: -0.2}
dirichlet: {left: 0, right: 0, bottom: "sin(pi * (x + 1) / 2)"}
"""


def written(tmp_path, text):
    path = tmp_path / "problem.yaml"
    path.write_text(text)
    return path


def test_a_file_is_the_problem_that_it_describes(tmp_path):
    pde = read_problem(
        written(
            tmp_path,
            """
coefficients: {u: 1.5, u_yy: -2}
source: "-x ** 2 + exp(y) / 4"
domain:
  less:
    - disk: {centre: [0.5, 0.5], radius: 0.2, name: hole}
    - rectangle: {lower: [-0.6, -0.6], upper: [-0.2, -0.3]}
dirichlet: {square: 1, hole: "2 * pi"}
neumann: {hole_1: x}
""",
        )
    )
    np.testing.assert_array_equal(pde.coefficients, [1.5, 0, 0, 0, -2])
    points = jnp.array([[0.5, 0.5], [-0.4, -0.4], [0.1, -0.2]])
    np.testing.assert_array_equal(pde.domain.contains(points), [False, False, True])
    expected = -(points[:, 0] ** 2) + jnp.exp(points[:, 1]) / 4
    np.testing.assert_allclose(pde.source(points), expected, rtol=1e-6)
    names = [piece.shape for piece in pde.domain.pieces]
    assert {"square", "hole", "hole_1"} == set(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[1, 2]", "file"),
        ("a: [", "YAML"),
        ("coefficients: {u_z: 1}\\ndirichlet: {left: 0}", "u_z"),
        ("coefficients: {u_x: true}\\ndirichlet: {left: 0}", "u_x"),
        ("coefficients: {u_x: 1}", "dirichlet"),
        ("coefficients: {u_x: 1}\\ndirichlet: {nowhere: 0}", "nowhere"),
        (
            "coefficients: {u_x: 1}\\nsource: __import__('os').getcwd()\\ndirichlet: {left: 0}",
            "character 12 has no meaning",
        ),
        ("coefficients: {u_x: 1}\\nsource: x.real\\ndirichlet: {left: 0}", "'.' at character 2"),
        ("coefficients: {u_x: 1}\\nsource: z\\ndirichlet: {left: 0}", "'z' at character 1"),
        ("coefficients: {u_x: 1}\\nsource: '2 +'\\ndirichlet: {left: 0}", "formula"),
        ("coefficients: {u_x: 1}\\nsource: 1 / 0\\ndirichlet: {left: 0}", "computed|formula"),
        ("coefficients: {u_x: 1}\\nmore: 1\\ndirichlet: {left: 0}", "more"),
        ("coefficients: {u_x: 1}\\ndomain: {less: [{ball: {}}]}\\ndirichlet: {left: 0}", "ball"),
        (
            "coefficients: {u_x: 1}\\ndomain: {less: [{disk: {radius: 1}}]}\\ndirichlet: {left: 0}",
            "centre",
        ),
        ("!!python/object/apply:os.getcwd []", "YAML"),
    ],
)
def test_ill_formed_files_are_refused_by_name(tmp_path, text, names):
    with pytest.raises(ConfigError, match=names):
        read_problem(written(tmp_path, text.replace("\\n", "\n")))
    with pytest.raises(ConfigError, match="file"):
        read_problem(tmp_path / "nowhere.yaml")


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


def test_sizes_are_checked(tmp_path):
    pde = read_problem(written(tmp_path, HEAT))
    for field, value in (("features", 0), ("size", 1)):
        with pytest.raises(ConfigError, match=field):
            solve(pde, **{field: value})


def untrained():
    key = jax.random.key(0)
    return Model(CONFIG, jax.jit(METHOD.learner.init)(key, quadratics(key)))


def wrong(found):
    return found.residual_rms**2 + 100 * found.dirichlet_rms**2


@pytest.mark.slow
def test_a_model_solves_as_its_networks_say_and_every_help_makes_it_better(tmp_path):
    pde, model = read_problem(written(tmp_path, HEAT)), untrained()
    alone = solve(pde, model=model, head=False, size=9)
    key = jax.random.split(jax.random.key(0), 3)[1]
    weights = jax.tree.map(lambda leaf: leaf[0], generate(model, pde, key, 0, 0).weights)
    direct = TARGET.apply(weights, nodes(9).reshape(-1, 2))[:, 0]
    np.testing.assert_allclose(alone.u.reshape(-1), direct, atol=1e-5)
    assert np.isnan(alone.scale)
    compiled = solving.generate_weights._cache_size()
    solve(pde, model=untrained(), head=False, size=9)
    assert solving.generate_weights._cache_size() == compiled  # a model of an equal config
    tuned = solve(pde, model=model, head=False, size=9, tuning=60)
    headed = solve(pde, model=model, size=9, features=0, rounds=2)
    assert wrong(tuned) < 0.9 * wrong(alone)
    # twelve hidden units in all, and a constant
    assert wrong(headed) < 0.5 * wrong(alone)
    both = solve(pde, model=model, size=9, features=150, rounds=2)
    assert wrong(both) < 1e-2 * wrong(headed) and both.scale > 0


@pytest.mark.slow
def test_operators_out_of_the_trained_range_are_warned_of(tmp_path):
    pde = read_problem(written(tmp_path, HEAT.replace("u_y: 1", "u_y: 8")))
    with pytest.warns(UserWarning, match="8.0"):
        solve(pde, model=untrained(), head=False, size=3)


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
    assert (code, errors["verdict"], errors["warnings"]) == (0, "good", [])
    assert "warning" not in capsys.readouterr().err


def test_data_that_contradict_each_other_end_in_exit_code_3(tmp_path, capsys):
    code, errors = solved(tmp_path, NEUMANN.replace("FLUX", "0"))
    assert (code, errors["verdict"]) == (3, "wrong")
    assert "contradicts the source" in capsys.readouterr().err
    with pytest.warns(DoubtfulSolutionWarning, match="contradicts"):
        found = solve(PDE(LAPLACE, 1.0, neumann=0.0), features=100, size=9)
    assert found.verdict == "wrong"


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
    assert (code, errors["verdict"]) == (0, "doubtful")
    said = capsys.readouterr().err
    assert all(word in said and word in " ".join(errors["warnings"]) for word in words), said


def test_a_solution_that_is_not_finite_is_wrong(tmp_path, monkeypatch):
    def broken(*args):
        u, applied = everywhere(*args)
        return np.where(np.arange(len(u)) == 3, np.inf, u), applied

    everywhere = solving.everywhere
    monkeypatch.setattr(solving, "everywhere", broken)
    code, errors = solved(tmp_path, HEAT)
    assert (code, errors["verdict"]) == (3, "wrong")
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


def test_a_solution_has_values_in_the_closed_domain_alone():
    domain = Square() - Rectangle((0, 0), (1, 1)) - Rectangle((-1, -1), (-0.5, -0.5))
    with pytest.warns(DoubtfulSolutionWarning):
        found = solve(PDE(LAPLACE, -1.0, domain, dirichlet=0.0), features=50, size=9)
    x, y = np.moveaxis(np.asarray(nodes(9)), -1, 0)
    outside = ((x > 0) & (y > 0)) | ((x < -0.5) & (y < -0.5))
    np.testing.assert_array_equal(np.isnan(found.u), outside)
    np.testing.assert_array_equal(np.isnan(found.residual), outside)


@pytest.mark.parametrize(("equation", "data"), [(1e9, 1.0), (1e-9, 1.0), (1, 1e9), (1, 1e-9)])
def test_a_solution_does_not_depend_on_the_units_that_its_problem_is_written_in(equation, data):
    def problem(equation, data):
        coefficients = [0, 0, 0, equation, 2 * equation]

        def source(x, y):
            return equation * data * jnp.sin(3 * x + y)

        def edge(x, y):
            return data * jnp.cos(x) * y

        return PDE(coefficients, source, dirichlet=edge)

    settings = {"features": 100, "size": 9}
    one, other = solve(problem(1.0, 1.0), **settings), solve(problem(equation, data), **settings)
    assert (one.scale, one.verdict, one.warnings) == (other.scale, other.verdict, other.warnings)
    np.testing.assert_allclose(other.u / data, one.u, atol=1e-7)
    np.testing.assert_allclose(other.residual_rms / (equation * data), one.residual_rms, rtol=1e-3)
    np.testing.assert_allclose(other.dirichlet_rms / data, one.dirichlet_rms, rtol=1e-3)


def test_the_data_of_a_small_hole_and_of_a_sliver_count():
    hole = Square() - Disk((0.2, 0.1), 5e-5, "hole")
    with pytest.warns(DoubtfulSolutionWarning, match="on hole"):
        solve(PDE(LAPLACE, 0.0, hole, dirichlet={"square": 0.0, "hole": 1.0}), features=50, size=9)
    sliver = Square() - Rectangle((-1, -1), (1, 0.999))
    pde = PDE(LAPLACE, 0.0, sliver, dirichlet=lambda x, y: x)
    found = solve(pde, features=50, size=9)
    assert found.verdict == "good"
    np.testing.assert_allclose(found.u[-1], np.linspace(-1, 1, 9), atol=1e-6)
    assert np.isnan(found.u[:-1]).all()


def test_a_problem_of_the_same_shapes_is_solved_without_compiling(tmp_path):
    """Read again, its formulas are other functions; and with another hole and other numbers."""
    text = """
coefficients: {u_xx: 1, u_yy: 1}
source: "sin(x) * y"
domain: {less: [{disk: {centre: [0.2, 0.1], radius: 0.3, name: hole}}]}
dirichlet: {square: x, hole: 1}
"""
    compiled = []

    def note(name, seconds, **details):
        if "compile" in name or "trace" in name:
            compiled.append(details.get("fun_name"))

    def run(text):
        compiled.clear()
        with pytest.warns(DoubtfulSolutionWarning):
            solve(read_problem(written(tmp_path, text)), features=20, size=9)
        return list(compiled)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        assert run(text)
        assert run(text) == []
        other = (
            text.replace("0.3", "0.25").replace("u_xx: 1", "u_xx: 2").replace("hole: 1", "hole: 2")
        )
        assert run(other) == []
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def test_nothing_is_nan_on_purpose():
    """Neither without data of one kind, nor with nodes outside the domain."""
    domain = Square() - Rectangle((0, 0), (1, 1))
    with jax.debug_nans(True), pytest.warns(DoubtfulSolutionWarning):
        found = solve(PDE(LAPLACE, -1.0, domain, dirichlet=0.0), features=50, size=9)
    assert np.isnan(found.neumann_rms) and np.isnan(found.u).any()


@pytest.mark.slow
def test_the_scale_is_judged_with_the_features_that_are_used():
    """At 500 features another scale is best, with 70 times the error at 2000."""
    known = benchmark("PS-C")
    found = solve(known.pde)
    error = np.mean((found.u[known.place] - np.asarray(known.reference)) ** 2)
    assert error < 1e-6
    assert found.verdict == "good"
