"""Known solutions that are put into a problem's equations at points."""

import numpy as np

from metajax.physics.pde import BoundaryField
from metajax.physics.solver import design
from metajax.physics.solver.ridge_functions import RidgeFunctions

RNG = np.random.default_rng(0)
NUM = 5


class Known:
    """A sum of sines of the person's coordinates, with everything that a problem may ask of it.

    Args:
      box: (centre, half) around the domain, in which the sines are a few radians.
      size: of u.
      period: a coordinate in which it is periodic over the box.
    """

    def __init__(self, box, size=1.0, period=None):
        centre, half = (np.asarray(one, float) for one in box)
        waves = RNG.normal(size=(len(half), NUM))
        if period is not None:
            waves[period] = np.pi * np.arange(NUM)
        self.directions = waves / half[:, None]
        self.offsets = RNG.normal(size=NUM) - centre @ self.directions
        self.weights = size * RNG.normal(size=NUM)

    def phase(self, where):
        return np.stack(where, 1) @ self.directions + self.offsets

    def u(self, *where):
        return np.sin(self.phase(where)) @ self.weights

    def slope(self, axis, *where):
        return np.cos(self.phase(where)) @ (self.weights * self.directions[axis])

    def second(self, first, other, *where):
        both = self.directions[first] * self.directions[other]
        return -np.sin(self.phase(where)) @ (self.weights * both)

    def left_of(self, collocation):
        """What this solution leaves of each block's equations, by name."""
        (centre, half), unit = collocation.box, collocation.units.u
        inside = RidgeFunctions(
            self.directions * half[:, None], self.offsets + centre @ self.directions, "sin"
        )
        left = {}
        for block in collocation.blocks:
            residual = design(block, inside) @ self.weights / unit - block.target
            if block.nonlinear is not None:
                points = block.parts[0].points
                where = (centre + half * points).T
                slopes = [self.slope(axis, *where) for axis in range(len(half))]
                gradient = np.stack(slopes, 1) * half / unit
                residual = residual + block.nonlinear(points, self.u(*where) / unit, gradient)
            assert block.name not in left
            left[block.name] = np.max(np.abs(residual))
        return left


class Along(BoundaryField):
    """``u * a + du/dn * b`` of a known solution, by the normals of the boundary."""

    def __init__(self, known, of_u, of_flux):
        self.known, self.of_u, self.of_flux = known, of_u, of_flux

    def on(self, boundary):
        where, normals = np.asarray(boundary.points).T, np.asarray(boundary.normals)
        slopes = np.stack([self.known.slope(axis, *where) for axis in range(len(where))], 1)
        return self.of_u * self.known.u(*where) + self.of_flux * (slopes * normals).sum(1)
