"""Random problems to learn from, with a known solution or without (arXiv 2509.05117).

Everything is traceable: a batch of different problems on different domains is one vmapped call.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.core import derive
from metajax.nn.jets import Jet, product
from metajax.physics.pde.equation import PDE, Condition, Grids, Points, rasterise, sample
from metajax.physics.pde.expressions import NUMBERS, Expression, expand, make_expression
from metajax.physics.pde.fields import BoundaryField, Field
from metajax.physics.pde.geometry import (
    Boundary,
    ChosenShape,
    Disk,
    Empty,
    Polygon,
    Rectangle,
    Shape,
    Square,
    walk,
)
from metajax.physics.pde.pytrees import pytree, real
from metajax.physics.pde.taylor import apply_operator, normal_derivative

HOLES = 3
"""Most holes of a domain."""
CORNERS = 6
"""Most vertices of a polygon."""
HOLE_NUMBERS = 6 + 2 * CORNERS
"""Uniform numbers that make a hole."""
CANDIDATES = 16
"""Expressions drawn at a time, of which one is looked at closely."""
LIMIT_U, LIMIT_DERIVATIVE, LIMIT_FLUX, LEAST_SPREAD = 10.0, 1e4, 100.0, 0.1


@pytree
class ManufacturedSolution(Field):
    """A manufactured solution, as data.

    Attributes:
      expression: what it is made of.
      walls: whether it is multiplied by ``1 - x^2``, and by ``1 - y^2``.
    """

    expression: Expression
    walls: Bool[Array, "2"]

    def __call__(self, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        return self.jet(points).u

    def jet(self, points: Float[Array, "n 2"]) -> Jet:
        """The solution and its derivatives at points."""
        x, y = points.T
        zero, (across, along) = jnp.zeros_like(x), self.walls.astype(x.dtype)
        wall_x = Jet(1 - across * x**2, -2 * across * x, zero, zero - 2 * across, zero, zero)
        wall_y = Jet(1 - along * y**2, zero, -2 * along * y, zero, zero, zero - 2 * along)
        return product(expand(self.expression, points), product(wall_x, wall_y))


@pytree
class Source(Field):
    """``L[u]`` of a manufactured solution, or a constant where there is none.

    Attributes:
      solution: u.
      coefficients: of ``L``.
      supervised: whether u solves the problem.
      constant: the source if not.
    """

    solution: ManufacturedSolution
    coefficients: Float[Array, "5"]
    supervised: Bool[Array, ""]
    constant: Float[Array, ""]

    def __call__(self, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        # a choice, so that problems drawn one after the other leave out what they do not need
        return jax.lax.cond(
            self.supervised,
            lambda: apply_operator(self.coefficients, self.solution.jet(points)),
            lambda: jnp.broadcast_to(self.constant, points.shape[:1]),
        )


@pytree
class BoundaryValue(BoundaryField):
    """u of a manufactured solution, or a linear profile on each piece where there is none.

    Attributes:
      solution: u.
      supervised: whether u solves the problem.
      slope: of the profile if not.
      offset: its constant, by piece.
    """

    solution: ManufacturedSolution
    supervised: Bool[Array, ""]
    slope: Float[Array, "2"]
    offset: Float[Array, " pieces"]

    def on(self, boundary: Boundary) -> Float[Array, " n"]:
        profile = boundary.points @ self.slope + self.offset[boundary.piece]
        return jnp.where(self.supervised, self.solution(boundary.points), profile)


@pytree
class BoundaryFlux(BoundaryField):
    """du/dn of a manufactured solution, or 0 where there is none.

    Attributes:
      solution: u.
      supervised: whether u solves the problem.
    """

    solution: ManufacturedSolution
    supervised: Bool[Array, ""]

    def on(self, boundary: Boundary) -> Float[Array, " n"]:
        return jnp.where(
            self.supervised,
            normal_derivative(self.solution.jet(boundary.points), boundary.normals),
            0.0,
        )


class Problem(NamedTuple):
    """A random problem.

    Attributes:
      pde: what a solver is given.
      solution: what solves it, if ``supervised``.
      supervised: whether the solution is known.
      valid: whether a solution within the limits was found in the tries allowed.
    """

    pde: PDE
    solution: ManufacturedSolution
    supervised: Bool[Array, ""]
    valid: Bool[Array, ""]


class Sample(NamedTuple):
    """A random problem as arrays: everything that a training task needs.

    Attributes:
      coefficients: of the operator.
      grids: the five images.
      points: interior and boundary points with source and data.
      solution: u and its derivatives at the interior points; 0 unless ``supervised``.
      supervised: whether the solution is known.
      valid: whether everything is finite and within the limits; leave the sample out if not.
    """

    coefficients: Float[Array, "5"]
    grids: Grids
    points: Points
    solution: Jet
    supervised: Bool[Array, ""]
    valid: Bool[Array, ""]


def draw_sample(
    key: Key[Array, ""],
    *,
    interior: int = 2048,
    boundary: int = 2048,
    size: int = 224,
    supervised: float | Float[Array, ""] = 1.0,
    homogeneous: float | Float[Array, ""] = 0.0,
    holes: int = HOLES,
    tries: int = 16,
) -> Sample:
    """Draw points and images of the problem that :func:`draw_problem` draws from the same key.

    Args:
      key: what is drawn from.
      interior: points inside the domain.
      boundary: points of its boundary.
      size: nodes along a side of the images.
      supervised: see :func:`draw_problem`, as what follows.
      homogeneous: likewise.
      holes: likewise.
      tries: likewise.

    Returns:
      Points, images and what is known of the solution.
    """
    problem = draw_problem(
        key, supervised=supervised, homogeneous=homogeneous, holes=holes, tries=tries
    )
    points = sample(problem.pde, derive(key, "points"), interior, boundary)
    grids = rasterise(problem.pde, points, size)
    jet = problem.solution.jet(points.interior)
    fits = within_limits(jet, points.source) & jnp.all(jnp.abs(points.neumann) <= LIMIT_FLUX)
    fits &= jnp.all(jnp.abs(grids.source) <= LIMIT_DERIVATIVE)
    known = problem.supervised
    jet = Jet(*(jnp.where(known, leaf, 0.0) for leaf in jet))
    valid = problem.valid & (fits | ~known)
    return Sample(problem.pde.coefficients, grids, points, jet, known, valid)


def draw_problem(
    key: Key[Array, ""],
    *,
    supervised: float | Float[Array, ""] = 1.0,
    homogeneous: float | Float[Array, ""] = 0.0,
    holes: int = HOLES,
    tries: int = 16,
) -> Problem:
    """Draw a problem.

    The operator has one to three terms, with coefficients uniform to 2 either way. The domain is
    the square less up to ``holes`` disks, rectangles or polygons. u is given on the square's edge,
    du/dn too with probability 1/4, and either or both on each hole. Wave and heat equations have y
    as time instead: ``u_xx`` and ``u_yy`` of opposite signs, or no ``u_yy``, and ``u_xx`` and
    ``u_y`` of opposite signs. Their domain is the whole square. Nothing is given at the final time
    ``top``; waves have du/dn at first, at ``bottom``.

    Supervised problems have a solution from :func:`metajax.physics.pde.draw_expression`, drawn
    again, up to ``tries`` times 16, until it is tame. At 1024 points of the square, |u| is then at
    most 10, its standard deviation .1 or more, and derivatives and the source are at most 1e4. At
    256 points of the curves on which du/dn is given, it is at most 100.

    Unsupervised problems have a constant source, normal with standard deviation 10. On the boundary
    u is 0 where the operator has ``u``. Else it is a constant where the operator has no second
    derivative, and else a linear function, with a further constant on each hole. du/dn is 0, and no
    piece has both, except for initial data.

    Args:
      key: what is drawn from.
      supervised: the probability of a known solution.
      homogeneous: the probability that u is 0 where it is given on the square's edge, or where y
        is time on its sides. A supervised problem then has no holes, an unsupervised one u = 0
        on them too. The published process has no such problems.
      holes: most holes of a domain, 0 to 3; fewer compile faster. Static.
      tries: how often 16 solutions are drawn before a problem is given up as not valid.

    Returns:
      The problem, and whether it is valid.
    """
    # one draw for everything but the solution, as each takes long to compile
    key, solution_key = jax.random.split(key)
    unit = jax.random.uniform(key, (4 + holes, HOLE_NUMBERS))
    known, zero_edge = unit[0, 0] < supervised, unit[0, 1] < homogeneous
    coefficients = make_coefficients(unit[1])
    _, _, c_y, c_xx, c_yy = coefficients
    steady = ~((c_xx * c_yy < 0) | ((c_yy == 0) & (c_y * c_xx < 0)))
    domain = make_domain(unit[0, 2], unit[4:], steady & ~(known & zero_edge))
    on_dirichlet, on_neumann = make_conditions(unit[2], domain, coefficients, steady, known)
    walls = jnp.stack([zero_edge, zero_edge & steady])
    curves = domain.curves
    length = jnp.where(on_neumann[curves.piece], curves.length, 0.0)
    edge, spacing = walk(curves._replace(length=length), jnp.full(256, 0.5))
    with_flux = spacing[0] > 0
    # the golden ratio's sequence in the plane (Roberts 2018): evenly spread
    order = jnp.arange(1, 1025, dtype=unit.dtype)[:, None]
    inside = 2 * jnp.mod(order * jnp.array([[0.7548776662, 0.5698402910]]), 1.0) - 1

    def fits(expression: Expression, inside: Array, edge: Boundary) -> Bool[Array, ""]:
        jet = ManufacturedSolution(expression, walls).jet(jnp.concatenate([inside, edge.points]))
        halves = slice(len(inside)), slice(len(inside), None)
        within, around = (Jet(*(leaf[part] for leaf in jet)) for part in halves)
        through = ~with_flux | jnp.all(
            jnp.abs(normal_derivative(around, edge.normals)) <= LIMIT_FLUX
        )
        return ~known | (within_limits(within, apply_operator(coefficients, within)) & through)

    def attempt(state: tuple[Array, Expression, Array]) -> tuple[Array, Expression, Array]:
        # the first that passes at a few points, as hardly one in ten passes
        key = jax.random.fold_in(solution_key, state[0])
        drawn = jax.vmap(make_expression)(jax.random.uniform(key, (CANDIDATES, *NUMBERS)))
        few = inside[:48], jax.tree.map(lambda leaf: leaf[::16], edge)
        first = jnp.argmax(jax.vmap(lambda one: fits(one, *few))(drawn))
        expression = jax.tree.map(lambda leaf: leaf[first], drawn)
        return state[0] + 1, expression, fits(expression, inside, edge)

    nothing = make_expression(jnp.zeros(NUMBERS))
    _, expression, valid = jax.lax.while_loop(
        lambda state: ~state[2] & (state[0] < tries),
        attempt,
        (jnp.zeros((), jnp.int32), nothing, jnp.zeros((), bool)),
    )

    solution = ManufacturedSolution(expression, walls)
    constant, *profile = make_profile(unit[3], domain, coefficients)
    slope, offset = (jnp.where(zero_edge, 0.0, part) for part in profile)
    pde = PDE(
        coefficients,
        Source(solution, coefficients, known, constant),
        domain,
        (Condition(BoundaryValue(solution, known, slope, offset), on_dirichlet),),
        (Condition(BoundaryFlux(solution, known), on_neumann),),
    )
    return Problem(pde, solution, known, valid)


def within_limits(jet: Jet, source: Float[Array, " n"]) -> Bool[Array, ""]:
    """Whether a solution is one to learn from; not if anything is NaN."""
    derivatives = jnp.stack([*jet[1:], source])
    return (
        jnp.all(jnp.abs(jet.u) <= LIMIT_U)
        & (jnp.std(jet.u) >= LEAST_SPREAD)
        & jnp.all(jnp.abs(derivatives) <= LIMIT_DERIVATIVE)
    )


def make_coefficients(unit: Float[Array, " numbers"]) -> Float[Array, "5"]:
    """Make an operator of one to three terms from uniform numbers."""
    order = jnp.argsort(jnp.argsort(unit[:5]))
    terms = 1 + jnp.floor(3 * unit[10]).astype(order.dtype)
    return jnp.where(order < terms, 4 * unit[5:10] - 2, 0.0)


def make_domain(
    number: Float[Array, ""], units: Float[Array, "holes numbers"], holes: Bool[Array, ""]
) -> Shape:
    """Make the square less up to a hole for each row of numbers, the whole one unless ``holes``.

    A hole is a disk, a rectangle or a star-shaped polygon of 3 to 6 vertices. It reaches .1 to .4
    from its center, along each axis for a rectangle, and stays .05 away from the square's edge;
    holes may overlap.
    """
    domain: Shape = Square()
    for hole, unit in enumerate(units):
        name = f"hole_{hole}"
        kind = 1 + jnp.floor(3 * unit[4]).astype(jnp.int32)
        corners = 3 + jnp.floor((CORNERS - 2) * unit[5]).astype(jnp.int32)
        reach = 0.1 + 0.3 * unit[:2]
        # a disk and a polygon reach equally far both ways
        reach = jnp.where(kind == 2, reach, jnp.stack([reach[0], reach[0]]))
        centre = (2 * unit[2:4] - 1) * (0.95 - reach)
        # vertices that are not needed repeat the last one
        vertex = jnp.minimum(jnp.arange(CORNERS), corners - 1)
        place = vertex.astype(unit.dtype) + 0.6 * unit[6 : 6 + CORNERS][vertex] - 0.3
        turn = place / corners.astype(unit.dtype)
        ray = jnp.stack([jnp.cos(2 * jnp.pi * turn), jnp.sin(2 * jnp.pi * turn)], 1)
        far = reach[0] * (0.5 + 0.5 * unit[6 + CORNERS :][vertex])
        options = (
            Empty(),
            Disk(centre, reach[0], name),
            Rectangle(centre - reach, centre + reach, name),
            Polygon(centre[None] + far[:, None] * ray, name),
        )
        present = holes & (hole < jnp.floor((len(units) + 1) * number))
        domain = domain - ChosenShape(jnp.where(present, kind, 0), options)
    return domain


def make_conditions(
    unit: Float[Array, " numbers"],
    domain: Shape,
    coefficients: Float[Array, "5"],
    steady: Bool[Array, ""],
    known: Bool[Array, ""],
) -> tuple[Bool[Array, " pieces"], Bool[Array, " pieces"]]:
    """Make on which pieces u is given, and on which du/dn; see :func:`draw_problem`."""
    second_order_in_time = coefficients[4] != 0
    dirichlet, neumann = {}, {}
    for edge in ("left", "right", "bottom", "top"):
        initial = second_order_in_time & (edge == "bottom")
        dirichlet["square", edge] = steady | (edge != "top")
        neumann["square", edge] = jnp.where(steady, known & (unit[HOLES] < 0.25), initial)
    for hole in range(HOLES):
        # without a solution both at once would contradict each other
        third = jnp.where(known, jnp.floor(3 * unit[hole]), jnp.floor(2 * unit[hole]))
        dirichlet[f"hole_{hole}", ""] = third != 1
        neumann[f"hole_{hole}", ""] = third != 0
    kept = [(piece.shape, piece.edge if piece.shape == "square" else "") for piece in domain.pieces]
    stacked = [jnp.stack([side[piece] for piece in kept]) for side in (dirichlet, neumann)]
    return stacked[0], stacked[1]


def make_profile(
    unit: Float[Array, " numbers"], domain: Shape, coefficients: Float[Array, "5"]
) -> tuple[Float[Array, ""], Float[Array, "2"], Float[Array, " pieces"]]:
    """Make source, slope and offsets of an unsupervised problem; see :func:`draw_problem`."""
    # 10 times standard normal: up to 52, as from 23 random bits
    between = jnp.clip(2 * unit[-1] - 1, -1 + 2.0**-23, 1 - 2.0**-23)
    constant = 10 * 2**0.5 * jax.lax.erf_inv(between)
    unit = 2 * unit - 1
    not_zero = coefficients[0] == 0
    linear = not_zero & jnp.any(coefficients[3:] != 0)
    own = {"square": real(0.0)} | {f"hole_{hole}": unit[3 + hole] for hole in range(HOLES)}
    offset = unit[2] + jnp.where(linear, jnp.stack([own[p.shape] for p in domain.pieces]), 0.0)
    return constant, jnp.where(linear, unit[:2], 0.0), jnp.where(not_zero, offset, 0.0)
