"""Problems whose solutions are known, half of them nasty: what verdicts are measured on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import allen_cahn as spectral
import numpy as np
import rival_problems
from scipy.optimize import brentq
from scipy.special import erf, j0, y0

from metajax.physics.pde import Disk, Ellipse, Polygon, Rectangle, Shape
from metajax.physics.solver import Ball, Box, Extruded, PDEProblem, Robin

Function = Callable[..., Any]
LAPLACE = {"u_xx": 1.0, "u_yy": 1.0}
SQUARE = ("left", "right", "bottom", "top")


class Known(NamedTuple):
    """A problem with its solution.

    Attributes:
      problem: what is solved.
      exact: its solution; more than one where it has more than one. Empty: it has none.
      nasty: whether it is one that solvers fail on.
      determined: whether the data determine the solution.
    """

    problem: PDEProblem
    exact: tuple[Function, ...]
    nasty: bool = False
    determined: bool = True


def everywhere(value: Any, pieces: tuple[str, ...] = SQUARE) -> dict[str, Any]:
    """The same data on all pieces."""
    return dict.fromkeys(pieces, value)


def smooth() -> Known:
    """Poisson's equation."""

    def exact(x, y):
        return np.sin(2 * x + 0.5) * np.cos(y) + x * y

    def source(x, y):
        return -5 * np.sin(2 * x + 0.5) * np.cos(y)

    return Known(PDEProblem(LAPLACE, source, dirichlet=everywhere(exact)), (exact,))


def mixed() -> Known:
    """u on two sides, du/dn on the others."""

    def exact(x, y):
        return np.exp(x) * np.sin(y)

    problem = PDEProblem(
        LAPLACE,
        dirichlet={"left": exact, "bottom": exact},
        neumann={"right": exact, "top": lambda x, y: np.exp(x) * np.cos(y)},
    )
    return Known(problem, (exact,))


def varying() -> Known:
    """Coefficients that depend on x and y."""

    def exact(x, y):
        return np.sin(x + 2 * y)

    coefficients = {
        "u_xx": lambda x, y: 1 + x**2,
        "u_yy": lambda x, y: np.exp(y),
        "u_x": lambda x, y: x * y,
        "u": -1.0,
    }

    def source(x, y):
        u, slope = np.sin(x + 2 * y), np.cos(x + 2 * y)
        return -(1 + x**2) * u - 4 * np.exp(y) * u + x * y * slope - u

    return Known(PDEProblem(coefficients, source, dirichlet=everywhere(exact)), (exact,))


def periodic() -> Known:
    """Periodic along x."""

    def exact(x, y):
        return np.sin(np.pi * x) * np.cosh(y) + np.cos(2 * np.pi * x) * y

    def source(x, y):
        first = (1 - np.pi**2) * np.sin(np.pi * x) * np.cosh(y)
        return first - 4 * np.pi**2 * np.cos(2 * np.pi * x) * y

    edges = everywhere(exact, ("bottom", "top"))
    return Known(PDEProblem(LAPLACE, source, dirichlet=edges, periodic=("x",)), (exact,))


def robin() -> Known:
    """``2 u + du/dn`` is given on one side."""

    def exact(x, y):
        return np.exp(x) * np.cos(y)

    edges = everywhere(exact, ("left", "bottom", "top"))
    right = Robin(2.0, 1.0, lambda x, y: 3 * np.exp(x) * np.cos(y))
    return Known(PDEProblem(LAPLACE, dirichlet=edges, robin={"right": right}), (exact,))


def nonlinear() -> Known:
    """A cubic term."""

    def exact(x, y):
        return np.sin(np.pi * x) * np.sin(np.pi * y)

    def source(x, y):
        u = exact(x, y)
        return -2 * np.pi**2 * u - u**3

    problem = PDEProblem(LAPLACE, source, nonlinear="-(u**3)", dirichlet=everywhere(0.0))
    return Known(problem, (exact,))


def heat() -> Known:
    """Heat in (x, t)."""
    box = Rectangle((0.0, 0.0), (1.0, 1.0), "box")

    def exact(x, t):
        return np.exp(-0.1 * np.pi**2 * t) * np.sin(np.pi * x) + x

    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -0.1},
        domain=box,
        dirichlet={"box.left": 0.0, "box.right": 1.0},
        time="t",
        initial=lambda x, t: np.sin(np.pi * x) + x,
        coordinates=("x", "t"),
    )
    return Known(problem, (exact,))


def wave() -> Known:
    """A standing wave in (x, t)."""

    def exact(x, t):
        return np.sin(2 * np.pi * x) * np.cos(2 * np.pi * t)

    problem = PDEProblem(
        {"u_tt": 1.0, "u_xx": -1.0},
        domain=Rectangle((0.0, 0.0), (1.0, 1.0), "box"),
        dirichlet={"box.left": 0.0, "box.right": 0.0},
        time="t",
        initial=lambda x, t: np.sin(2 * np.pi * x),
        initial_velocity=0.0,
        coordinates=("x", "t"),
    )
    return Known(problem, (exact,))


def burgers() -> Known:
    """A front of Burgers' equation that moves, of viscosity .1."""
    viscosity = 0.1

    def exact(x, t):
        return 0.5 * (1 - np.tanh((x - 0.5 * t) / (4 * viscosity)))

    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -viscosity},
        nonlinear="u * u_x",
        domain=Rectangle((-1.0, 0.0), (1.0, 1.0), "box"),
        dirichlet={"box.left": exact, "box.right": exact},
        time="t",
        initial=lambda x, t: exact(x, 0.0),
        coordinates=("x", "t"),
    )
    return Known(problem, (exact,))


def disk() -> Known:
    """A harmonic function in a disk."""

    def exact(x, y):
        return x**3 - 3 * x * y**2 + np.exp(y) * np.cos(x)

    problem = PDEProblem(LAPLACE, domain=Disk((0.0, 0.0), 1.0, "disk"), dirichlet={"disk": exact})
    return Known(problem, (exact,))


def annulus() -> Known:
    """A disk less a disk: a logarithm."""

    def exact(x, y):
        return np.log(np.hypot(x, y)) / np.log(0.3)

    domain = Disk((0.0, 0.0), 1.0, "outer") - Disk((0.0, 0.0), 0.3, "hole")
    return Known(
        PDEProblem(LAPLACE, domain=domain, dirichlet={"outer": 0.0, "hole": 1.0}), (exact,)
    )


def waves(number: float, nasty: bool) -> Known:
    """A plane wave of a wave number, across the square."""
    along = number * np.cos(0.4), number * np.sin(0.4)

    def exact(x, y):
        return np.cos(along[0] * x + along[1] * y)

    problem = PDEProblem(LAPLACE | {"u": number**2}, dirichlet=everywhere(exact))
    return Known(problem, (exact,), nasty)


def layer(epsilon: float, nasty: bool) -> Known:
    """What is carried to the right, with a layer at its end."""

    def exact(x, y):
        behind = np.exp((x - 1) / epsilon)
        return (x + 1) / 2 - (behind - np.exp(-2 / epsilon)) / -np.expm1(-2 / epsilon)

    coefficients = {"u_xx": -epsilon, "u_yy": -epsilon, "u_x": 1.0}
    return Known(PDEProblem(coefficients, 0.5, dirichlet=everywhere(exact)), (exact,), nasty)


def thin() -> Known:
    """A box of 10 by .1."""

    def exact(x, y):
        return np.sin(np.pi * x / 5) * np.cosh(np.pi * y / 5) + y

    domain = Rectangle((0.0, 0.0), (10.0, 0.1), "box")
    edges = everywhere(exact, ("box",))
    return Known(PDEProblem(LAPLACE, domain=domain, dirichlet=edges), (exact,), True)


def micrometres() -> Known:
    """A temperature of 300 in a box of 1e-6."""
    size = 1e-6

    def exact(x, y):
        return 300 + 50 * np.exp(x / size) * np.sin(y / size)

    def flux(x, y):
        return 50 / size * np.exp(x / size) * np.sin(y / size)

    problem = PDEProblem(
        LAPLACE,
        domain=Rectangle((0.0, 0.0), (size, size), "box"),
        dirichlet={"box.left": exact, "box.bottom": exact, "box.top": exact},
        neumann={"box.right": flux},
    )
    return Known(problem, (exact,), True)


def corner() -> Known:
    """The corner of an L-shape, where a solution's slope is unbounded."""
    domain = Rectangle((-1.0, -1.0), (1.0, 1.0), "box") - Rectangle(
        (0.0, -1.0), (1.0, 0.0), "notch"
    )

    def exact(x, y):
        angle = np.mod(np.arctan2(y, x), 2 * np.pi)
        return np.hypot(x, y) ** (2 / 3) * np.sin(2 / 3 * angle)

    edges = everywhere(exact, ("box", "notch"))
    return Known(PDEProblem(LAPLACE, domain=domain, dirichlet=edges), (exact,), True)


def smooth_corner() -> Known:
    """An L-shape with a solution that is smooth at its corner."""
    domain = Rectangle((-1.0, -1.0), (1.0, 1.0), "box") - Rectangle(
        (0.0, -1.0), (1.0, 0.0), "notch"
    )

    def exact(x, y):
        return np.exp(x) * np.sin(y) + x

    edges = everywhere(exact, ("box", "notch"))
    return Known(PDEProblem(LAPLACE, domain=domain, dirichlet=edges), (exact,))


def incompatible() -> Known:
    """1 on the top and 0 on the other sides: their corners have no value."""

    def exact(x, y):
        # that of a strip without a bottom, in closed form, and what the bottom makes of it
        across, below = np.pi * (x + 1) / 2, np.pi * (1 - y) / 2
        found = 2 / np.pi * np.arctan2(np.sin(across), np.sinh(below))
        for odd in range(1, 21, 2):
            bottom = np.exp(odd * (below - 2 * np.pi)) - np.exp(-odd * (below + 2 * np.pi))
            bottom /= -np.expm1(-2 * np.pi * odd)
            found = found - 4 / (np.pi * odd) * np.sin(odd * across) * bottom
        return found

    edges = everywhere(0.0, ("left", "right", "bottom")) | {"top": 1.0}
    return Known(PDEProblem(LAPLACE, dirichlet=edges), (exact,), True)


def jump() -> Known:
    """Data on a circle that jump from -1 to 1."""

    def exact(x, y):
        return 2 / np.pi * np.arctan2(2 * y, 1 - x**2 - y**2)

    problem = PDEProblem(
        LAPLACE,
        domain=Disk((0.0, 0.0), 1.0, "disk"),
        dirichlet={"disk": lambda x, y: np.where(y > 0, 1.0, -1.0)},
    )
    return Known(problem, (exact,), True)


def step() -> Known:
    """Heat that begins as a step."""

    def exact(x, t):
        return erf(x / np.sqrt(4 * 0.1 * np.maximum(t, 1e-14)))

    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -0.1},
        domain=Rectangle((-1.0, 0.0), (1.0, 1.0), "box"),
        dirichlet={"box.left": exact, "box.right": exact},
        time="t",
        initial=lambda x, t: np.where(x > 0, 1.0, -1.0),
        coordinates=("x", "t"),
    )
    return Known(problem, (exact,), True)


def peak() -> Known:
    """A steep Gaussian off the centre."""
    width = 0.03

    def exact(x, y):
        return np.exp(-((x - 0.3) ** 2 + (y + 0.2) ** 2) / (2 * width**2))

    def source(x, y):
        squared = (x - 0.3) ** 2 + (y + 0.2) ** 2
        return exact(x, y) * (squared / width**4 - 2 / width**2)

    return Known(PDEProblem(LAPLACE, source, dirichlet=everywhere(0.0)), (exact,), True)


def pulse() -> Known:
    """Heat that begins as a narrow pulse."""
    width = 0.05

    def exact(x, t):
        spread = width**2 + 2 * 0.1 * t
        return width / np.sqrt(spread) * np.exp(-(x**2) / (2 * spread))

    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -0.1},
        domain=Rectangle((-1.0, 0.0), (1.0, 1.0), "box"),
        dirichlet={"box.left": exact, "box.right": exact},
        time="t",
        initial=lambda x, t: exact(x, 0.0),
        coordinates=("x", "t"),
    )
    return Known(problem, (exact,), True)


def flux_alone(compatible: bool) -> Known:
    """Nothing but du/dn is given: with a source that agrees with it, and with one that does not."""

    def exact(x, y):
        return np.cos(np.pi * x) * np.cos(np.pi * y)

    def source(x, y):
        return -2 * np.pi**2 * exact(x, y) + (0.0 if compatible else 5.0)

    problem = PDEProblem(LAPLACE, source, neumann=everywhere(0.0))
    return Known(problem, (exact,) if compatible else (), True, False)


def one_side() -> Known:
    """u on the left alone."""

    def exact(x, y):
        return np.exp(x) * np.sin(y)

    return Known(PDEProblem(LAPLACE, dirichlet={"left": exact}), (exact,), True, False)


def resonance() -> Known:
    """Helmholtz' equation at an eigenvalue."""
    eigenvalue = np.pi**2 / 2

    def exact(x, y):
        return np.exp(x) * np.sin(y)

    def source(x, y):
        return eigenvalue * exact(x, y)

    problem = PDEProblem(LAPLACE | {"u": eigenvalue}, source, dirichlet=everywhere(exact))
    return Known(problem, (exact,), True, False)


def backward() -> Known:
    """Heat whose last state is given."""

    def exact(x, y):
        return np.exp(-0.5 * np.pi**2 * (y + 1)) * np.sin(np.pi * x) + np.cos(
            np.pi * x / 2
        ) * np.exp(-(np.pi**2) / 8 * (y + 1))

    edges = everywhere(exact, ("left", "right", "top"))
    return Known(PDEProblem({"u_y": 1.0, "u_xx": -0.5}, dirichlet=edges), (exact,), True, False)


def without_velocity() -> Known:
    """A wave along y whose velocity is not given."""

    def exact(x, y):
        return np.sin(np.pi * x) * np.cos(np.pi * y)

    problem = PDEProblem(
        {"u_yy": 1.0, "u_xx": -1.0},
        dirichlet={"left": 0.0, "right": 0.0, "bottom": exact},
    )
    return Known(problem, (exact,), True, False)


def two_solutions() -> Known:
    """Bratu's equation along x: both of its solutions count as right."""
    strength = 0.8

    def along(steepness):
        def exact(x, y):
            ratio = np.cosh(steepness) / np.cosh(steepness * x)
            return 2 * np.log(ratio) + 0 * y

        return exact

    def balance(steepness):
        return 2 * steepness**2 - strength * np.cosh(steepness) ** 2

    found = tuple(along(brentq(balance, *between)) for between in ((0.1, 1.19), (1.21, 5.0)))
    problem = PDEProblem(
        LAPLACE,
        nonlinear=f"{strength} * exp(u)",
        dirichlet={"left": 0.0, "right": 0.0},
        neumann={"bottom": 0.0, "top": 0.0},
    )
    return Known(problem, found, True)


def wrong_sign() -> Known:
    """``du/dn - u`` is given all around, where xy may be added to every solution."""

    def exact(x, y):
        return x**2 - y**2

    def data(x, y):
        slope = np.where(np.abs(np.abs(x) - 1) < 1e-9, 2.0, -2.0)
        return slope - exact(x, y)

    problem = PDEProblem(LAPLACE, robin=everywhere(Robin(-1.0, 1.0, data)))
    return Known(problem, (exact,), True, False)


def interface() -> Known:
    """An inner layer of Allen-Cahn's equation."""
    epsilon = 0.05

    def exact(x, y):
        return np.tanh(x / (np.sqrt(2) * epsilon)) + 0 * y

    problem = PDEProblem(
        {"u_xx": epsilon**2, "u_yy": epsilon**2, "u": 1.0},
        nonlinear="-(u**3)",
        dirichlet=everywhere(exact),
    )
    return Known(problem, (exact,), True)


def ball() -> Known:
    """Poisson's equation in a ball."""

    def exact(x, y, z):
        return np.sin(x + 2 * y) * np.exp(z)

    problem = PDEProblem(
        {"u_xx": 1.0, "u_yy": 1.0, "u_zz": 1.0},
        lambda x, y, z: -4 * exact(x, y, z),
        domain=Ball((0.0, 0.0, 0.0), 1.0),
        dirichlet={"ball": exact},
        coordinates=("x", "y", "z"),
    )
    return Known(problem, (exact,))


def room() -> Known:
    """Poisson's equation in a box with one side that has no data."""

    def exact(x, y, z):
        return np.exp(x) * np.sin(y) + z

    problem = PDEProblem(
        {"u_xx": 1.0, "u_yy": 1.0, "u_zz": 1.0},
        domain=Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        dirichlet=everywhere(exact, ("left", "right", "bottom", "top", "lower")),
        coordinates=("x", "y", "z"),
    )
    return Known(problem, (exact,), True, False)


def medium() -> Known:
    """Waves of about 40 radians a unit where their length varies."""
    along = 40 * np.cos(0.4), 40 * np.sin(0.4)

    def exact(x, y):
        return np.cos(along[0] * x + along[1] * y)

    def source(x, y):
        return 320 * x * exact(x, y)

    coefficients = LAPLACE | {"u": "1600 + 320 * x"}
    return Known(PDEProblem(coefficients, source, dirichlet=everywhere(exact)), (exact,), True)


def kink() -> Known:
    """A source that jumps inside."""

    def exact(x, y):
        return (x - 0.1) * np.abs(x - 0.1) + y

    def source(x, y):
        return np.where(x > 0.1, 2.0, -2.0)

    return Known(PDEProblem(LAPLACE, source, dirichlet=everywhere(exact)), (exact,), True)


def front() -> Known:
    """A front of width .02 across the square."""
    width = 0.02

    def exact(x, y):
        return np.tanh((0.6 * x + 0.8 * y - 0.1) / width)

    def source(x, y):
        u = exact(x, y)
        return -2 * u * (1 - u**2) / width**2

    return Known(PDEProblem(LAPLACE, source, dirichlet=everywhere(exact)), (exact,), True)


def edge() -> Known:
    """A source that is unbounded along a side."""

    def exact(x, y):
        return (1 + x) ** 1.6 * np.cos(y)

    def source(x, y):
        return 0.96 * (1 + x) ** -0.4 * np.cos(y) - exact(x, y)

    return Known(PDEProblem(LAPLACE, source, dirichlet=everywhere(exact)), (exact,), True)


def near_resonance() -> Known:
    """Helmholtz' equation .001 from an eigenvalue."""
    number = np.pi**2 / 2 + 1e-3

    def exact(x, y):
        return np.exp(x) * np.sin(y)

    def source(x, y):
        return number * exact(x, y)

    problem = PDEProblem(LAPLACE | {"u": number}, source, dirichlet=everywhere(exact))
    return Known(problem, (exact,), True)


def allen_cahn() -> Known:
    """Two phases that part on a ring, by layers of Allen-Cahn's equation of width .01."""
    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -1e-4},
        nonlinear="5 * (u**3 - u)",
        domain=Rectangle((-1.0, 0.0), (1.0, 1.0), "box"),
        periodic=("x",),
        time="t",
        initial="x**2 * cos(pi * x)",
        coordinates=("x", "t"),
    )
    return Known(problem, (lambda x, t: spectral.reference(1e-4).ev(x, t),), True)


def steepening() -> Known:
    """A sine that Burgers' equation of viscosity .01/pi makes a front of."""
    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -rival_problems.VISCOSITY},
        nonlinear="u * u_x",
        domain=Rectangle((-1.0, 0.0), (1.0, 1.0), "box"),
        dirichlet={"box.left": 0.0, "box.right": 0.0},
        time="t",
        initial="-sin(pi * x)",
        coordinates=("x", "t"),
    )
    return Known(problem, (rival_problems.burgers,), True)


def plate() -> Known:
    """Heat in a plate with a hole, over time: a mode of the plane around it."""
    number, radius, diffusion = 4.0, 0.3, 0.1

    def exact(x, y, t):
        at = number * np.hypot(x, y)
        mode = j0(at) * y0(number * radius) - y0(at) * j0(number * radius)
        return np.exp(-(number**2) * diffusion * t) * mode

    shape = Rectangle((-1.0, -1.0), (1.0, 1.0), "plate") - Disk((0.0, 0.0), radius, "hole")
    problem = PDEProblem(
        {"u_t": 1.0, "u_xx": -diffusion, "u_yy": -diffusion},
        domain=Extruded(shape, 0.0, 1.0),
        dirichlet={"plate": exact, "hole": 0.0},
        time="t",
        initial=lambda x, y, t: exact(x, y, 0.0),
        coordinates=("x", "y", "t"),
    )
    return Known(problem, (exact,), True)


def rod() -> Known:
    """Heat through a rod of two slabs, of conductivities 1 and 5."""
    place, cold, hot = 0.3, 1.0, 5.0
    flux = 1 / (place / cold + (1 - place) / hot)

    def exact(x, y):
        return np.where(x < place, flux * x / cold, 1 - flux * (1 - x) / hot) + 0 * y

    conductivity = f"where(cold, {cold}, {hot})"
    problem = PDEProblem(
        {"u_xx": conductivity, "u_yy": conductivity},
        domain=Rectangle((0.0, 0.0), (1.0, 0.5), "box"),
        dirichlet={"box.left": 0.0, "box.right": 1.0},
        neumann={"box.bottom": 0.0, "box.top": 0.0},
        regions={"cold": Rectangle((-1.0, -1.0), (place, 1.0), "slab")},
    )
    return Known(problem, (exact,), True)


def inclusion() -> Known:
    """A disk that conducts 5 times as well as the disk around it."""
    radius, ratio = 0.4, 5.0
    inner = 2 / (1 + ratio)

    def exact(x, y):
        squared = np.maximum(x**2 + y**2, radius**2)
        outer = x + (inner - 1) * radius**2 * x / squared
        return np.where(x**2 + y**2 < radius**2, inner * x, outer)

    conductivity = f"where(core, {ratio}, 1)"
    problem = PDEProblem(
        {"u_xx": conductivity, "u_yy": conductivity},
        domain=Disk((0.0, 0.0), 1.0, "disk"),
        dirichlet={"disk": exact},
        regions={"core": Disk((0.0, 0.0), radius, "core")},
    )
    return Known(problem, (exact,), True)


def quadrant() -> Known:
    """A quarter of the square conducts 5 times as well: the slope is unbounded at its corner."""
    ratio, quarter = 5.0, np.pi / 4

    def balance(power):
        return ratio * np.tan(power * quarter) + np.tan(3 * power * quarter)

    power = brentq(balance, 2 / 3 + 1e-9, 1.3)
    outer = np.cos(power * quarter) / np.cos(3 * power * quarter)

    def exact(x, y):
        angle = np.arctan2(y, x) - quarter
        opposite = np.mod(angle, 2 * np.pi) - np.pi
        within = (x > 0) & (y > 0)
        around = np.where(within, np.cos(power * angle), outer * np.cos(power * opposite))
        return np.hypot(x, y) ** power * around

    conductivity = f"where(quarter, {ratio}, 1)"
    problem = PDEProblem(
        {"u_xx": conductivity, "u_yy": conductivity},
        dirichlet=everywhere(exact),
        regions={"quarter": Rectangle((0.0, 0.0), (2.0, 2.0), "quarter")},
    )
    return Known(problem, (exact,), True)


def around_hole(hole: Shape) -> Known:
    """An ellipse less another shape."""

    def exact(x, y):
        away = (x - 0.05) + 1j * (y + 0.02)
        return np.log(np.abs(away)) + np.real(0.02 / (away - 0.1)) + x * y

    problem = PDEProblem(
        LAPLACE,
        domain=Ellipse((0.0, 0.0), (1.5, 1.0), 0.0, "outer") - hole,
        dirichlet={"outer": exact, hole.pieces[0].shape: exact},
    )
    return Known(problem, (exact,), True)


def two_layers() -> Known:
    """What is carried into a corner, with layers of .001 along both of its sides."""
    epsilon, along = 1e-3, (0.8, 0.6)

    def exact(x, y):
        right, top = along[0] * (x - 1) / epsilon, along[1] * (y - 1) / epsilon
        return np.exp(right) * -np.expm1(top) + x

    coefficients = {"u_xx": -epsilon, "u_yy": -epsilon, "u_x": along[0], "u_y": along[1]}
    return Known(PDEProblem(coefficients, along[0], dirichlet=everywhere(exact)), (exact,), True)


def reaction() -> Known:
    """Layers of .001 along two sides, where u reacts faster than it diffuses."""
    width = 1e-3

    def layers(x, y):
        return (np.exp(-(1 + x) / width) + np.exp(-(1 - x) / width)) * np.cos(y)

    def exact(x, y):
        return layers(x, y) + y

    def source(x, y):
        return width**2 * layers(x, y) + y

    coefficients = {"u_xx": -(width**2), "u_yy": -(width**2), "u": 1.0}
    return Known(PDEProblem(coefficients, source, dirichlet=everywhere(exact)), (exact,), True)


ELLIPSE = Ellipse((0.1, 0.0), (0.5, 0.2), 0.4, "hole")
TRIANGLE = Polygon([[-0.4, -0.3], [0.4, -0.3], [0.0, 0.4]], "hole")

KNOWN: dict[str, Callable[[], Known]] = {
    "smooth": smooth,
    "mixed": mixed,
    "varying": varying,
    "periodic": periodic,
    "robin": robin,
    "nonlinear": nonlinear,
    "heat": heat,
    "wave": wave,
    "burgers": burgers,
    "disk": disk,
    "annulus": annulus,
    "smooth corner": smooth_corner,
    "waves 5": partial(waves, 5.0, False),
    "layer .1": partial(layer, 0.1, False),
    "waves 20": partial(waves, 20.0, True),
    "waves 40": partial(waves, 40.0, True),
    "waves 60": partial(waves, 60.0, True),
    "layer .01": partial(layer, 0.01, True),
    "layer .001": partial(layer, 0.001, True),
    "thin": thin,
    "micrometres": micrometres,
    "corner": corner,
    "incompatible": incompatible,
    "jump": jump,
    "step": step,
    "peak": peak,
    "pulse": pulse,
    "flux alone": partial(flux_alone, True),
    "flux against source": partial(flux_alone, False),
    "one side": one_side,
    "resonance": resonance,
    "backward": backward,
    "no velocity": without_velocity,
    "two solutions": two_solutions,
    "wrong sign": wrong_sign,
    "interface": interface,
    "ball": ball,
    "room": room,
    "medium": medium,
    "kink": kink,
    "front": front,
    "edge": edge,
    "near resonance": near_resonance,
    "rod": rod,
    "inclusion": inclusion,
    "quadrant": quadrant,
    "ellipse hole": partial(around_hole, ELLIPSE),
    "triangle hole": partial(around_hole, TRIANGLE),
    "two layers": two_layers,
    "reaction": reaction,
    "allen-cahn": allen_cahn,
    "steepening": steepening,
    "plate with a hole": plate,
}
"""The problems by name."""
