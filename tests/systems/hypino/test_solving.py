"""One problem at a time: files that are read safely, solutions that say what they are worth."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.physics.pde import nodes
from metajax.systems.hypino import Model, make_network, make_target, read_problem, solve
from metajax.systems.hypino.solving import generate
from pdes import CONFIG, quadratics

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
        "solve", str(path), "--out", str(out), "--features", "250", "--size", "33",
        "--compilation-cache", "off",
    ]  # fmt: skip
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
    return Model(CONFIG, jax.jit(make_network(CONFIG).init)(key, quadratics(key).support))


def wrong(found):
    return found.residual_rms**2 + 100 * found.dirichlet_rms**2


@pytest.mark.slow
def test_a_model_solves_as_its_networks_say_and_every_help_makes_it_better(tmp_path):
    pde, model = read_problem(written(tmp_path, HEAT)), untrained()
    alone = solve(pde, model=model, head=False, size=9)
    key = jax.random.split(jax.random.key(0), 3)[1]
    weights = jax.tree.map(lambda leaf: leaf[0], generate(model, pde, key, 0, 0).weights)
    direct = make_target(CONFIG).apply(weights, nodes(9).reshape(-1, 2))[:, 0]
    np.testing.assert_allclose(alone.u.reshape(-1), direct, atol=1e-5)
    assert np.isnan(alone.scale)
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
