"""Finite-element solutions of steady problems, by scikit-fem: ``pip install 'metajax[fem]'``.

``python -m metajax.physics.pde.finite_elements FOLDER`` makes the references of
:func:`metajax.physics.pde.benchmark` again, a minute on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.spatial import Delaunay, cKDTree

from metajax.core import ConfigError, enable_x64, needs_extra
from metajax.physics.pde.benchmarks import EDGE, PROBLEMS, REFERENCE_SIZE
from metajax.physics.pde.equation import PDE, data_on
from metajax.physics.pde.fields import nodes
from metajax.physics.pde.geometry import Boundary, Curves, Shape
from metajax.physics.pde.pytrees import on_host

with needs_extra("a finite-element solution", "scikit-fem", "fem"):
    import skfem


def triangulate(domain: Shape, width: float) -> Any:
    """Make a mesh of triangles about ``width`` wide, its boundary vertices on the boundary.

    For domains whose curves do not cross or touch, as a square less disks apart from each other.

    Raises:
      ConfigError: the edges of the mesh do not follow the boundary; a smaller ``width`` may help.
    """
    curves = jax.tree.map(np.asarray, domain.curves)
    edge = np.concatenate([along(curves, number, width) for number in range(len(curves.length))])
    lower, upper = np.asarray(domain.bounds, float)
    rows = np.arange(lower[1], upper[1], width * np.sqrt(3) / 2)
    columns = np.arange(lower[0], upper[0], width)
    x, y = np.meshgrid(columns, rows)
    x[1::2] += width / 2
    lattice = np.stack([x.ravel(), y.ravel()], 1)
    lattice = lattice[distance(domain, lattice) < -0.6 * width]
    points = np.concatenate([edge, lattice])
    triangles = Delaunay(points).simplices
    middle = points[triangles].mean(1)
    triangles = triangles[distance(domain, middle) < -1e-3 * width]
    mesh = skfem.MeshTri(np.ascontiguousarray(points.T), np.ascontiguousarray(triangles.T))
    ends = mesh.facets[:, mesh.boundary_facets()]
    if ends.max() >= len(edge) or ends.shape[1] != len(edge):
        raise ConfigError("width", width, "triangles small enough to follow the boundary")
    return mesh


def along(curves: Curves, number: int, width: float) -> Float[np.ndarray, "n 2"]:
    """Points of one curve about ``width`` apart."""
    start, span, radius, length, *_ = (np.asarray(leaf[number], float) for leaf in curves)
    t = np.arange(num := int(np.ceil(length / width)))[:, None] / num
    turn = np.concatenate([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)], 1)
    return start + t * span + radius * turn


def distance(domain: Shape, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Signed distances, as numpy."""
    return np.asarray(on_host(domain).distance(points), float)


def nearest_curve(curves: Curves, points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """The index of the curve that each point is nearest to."""
    offset = points[:, None] - np.asarray(curves.start, float)
    span = np.asarray(curves.span, float)
    t = np.sum(offset * span, -1) / np.maximum(np.sum(span**2, -1), 1e-30)
    apart = np.linalg.norm(offset - np.clip(t, 0, 1)[..., None] * span, axis=-1)
    return np.argmin(np.abs(apart - np.asarray(curves.radius, float)), 1)


def on_curves(domain: Shape, points: Float[np.ndarray, "2 n"]) -> Float[np.ndarray, "2 n"]:
    """Move points near a circle of the boundary onto it."""
    curves = jax.tree.map(np.asarray, domain.curves)
    nearest = nearest_curve(curves, points.T)
    centre, radius = (np.asarray(leaf[nearest], float).T for leaf in (curves.start, curves.radius))
    offset = points - centre
    circle = centre + radius * offset / np.maximum(np.linalg.norm(offset, axis=0), 1e-30)
    return np.where(radius > 0, circle, points)


def refine(mesh: Any, domain: Shape, times: int = 1) -> Any:
    """Halve a mesh so many times, with new boundary vertices on the domain's circles."""
    for _ in range(times):
        mesh = mesh.refined()
        points, edge = mesh.p.copy(), mesh.boundary_nodes()
        points[:, edge] = on_curves(domain, points[:, edge])
        mesh = skfem.MeshTri(points, mesh.t)
    return mesh


def curved(mesh: Any, domain: Shape) -> Any:
    """Give a mesh quadratic edges that follow the domain's circles."""
    mesh = skfem.MeshTri2.from_mesh(mesh)
    places = mesh.doflocs.copy()
    edge = np.unique(mesh.dofs.get_facet_dofs(mesh.boundary_facets()).flatten())
    places[:, edge] = on_curves(domain, places[:, edge])
    return dataclasses.replace(mesh, doflocs=places)


def solve(
    pde: PDE, mesh: Any, points: Float[np.ndarray, "n 2"], element: Any = None
) -> Float[np.ndarray, " n"]:
    """Solve a problem with u given on all of its boundary, and evaluate the solution at points.

    Under ``metajax.core.enable_x64``, if its source and data are to be exact.

    Args:
      pde: the problem.
      mesh: of its domain, as ``skfem`` has them; see :func:`triangulate` and :func:`curved`.
      points: where u is wanted; slightly outside the mesh it is extrapolated.
      element: by default quartic triangles.

    Raises:
      ConfigError: ``dirichlet`` data is missing somewhere, ``neumann`` data given, or
        ``coefficients`` whose second-order part is not elliptic.
    """
    c1, c2, c3, c4, c5 = np.asarray(pde.coefficients, float)
    if not c4 * c5 > 0:
        raise ConfigError("coefficients", [c1, c2, c3, c4, c5], "those of u_xx, u_yy of one sign")
    if pde.neumann:
        raise ConfigError("neumann", "data", "none")
    basis = skfem.Basis(mesh, element or skfem.ElementTriP4(), intorder=8)

    @skfem.BilinearForm
    def form(u: Any, v: Any, _: Any) -> Any:
        second = -c4 * u.grad[0] * v.grad[0] - c5 * u.grad[1] * v.grad[1]
        return second + (c1 * u + c2 * u.grad[0] + c3 * u.grad[1]) * v

    @skfem.LinearForm
    def load(v: Any, w: Any) -> Any:
        place = jnp.asarray(w.x.reshape(2, -1).T)
        return np.asarray(pde.source(place)).reshape(w.x.shape[1:]) * v

    edge = basis.get_dofs().flatten()
    place = basis.doflocs[:, edge].T
    piece = np.asarray(pde.domain.curves.piece)[nearest_curve(pde.domain.curves, place)]
    boundary = Boundary(jnp.asarray(place), jnp.zeros(place.shape), jnp.asarray(piece))
    value, mask = data_on(pde.dirichlet, boundary)
    if not mask.all():
        raise ConfigError("dirichlet", "missing on some pieces", "data on all of the boundary")
    u = basis.zeros()
    u[edge] = np.asarray(value)
    u = skfem.solve(*skfem.condense(form.assemble(basis), load.assemble(basis), x=u, D=edge))
    return evaluate(basis, u, points)


def evaluate(basis: Any, u: Array, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """A finite-element function at points, each from the element that it is deepest inside."""
    mesh = basis.mesh
    tree = cKDTree(mesh.p[:, mesh.t].mean(1).T)
    _, near = tree.query(points, min(40, mesh.nelements))
    # by the straight triangles, as the curved ones differ by little
    corners = mesh.p[:, mesh.t[:3]].transpose(2, 1, 0)[near]
    sides = np.stack(
        [corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]], -1
    )
    local = np.linalg.solve(sides, (points[:, None] - corners[..., 0, :])[..., None])[..., 0]
    depth = np.minimum(local.min(-1), 1 - local.sum(-1))
    cells = np.take_along_axis(near, depth.argmax(1)[:, None], 1)[:, 0]
    place = basis.mapping.invF(points.T[:, :, None], tind=cells)
    shapes = (
        np.asarray(basis.elem.gbasis(basis.mapping, place, k, cells)[0])[:, 0]
        for k in range(basis.Nbfun)
    )
    values = [u[basis.element_dofs[k, cells]] * shape for k, shape in enumerate(shapes)]
    return np.sum(values, 0)


def corner_mesh(refinements: int) -> Any:
    """A mesh of the square without x > 0, y > 0, ever finer toward its corners."""
    mesh = skfem.MeshTri.init_lshaped().refined(3)
    # of skfem's domain the quadrant x > 0, y > 0 is missing
    corners = np.array([[0, 0], [1, 0], [0, 1], [-1, 1], [-1, -1], [1, -1]], float)
    return towards(mesh, corners, [24, 8, 8, 8, 8, 8]).refined(refinements)


def square_mesh(refinements: int, layers: int = 0) -> Any:
    """A mesh of the square from -1 to 1, by ``layers`` halvings finer at its corners."""
    line = np.linspace(-1, 1, 9)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    return towards(skfem.MeshTri.init_tensor(line, line), corners, [layers] * 4).refined(
        refinements
    )


def towards(mesh: Any, corners: Float[np.ndarray, "n 2"], layers: Sequence[int]) -> Any:
    """The mesh with the triangles that touch a corner halved so many times."""
    for corner, number in zip(corners, layers, strict=True):
        for _ in range(number):
            touching = (np.linalg.norm(mesh.p - corner[:, None], axis=0) < 1e-12)[mesh.t].any(0)
            mesh = mesh.refined(np.flatnonzero(touching))
    return mesh


def holes_mesh(domain: Shape) -> Callable[[int], Any]:
    """Meshes of a square less disks."""
    coarse = triangulate(domain, 0.1)
    return lambda refinements: curved(refine(coarse, domain, refinements), domain)


REFINEMENTS = {"HZ-G": 3, "PS-C": 3, "PS-L": 2, "PS-G": 3, "PS-5G": 3}
"""How often the mesh of a reference is halved."""


def reference(name: str, refinements: int, points: Float[np.ndarray, "n 2"]) -> np.ndarray:
    """Solve a benchmark without a closed form on a mesh halved so many times."""
    pde = PROBLEMS[name][0]()
    # the source of PS-G is not 0 at a corner, where u is then no smoother than r^2 log r
    meshes: dict[str, Callable[[int], Any]] = {
        "PS-L": corner_mesh,
        "PS-G": partial(square_mesh, layers=12),
        "PS-5G": square_mesh,
    }
    make = meshes.get(name) or holes_mesh(pde.domain)
    return solve(pde, make(refinements), points)


def main() -> None:
    """Write the references, and print how much the maximum differs from mesh to mesh."""
    parser = argparse.ArgumentParser(description="Solve the benchmarks without a closed form.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(REFINEMENTS))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with enable_x64(True):
        grid = np.asarray(nodes(REFERENCE_SIZE)).reshape(-1, 2)
        for name in arguments.names:
            inside = distance(PROBLEMS[name][0]().domain, grid) <= EDGE
            levels = [
                reference(name, level, grid[inside]) for level in range(REFINEMENTS[name] + 1)
            ]
            u = np.zeros((REFERENCE_SIZE, REFERENCE_SIZE))
            u[inside.reshape(u.shape)] = levels[-1]
            steps = np.abs(np.diff(levels, axis=0)).max(1) / np.abs(u).max()
            # steps fall geometrically, so what is left is smaller than the last by their ratio
            error = steps[-1] ** 2 / steps[-2]
            order = np.log2(steps[-2] / steps[-1])
            print(
                f"{name}: steps {steps}, order {order:.1f}, error {error:.1e} of max |u|",
                flush=True,
            )
            np.savez_compressed(
                arguments.folder / f"{name}.npz",
                u=u.astype(np.float32),
                inside=inside.reshape(u.shape),
                error=error,
            )


if __name__ == "__main__":
    main()
