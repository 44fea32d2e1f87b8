"""Rounds of ever more sines, nonlinear solves and windows of time."""

import warnings
from functools import partial

import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.physics.pde import Disk, Rectangle, Square
from metajax.physics.solver import DoubtfulSolutionWarning, PDEProblem, solve
from metajax.physics.solver.clock import Clock
from metajax.physics.solver.continuation import along_parameter
from metajax.physics.solver.finding import find_rounds
from metajax.physics.solver.fitting import (
    Fitted,
    Left,
    combine_linear,
    search,
    size_after,
    weighted_rows,
)
from metajax.physics.solver.lapack import host_least_squares
from metajax.physics.solver.nonlinear import combine_nonlinear, derivatives, gauss_newton, tabulate
from metajax.physics.solver.operators import At, Block, Operator, terms
from metajax.physics.solver.patches import Patch
from metajax.physics.solver.ridge_functions import (
    Joined,
    One,
    combine,
    grid_of,
    host_sin,
    sine_features,
)
from metajax.physics.solver.taking import taker

SMALL = {"size": 17}


def apart(found, true):
    """Relative difference of a solution from a function, on the grid."""
    u = true(*np.meshgrid(*found.axes))
    there = ~np.isnan(found.u)
    return np.linalg.norm((found.u - u)[there]) / np.linalg.norm(u[there])


def waves(x, y):
    return np.sin(np.pi * x) * np.sin(4 * np.pi * y)


def helmholtz():
    source = "(1 - 17 * pi**2) * sin(pi * x) * sin(4 * pi * y)"
    return PDEProblem({"u": 1, "u_xx": 1, "u_yy": 1}, source, dirichlet=0)


def test_host_sines_are_those_of_numpy_to_rounding():
    angles = np.concatenate([np.linspace(-200, 200, 9001), np.pi * np.arange(-40, 41) / 2])[None]
    sine, cosine = host_sin(angles, True)
    np.testing.assert_allclose(sine, np.sin(angles), atol=1e-15)
    np.testing.assert_allclose(cosine, np.cos(angles), atol=1e-15)
    assert host_sin(angles, False)[1] is None


def test_the_error_falls_faster_than_any_power_of_the_number_of_features():
    errors = []
    for num in (100, 200, 400):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtfulSolutionWarning)
            found = solve(helmholtz(), features=num, tolerance=1e-12, **SMALL)
        errors.append(apart(found, waves))
    assert errors[0] / errors[1] > 10 and errors[1] / errors[2] > 100 and errors[2] < 1e-6


def test_features_are_added_until_the_tolerance_is_reached():
    found = solve(helmholtz(), **SMALL)
    numbers = [num for num, _ in found.rounds.history]
    left = [one.worst for _, one in found.rounds.history]
    assert numbers == sorted(numbers) and left[-1] < 1e-6 < left[-2]
    assert apart(found, waves) < 1e-6
    probes = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    slope = np.pi * np.cos(np.pi * probes[:, 0]) * np.sin(4 * np.pi * probes[:, 1])
    np.testing.assert_allclose(found.at(probes), waves(*probes.T), atol=1e-5)
    np.testing.assert_allclose(found.gradient(probes)[:, 0], slope, atol=1e-4)


def test_a_layer_is_resolved_by_sines_that_are_finer_across_it():
    epsilon = 0.05

    def u(x, y):
        return (x + 1) / 2 - np.exp((x - 1) / epsilon)

    # the source makes it, and no coefficient tells of it
    def source(x, y):
        return -np.exp((x - 1) / epsilon) / epsilon**2

    problem = PDEProblem({"u_xx": 1, "u_yy": 1}, source, dirichlet=u)
    found = solve(problem, **SMALL)
    across, along = found.rounds.best.scale
    assert across > 2 * along and apart(found, u) < 1e-6


def test_the_singular_solution_of_a_corner_and_that_around_a_hole():
    def corner(x, y):
        angle = np.mod(np.arctan2(y, x) - np.pi / 2, 2 * np.pi)
        return np.hypot(x, y) ** (2 / 3) * np.sin(2 / 3 * angle)

    domain = Square() - Rectangle((0, 0), (2, 2))
    laplace = {"u_xx": 1, "u_yy": 1}
    assert (
        apart(solve(PDEProblem(laplace, domain=domain, dirichlet=corner), **SMALL), corner) < 1e-6
    )

    def ring(x, y):
        return np.log(np.maximum(np.hypot(x, y), 1e-9))

    hole = Disk((0, 0), 1, "outer") - Disk((0, 0), 0.2, "inner")
    assert apart(solve(PDEProblem(laplace, domain=hole, dirichlet=ring), **SMALL), ring) < 1e-6


def test_waves_of_many_lengths_are_solved_by_plane_waves():
    def u(x, y):
        return np.sin(60 * (0.6 * x + 0.8 * y))

    problem = PDEProblem({"u": 3600, "u_xx": 1, "u_yy": 1}, dirichlet=u)
    found = solve(problem, features=100, **SMALL)
    assert apart(found, u) < 1e-6


CUBIC = PDEProblem(
    {"u_xx": 1, "u_yy": 1},
    "-(pi**2 + 4) * 1.5 * sin(pi * x) * cos(2 * y) - (1.5 * sin(pi * x) * cos(2 * y))**3",
    nonlinear="-u**3",
    dirichlet="1.5 * sin(pi * x) * cos(2 * y)",
)


def cubic(x, y):
    return 1.5 * np.sin(np.pi * x) * np.cos(2 * y)


def tabulated(num=150):
    take, *_ = taker(CUBIC)
    blocks = take(0, 400, 200)
    return blocks, Joined((One(), sine_features(num, np.full(2, 6.0), 0)))


def test_gauss_newton_converges_quadratically():
    """Each step's distance from the solution is about the square of that of the step before."""
    blocks, features = tabulated()
    table = tabulate(blocks, features)
    start = host_least_squares(table.linear, table.targets)
    exact = table.state(gauss_newton(table, start).head.weights)
    distances = []
    for steps in (1, 2, 3):
        state = table.state(gauss_newton(table, start, steps).head.weights)
        distances.append(np.linalg.norm(state.linear - exact.linear))
    rates = np.diff(np.log(distances))
    assert rates[1] / rates[0] > 1.6 and distances[2] < 1e-5 * distances[0]


def test_a_linear_problem_is_solved_alike_by_both_ways():
    take, *_ = taker(helmholtz())
    blocks, features = take(0, 400, 200), Joined((One(), sine_features(100, np.full(2, 6.0), 0)))
    points = np.random.default_rng(0).uniform(-1, 1, (30, 2))
    one, other = (
        combine(features, points, way(blocks, features).weights).u
        for way in (combine_linear, combine_nonlinear)
    )
    np.testing.assert_allclose(one, other, atol=1e-8)
    rows = sum(len(block.target) for block in blocks)
    assert weighted_rows(blocks, features).shape == (rows, 102)


def test_derivatives_of_a_nonlinear_part_are_good_to_ten_digits():
    rng = np.random.default_rng(0)
    points, u, gradient = rng.normal(size=(9, 2)), rng.normal(size=9), rng.normal(size=(9, 2))

    def part(points, u, gradient):
        return u**3 * gradient[:, 0] + np.exp(gradient[:, 1])

    block = Block("equation", (At(points, Operator()),), np.zeros(9), 1.0, part)
    value, slopes = derivatives(block, u, gradient)
    np.testing.assert_allclose(value, 3 * u**2 * gradient[:, 0], atol=1e-9)
    both = np.stack([u**3, np.exp(gradient[:, 1])], 1)
    np.testing.assert_allclose(slopes, both, rtol=1e-9, atol=1e-9)


def test_nonlinear_problems_are_solved():
    assert apart(solve(CUBIC, **SMALL), cubic) < 1e-6

    def front(x, t):
        return 0.5 * (1 - np.tanh((x - 0.5 * t) / 0.8))

    burgers = PDEProblem(
        {"u_t": 1, "u_xx": -0.2},
        nonlinear="u * u_x",
        domain=Rectangle((-1, 0), (1, 1)),
        dirichlet={"left": front, "right": front},
        time="t",
        initial=lambda x, t: front(x, t),
        coordinates=("x", "t"),
    )
    found = solve(burgers, **SMALL)
    assert found.windows == 1 and apart(found, front) < 1e-6


def test_a_problem_is_solved_from_an_easier_one_with_another_parameter():
    problem = PDEProblem(
        {"u_xx": 1, "u_yy": 1},
        nonlinear="strength * exp(u)",
        domain=Rectangle((0, 0), (1, 1)),
        dirichlet=0,
        parameters={"strength": 6.0},
    )
    find = partial(find_rounds, tolerance=1e-6, features=400, seed=0, report=str)
    window = along_parameter(problem, "strength", 1.0, find)
    middle = window.solution.at(np.array([[0.5, 0.5]]))
    np.testing.assert_allclose(
        middle, solve(problem, **SMALL).at(np.array([[0.5, 0.5]])), rtol=1e-4
    )
    with pytest.raises(ConfigError, match="continuation"):
        along_parameter(problem, "speed", 1.0, find)


def steep(width):
    """A peak whose source is seen at few points."""

    def exact(x, y):
        return np.exp(-((x - 0.3) ** 2 + (y + 0.2) ** 2) / (2 * width**2))

    def source(x, y):
        squared = (x - 0.3) ** 2 + (y + 0.2) ** 2
        return exact(x, y) * (squared / width**4 - 2 / width**2)

    return PDEProblem({"u_xx": 1, "u_yy": 1}, source, dirichlet=0), exact


def test_a_patch_is_its_sines_times_a_gaussian_with_all_derivatives():
    rng = np.random.default_rng(0)
    sines = sine_features(8, np.array([2.0, 3.0]), 0)
    patch = Patch(np.array([0.1, 0.2]), rng.normal(size=(2, 2)), np.array([1.0, 0.0]), sines)
    points, weights, step = rng.uniform(-1, 1, (5, 2)), rng.normal(size=8), 1e-5
    found = patch.combined(points, weights)
    for axis in range(2):
        away = step * np.eye(2)[axis]
        after, before = (patch.combined(points + sign * away, weights) for sign in (1, -1))
        slope = (after.u - before.u) / (2 * step)
        bend = (after.gradient - before.gradient) / (2 * step)
        np.testing.assert_allclose(found.gradient[:, axis], slope, atol=1e-8)
        np.testing.assert_allclose(found.hessian[:, axis], bend, atol=1e-7)
    operator = Operator(*(rng.normal(size=(5,) + (2,) * order) for order in range(3)))
    np.testing.assert_allclose(
        patch(points, operator) @ weights, np.sum(terms(operator, found), 0), atol=1e-12
    )


def test_features_are_added_where_a_peak_is():
    problem, exact = steep(0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtfulSolutionWarning)
        found = solve(problem, features=640, size=65)
    parts = found.solution.features.parts
    centers = [part.center for part in parts if isinstance(part, Patch)]
    assert min(np.linalg.norm(center - [0.3, -0.2]) for center in centers) < 0.05
    assert apart(found, exact) < 1e-4


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_combination_on_a_grid_is_the_same_as_at_its_nodes_one_by_one(dimensions):
    rng = np.random.default_rng(0)
    sines, weights = sine_features(600, np.full(dimensions, 9.0), 0), rng.normal(size=600)
    axes = (np.linspace(-1, 1, 12 - at) for at in range(dimensions))
    nodes = np.stack(np.meshgrid(*axes), -1).reshape(-1, dimensions)
    nodes = nodes[rng.random(len(nodes)) < 0.7]  # a domain covers some of them
    assert grid_of(nodes) is not None
    assert grid_of(rng.uniform(-1, 1, nodes.shape)) is None
    found = sines.combined(nodes, weights)
    for here in range(0, len(nodes), 11):
        one = sines.combined(nodes[here : here + 1], weights)
        for leaf, single in zip(found, one, strict=True):
            np.testing.assert_allclose(leaf[here], single[0], atol=1e-12 * np.abs(leaf).max())


def searched(objectives, tries=9, enough=1e-6):
    """The scales that a search tries, where the objective is a function of them."""
    seen = []

    def attempt(scale):
        seen.append(scale)
        left = float(objectives(scale))
        return Fitted(None, None, scale, Left(left, left, left))

    starts = [np.array([1.0, 1.0]), np.array([2.0, 2.0])]
    found, _ = search(attempt, starts, tries, 1e-6, 2, Clock(), enough)
    return found, np.array(seen)


def test_a_search_tries_no_scale_twice_and_ends_where_a_start_is_good_enough():
    def valley(scale):
        return 1 + np.sum((np.log(scale) - [0.0, 0.5]) ** 2)

    found, seen = searched(valley)
    assert len(np.unique(seen.round(9), axis=0)) == len(seen) < 9
    assert found.left.worst == min(map(valley, seen))
    assert len(searched(valley, enough=1.5)[1]) == 1
    # little by little is no way: a step that gains less than 5% is not repeated
    slow = searched(lambda scale: 1 - 0.01 * np.log(scale[0] * scale[1]), tries=40)[1]
    assert len(slow) < 12


@pytest.mark.parametrize("num_rows", [50, 21, 10])
def test_least_squares_on_the_host_are_those_of_numpy_with_the_ridge_as_rows(num_rows):
    rng = np.random.default_rng(0)
    rows, targets = rng.standard_normal((num_rows, 20)), rng.standard_normal(num_rows)
    rows[:, 3] = 0  # a feature that is nowhere
    found = host_least_squares(rows.copy(), targets, ridge=1e-3)
    length = np.where(np.arange(20) == 3, 1.0, np.linalg.norm(rows, axis=0))
    stacked = np.concatenate([rows / length, 1e-3 * np.eye(20)])
    expected = np.linalg.lstsq(stacked, np.append(targets, np.zeros(20)), rcond=None)[0]
    np.testing.assert_allclose(found.weights, expected / length, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.factor.T @ found.factor, stacked.T @ stacked, atol=1e-12)


def test_a_round_has_no_more_sines_than_the_tolerance_needs():
    assert size_after(640, 1e-3, np.inf, 1e-6) == 1280  # nothing is known yet
    assert size_after(640, 1e-4, 1e-3, 1e-6) == 1280  # far from enough
    assert 640 < size_after(640, 2e-6, 1e-3, 1e-6) < 900
