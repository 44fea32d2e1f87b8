"""Finite elements: their order, curved edges, what they refuse, and how to get them."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.physics.pde import PDE, Disk, Rectangle, Square, nodes
from metajax.physics.pde.finite_elements import curved, refine, solve, square_mesh, triangulate

pytestmark = pytest.mark.usefixtures("x64")


def holes():
    return Square() - Disk((0.3, 0.2), 0.4) - Disk((-0.5, -0.5), 0.25)


def exact(x, y):
    return jnp.sin(2 * x + 1) * jnp.exp(0.7 * y) + x * y


def problem(domain):
    """All five coefficients, a source and data that ``exact`` satisfies."""
    wave, grow = lambda x: jnp.sin(2 * x + 1), lambda y: jnp.exp(0.7 * y)

    def source(x, y):
        u, ux = exact(x, y), 2 * jnp.cos(2 * x + 1) * grow(y) + y
        uy, uxx, uyy = 0.7 * wave(x) * grow(y) + x, -4 * wave(x) * grow(y), 0.49 * wave(x) * grow(y)
        return -u + 0.5 * ux - 0.3 * uy + uxx + 2 * uyy

    return PDE([-1, 0.5, -0.3, 1, 2], source, domain, dirichlet=exact)


def points_in(domain):
    grid = np.asarray(nodes(30)).reshape(-1, 2)
    return grid[np.asarray(domain.contains(grid))]


def errors(domain, meshes):
    points = points_in(domain)
    wanted = np.asarray(exact(*points.T))
    found = [solve(problem(domain), mesh, points) for mesh in meshes]
    return np.array([np.sqrt(np.mean((u - wanted) ** 2)) for u in found])


def test_quartic_triangles_converge_with_the_fifth_power_of_their_width():
    found = errors(Square(), [square_mesh(0), square_mesh(1)])
    assert found[1] < 1e-7
    assert 4.5 < np.log2(found[0] / found[1]) < 5.8


def test_curved_edges_keep_the_order_around_circles():
    domain = Square() - Disk((0.3, 0.2), 0.4)

    def exact(x, y):
        return jnp.log(((x - 0.3) ** 2 + (y - 0.2) ** 2) / 0.16) / 2

    pde = PDE([0, 0, 0, 1, 1], domain=domain, dirichlet={"square": exact, "disk": 0.0})
    points = points_in(domain)
    coarse = triangulate(domain, 0.25)
    meshes = [refine(coarse, domain, times) for times in (0, 1)]

    def error(mesh):
        return np.sqrt(np.mean((solve(pde, mesh, points) - np.asarray(exact(*points.T))) ** 2))

    straight, bent = error(meshes[1]), [error(curved(mesh, domain)) for mesh in meshes]
    assert np.log2(bent[0] / bent[1]) > 3.5
    assert bent[1] < 0.01 * straight


def test_a_mesh_fills_the_domain_and_its_edge_lies_on_the_boundary():
    mesh = triangulate(holes(), 0.1)
    edge = mesh.p[:, mesh.boundary_nodes()].T
    np.testing.assert_allclose(holes().distance(edge), 0, atol=1e-12)
    a, b, c = mesh.p[:, mesh.t].transpose(1, 2, 0)
    areas = np.abs(np.linalg.det(np.stack([b - a, c - a], -1))) / 2
    polygons = sum(
        r**2 / 2 * (n := np.ceil(2 * np.pi * r / 0.1)) * np.sin(2 * np.pi / n) for r in (0.4, 0.25)
    )
    np.testing.assert_allclose(areas.sum(), 4 - polygons, rtol=1e-6)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("coefficients", {"coefficients": [0, 0, 0, 1, -1]}),
        ("dirichlet", {"dirichlet": {"left": 0.0}}),
        ("neumann", {"neumann": {"left": 0.0}}),
    ],
)
def test_problems_that_it_does_not_solve_are_refused_by_name(field, settings):
    pde = PDE(**{"coefficients": [0, 0, 0, 1, 1], "dirichlet": 0.0} | settings)
    with pytest.raises(ConfigError) as error:
        solve(pde, square_mesh(0), np.zeros((1, 2)))
    assert error.value.field == field


def test_curves_that_cross_are_refused():
    with pytest.raises(ConfigError, match="width"):
        triangulate(Square() - Rectangle((0.03, 0.04), (1.5, 1.5)), 0.1)


def test_without_scikit_fem_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['skfem'] = None\n"
        "import metajax.physics.pde\n"
        "import metajax.physics.pde.finite_elements"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode != 0
    assert "pip install 'metajax[fem]'" in done.stderr
