"""One problem at a time: solutions that say what they are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problem_files import HEAT, written

from metajax.core import ConfigError
from metajax.physics.pde import PDE, Disk, Rectangle, Square, benchmark, nodes
from metajax.physics.solver import read_problem, solve


def test_sizes_are_checked(tmp_path):
    pde = read_problem(written(tmp_path, HEAT))
    for field, value in (("features", 0), ("size", 1)):
        with pytest.raises(ConfigError, match=field):
            solve(pde, **{field: value})


LAPLACE = [0, 0, 0, 1, 1]


def test_a_solution_has_values_in_the_closed_domain_alone():
    domain = Square() - Rectangle((0, 0), (1, 1)) - Rectangle((-1, -1), (-0.5, -0.5))
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
    found = solve(PDE(LAPLACE, 0.0, hole, dirichlet={"square": 0.0, "hole": 1.0}), size=9)
    np.testing.assert_allclose(found.at(np.array([[0.2, 0.10005], [0.19995, 0.1]])), 1, atol=1e-3)
    # u falls as the logarithm of the distance, whose unit is about that to the square
    np.testing.assert_allclose(found.at(np.array([[0.21, 0.1]])), 0.465, atol=0.02)
    sliver = Square() - Rectangle((-1, -1), (1, 0.999))
    pde = PDE(LAPLACE, 0.0, sliver, dirichlet=lambda x, y: x)
    found = solve(pde, features=50, size=9)
    assert found.verdict == "reliable"
    np.testing.assert_allclose(found.u[-1], np.linspace(-1, 1, 9), atol=1e-6)
    assert np.isnan(found.u[:-1]).all()


def test_a_problem_of_formulas_is_solved_without_compiling(tmp_path):
    """NumPy computes all of it, so that the first solve of a process takes no longer."""
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

    problem = read_problem(written(tmp_path, text))
    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        solve(problem, features=20, size=9)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert compiled == []


def test_nothing_is_nan_on_purpose():
    """Neither without data of one kind, nor with nodes outside the domain."""
    domain = Square() - Rectangle((0, 0), (1, 1))
    with jax.debug_nans(True):
        found = solve(PDE(LAPLACE, -1.0, domain, dirichlet=0.0), features=50, size=9)
    assert np.isnan(found.neumann_rms) and np.isnan(found.u).any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [("PS-L", 1e-6), ("PS-C", 1e-5), ("HZ-G", 1e-4)])
def test_corners_and_holes_are_solved_to_what_references_are_worth(name, most):
    known = benchmark(name)
    u, reference = solve(known.pde).u[known.place], np.asarray(known.reference)
    assert np.linalg.norm(u - reference) < most * np.linalg.norm(reference)
