"""Solids against closed forms, and problems in three coordinates at known solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_solutions import Along, Known

from metajax.core import ConfigError
from metajax.physics.pde import PDE, Disk, Polygon, Rectangle, Square, on_host
from metajax.physics.solver import Ball, Box, Extruded, PDEProblem, Robin, collocate
from metajax.physics.solver.points import (
    box_of,
    contains,
    ends_here,
    extent,
    faces_of,
    inward,
    sample_faces,
)

RNG = np.random.default_rng(1)
SOLIDS = {
    "ball": Ball((0.5, -1, 2), 0.75),
    "box": Box((0, -1, 2), (2, 1, 2.5)),
    "prism": Extruded(Polygon([(0, 0), (2, 1), (0.5, 2)]), -1, 1),
    "pipe": Extruded(Disk((0, 0), 1) - Disk((0.2, 0), 0.5), 0, 3),
    "box less ball": Box((0, 0, 0), (2, 1, 1)) - Ball((1, 0.5, 0.5), 0.25),
    "union": Ball((0, 0, 0), 1) | Ball((1, 0, 0), 1),
}


@jax.jit
def is_inside(domain, points):
    return domain.contains(points)


@pytest.mark.parametrize("name", SOLIDS)
def test_points_of_a_boundary_have_the_domain_on_one_side_only(name):
    domain = on_host(SOLIDS[name])
    box, rng = box_of(domain), np.random.default_rng(0)
    at = sample_faces(domain, box, faces_of(domain), 600, rng, lambda at: at.piece >= 0)
    assert 500 < len(at.points) < 700
    np.testing.assert_allclose(domain.distance(at.points), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(at.normals, axis=1), 1, rtol=1e-12)
    assert ends_here(domain, box, at.points, at.normals).all()
    step = 1e-3 * inward(box, at.normals)
    # near an edge where two faces meet, either side may be outside
    assert contains(domain, at.points + step).mean() > 0.97
    assert not contains(domain, at.points - step).mean() > 0.03
    assert set(at.piece) == set(range(len(domain.pieces)))
    lower, upper = domain.bounds
    assert (at.points >= lower - 1e-12).all() and (at.points <= upper + 1e-12).all()
    # the same on both computers
    points = lower + (upper - lower) * RNG.random((50, 3))
    with jax.enable_x64(True):
        there = np.asarray(is_inside(domain, jnp.asarray(points)))
    np.testing.assert_array_equal(there, contains(domain, points))


def test_volumes_and_areas_are_those_of_closed_forms():
    inside = {name: contains(on_host(solid), box_points(solid)) for name, solid in SOLIDS.items()}
    for name, volume in (
        ("ball", np.pi / 6 * 1.0),
        ("box", 1.0),
        ("prism", 0.5 * (2 * 2 - 0.5 * 1) / 4),
        ("pipe", np.pi * 0.75 / 4),
        ("box less ball", 1 - 4 / 3 * np.pi / 64 / 2),
    ):
        np.testing.assert_allclose(inside[name].mean(), volume, atol=3e-3)
    domain = on_host(Ball((3, 3, 3), 2))
    (face,) = faces_of(domain)
    np.testing.assert_allclose(extent(face, box_of(domain)), 4 * np.pi, rtol=0.02)
    # equal parts of the sphere have equally many points
    at = sample_faces(
        domain, box_of(domain), [face], 4096, np.random.default_rng(0), lambda at: at.piece >= 0
    )
    np.testing.assert_allclose(at.normals.mean(0), 0, atol=0.01)
    np.testing.assert_allclose((at.normals**2).mean(0), 1 / 3, atol=0.01)


def box_points(solid):
    lower, upper = np.asarray(solid.bounds, float)
    return lower + (upper - lower) * RNG.random((200_000, 3))


@pytest.mark.parametrize("name", SOLIDS)
def test_terms_and_boundary_data_hold_at_a_known_solution_in_space(name):
    domain = SOLIDS[name]
    lower, upper = np.asarray(domain.bounds, float)
    known = Known(((lower + upper) / 2, (upper - lower) / 2), size=30.0)

    def source(x, y, z):
        bent = known.second(0, 0, x, y, z) + 2 * known.second(1, 1, x, y, z)
        mixed = known.second(0, 2, x, y, z) + x * known.second(1, 2, x, y, z)
        return bent + mixed + known.second(2, 2, x, y, z) + known.slope(2, x, y, z) ** 2

    problem = PDEProblem(
        {"u_xx": 1, "u_yy": 2, "u_zz": 1, "u_xz": 1, "u_yz": "x"},
        source,
        nonlinear="u_z ** 2",
        domain=domain,
        dirichlet=known.u,
        neumann=Along(known, 0.0, 1.0),
        robin=Robin(2, "1 + 0 * z", Along(known, 2.0, 1.0)),
        coordinates=("x", "y", "z"),
    )
    left = known.left_of(collocate(problem, 0, 100, 100))
    assert len(left) == 4 and max(left.values()) < 1e-11


def test_a_plane_domain_over_time_holds_at_a_known_solution():
    plane = Rectangle((0, 0), (8, 4), name="plate") - Disk((5, 2), 1)
    known = Known(((4, 2, 5e-3), (4, 2, 5e-3)), period=0)

    def source(x, y, t):
        bent = known.second(0, 0, x, y, t) + known.second(1, 1, x, y, t)
        return known.slope(2, x, y, t) - bent

    problem = PDEProblem(
        {"u_t": 1, "u_xx": -1, "u_yy": -1},
        source,
        domain=Extruded(plane, 0, 1e-2),
        periodic=["x"],
        time="t",
        initial=known.u,
        dirichlet={"disk": known.u},
        neumann={"plate": Along(known, 0.0, 1.0)},
        coordinates=("x", "y", "t"),
    )
    found = collocate(problem, 0, 100, 300)
    left = known.left_of(found)
    edges = ["dirichlet on disk", "neumann on plate", "initial"]
    assert list(left) == ["equation", *edges, "periodic x", "periodic x, slope"]
    assert max(left.values()) < 1e-11
    blocks = {block.name: block.parts[0].points for block in found.blocks}
    assert (blocks["initial"][:, 2] == -1).all()
    # what holds along x and at the two ends of time is not the plate's edge
    plate = blocks["neumann on plate"]
    assert (np.abs(plate[:, 1]) == 1).all() and np.abs(plate[:, [0, 2]]).max() < 1


def test_what_is_no_solid_is_rejected_by_name():
    for make, words in (
        (lambda: Ball((0, 0), 1), "centre = .*three coordinates"),
        (lambda: Ball((0, 0, 0), -1), "radius = -1.0"),
        (lambda: Ball((0, 0, 0), (1, 2)), "radius = .*one number"),
        (lambda: Box((0, 0, 0), (1, 1, 0)), "upper = .*above lower"),
        (lambda: Box((0, 0), (1, 1)), "lower = .*three coordinates"),
        (lambda: Extruded(Ball((0, 0, 0), 1), 0, 1), "shape = .*of the plane"),
        (lambda: Extruded(Square(), 1, 0), "upper = 0.0: expected above"),
        (lambda: Extruded(Square(), 0, "end"), "upper = 'end'"),
        (lambda: Ball((0, 0, 0), 1) - Disk((0, 0), 1), "second = .*3 coordinates"),
        (lambda: PDE([0, 0, 0, 1, 1], domain=Ball((0, 0, 0), 1), dirichlet=0), "domain = .*plane"),
        (lambda: PDEProblem({"u": 1}, domain=Ball((0, 0, 0), 1), dirichlet=0), "coordinates = "),
    ):
        with pytest.raises(ConfigError, match=words):
            make()
