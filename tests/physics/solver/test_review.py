"""What is found wrong with problems before they are solved, and that nothing is found otherwise."""

import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.physics.pde import PDE, PROBLEMS, Disk, Grid, Rectangle, Square, benchmark
from metajax.physics.solver import DoubtfulSolutionWarning, PDEProblem, Robin, as_problem, solve
from metajax.physics.solver.review import review

LAPLACE, HEAT, WAVE = [0, 0, 0, 1, 1], [0, 0, 1, -0.2, 0], [0, 0, 0, -2, 0.5]
HOLE = Square() - Disk((0.2, 0.1), 0.25, "hole")
SIDES = {"left": 0.0, "right": 0.0}


def texts(*args, **settings):
    return [finding.text for finding in review(as_problem(PDE(*args, **settings))).findings]


@pytest.mark.parametrize(
    ("coefficients", "settings"),
    [
        (LAPLACE, {"dirichlet": 0.0}),
        (LAPLACE, {"dirichlet": {"left": 0.0}, "neumann": {"square": 1.0}}),
        (LAPLACE, {"dirichlet": {"square": 0.0, "hole": 1.0}, "domain": HOLE}),
        (HEAT, {"dirichlet": {**SIDES, "bottom": 1.0}}),
        (HEAT, {"dirichlet": {"bottom": 1.0}, "neumann": SIDES}),
        ([0, 0, 1, 0.2, 0], {"dirichlet": {**SIDES, "top": 1.0}}),
        ([0, 1, 0, 0, -0.1], {"dirichlet": {"left": 0.0, "bottom": 0.0, "top": 0.0}}),
        (WAVE, {"dirichlet": {**SIDES, "bottom": 1.0}, "neumann": {"bottom": 0.0}}),
        ([0, 1, 0, 0, 0], {"dirichlet": {"left": 0.0}}),
        ([1, 1, 0.3, 0, 0], {"dirichlet": {"left": 0.0, "bottom": 0.0}}),
        ([0, 0, 0, 1, 0], {"dirichlet": SIDES}),
        ([0, 0, 0, 1, 0], {"dirichlet": {"left": 0.0}, "neumann": {"left": 0.0}}),
        ([1, 0, 0, 1, 1], {"neumann": 0.0, "source": 1.0}),
    ],
)
def test_nothing_is_found_where_nothing_is_wrong(coefficients, settings):
    assert texts(coefficients, **settings) == []


MIXED = {
    "sign of u_yy": {"u_xx": 1, "u_yy": "x"},
    "all signs across a line": dict.fromkeys(("u_xx", "u_yy"), "where(x > 0.1, 1, -2)"),
    "all signs in a small region": dict.fromkeys(("u_xx", "u_yy"), "where(core, -1, 1)"),
    "mixed term": {"u_xx": 1, "u_xy": "3 * x", "u_yy": 1},
    "direction of time": {"u_y": "-x", "u_xx": 1},
}
SINGLE = {
    "degenerate": {"u_xx": "x**2", "u_yy": 1},
    "jump of one sign": dict.fromkeys(("u_xx", "u_yy"), "where(core, 5, 1)"),
    "turning": {"u_xx": "2 + cos(x)", "u_xy": "sin(x)", "u_yy": "2 - cos(x)"},
    "time that stands still": {"u_y": "x**2", "u_xx": -1},
    "sign of a lower term": {"u_xx": 1, "u_yy": 1, "u_x": "x", "u_y": "-x"},
}


@pytest.mark.parametrize("name", [*MIXED, *SINGLE])
def test_an_equation_that_changes_its_type_is_found_and_no_other_one(name):
    coefficients = (MIXED | SINGLE)[name]
    problem = PDEProblem(coefficients, dirichlet=0, regions={"core": Disk((0.3, 0.3), 0.05)})
    found = [one for one in review(problem).findings if "changes its type" in one.text]
    assert len(found) == (name in MIXED) and not any(one.fatal for one in found)
    assert all(("time runs" in one.text) == (name == "direction of time") for one in found)


def test_a_solution_is_not_reliable_where_the_equation_changes_its_type():
    """A smooth solution is found, whose residual is small, and which another one may equal."""
    exact = "sin(x) * cos(y)"
    problem = PDEProblem({"u_xx": 1, "u_yy": "x"}, f"-(1 + x) * {exact}", dirichlet=exact)
    with pytest.warns(DoubtfulSolutionWarning, match="changes its type"):
        found = solve(problem, features=160, tolerance=1e-3, size=5)
    assert found.verdict == "check"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_nothing_is_found_in_the_benchmarks(name):
    assert review(as_problem(benchmark(name).pde)).findings == ()


@pytest.mark.parametrize(
    ("coefficients", "settings", "words"),
    [
        (LAPLACE, {"dirichlet": {"left": 0.0, "top": 0.0}}, ["no data on right, bottom"]),
        (LAPLACE, {"dirichlet": {"square": 0.0}, "domain": HOLE}, ["no data on hole"]),
        (LAPLACE, {"dirichlet": {"left": 0.0}, "neumann": {"left": 1.0}}, ["both", "right"]),
        ([0, 0, 1, 0.2, 0], {"dirichlet": {**SIDES, "bottom": 1.0}}, ["backward", "bottom"]),
        ([0, 0, -2, -0.2, 0], {"dirichlet": {**SIDES, "bottom": 1.0}}, ["backward", "bottom"]),
        (HEAT, {"dirichlet": {**SIDES, "top": 1.0}}, ["backward", "top"]),
        ([0, 1, 0, 0, 0.1], {"dirichlet": {"left": 0.0, "bottom": 0.0, "top": 0.0}}, ["backward"]),
        (HEAT, {"dirichlet": SIDES}, ["not given at the first time", "bottom"]),
        (HEAT, {"dirichlet": {"left": 0.0, "bottom": 1.0}}, ["no data on right"]),
        (WAVE, {"dirichlet": {**SIDES, "bottom": 1.0}}, ["du/dn at the first time"]),
        (WAVE, {"dirichlet": 0.0}, ["du/dn at the first time"]),
        ([0, 1, 0, 0, 0], {"dirichlet": {"top": 0.0}}, ["left", "transport"]),
        ([0, 0, 0, 1, 0], {"dirichlet": {"left": 0.0}}, ["no data on right"]),
        (LAPLACE, {"neumann": 0.5, "source": 1.0}, ["derivatives of u alone"]),
        (
            LAPLACE,
            {"dirichlet": 0.0, "domain": Square() - Disk((0, 0), 0.5, "big") - Disk((0, 0), 0.2)},
            ["'disk' is no part"],
        ),
    ],
)
def test_what_is_wrong_is_found_by_name(coefficients, settings, words):
    findings = review(as_problem(PDE(coefficients, **settings))).findings
    found = "; ".join(finding.text for finding in findings)
    assert all(word in found for word in words), found
    assert not any(finding.fatal for finding in findings)


WALL = Square() - Rectangle((-0.1, -1), (0.1, 1), "wall")


@pytest.mark.parametrize(
    ("coefficients", "source", "neumann", "domain", "fatal"),
    [
        (LAPLACE, 1.0, 0.0, None, True),
        (LAPLACE, 0.0, {"square": 0.0, "left": 1.0}, None, True),
        (LAPLACE, lambda x, y: x * y, 0.0, None, False),
        ([0, 0, 0, 1, 3], 8.0, 2.0, None, False),
        ([0, 0, 0, 1, 3], 8.0, 1.0, None, True),
        ([0, 0, 0, -1, -3], -8.0, 2.0, None, False),
        # u = x^2; and 1 more in the source
        (
            [0, 1, 0, 1, 1],
            lambda x, y: 2 * x + 2,
            {"square": 0.0, "left": 2.0, "right": 2.0},
            None,
            False,
        ),
        (
            [0, 1, 0, 1, 1],
            lambda x, y: 2 * x + 3,
            {"square": 0.0, "left": 2.0, "right": 2.0},
            None,
            True,
        ),
        # u = (x - .2)^2 + (y - .1)^2
        (
            LAPLACE,
            4.0,
            {"left": 2.4, "right": 1.6, "bottom": 2.2, "top": 1.8, "hole": -0.5},
            HOLE,
            False,
        ),
        (
            LAPLACE,
            4.0,
            {"left": 2.4, "right": 1.6, "bottom": 2.2, "top": 1.8, "hole": 0.5},
            HOLE,
            True,
        ),
    ],
)
def test_a_flux_that_contradicts_the_source_is_found(coefficients, source, neumann, domain, fatal):
    pde = PDE(coefficients, source, domain, neumann=neumann)
    assert any(finding.fatal for finding in review(as_problem(pde)).findings) == fatal


def test_each_connected_part_is_balanced_by_itself():
    """u is given on the left of a wall, and on the right a flux that no source makes up for."""
    flux = {"top": 0.0, "bottom": 0.0, "right": 1.0, "wall": 0.0}
    pde = PDE(LAPLACE, 0.0, WALL, dirichlet={"left": 0.0}, neumann=flux)
    assert any(
        finding.fatal and "contradicts" in finding.text
        for finding in review(as_problem(pde)).findings
    )


@pytest.mark.parametrize(
    ("settings", "field", "value"),
    [
        ({"source": lambda x, y: jnp.log(x)}, "source", "nan at (-"),
        ({"source": lambda x, y: jnp.exp(1000 * x)}, "source", "inf at (0."),
        ({"source": np.nan}, "source", "nan"),
        ({"source": np.where(np.eye(5), np.nan, 1.0)}, "source", "nan"),
        (
            {"dirichlet": {"top": lambda x, y: jnp.sqrt(x), "square": 0.0}},
            "dirichlet['top']",
            ", 1)",
        ),
        ({"dirichlet": {"left": np.nan, "square": 0.0}}, "dirichlet['left']", "nan"),
        ({"neumann": {"right": np.inf}}, "neumann['right']", "inf"),
        ({"dirichlet": {"square": Grid([[np.inf] * 2] * 2)}}, "dirichlet", "nan at ("),
        (
            {"domain": Square() - Disk((3, 0), 0.5, "far"), "dirichlet": {"far": 0.0}},
            "dirichlet",
            "far",
        ),
    ],
)
def test_data_that_cannot_be_used_are_rejected_with_field_point_and_value(settings, field, value):
    with pytest.raises(ConfigError) as error:  # a number by PDE, a function by the review
        review(as_problem(PDE(LAPLACE, **{"dirichlet": 0.0} | settings)))
    assert error.value.field == field
    assert value in str(error.value)


LINE = Rectangle((0.0, 0.0), (10.0, 1.0), "box")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        # coefficients that vary, and a nonlinear term, keep the type
        ({"coefficients": {"u_xx": "1 + x**2", "u_yy": "exp(y)"}}, ["no data on bottom, top"]),
        ({"nonlinear": "u**3", "dirichlet": {"left": 0}}, ["no data on right, bottom, top"]),
        ({"periodic": ("y",)}, []),
        ({"dirichlet": None, "neumann": 0}, ["derivatives of u alone"]),
        ({"dirichlet": None, "neumann": 0, "nonlinear": "-u**3"}, []),
        ({"dirichlet": None, "robin": Robin(1, 1, 0)}, []),
        ({"dirichlet": None, "robin": Robin(0, 1, 0)}, ["derivatives of u alone"]),
        ({"dirichlet": None, "robin": Robin(0, 1, 1)}, ["contradicts"]),
        # the flux through the right side, from a source of 2e-6 all over the box
        (
            {
                "domain": LINE,
                "source": 2e-6,
                "dirichlet": None,
                "neumann": {"box": 0, "box.right": 2e-5},
            },
            ["derivatives"],
        ),
        (
            {
                "domain": LINE,
                "source": 2e-6,
                "dirichlet": None,
                "neumann": {"box": 0, "box.right": 1e-5},
            },
            ["contradicts"],
        ),
    ],
)
def test_general_problems_are_reviewed(settings, words):
    base = {"coefficients": {"u_xx": 1, "u_yy": 1}, "dirichlet": {"left": 0, "right": 1}}
    found = "; ".join(one.text for one in review(PDEProblem(**base | settings)).findings)
    assert all(word in found for word in words) and bool(found) == bool(words), found


def test_time_of_a_problem_begins_at_its_lower_end():
    heat = {"coefficients": {"u_t": 1, "u_xx": -1}, "coordinates": ("x", "t"), "time": "t"}
    sides = {"left": 0, "right": 0}
    assert review(PDEProblem(**heat, dirichlet=sides, initial=1)).findings == ()
    assert review(PDEProblem(**heat, periodic=("x",), initial=1)).findings == ()
    backward = heat | {"coefficients": {"u_t": 1, "u_xx": 1}}
    (found,) = review(PDEProblem(**backward, dirichlet=sides, initial=1)).findings
    assert "runs down along t" in found.text


def test_corners_that_point_inwards_are_found():
    def corners(domain):
        problem = PDEProblem({"u_xx": 1, "u_yy": 1}, domain=domain, dirichlet=0)
        return review(problem).corners

    notch = Rectangle((0, 0), (2, 1)) - Rectangle((1, 0.5), (2, 1), "notch")
    np.testing.assert_allclose(corners(notch), [[0, 0]], atol=1e-2)
    assert len(corners(Square() - Disk((0, 0), 0.5, "hole"))) == 0
    assert len(corners(Square() - Rectangle((-0.5, -0.5), (0.5, 0.5), "hole"))) == 4


def test_what_is_not_finite_outside_the_domain_does_not_matter():
    domain = Square() - Disk((0, 0), 0.5)
    assert texts(LAPLACE, lambda x, y: jnp.log(x**2 + y**2 - 0.1), domain, dirichlet=0.0) == []
