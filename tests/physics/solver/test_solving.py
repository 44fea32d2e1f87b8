"""One problem at a time: solutions that say what they are worth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problem_files import HEAT, written

from metajax.core import ConfigError
from metajax.physics.pde import PDE, Disk, Rectangle, Square, benchmark, nodes
from metajax.physics.solver import DoubtfulSolutionWarning, read_problem, solve


def test_sizes_are_checked(tmp_path):
    pde = read_problem(written(tmp_path, HEAT))
    for field, value in (("features", 0), ("size", 1)):
        with pytest.raises(ConfigError, match=field):
            solve(pde, **{field: value})


LAPLACE = [0, 0, 0, 1, 1]


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
    assert found.verdict == "reliable"
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
    assert found.verdict == "reliable"
