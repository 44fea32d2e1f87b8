"""A known solution put into a problem's equations at points leaves nothing, in any units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_solutions import Along, Known

from metajax.core import ConfigError
from metajax.physics.pde import (
    Disk,
    Polygon,
    Rectangle,
    Square,
    benchmark,
    on_host,
    sample_points,
)
from metajax.physics.solver import PDEProblem, Robin, as_problem, collocate
from metajax.physics.solver.collocation import anywhere, blocks_at, sample_problem
from metajax.physics.solver.points import Box
from metajax.physics.solver.values import evaluate, known_parameters

ROTATED = np.array([[0, 0], [2, 1], [1, 3], [-1, 2]], float)
DOMAINS = {
    "square": (Square, ((0, 0), (1, 1))),
    "a heat pipe": (lambda: Rectangle((20, -1e-3), (3020, 2e-3)), ((1520, 5e-4), (1500, 1.5e-3))),
    "small disk far away": (lambda: Disk((3.0, -2.0), 1e-6), ((3, -2), (1e-6, 1e-6))),
    "large disk less a hole": (
        lambda: Disk((0, 0), 1e6) - Disk((3e5, 0), 1e4),
        ((0, 0), (1e6, 1e6)),
    ),
    "rotated": (lambda: Polygon(1e3 * ROTATED), ((500, 1500), (1500, 1500))),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_every_term_and_kind_of_boundary_data_holds_at_a_known_solution(name):
    make, box = DOMAINS[name]
    known, (middle, half) = Known(box, size=3e4), box
    long = half[0]

    def source(x, y, p):
        gradient = known.slope(0, x, y), known.slope(1, x, y)
        return (
            2.5 * known.u(x, y)
            + np.cos((x - middle[0]) / long) * long * gradient[0]
            - 0.5 * gradient[1]
            + (long**2 + (x - middle[0]) ** 2) * known.second(0, 0, x, y)
            + p["k"] * known.second(0, 1, x, y)
            + half[1] ** 2 * known.second(1, 1, x, y)
            + known.u(x, y) ** 3 / 1e6
            + p["k"] * gradient[1] * (x - middle[0])
        )

    problem = PDEProblem(
        {
            "u": 2.5,
            "u_x": f"cos((x - {middle[0]}) / {long}) * {long}",
            "u_y": lambda x, y, p: -0.5,
            "u_xx": lambda x, y, p: long**2 + (x - middle[0]) ** 2,
            "u_xy": "k",
            "u_yy": np.float64(half[1] ** 2),
        },
        source,
        nonlinear=f"u ** 3 / 1e6 + k * u_y * (x - {middle[0]})",
        domain=make(),
        dirichlet=lambda x, y, p: known.u(x, y),
        neumann=Along(known, 0.0, 1.0),
        robin=Robin("2 + 0 * k", lambda x, y, p: -long, Along(known, 2.0, -long)),
        parameters={"k": 0.3 * half[0] * half[1]},
    )
    found = collocate(problem, 3, 200, 100)
    left = known.left_of(found)
    kinds = ("dirichlet", "neumann", "robin")
    assert list(left) == ["equation", *(f"{kind} on the boundary" for kind in kinds)]
    # a place far from 0 has fewer digits for what is small
    assert max(left.values()) < 1e-11 + 1e-15 * np.max(np.abs(middle) / half)
    points = found.blocks[0].parts[0].points
    assert points.dtype == np.float64 and len(points) == 200 and np.abs(points).max() <= 1
    # own units: what is known is 1 at most, and rows are neither large nor small
    targets = np.concatenate([block.target for block in found.blocks])
    assert 0.5 < np.abs(targets).max() < 2
    for block in found.blocks:
        size = sum(np.abs(part).sum() for part in block.parts[0].operator if part is not None)
        assert 0.1 < size / len(block.target) < 10
    fresh = collocate(problem, 4, 200, 100)
    assert fresh.units.u == found.units.u
    assert not np.isin(fresh.blocks[0].parts[0].points, points).any()


def test_a_problem_in_time_holds_at_a_known_solution_in_odd_units():
    """A damped wave on a ring: periodic, with initial state and velocity, and a nonlinear part."""
    box = (1.0, 5e-3), (2.0, 4e-3)
    known = Known(box, size=1e-5, period=0)

    def source(x, t):
        bent = known.second(1, 1, x, t) - 1e4 * known.second(0, 0, x, t)
        return bent + 30 * known.slope(1, x, t) + known.u(x, t) * known.slope(0, x, t)

    problem = PDEProblem(
        {"u_tt": 1, "u_xx": -1e4, "u_t": 30},
        source,
        nonlinear=lambda u, gradient, coordinates: u * gradient[:, 0],
        domain=Rectangle((-1, 1e-3), (3, 9e-3)),
        periodic=["x"],
        time="t",
        initial=known.u,
        initial_velocity=lambda x, t: known.slope(1, x, t),
        coordinates=("x", "t"),
    )
    left = known.left_of(collocate(problem, 0, 100, 60))
    names = ["equation", "initial", "initial velocity", "periodic x", "periodic x, slope"]
    assert list(left) == names and max(left.values()) < 1e-11
    begin = collocate(problem, 0, 100, 60).blocks[1].parts[0].points
    assert (begin[:, 1] == -1).all() and np.ptp(begin[:, 0]) > 1.8


def bar(metre, kelvin, watt, second):
    """A bar that cools, in any units; conductivity falls with the temperature's slope."""
    conductivity = 50 * watt / metre / kelvin
    exchange = 20 * watt / metre**2 / kelvin
    long, high = 3 * metre, 0.04 * metre
    heat = 4e6 * watt * second / metre**3 / kelvin
    steeper = 1e-2 * conductivity / kelvin
    hole = Disk((1.0 * metre, 0.02 * metre), 0.01 * metre)
    return PDEProblem(
        {"u_t": heat, "u_xx": -conductivity},
        lambda x, t: 1e3 * watt / metre**3 * np.sin(x / metre),
        nonlinear=lambda u, gradient, coordinates: steeper * gradient[:, 0] ** 2,
        domain=Rectangle((0, 0), (long, 3600 * second)),
        dirichlet={"left": 90 * kelvin},
        robin={"right": Robin(exchange, conductivity, 20 * kelvin * exchange)},
        time="t",
        initial=lambda x, t: 90 * kelvin - 10 * kelvin * x / metre,
        coordinates=("x", "t"),
    ), PDEProblem(
        {"u_xx": conductivity, "u_yy": conductivity},
        domain=Rectangle((0, 0), (long, high)) - hole,
        dirichlet={"disk": 60 * kelvin},
        neumann={"left": 1e3 * kelvin / metre},
        robin={"top": Robin(exchange, conductivity, 20 * kelvin * exchange)},
        nonlinear=lambda u, gradient, coordinates: 1e3 * watt / metre**3 * np.exp(-u / 20 / kelvin),
    )


@pytest.mark.parametrize("place", [0, 1])
def test_units_of_the_person_do_not_change_the_equations(place):
    one = collocate(bar(1.0, 1.0, 1.0, 1.0)[place], 5, 64, 64)
    other = collocate(bar(1e3, 1e-2, 1e7, 1 / 3600)[place], 5, 64, 64)
    np.testing.assert_allclose(other.units.u, 1e-2 * one.units.u, rtol=1e-6)
    for mine, theirs in zip(one.blocks, other.blocks, strict=True):
        assert mine.name == theirs.name
        made = [(block.parts, block.target) for block in (mine, theirs)]
        # shapes in Python have single precision
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-6), *made)
    points = one.blocks[0].parts[0].points
    u, gradient = np.sin(points[:, 0]), np.cos(points)
    values = [found.blocks[0].nonlinear(points, u, gradient) for found in (one, other)]
    np.testing.assert_allclose(*values, rtol=1e-5)
    assert np.abs(values[0]).max() > 1e-3


@pytest.mark.parametrize("name", ["WV", "PS-L"])
def test_a_benchmark_is_the_same_problem(name):
    """Against the equations that the linear solver made of it: where data hold, and which."""
    pde = benchmark(name).pde
    found = collocate(as_problem(pde), 1, 64, 256)
    with jax.enable_x64(True):
        exact = sample_points(on_host(pde), jax.random.key(0), 64, 4096)
    masks = {"dirichlet": exact.dirichlet_mask, "neumann": exact.neumann_mask}
    for kind, mask in masks.items():
        there = [at for block in found.blocks if block.name.startswith(kind) for at in block.parts]
        where = np.concatenate([np.zeros((0, 2)), *(at.points for at in there)])
        mine = np.asarray(exact.boundary.points)[np.asarray(mask)]
        assert (len(where) > 0) == (len(mine) > 0)
        if len(where):
            apart = np.linalg.norm(where[:, None] - mine, axis=-1)
            # every point of one is near a point of the other
            assert apart.min(1).max() < 0.02 and apart.min(0).max() < 0.15
    given = np.asarray(pde.coefficients, float)
    operator = found.blocks[0].parts[0].operator
    largest = np.abs(given).max()
    if given[3]:
        np.testing.assert_allclose(operator.hessian[:, 0, 0] * largest, given[3], rtol=1e-6)


def test_a_box_takes_one_point_and_many_whichever_computes():
    box = Box(np.array([1.0, 10.0]), np.array([2.0, 5.0]))
    points = np.array([[3.0, 5.0], [1.0, 10.0], [-1.0, 12.5]])
    expected = np.array([[1.0, -1.0], [0, 0], [-1, 0.5]])
    for place, units in (
        (points, expected),
        (points[0], expected[0]),
        (points[None], expected[None]),
    ):
        np.testing.assert_array_equal(box.units(place), units)
        np.testing.assert_array_equal(box.places(units), place)
        assert box.units(place).shape == place.shape
        np.testing.assert_array_equal(box.units(jnp.asarray(place, jnp.float32)), units)


def test_narrow_parts_and_small_holes_are_reached():
    channel = Rectangle((-1, -1), (1, 1)) - Disk((0.5, 0.5), 1e-4)
    square = PDEProblem({"u_xx": 1}, domain=channel, dirichlet={"rectangle": 0, "disk": 1})
    found = collocate(square, 0, 100, 200)
    hole = next(block for block in found.blocks if block.name == "dirichlet on disk")
    assert len(hole.target) > 8
    np.testing.assert_allclose(np.linalg.norm(hole.parts[0].points - 0.5, axis=1), 1e-4, rtol=1e-8)
    gap = Disk((0, 0), 1.0) - Disk((0, 0), 1 - 1e-5)
    thin = collocate(PDEProblem({"u_xx": 1}, domain=gap, dirichlet=0), 0, 100, 64)
    radius = np.linalg.norm(thin.blocks[0].parts[0].points, axis=1)
    assert len(radius) == 100 and (radius > 1 - 1e-5).all() and (radius < 1).all()


def test_traced_parameters_give_the_same_equations():
    """As `solve_fn` needs them: points and units are known, and parameters are not."""
    problem = PDEProblem(
        {"u_xx": "k", "u_yy": 1},
        "k * x",
        nonlinear="k * u ** 2 * u_x",
        dirichlet={"left": "k", "right": 0},
        robin={"top": Robin("k", 1, lambda x, y, p: p["k"] * x)},
        parameters={"k": 2.0},
    )
    found = collocate(problem, 0, 20, 16)
    sampled = sample_problem(problem, 0, 20, 16)

    def made(k):
        blocks = blocks_at(problem, sampled, found.units, {"k": k})
        nonlinear = blocks[0].nonlinear(sampled.inside, sampled.inside[:, 0], sampled.inside)
        return [(block.parts, block.target) for block in blocks], nonlinear

    with jax.enable_x64(True):
        traced, nonlinear = jax.jit(made)(jnp.float64(2.0))
        rise = jax.jacfwd(lambda k: made(k)[0][0][1])(jnp.float64(2.0))
    expected = [(block.parts, block.target) for block in found.blocks]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), traced, expected)
    assert np.isfinite(nonlinear).all()
    np.testing.assert_allclose(np.asarray(rise) * 2, found.blocks[0].target, rtol=1e-12)


SQUARE = {"coefficients": {"u_xx": 1, "u_yy": 1}, "dirichlet": 0}
STRIP = Rectangle((0, 0), (1, 2))
TIME = {"coefficients": {"u_t": 1, "u_xx": -1}, "coordinates": ("x", "t"), "domain": STRIP}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"coefficients": {"u_z": 1}}, "coefficients = 'u_z': expected one of"),
        ({"coefficients": {}}, "coefficients = .*one term or more"),
        ({"coefficients": 3}, "coefficients = 3: expected names with values"),
        ({"coefficients": {"u_xx": "1 +"}}, r"coefficients\['u_xx'\] = '1 \+': expected a formula"),
        ({"coefficients": {"u_xx": float("nan")}}, r"coefficients\['u_xx'\] = nan"),
        ({"coefficients": {"u_xx": True}}, r"coefficients\['u_xx'\] = True"),
        ({"source": [1, 2]}, "source = "),
        ({"source": "z"}, "source = 'z'"),
        ({"nonlinear": 3}, "nonlinear = 3"),
        ({"nonlinear": "u_xx * u"}, "nonlinear = .*'u_xx' at character 1"),
        ({"domain": 3}, "domain = 3"),
        ({"coordinates": ("x", "y", "z")}, "coordinates = .*names of 2"),
        ({"coordinates": ("a", "b")}, "coordinates = "),
        ({"dirichlet": None}, "dirichlet = None"),
        ({"dirichlet": {"nowhere": 0}}, "dirichlet = 'nowhere'"),
        ({"robin": {"left": 0}, "dirichlet": None}, r"robin\['left'\] = 0: expected a Robin"),
        ({"robin": {"left": Robin("q", 1, 0)}, "dirichlet": None}, r"robin\['left'\].u = 'q'"),
        ({"neumann": {"left": 0}}, "neumann = 'left': .*same name"),
        ({"parameters": {"x": 1}}, "parameters = 'x'"),
        ({"parameters": {"sin": 1}}, "parameters = 'sin'"),
        ({"parameters": {"u_x": 1}}, "parameters = 'u_x'"),
        ({"periodic": "x"}, "periodic = 'x': expected a list"),
        ({"periodic": ["q"]}, "periodic = 'q'"),
        ({"initial": 0}, "initial = 0: expected time"),
        ({"time": "q"}, "time = 'q'"),
        ({"time": "y"}, "initial = None: expected u at the beginning"),
    ],
)
def test_bad_problems_are_rejected_by_name(changed, words):
    with pytest.raises(ConfigError, match=words):
        PDEProblem(**{**SQUARE, **changed})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"periodic": ["x"], "dirichlet": {"left": 0}},
            "dirichlet = 'left': .*x, as it is periodic",
        ),
        (
            {**TIME, "time": "t", "initial": 0, "dirichlet": {"bottom": 0}},
            "dirichlet = 'bottom'.*begins",
        ),
        ({"domain": Disk((0, 0), 1), "periodic": ["x"]}, "periodic = 'x': .*flat"),
        (
            {"domain": Disk((0, 0), 1), "coefficients": {"u_x": 1}, "time": "x", "initial": 0},
            "time = 'x': .*flat",
        ),
        (
            {"domain": Square() - Rectangle((0, -2), (2, 0)), "periodic": ["x"]},
            "periodic = 'x': .*the same",
        ),
        ({"domain": Disk((0, 0), 1) & Disk((3, 0), 1)}, "domain = .*leave an inside"),
        ({"domain": Square() - Square()}, "domain = .*leave an inside"),
        ({"source": "1 / x ** 2 / where(abs(x) < 2, 0, 1)"}, "source = .*finite in the domain"),
        ({"source": lambda x, y: x[:2]}, "source = .*one real number for each"),
        ({"source": lambda x, y: 1 / 0}, "source = .*ZeroDivisionError"),
        ({"source": lambda x: x}, "source = .*TypeError"),
        ({"domain": Square() - Disk((5, 5), 1), "dirichlet": {"disk": 0}}, "dirichlet = 'disk'"),
    ],
)
def test_what_points_show_to_be_wrong_is_rejected_by_name(changed, words):
    problem = PDEProblem(**{**SQUARE, **changed})
    with pytest.raises(ConfigError, match=words):
        collocate(problem, 0, 32, 32)


@pytest.mark.parametrize("names", [("z_last", "a_first"), ("a_first", "z_last")])
def test_parameters_are_what_formulas_call_them(names):
    """In whatever order they are given: JAX sorts the names of what it maps."""
    values = dict(zip(names, (2.0, 3.0), strict=True))
    problem = PDEProblem(
        {"u_xx": 1.0, "u_yy": names[0]}, source=names[1], dirichlet=0, parameters=values
    )
    at = anywhere(np.zeros((3, 2)))
    for known in (known_parameters(problem), dict(reversed(values.items()))):
        found = [
            evaluate("value", value, at, problem, known)
            for value in (problem.coefficients["u_yy"], problem.source)
        ]
        assert [one.tolist() for one in found] == [[2.0] * 3, [3.0] * 3]
