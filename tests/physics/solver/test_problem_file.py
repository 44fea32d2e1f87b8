"""PDE files: what they mean, and that every other file ends in one error with its field's name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from odd import ODD, damaged, mutants

from metajax.cli.main import main
from metajax.core import ConfigError
from metajax.physics.pde import Ellipse, Rectangle, sample
from metajax.physics.solver import as_pde, collocate, read_problem

PROBLEM = """
coefficients: {u_xx: 1, u_yy: 1.5}
source: x
domain:
  less:
    - disk: {centre: [0.5, 0.5], radius: 0.2, name: hole}
    - polygon: {vertices: [[-0.6, -0.6], [-0.2, -0.3], [-0.2, -0.6]]}
dirichlet: {square: 1, hole: 2 * y}
neumann: {hole_1: 0}
"""
LAPLACE = "coefficients: {u_xx: 1, u_yy: 1}\n"


def problem_of(tmp_path, text):
    path = tmp_path / "problem.yaml"
    path.write_text(text)
    return read_problem(path)


def read(tmp_path, text):
    return as_pde(problem_of(tmp_path, text))


def data_of(pde):
    """Per piece: the Dirichlet and Neumann data at one of its points; None where not given."""
    points = jax.jit(sample, static_argnums=(2, 3))(pde, jax.random.key(0), 4, 200)
    found = {}
    for index, piece in enumerate(pde.domain.pieces):
        here = np.flatnonzero(np.asarray(points.boundary.piece) == index)[:1]
        if len(here):
            found[piece.edge or piece.shape] = tuple(
                float(value[here[0]]) if mask[here[0]] else None
                for value, mask in (
                    (points.dirichlet, points.dirichlet_mask),
                    (points.neumann, points.neumann_mask),
                )
            )
    return found


EDGES = ("left", "right", "bottom", "top")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("dirichlet: 0", dict.fromkeys(EDGES, (0.0, None))),
        ("dirichlet: 1 + 0 * x", dict.fromkeys(EDGES, (1.0, None))),
        ("dirichlet: {left: 1}\nneumann: 2", None),
        ("dirichlet: 0\nneumann: {left: 1}", None),
        ("dirichlet: {square: 0}\nneumann: {left: 1}", None),
        (
            "dirichlet: {right: 0, bottom: 0, top: 0}\nneumann: {left: 1}",
            {**dict.fromkeys(EDGES[1:], (0.0, None)), "left": (None, 1.0)},
        ),
        (
            "dirichlet: {bottom: 3, left: 0}\nneumann: {square.bottom: 4}",
            {"bottom": (3.0, 4.0), "left": (0.0, None)},
        ),
        ("dirichlet: 0\nneumann: 1", dict.fromkeys(EDGES, (0.0, 1.0))),
        ("dirichlet: 0\nneumann:", dict.fromkeys(EDGES, (0.0, None))),
        ("dirichlet: {}\nneumann: {left: 1}", {"left": (None, 1.0)}),
    ],
)
def test_each_piece_carries_what_the_file_says_or_the_file_is_refused(tmp_path, data, expected):
    """Both kinds on a piece by names of which one is wider could mean either of them."""
    if expected is None:
        with pytest.raises(ConfigError, match=r"'square\.left' has .*(whole boundary|'square')"):
            read(tmp_path, LAPLACE + data)
    else:
        assert data_of(read(tmp_path, LAPLACE + data)) == expected


def test_numbers_are_those_of_yaml_1_2_and_truth_values_are_none(tmp_path):
    pde = read(
        tmp_path, "coefficients: {u_y: 1, u_xx: -1e-3}\nsource: 1e3\ndirichlet: {left: 5e-1}"
    )
    np.testing.assert_array_equal(pde.coefficients, np.float32([0, 0, 1, -1e-3, 0]))
    assert float(pde.source(jnp.zeros((1, 2)))[0]) == 1000
    disk = LAPLACE + "dirichlet: 0\ndomain: {less: [{disk: {centre: [0, 0], radius: %s}}]}"
    assert float(read(tmp_path, disk % "2e-1").domain.second.radius) == pytest.approx(0.2)
    for word in ("yes", "on", "no", "off", "true", "True"):
        with pytest.raises(ConfigError, match=r"domain.less\[0\].disk.radius = .*a finite number"):
            read(tmp_path, disk % word)
    with pytest.raises(ConfigError, match="source"):
        read(tmp_path, LAPLACE + "source: yes\ndirichlet: 0")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dirichlet: 0\ndirichlet: 1", "line 3: the key 'dirichlet' stands in line 2"),
        ("dirichlet: {left: 0, right: 1,\n  left: 2}", "line 3: the key 'left'"),
        ("source: .nan\ndirichlet: 0", "source = nan: expected a finite number"),
        ("source: 1e39\ndirichlet: 0", "source"),
        ("dirichlet: {left: .inf}", r"dirichlet\['left'\] = inf"),
        ("dirichlet: {square: 0, left: 0, right: 0, bottom: 0, top: 0}", r"dirichlet\['square'\]"),
        ("dirichlet: 0\ndomain: {less: [{disk: {centre: [0, 0], radius: 0}}]}", "disk.radius"),
        ("dirichlet: 0\ndomain: {less: [{disk: {centre: [0], radius: 1}}]}", "disk.centre"),
        (
            "dirichlet: 0\ndomain: {less: [{polygon: {vertices: [[0, 0], [1], [2, 2]]}}]}",
            r"polygon.vertices\[1\]",
        ),
        (
            "dirichlet: 0\ndomain: {less: [{disk: {centre: [0, 0], radius: .1, name: left}}]}",
            "disk.name = 'left'",
        ),
        ("dirichlet: 0\ndomain: {less: {disk: {}}}", "domain.less"),
        ("dirichlet: 0\ndomain: 0", "domain"),
        (f"dirichlet: 0\ndomain: {{less: [{', '.join(['x'] * 201)}]}}", "at most 200 shapes"),
    ],
)
def test_files_are_refused_by_name(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, LAPLACE + text)


IN_TIME = """
domain:
  box: {x: [0, 3], t: [0, 0.5], name: ring}
  less:
    - intersection:
        - disk: {centre: [1, 0.2], radius: 0.1}
        - disk: {centre: [1.1, 0.2], radius: 0.1}
    - ellipse: {centre: [2, 0.3], radii: [0.1, 0.05], angle: 0.3, name: hole}
coefficients: {u_tt: 1, u_xx: -c ** 2, u_x: "where(x < 1, 0, x - 1)", u: 1e-3}
nonlinear: u ** 3 - c * u_x
source: exp(-t) * sin(x)
periodic: [x]
time: t
initial: sin(2 * pi * x / 3)
initial_velocity: 0
parameters: {c: 1.5}
coordinates: [x, t]
dirichlet: {part_0: 0}
robin: {hole: {u: 1, flux: c, value: x}}
"""
IN_SPACE = """
domain:
  union:
    - extruded:
        shape: {polygon: {vertices: [[0, 0], [2, 0], [1, 2]]}, less: []}
        lower: 0
        upper: 1
    - ball: {centre: [1, 0.5, 1], radius: 0.6, name: dome}
coordinates: [x, y, z]
coefficients: {u_xx: 1, u_yy: 1, u_zz: k, u_xz: 0.1}
parameters: {k: 2}
dirichlet: {polygon: 0}
neumann: {dome: z}
regions: {core: {ball: {centre: [1, 0.5, 1], radius: 0.3}}}
source: where(core and x > 1, k, 0)
"""
FILES = {"plane": PROBLEM, "time": IN_TIME, "space": IN_SPACE}


def rejected(tmp_path, texts):
    """How many files are rejected, read and taken at points; no other error may escape."""
    count = 0
    for text in texts:
        try:
            collocate(problem_of(tmp_path, text), 0, 16, 16)
        except ConfigError as error:
            count += 1
            assert "\n" not in str(error) and len(str(error)) < 1200, text
    return count


@pytest.mark.parametrize("name", FILES)
def test_no_other_error_escapes_from_a_damaged_file(tmp_path, name):
    assert rejected(tmp_path, [FILES[name]]) == 0
    rng = np.random.default_rng(0)
    found = rejected(tmp_path, (damaged(FILES[name], rng) for _ in range(60)))
    assert 20 < found < 60


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_no_other_error_escapes_whichever_value_is_odd(tmp_path, name):
    texts = [text for _, _, text in mutants(FILES[name])][::5]  # 5 and the odd values are coprime
    found = rejected(tmp_path, texts)
    # what is left: numbers and formulas where they belong, kinds of data left out
    assert len(ODD) % 5 and found > 0.7 * len(texts)
    rng = np.random.default_rng(1)
    assert rejected(tmp_path, (damaged(FILES[name], rng) for _ in range(300))) > 140


def test_a_file_says_all_that_a_problem_in_python_does(tmp_path):
    problem = problem_of(tmp_path, IN_TIME)
    assert problem.coordinates == ("x", "t") and problem.time == "t" and problem.periodic == ("x",)
    assert problem.parameters == {"c": 1.5} and set(problem.coefficients) == {
        "u_tt",
        "u_xx",
        "u_x",
        "u",
    }
    box, hole = problem.domain.first.first, problem.domain.second
    assert isinstance(box, Rectangle) and isinstance(hole, Ellipse)
    np.testing.assert_array_equal(box.upper, [3, 0.5])
    assert box.upper.dtype == np.float64 and float(hole.angle) == 0.3
    assert [piece.shape for piece in problem.domain.pieces[4:]] == ["part_0", "part_1", "hole"]
    found = collocate(problem, 0, 200, 200)
    blocks = {block.name: block for block in found.blocks}
    edges = ["dirichlet on part_0", "robin on hole", "initial", "initial velocity"]
    assert list(blocks) == ["equation", *edges, "periodic x", "periodic x, slope"]
    u, slope = np.array([2.0]), np.array([[3.0, 5.0]])
    where = found.box.units(np.array([[1.0, 0.1]]))
    scaled = slope * found.box.half / found.units.u
    left = blocks["equation"].nonlinear(where, u / found.units.u, scaled)
    np.testing.assert_allclose(left * found.units.u * found.units.equation, 8 - 1.5 * 3)
    solid = problem_of(tmp_path, IN_SPACE)
    assert solid.coordinates == ("x", "y", "z") and solid.domain.dimensions == 3
    points = collocate(solid, 0, 500, 16).blocks[0]
    where = collocate(solid, 0, 500, 16).box.places(points.parts[0].points)
    core = (np.linalg.norm(where - [1, 0.5, 1], axis=1) < 0.3) & (where[:, 0] > 1)
    assert 5 < core.sum() < 250
    np.testing.assert_array_equal(points.target > 0, core)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("domain: {box: {x: [0, 1]}}", r"domain.box = .*x, y or x, t"),
        ("domain: {box: {x: [0, 1], y: [1, 0]}}", r"domain.box.y = \[1.0, 0.0\]"),
        ("domain: {box: {x: [0, 1], y: 3}}", r"domain.box.y = 3: expected its two ends"),
        ("domain: {box: {x: [0, 1], y: [0, 1]}, disk: {}}", "domain = .*one of box"),
        ("domain: {union: []}", "domain.union = .*one shape"),
        (
            "domain: {union: [{disk: {centre: [0, 0], radius: -1}}]}",
            r"domain.union\[0\].disk.radius",
        ),
        ("domain: {ellipse: {centre: [0, 0], radii: [1, 0]}}", "domain.ellipse.radii"),
        ("domain: {extruded: {shape: {}, lower: 0}}", "domain.extruded = .*shape, lower and upper"),
        (
            "domain: {extruded: {shape: {box: {x: [0, 1], y: [0, 1]}}, lower: 0, upper: 0}}",
            "domain.extruded.upper",
        ),
        (
            "domain: {ball: {centre: [0, 0, 0], radius: 1}, "
            "less: [{disk: {centre: [0, 0], radius: 1}}]}",
            "domain.less = .*3 coordinates each",
        ),
        ("regions: {core: {disk: {centre: [0, 0], radius: 0}}}", r"regions\['core'\].disk.radius"),
        ("regions: {x: {disk: {centre: [0, 0], radius: 1}}}", "regions = 'x'"),
        ("parameters: {k: fast}", r"parameters\['k'\] = 'fast'"),
        ("parameters: {pi: 3}", "parameters = 'pi'"),
        ("robin: {left: 3}", r"robin\['left'\] = 3: expected u, flux and value"),
        ("robin: {left: {u: 1, flux: q, value: 0}}", r"robin\['left'\].flux = 'q'"),
        ("periodic: x", "periodic = 'x': expected a list"),
        ("periodic: [z]", "periodic = 'z'"),
        ("time: 3", "time = 3"),
        ("time: z\ninitial: 0", "time = 'z'"),
        ("initial: 0", "initial = 0"),
        ("nonlinear: u_xx", "nonlinear = 'u_xx'"),
        ("nonlinear: 3", "nonlinear = 3: expected text"),
        ("coordinates: [x, y, z]", "coordinates = "),
        ("coordinates: x", "coordinates = 'x'"),
    ],
)
def test_new_fields_are_rejected_by_name(tmp_path, text, words):
    whole = LAPLACE + text + ("" if "robin" in text else "\ndirichlet: 0")
    with pytest.raises(ConfigError, match=words):
        problem_of(tmp_path, whole)


def test_what_a_model_of_the_plane_cannot_read_is_rejected_by_name(tmp_path):
    for more, words in (
        ("nonlinear: u ** 2\ndirichlet: 0", "nonlinear"),
        ("robin: {u: 1, flux: 1, value: 0}", "robin"),
        ("periodic: [x]", "periodic"),
        ("time: y\ninitial: 0\ninitial_velocity: 0", "time"),
        ("domain: {box: {x: [0, 1], t: [0, 1]}}\ndirichlet: 0", "coefficients|coordinates"),
    ):
        with pytest.raises(ConfigError, match=words):
            read(tmp_path, LAPLACE + more)
    with pytest.raises(ConfigError, match=r"coefficients\['u_xx'\] = .*the same number everywhere"):
        read(tmp_path, "coefficients: {u_xx: 1 + x}\ndirichlet: 0")
    text = "coefficients: {u_xx: k / 2}\nparameters: {k: 3}\nsource: k * x\n"
    core = "regions: {core: {disk: {centre: [1, 0], radius: 0.5}}}\n"
    pde = read(tmp_path, text + core + "dirichlet: where(core, k, 0)")
    assert pde.coefficients[3] == 1.5
    points = jnp.array([[0.25, 0.0], [0.5, 0.0], [1.0, 0.1]])
    np.testing.assert_array_equal(pde.source(points), [0.75, 1.5, 3])
    # The second point is on the edge of the region, which is of the region.
    np.testing.assert_array_equal(pde.dirichlet[0].value(points), [0, 3, 3])


@pytest.mark.parametrize("content", [b"", b"\xff\xfea\x00", b"\x00", b"- 1", b"a: &a [*a]", None])
def test_the_command_ends_in_one_line_with_code_2(tmp_path, capsys, content):
    path = tmp_path / "problem.yaml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    out = tmp_path / "out"
    assert main(["solve", str(path), "--out", str(out), "--compilation-cache", "off"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"metajax: error: file = '{path}': expected") and said.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize("option", ["--features", "--size", "--seed", "--refine", "--finetune"])
def test_numbers_of_the_command_are_checked_before_the_problem_is_read(option, capsys):
    for value in ("-1", str(2**31)):
        assert main(["solve", "nowhere.yaml", option, value, "--compilation-cache", "off"]) == 2
        assert f"{option} = {value}" in capsys.readouterr().err


def test_the_command_keeps_compiled_programs_where_it_is_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("metajax.cli.main.use_compilation_cache", told.append)
    options = ["--out", str(tmp_path / "out"), "--compilation-cache", "here"]
    assert main(["solve", str(tmp_path / "nowhere.yaml"), *options]) == 2
    assert told == ["here"]


def test_a_file_is_the_problem_that_it_describes(tmp_path):
    pde = read(
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
        read(tmp_path, text.replace("\\n", "\n"))
    with pytest.raises(ConfigError, match="file"):
        read_problem(tmp_path / "nowhere.yaml")
