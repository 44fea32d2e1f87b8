"""Coefficients that jump: each part has its own features, and u and its flux are continuous."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from metajax.physics.pde import Disk, Rectangle, Square, on_host
from metajax.physics.solver import Ball, PDEProblem, Robin, solve
from metajax.physics.solver import Box as Box3
from metajax.physics.solver.corners import Corner
from metajax.physics.solver.discontinuities import edge_jumps
from metajax.physics.solver.domain_parts import Within, parts_of
from metajax.physics.solver.interfaces import interface_blocks
from metajax.physics.solver.operators import Operator, terms
from metajax.physics.solver.points import Box
from metajax.physics.solver.review import review
from metajax.physics.solver.ridge_functions import combine, sine_features
from metajax.physics.solver.taking import taker
from metajax.physics.solver.transmission import Sector, in_order, powers_of
from metajax.physics.solver.values import known_parameters

sys.path.insert(0, str(Path(__file__).parents[3] / "experiments" / "solve"))
from known import KNOWN
from trust import row

CORE = "where(core, 5, 1)"


@pytest.mark.parametrize("name", ["inclusion", "quadrant", "kink", "jump"])
def test_closed_forms_with_jumps_are_found(name):
    """Without the flux, or with features that are smooth across, each of them has 1% and more."""
    found = row(KNOWN[name](), 0, 320)
    assert found["error"] < 1e-6 and found["verdict"] == "reliable"
    assert found["error"] < max(found["estimate"], 1e-11) and found["estimate"] < 1e-4


def test_heat_flows_from_slab_to_slab():
    """A mode that decays at one rate in both slabs, whose conductivities are 1 and 4."""

    def slopes(rate):
        left, right = np.sqrt(rate) / 2, np.sqrt(rate / 4) / 2
        return np.cos(left) * np.sin(right) + 2 * np.cos(right) * np.sin(left)

    rate = brentq(slopes, 5, 38)
    left, right = np.sqrt(rate), np.sqrt(rate / 4)

    def u(x, t):
        other = np.sin(left / 2) / np.sin(right / 2) * np.sin(right * (1 - x))
        return np.exp(-rate * t) * np.where(x < 0.5, np.sin(left * x), other)

    problem = PDEProblem(
        {"u_t": 1, "u_xx": "-where(slab, 1, 4)"},
        domain=Rectangle((0, 0), (1, 0.1)),
        dirichlet={"left": 0, "right": 0},
        time="t",
        initial=u,
        coordinates=("x", "t"),
        regions={"slab": Rectangle((-1, -1), (0.5, 1))},
    )
    points = np.random.default_rng(0).uniform((0, 0), (1, 0.1), (500, 2))
    assert np.max(np.abs(solve(problem, size=9).at(points) - u(*points.T))) < 1e-6


@pytest.mark.parametrize("both", [False, True], ids=["one region", "two regions"])
def test_regions_may_end_where_the_domain_does(both):
    """A wall of wood and brick between air at both sides, its resistances in a row."""
    wood, brick, outside, inside = 0.2, 0.8, 25.0, 8.0
    cold, warm, thickness = -5.0, 20.0, (0.1, 0.2)
    flux = (warm - cold) / (1 / outside + 0.1 / wood + 0.2 / brick + 1 / inside)

    def exact(x):
        in_wood = cold + flux / outside + flux * x / wood
        middle = cold + flux / outside + flux * thickness[0] / wood
        return np.where(x < thickness[0], in_wood, middle + flux * (x - thickness[0]) / brick)

    regions = {"first": Rectangle((0, 0), (0.1, 0.4))}
    if both:
        regions["second"] = Rectangle((0.1, 0), (0.3, 0.4))
    conductivity = "where(first, wood, brick)"
    found = solve(
        PDEProblem(
            {"u_xx": conductivity, "u_yy": conductivity},
            domain=Rectangle((0, 0), (0.3, 0.4), "box"),
            robin={
                "box.left": Robin("25", conductivity, "25 * cold"),
                "box.right": Robin("8", conductivity, "8 * warm"),
            },
            neumann={"box.bottom": 0, "box.top": 0},
            # in no order that JAX would sort them in
            parameters={"wood": wood, "cold": cold, "warm": warm, "brick": brick},
            regions=regions,
        ),
        features=160,
    )
    x = np.array([0, 1e-4, 0.05, 0.1, 0.15, 0.2999, 0.3])
    at = np.stack([x, np.full(len(x), 0.13)], 1)
    np.testing.assert_allclose(found.at(at), exact(x), atol=1e-6)
    assert found.verdict == "reliable"


def test_lines_and_circles_are_found_where_no_region_names_them():
    def source(x, y):
        return np.where(x + 2 * y > 0.3, 2.0, 0.0) + np.where(x**2 + (y - 0.2) ** 2 < 0.04, 1.0, 0)

    def of(source):
        problem = PDEProblem({"u_xx": 1, "u_yy": 1}, source, dirichlet=0.0)
        return parts_of(problem, taker(problem).units, {})

    (_, line), (_, circle) = of(source).shapes
    np.testing.assert_allclose(line.distance(np.array([[0.3, 0.0], [-0.7, 0.5]])), 0, atol=1e-12)
    np.testing.assert_allclose([*circle.centre, circle.radius], [0, 0.2, 0.2], atol=1e-12)
    assert len(of(source).codes) == 4
    assert of(lambda x, y: np.tanh(500 * (x - 0.1))) is None  # steep, and continuous


def test_a_jump_along_another_curve_is_said():
    def conductivity(x, y):
        return np.where(y > x**2 - 0.3, 5.0, 1.0)

    problem = PDEProblem({"u_xx": conductivity, "u_yy": conductivity}, dirichlet=0.0)
    (finding,) = review(problem).findings
    assert "along no line or circle" in finding.text
    named = PDEProblem({"u_xx": CORE}, dirichlet=0.0, regions={"core": Disk((0, 0), 0.5)})
    assert not any("along no line" in one.text for one in review(named).findings)


def test_a_jump_in_space_that_no_region_names_is_said():
    names, ball = ("u_xx", "u_yy", "u_zz"), Ball((0, 0, 0), 0.5)
    settings = {
        "domain": Box3((-1, -1, -1), (1, 1, 1)),
        "dirichlet": 0.0,
        "coordinates": ("x", "y", "z"),
    }

    def findings(coefficient, **more):
        problem = PDEProblem(dict.fromkeys(names, coefficient), **settings, **more)
        return [one.text for one in review(problem).findings]

    (text,) = findings("where(x**2 + y**2 + z**2 < 0.25, 5, 1)")
    assert "in no region" in text and "name the shape" in text
    assert not findings(CORE, regions={"core": ball})
    assert not findings("2 + tanh(20 * x * y * z)")


def test_a_jump_in_time_is_no_interface_and_a_moving_one_is():
    domain, names = Box3((-1, -1, 0), (1, 1, 1)), ("x", "y", "t")

    def findings(where):
        diffusion = f"-where({where}, 0.4, 0.1)"
        problem = PDEProblem(
            {"u_t": 1, "u_xx": diffusion, "u_yy": diffusion},
            domain=domain,
            dirichlet=0,
            coordinates=names,
            time="t",
            initial=0,
        )
        return [one.text for one in review(problem).findings]

    assert not findings("t > 0.5")
    (text,) = findings("x + 0.2 * t > 0.3")
    assert "in no region" in text


def test_flux_is_that_of_the_coefficients_on_both_sides():
    """For a function with slope 1 inside and 5 outside of a disk, from center to rim."""
    problem = PDEProblem(
        {"u_xx": CORE, "u_yy": CORE},
        domain=Square(),
        dirichlet=0.0,
        regions={"core": Disk((0.1, 0.2), 0.5)},
    )
    taken = taker(problem)
    parts = taken.parts
    same, flux = interface_blocks(problem, parts, taken.units, known_parameters(problem), 0, 40)
    assert same.name == "continuity at core" and flux.name == "flux through core"

    def radial(part, slope):
        away = part.points - [0.1, 0.2]
        unit = away / np.linalg.norm(away, axis=1, keepdims=True)
        return np.sum(part.operator.gradient * slope * unit, 1)

    inner, outer = flux.parts
    assert set(parts.of(inner.points)) == {1} and set(parts.of(outer.points)) == {0}
    np.testing.assert_allclose(radial(inner, 1.0) + radial(outer, 5.0), 0, atol=1e-12)
    assert np.min(np.abs(radial(inner, 1.0) + radial(outer, 1.0))) > 0.5


def test_features_of_a_part_are_0_elsewhere_and_have_its_derivatives():
    problem = PDEProblem(
        {"u_xx": CORE}, dirichlet=0.0, regions={"core": Rectangle((-0.5, -2), (0.5, 2))}
    )
    parts = taker(problem).parts
    sines = sine_features(6, np.full(2, 3.0), 0)
    made = Within(sines, parts, 1, Box(np.array([0.1, 0.2]), np.array([0.5, 0.8])))
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (40, 2))
    inside = np.abs(points[:, 0]) < 0.5
    weights, along = np.arange(1.0, 7.0), np.tile([0.6, -0.8], (40, 1))
    values = combine(made, points, weights)
    bend = along[:, :, None] * along[:, None]
    found = made(points, Operator(np.ones(40), along, bend)) @ weights
    np.testing.assert_allclose(found, np.sum(terms(Operator(np.ones(40), along, bend), values), 0))
    assert not found[~inside].any()
    step = 1e-6
    near = [made(points + sign * step * along, Operator(np.ones(40))) @ weights for sign in (1, -1)]
    slope = (near[0] - near[1]) / (2 * step)
    there = np.sum(values.gradient * along, 1)
    np.testing.assert_allclose(slope[inside], there[inside], atol=1e-6)


def test_powers_at_a_point_where_parts_meet():
    def sector(part, start, stop, size):
        ends = [np.array([np.cos(one), np.sin(one)]) for one in (start, stop)]
        corner = Corner(np.zeros(2), *ends, False, True, (part, part))
        return Sector(part, corner, size * np.eye(2))

    turn = np.pi / 2
    alike = in_order([sector(0, 0.0, turn, 1.0), sector(1, turn, 4 * turn, 1.0)])
    assert alike is not None and alike[1]
    np.testing.assert_allclose(powers_of(alike[0], None), np.arange(1, 7), atol=1e-6)
    wedges, _ = in_order([sector(0, 0.0, turn, 5.0), sector(1, turn, 4 * turn, 1.0)])
    for power in powers_of(wedges, None):
        ways = [(5, 1), (1, 5)]  # even and odd around the middle
        off = [
            a * np.sin(power * turn / 2) * np.cos(power * 3 * turn / 2)
            + b * np.cos(power * turn / 2) * np.sin(power * 3 * turn / 2)
            for a, b in ways
        ]
        assert min(map(abs, off)) < 1e-6
    half = in_order([sector(0, 0.0, turn, 5.0), sector(1, turn, 2 * turn, 1.0)])
    assert half is not None and not half[1]
    np.testing.assert_allclose(powers_of(half[0], (True, True)), np.arange(1, 7), atol=1e-9)


def test_data_that_jump_along_the_boundary_are_placed():
    problem = PDEProblem(
        {"u_xx": 1, "u_yy": 1},
        domain=Disk((1.0, 0.0), 2.0),
        dirichlet=lambda x, y: np.where(y > x, 1.0, x / 2),
    )
    box = Box(np.array([1.0, 0.0]), np.array([2.0, 2.0]))
    found = edge_jumps(problem, box)
    root = np.sqrt(7.0)
    expected = np.array([[(1 + root) / 2] * 2, [(1 - root) / 2] * 2])
    placed = sorted((box.places(one.point).tolist() for one in found), reverse=True)
    np.testing.assert_allclose(placed, expected, atol=1e-12)
    assert all(one.given for one in found)
    smooth = PDEProblem({"u_xx": 1, "u_yy": 1}, dirichlet=lambda x, y: np.exp(x) * y)
    assert edge_jumps(smooth, Box(np.zeros(2), np.ones(2))) == []
    assert on_host(problem.domain).radius == 2
