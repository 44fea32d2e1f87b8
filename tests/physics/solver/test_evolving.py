"""Problems in time by functions of space, windows of time, and the end of a solve's time."""

import sys
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.physics.pde import Rectangle, Square
from metajax.physics.solver import Box, DoubtfulSolutionWarning, PDEProblem, solve
from metajax.physics.solver.clock import Clock
from metajax.physics.solver.collocation import sample_problem, units_of
from metajax.physics.solver.domain_parts import slope_jumps
from metajax.physics.solver.evolution import Evolution, can_evolve, draw_space
from metajax.physics.solver.evolving import evolve, growth, integrate
from metajax.physics.solver.finding import find_rounds
from metajax.physics.solver.lines import Lines
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.ridge_functions import sine_features
from metajax.physics.solver.values import known_parameters
from metajax.physics.solver.windows import joined, march

sys.path.insert(0, str(Path(__file__).parents[3] / "experiments" / "solve"))
from known import KNOWN
from trust import row

STRIP = Rectangle((-1, 0), (1, 2))


def pulse(x, t):
    """Heat that spreads, of diffusion .05, from a width that few sines of space and time have."""
    wide = 0.002 + 0.05 * t
    return np.exp(-(x**2) / (4 * wide)) * np.sqrt(0.002 / wide)


HEAT = PDEProblem(
    {"u_t": 1, "u_xx": -0.05},
    domain=STRIP,
    dirichlet={"left": pulse, "right": pulse},
    time="t",
    initial=pulse,
    coordinates=("x", "t"),
)
BURGERS = PDEProblem(
    {"u_t": 1, "u_xx": "-viscosity * (1 + x**2 / 4 + t)"},
    source="x * t",
    nonlinear="u * u_x",
    domain=Rectangle((-1, 0), (1, 1)),
    dirichlet={"left": "t", "right": "-t**2"},
    time="t",
    initial="-sin(pi * x)",
    parameters={"viscosity": 0.05},
    coordinates=("x", "t"),
)


def evolution_of(problem, num):
    units = units_of(problem, sample_problem(problem, 0, 256, 128), known_parameters(problem))
    return Evolution(problem, units, draw_space(problem, units, num, (), 0), 0)


def test_functions_of_space_with_polynomials_in_time_have_all_derivatives():
    rng = np.random.default_rng(0)
    sines = sine_features(8, np.array([2.0, 3.0]), 0)
    lines = Lines(sines, np.array([-1.0, -0.2, 1.0]), rng.normal(size=(2, 4, 8)))
    points, step = rng.uniform(-0.9, 0.9, (6, 3)), 1e-4
    points = points[np.abs(points[:, 2] + 0.2) > 2 * step]
    one = np.ones(1)
    found = lines.combined(points, one)
    for axis in range(3):
        away = step * np.eye(3)[axis]
        up, down = (lines.combined(points + sign * away, one) for sign in (1, -1))
        slope, bend = (up.u - down.u) / (2 * step), (up.gradient - down.gradient) / (2 * step)
        np.testing.assert_allclose(found.gradient[:, axis], slope, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.hessian[:, axis], bend, rtol=1e-5, atol=1e-5)
    late = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 1.1]])
    assert np.isfinite(lines(late, Operator(np.ones(2)))[:, 0]).tolist() == [True, False]


def test_rates_fulfill_equation_and_data():
    """They are those of the equation, projected, and their derivative is what is stated."""
    evolution = evolution_of(BURGERS, 24)
    assert evolution.usable and evolution.slopes and not evolution.steady_operator
    rng = np.random.default_rng(0)
    free, away = 0.1 * rng.normal(size=(2, evolution.free))
    for time in (-0.5, 0.7):
        change = evolution.rate(time, free + 1e-5 * away) - evolution.rate(time, free - 1e-5 * away)
        np.testing.assert_allclose(
            evolution.jacobian(time, free) @ away, change / 2e-5, rtol=1e-5, atol=1e-5
        )
        weights = evolution.into @ evolution.whole(evolution.at(time), free)
        ends = np.array([[-1.0], [1.0]])
        u = evolution.space.features(ends, Operator(np.ones(2))) @ weights * evolution.units.u
        now = (time + 1) / 2
        np.testing.assert_allclose(u, [now, -(now**2)], atol=1e-6)


def test_errors_grow_as_in_closed_form():
    """Heat with u = 0 at both ends: the slowest mode of the equation carries an error longest."""
    problem = replace(HEAT, dirichlet={"left": 0, "right": 0}, initial="cos(pi * x / 2)")
    found = integrate(evolution_of(problem, 16), 1e-6, Clock(), True, str)
    rate = 0.05 * np.pi**2 / 4  # time is from 0 to 2, or from -1 to 1 in units: equally long
    times = np.linspace(0, 2, 201)
    unit = found.evolution.at(0.0).of_time[0]
    mean = np.mean((1 - np.exp(-2 * rate * times)) / (2 * rate)) * 2 / unit**2
    np.testing.assert_allclose(growth(found), np.sqrt(mean), rtol=0.03)


def test_a_steep_pulse_is_followed_in_time():
    found = evolve(HEAT, tolerance=1e-6, features=128, seed=0, clock=Clock(), report=str)
    points = np.stack(np.meshgrid(np.linspace(-1, 1, 41), np.linspace(0, 2, 21)), -1)
    points = points.reshape(-1, 2)
    np.testing.assert_allclose(found.solution.at(points), pulse(*points.T), atol=1e-5)


def test_what_can_be_followed():
    assert can_evolve(HEAT) and can_evolve(BURGERS)
    reaction = evolution_of(replace(BURGERS, nonlinear="u**3 - u"), 8)
    assert reaction.usable and not reaction.slopes
    assert not evolution_of(replace(BURGERS, nonlinear="u * u_t"), 8).usable
    assert not evolution_of(replace(BURGERS, coefficients={"u_t": "t - 0.5", "u_xx": -1}), 8).usable
    wave = replace(HEAT, coefficients={"u_tt": 1, "u_xx": -1}, initial_velocity=0)
    assert not can_evolve(wave)
    assert not can_evolve(replace(HEAT, domain=STRIP - Square()))
    assert not can_evolve(PDEProblem({"u_xx": 1, "u_yy": 1}, dirichlet=0))


WAVE = PDEProblem(
    {"u_tt": 1, "u_xx": -1},
    domain=STRIP,
    dirichlet={"left": 0, "right": 0},
    time="t",
    initial="exp(-(x / 0.2)**2)",
    initial_velocity=0,
    coordinates=("x", "t"),
)


@pytest.mark.parametrize("problem", [HEAT, WAVE], ids=["followed", "windows"])
def test_what_was_found_before_time_ran_out_is_kept(problem):
    with pytest.warns(DoubtfulSolutionWarning, match="time ran out after 0.001 s: .* u is NaN"):
        found = solve(problem, most_seconds=1e-3, size=33, features=160)
    assert found.verdict == "failed" and 0 < found.until < 2
    later = found.axes[1] > found.until
    assert np.isnan(found.u[later]).all() and np.isfinite(found.u[~later]).all()
    assert np.isnan(found.at(np.array([[0.0, found.until + 0.01]]))).all()
    early = np.array([[0.0, 0.0], [0.3, 0.0]])
    np.testing.assert_allclose(
        found.at(early),
        [1, float(problem is HEAT) * pulse(0.3, 0) + float(problem is WAVE) * np.exp(-2.25)],
        atol=0.1,
    )


def test_smooth_functions_do_not_follow_a_slope_that_jumps():
    """They would find another solution, whose slope is continuous and whose flux is not."""
    settings = {"tolerance": 1e-6, "features": 128, "seed": 0, "clock": Clock(), "report": str}
    jumping = replace(HEAT, coefficients={"u_t": 1, "u_xx": "-where(x > 0, 0.002, 0.1)"})
    assert can_evolve(jumping) and evolve(jumping, **settings) is None
    units = units_of(HEAT, sample_problem(HEAT, 0, 256, 128), {})
    assert not slope_jumps(replace(HEAT, source="where(x > 0, 1, 0)"), units, {})


def test_plane_that_is_periodic_along_both_coordinates():
    problem = PDEProblem(
        {"u_t": 1, "u_xx": -0.05, "u_yy": -0.05},
        domain=Box((-1, -1, 0), (1, 1, 1)),
        periodic=("x", "y"),
        time="t",
        initial="cos(pi * x) * sin(pi * y)",
        coordinates=("x", "y", "t"),
    )
    found = evolve(problem, tolerance=1e-4, features=128, seed=0, clock=Clock(), report=str)
    at = np.array([[0.2, 0.3, 1.0], [-0.7, 0.9, 0.5]])
    x, y, t = at.T
    true = np.exp(-0.1 * np.pi**2 * t) * np.cos(np.pi * x) * np.sin(np.pi * y)
    np.testing.assert_allclose(found.solution.at(at), true, atol=1e-4)


def test_rounds_end_when_time_runs_out():
    problem = PDEProblem({"u_xx": 1, "u_yy": 1}, "sin(9 * x * y)", nonlinear="-u**3", dirichlet=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtfulSolutionWarning)
        found = solve(problem, most_seconds=1e-3, size=9)
    assert len(found.rounds.history) == 1 and np.isfinite(found.u).all()
    assert found.verdict == "reliable" or "time ran out" in found.warnings[-1]
    with pytest.raises(ConfigError, match="most_seconds"):
        solve(problem, most_seconds=0)


@pytest.mark.slow
def test_windows_follow_each_other():
    """Each begins with the state and the scale in which the one before ends."""
    clock = Clock()
    find = partial(find_rounds, tolerance=1e-4, features=160, seed=0, clock=clock)
    problem = replace(WAVE, initial="exp(-(x / 0.3)**2)", domain=Rectangle((-1, 0), (1, 0.6)))
    windows = march(problem, partial(find, report=str), clock)
    assert len(windows) > 2
    units = units_of(problem, sample_problem(problem, 0, 256, 128), {})
    solution = joined(windows, 1, units)
    for offset in (-1e-9, 1e-9):
        at = np.stack([np.full(len(solution.ends), 0.1), solution.ends + offset], 1)
        # d'Alembert, before anything comes back from the ends
        true = sum(np.exp(-(((0.1 + sign * at[:, 1]) / 0.3) ** 2)) / 2 for sign in (1, -1))
        np.testing.assert_allclose(solution.at(at), true, atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "most"), [("allen-cahn", 1e-4), ("steepening", 1e-4), ("plate with a hole", 1e-5)]
)
def test_layers_fronts_and_holes_over_time(name, most):
    found = row(KNOWN[name](), 0, 640)
    assert found["error"] < most and found["error"] < found["estimate"]
    assert found["verdict"] != "failed" and found["cpu_seconds"] < 60
