"""Which nodes belong to the closed domain, and small parts of it, against what they must be."""

import jax
import numpy as np
import pytest

from metajax.physics.pde import (
    Disk,
    Polygon,
    Rectangle,
    Square,
    has_inside,
    in_closure,
    nodes,
    sample_boundary,
)
from metajax.physics.pde.geometry import LEAST, sample_interior_near

pytestmark = pytest.mark.usefixtures("x64")

INCH = 1e-9
inner_points = jax.jit(sample_interior_near, static_argnums=2)
edge_points = jax.jit(sample_boundary, static_argnums=2, static_argnames="least")
DIAMOND = [(-1, 0), (0, -1), (1, 0), (0, 1)]


def rectangle(x, y, lower, upper):
    return (x > lower[0]) & (x < upper[0]) & (y > lower[1]) & (y < upper[1])


def disk(x, y, centre, radius):
    return np.hypot(x - centre[0], y - centre[1]) < radius - INCH


DOMAINS = {
    "corner": (Square() - Rectangle((0, 0), (1, 1)), lambda x, y: (x > 0) & (y > 0)),
    "edge": (
        Square() - Rectangle((-0.5, 0.5), (0.5, 1)),
        lambda x, y: (np.abs(x) < 0.5) & (y > 0.5),
    ),
    "beyond": (Square() - Rectangle((0, 0), (2, 2)), lambda x, y: (x > 0) & (y > 0)),
    "half": (Square() - Rectangle((-1, -1), (1, 0)), lambda x, y: y < 0),
    "triangle": (Square() - Polygon([(0, 0), (1, 0), (1, 1)]), lambda x, y: (y > 0) & (y < x)),
    "clockwise": (Square() - Polygon([(1, 1), (1, 0), (0, 0)]), lambda x, y: (y > 0) & (y < x)),
    "diamond": (Square() - Polygon(DIAMOND), lambda x, y: np.abs(x) + np.abs(y) < 1 - INCH),
    "quarter": (Square() - Disk((1, 1), 0.5), lambda x, y: disk(x, y, (1, 1), 0.5)),
    "tangent": (Square() - Disk((0.5, 0), 0.5), lambda x, y: disk(x, y, (0.5, 0), 0.5)),
    "half disk": (Square() - Disk((0, -1), 0.5), lambda x, y: disk(x, y, (0, -1), 0.5)),
    # nothing is left between them, but where their ends meet the domain
    "side by side": (
        Square() - Rectangle((-0.5, -0.5), (0, 0.5)) - Rectangle((0, -0.5), (0.5, 0.5)),
        lambda x, y: rectangle(x, y, (-0.5, -0.5), (0.5, 0.5)),
    ),
    "corner to corner": (
        Square() - Rectangle((-0.5, -0.5), (0, 0)) - Rectangle((0, 0), (0.5, 0.5)),
        lambda x, y: rectangle(x, y, (-0.5, -0.5), (0, 0)) | rectangle(x, y, (0, 0), (0.5, 0.5)),
    ),
    "overlapping": (
        Square() - Rectangle((0, 0), (1, 0.5)) - Disk((0.25, 0.5), 0.375),
        lambda x, y: rectangle(x, y, (0, 0), (1 + INCH, 0.5)) | disk(x, y, (0.25, 0.5), 0.375),
    ),
    "rounded numbers": (
        Square() - Rectangle((-0.3, -0.6), (0.1, 1.0)),
        lambda x, y: rectangle(x, y, (-0.3 + INCH, -0.6 + INCH), (0.1 - INCH, 1.1)),
    ),
    "domain": (Polygon(DIAMOND), lambda x, y: np.abs(x) + np.abs(y) > 1 + INCH),
    "union": (
        Rectangle((-1, -1), (0, 0)) | Rectangle((0, -1), (1, 0)),
        lambda x, y: y > 0,
    ),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_the_closed_domain_has_its_edges_and_none_of_what_was_taken_away(name):
    domain, removed = DOMAINS[name]
    # as a person writes them: in float32, then computed with in float64
    domain = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32).astype(float), domain)
    points = np.concatenate([np.asarray(nodes(size)).reshape(-1, 2) for size in (17, 21)])
    inside = np.asarray(in_closure(domain, points))
    expected = ~removed(*points.T)
    assert 0 < expected.sum() < len(points)
    np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize("height", [1e-2, 1e-3, 1e-5])
def test_a_sliver_has_an_inside_and_points_of_its_own(height):
    domain = Square() - Rectangle((-1, -1), (1, 1 - height))
    assert has_inside(domain)
    points = np.asarray(inner_points(domain, jax.random.key(0), 500))
    assert np.all(domain.distance(points) < 0)
    assert len(np.unique(points, axis=0)) > 250
    # all along it
    assert np.histogram(points[:, 0], 10, (-1, 1))[0].min() > 10


def test_nothing_has_no_inside():
    assert not has_inside(Square() - Rectangle((-1, -1), (1, 1)))
    assert not has_inside(Square() - Disk((0, 0), 3.0))


@pytest.mark.parametrize("radius", [5e-2, 5e-5, 5e-6])
def test_a_small_hole_has_boundary_points_with_normals_into_it(radius):
    domain = Square() - Disk((0.2, 0.1), radius, "hole")
    at = edge_points(domain, jax.random.key(0), 1000, least=LEAST)
    points, normals, piece = (np.asarray(leaf) for leaf in at)
    on = piece == 4
    assert on.sum() >= 40
    into = (np.array([0.2, 0.1]) - points[on]) / radius
    np.testing.assert_allclose(into, normals[on], atol=1e-9)
