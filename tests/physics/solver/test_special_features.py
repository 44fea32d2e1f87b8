"""Functions for corners, holes and waves: they solve their equation, and have their derivatives."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from metajax.physics.pde import Disk, Rectangle, Square, on_host
from metajax.physics.solver import PDEProblem, solve
from metajax.physics.solver.corners import Corner, corner_features, corners_of
from metajax.physics.solver.fitting import weighted_rows
from metajax.physics.solver.holes import Hole, hole_features, holes_of
from metajax.physics.solver.operators import At, Block, Operator, terms
from metajax.physics.solver.points import box_of
from metajax.physics.solver.ridge_functions import Joined, One, counted
from metajax.physics.solver.tabulated import Tabulated
from metajax.physics.solver.waves import (
    Constants,
    constants_of,
    harmonic_polynomials,
    plane_waves,
    wave_number,
)

NUM = 40
HESSIAN = np.array([[2.0, 0.3], [0.3, 0.7]])
SECOND = np.broadcast_to(HESSIAN, (NUM, 2, 2))
CENTER = np.array([0.1, 0.2])
SOLVE = ["corner", "end", "log", "ellipse", "poles", "decay", "wave"]


def around(seed=0):
    """Points around a center, apart from the cut of the corner's logarithm."""
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0.2, 4.3, NUM), rng.uniform(0.4, 1.0, NUM)
    return CENTER + (radius * np.stack([np.cos(angle), np.sin(angle)])).T


def features(kind):
    if kind in ("corner", "end"):
        pole = None if kind == "corner" else CENTER + np.array([0.1, -0.1])
        first, last = np.array([1.0, 0.0]), np.array([0.0, -1.0])
        corner = Corner(CENTER, first, last, False, True, pole=pole)
        return corner_features(corner, HESSIAN)
    value = {"log": 0.0, "ellipse": 0.0, "poles": 0.0, "decay": -64.0, "wave": 40.0, "other": None}[
        kind
    ]
    angle = 2 * np.pi * np.arange(16) / 16
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    # axes that are those of a circle where the second derivatives are the Laplacian
    axes = {"ellipse": np.diag([0.15, 0.05]), "poles": None}.get(
        kind, 0.1 * np.linalg.cholesky(HESSIAN).T
    )
    rim = 0.1 * circle if axes is None else circle @ axes
    (made,) = hole_features(Hole(CENTER, 5, rim, axes), HESSIAN, value)
    return made


@pytest.mark.parametrize("kind", SOLVE)
def test_functions_solve_their_equation_to_rounding(kind):
    made, points = features(kind), around()
    value = {"decay": -64.0, "wave": 40.0}.get(kind, 0.0)
    left = made(points, Operator(np.full(NUM, value), None, SECOND))
    terms = [
        np.abs(made(points, Operator(None, None, np.tile(one, (NUM, 1, 1)))))
        for one in (np.diag([2.0, 0.0]), np.diag([0.0, 0.7]))
    ]
    plain = getattr(made, "squares", np.zeros(left.shape[1])) == 0
    size = np.max(sum(terms), 0) + 1e-300
    assert np.max((np.abs(left).max(0) / size)[plain]) < 1e-12


@pytest.mark.parametrize(
    "kind", ["corner", "end", "log", "ellipse", "poles", "decay", "wave", "other"]
)
def test_derivatives_are_those_of_the_functions(kind):
    made, points = features(kind), around()
    rng = np.random.default_rng(1)
    along, bend = rng.normal(size=(NUM, 2)), rng.normal(size=(NUM, 2, 2))

    def value(at):
        return made(at, Operator(np.ones(NUM)))

    def slope(at):
        return made(at, Operator(None, along))

    step = 1e-5
    first = (value(points + step * along) - value(points - step * along)) / (2 * step)
    np.testing.assert_allclose(slope(points), first, atol=1e-6 * np.abs(first).max())
    second = (slope(points + step * along) - slope(points - step * along)) / (2 * step)
    outer = along[:, :, None] * along[:, None]
    found = made(points, Operator(None, None, outer))
    np.testing.assert_allclose(found, second, atol=1e-6 * np.abs(second).max())
    operator = Operator(np.ones(NUM), along, bend)
    np.testing.assert_allclose(
        Tabulated(made, counted(made, 2))(points, operator),
        made(points, operator),
        rtol=1e-9,
        atol=1e-9 * np.abs(made(points, operator)).max(),
    )


@dataclass
class Seen:
    """A feature that is 1, and the points at which it was asked for."""

    at: list[Any]
    num = 1

    def __call__(self, points, operator):
        self.at.append(points)
        return operator.value[:, None]


def test_features_are_computed_once_for_the_points_of_all_solves():
    seen = Seen([])
    features = Joined((One(), Tabulated(seen, 1)))
    blocks = [
        Block("equation", (At(np.zeros((num, 2)), Operator(np.ones(num))),), np.zeros(num))
        for num in (9, 4)
    ]
    for _ in range(3):
        assert np.all(weighted_rows(blocks, features)[:13, 1] > 0)
    assert [len(points) for points in seen.at] == [9, 4]


def test_corners_and_holes_are_found_where_they_are():
    domain = on_host(Square() - Rectangle((0, 0), (2, 2)) - Disk((-0.5, -0.5), 0.2))
    kinds = [frozenset({"dirichlet"})] * len(domain.pieces)
    corners = corners_of(domain, box_of(domain), kinds)
    assert len(corners) == 6
    inward = min(corners, key=lambda one: np.abs(one.point).sum())
    np.testing.assert_allclose(inward.point, 0, atol=1e-12)
    np.testing.assert_allclose((inward.first, inward.last), [[0, 1], [1, 0]], atol=1e-12)
    powers = corner_features(inward, np.eye(2)).powers
    np.testing.assert_allclose(powers[powers > 0].min(), 2 / 3)
    kinds[1] = frozenset({"neumann"})
    mixed = [one.mixed for one in corners_of(domain, box_of(domain), kinds)]
    assert sum(mixed) == 2
    (hole,) = holes_of(domain, box_of(domain))
    np.testing.assert_allclose(hole.center, [-0.5, -0.5])


def test_waves_are_those_of_the_equation():
    operator = Operator(np.full(NUM, 400.0), None, SECOND)
    constants = constants_of(operator, 2)
    assert wave_number(constants) == pytest.approx(np.sqrt(400 / np.linalg.eigvalsh(HESSIAN)[0]))
    assert np.abs(plane_waves(constants)(around(), operator)).max() < 1e-9
    assert plane_waves(Constants(-1.0, np.zeros(2), HESSIAN)) is None
    varying = Operator(np.linspace(1, 2, NUM), None, SECOND)
    assert constants_of(varying, 2) is None


def test_harmonic_polynomials_solve_their_equation():
    made = harmonic_polynomials(Constants(0.0, np.zeros(2), -HESSIAN))
    points = np.random.default_rng(0).uniform(-1, 1, (NUM, 2))
    left = made(points, Operator(None, None, SECOND))
    size = made(points, Operator(None, None, np.tile(np.diag([2.0, 0.0]), (NUM, 1, 1))))
    assert np.abs(left).max() < 1e-12 * np.abs(size).max()
    assert np.abs(made(points, Operator(np.ones(NUM)))).max() <= 1
    assert harmonic_polynomials(Constants(0.0, np.array([1.0, 0.0]), HESSIAN)) is None
    assert harmonic_polynomials(Constants(0.0, np.zeros(2), np.diag([1.0, -1.0]))) is None


def test_a_problem_without_source_is_solved_in_the_first_round():
    """Sources of u are in the hole, off its center, and outside the square."""

    def exact(x, y):
        inner = np.log((x - 0.52) ** 2 + (y - 0.49) ** 2)
        return inner + np.log((x - 1.3) ** 2 + (y - 0.2) ** 2)

    domain = Square() - Disk((0.5, 0.5), 0.2)
    problem = PDEProblem({"u_xx": 1, "u_yy": 1}, domain=domain, dirichlet=exact)
    found = solve(problem, size=5)
    assert len(found.rounds.history) == 1 and found.verdict == "reliable"
    points = np.random.default_rng(0).uniform(-0.99, 0.99, (200, 2))
    points = points[np.hypot(*(points - 0.5).T) > 0.2]
    np.testing.assert_allclose(found.at(points), exact(*points.T), atol=1e-6)


@pytest.mark.parametrize("kind", ["corner", "log", "decay", "wave", "other"])
def test_a_combination_is_that_of_the_functions(kind):
    made, points = features(kind), around()
    rng = np.random.default_rng(2)
    weights = rng.normal(size=made(points[:1], Operator(np.ones(1))).shape[1])
    along, bend = rng.normal(size=(NUM, 2)), rng.normal(size=(NUM, 2, 2))
    operator = Operator(rng.normal(size=NUM), along, bend)
    found = np.sum(terms(operator, made.combined(points, weights)), 0)
    np.testing.assert_allclose(found, made(points, operator) @ weights, rtol=1e-9, atol=1e-9)
