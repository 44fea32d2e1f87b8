"""Layers along straight edges, where u falls within a distance that the coefficients tell.

At a depth s below an edge, ``exp(rate s)`` solves the equation if its rate is a root of ``a rate**2
+ b rate + c = 0``. Here a, b and c are the coefficients along the normal. A rate far below 0 makes
a layer: where what is carried along meets an edge, or where u reacts much faster than it diffuses.
Along an edge that the flow follows, layers are as thick as the distance over which u diffuses while
it is carried across the domain.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.physics.pde import Boundary, on_host
from metajax.physics.solver.collocation import Sampled, Units, operator_at
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.points import contains, ends_here, faces_of, sample_inside
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import RidgeFunctions, sine_features

THIN, FLOWS = 0.1, 0.05
"""Width of layers, in units, below which they have features, and that of those along a flow."""
LOOKED = 64, 256
"""Places of an edge at which coefficients are looked at, and points inside."""
VARIES = 0.01
"""How far a rate may vary along an edge, relative to its size, and be one rate."""
SCALES = (0.5, 1.0, 2.0, 4.0)
"""Rates of layers along a flow, over the inverse of their width."""
SINES, FREQUENCY = 24, 4.0
"""Sines that a layer is multiplied by, and their largest frequency in radians a unit."""
DEEP = 1e-6
"""How far below an edge its coefficients are taken, in units."""
SHARE = 0.25
"""Points in each layer, for each point inside."""
DEPTHS = 3.0
"""Depth of points in a layer on average, in its widths."""


class Layer(NamedTuple):
    """A layer.

    Attributes:
      start: one end of its edge, in units.
      span: to the other end.
      inward: the direction in which depth grows, of length 1 in units.
      rates: that it may have, below 0.
    """

    start: Float[np.ndarray, "2"]
    span: Float[np.ndarray, "2"]
    inward: Float[np.ndarray, "2"]
    rates: tuple[float, ...]


@dataclass(frozen=True)
class LayerFeatures:
    """``exp(slope . (x - point))``, alone and times sines: a layer, or two that meet at a point.

    Attributes:
      point: of the edge, or of both, in units.
      slope: the rate times the direction in which depth grows; of two layers the sum.
      sines: that vary little.
    """

    point: Float[np.ndarray, "2"]
    slope: Float[np.ndarray, "2"]
    sines: RidgeFunctions

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        slope = self.slope
        height = np.exp(np.minimum((points - self.point) @ slope, 0.0))
        value, gradient, hessian = operator
        # the operator on a product with the exponential is another one on the other factor
        total = np.zeros(len(points)) if value is None else value
        first = gradient
        if gradient is not None:
            total = total + gradient @ slope
        if hessian is not None:
            total = total + np.einsum("i,nij,j->n", slope, hessian, slope)
            mixed = (hessian + np.swapaxes(hessian, 1, 2)) @ slope
            first = mixed if first is None else first + mixed
        found = self.sines(points, Operator(total, first, hessian))
        return height[:, None] * np.concatenate([total[:, None], found], 1)


def layers_of(problem: PDEProblem, units: Units, parameters: Mapping[str, Any]) -> list[Layer]:
    """Find the thin layers that a problem's coefficients make along straight edges.

    Args:
      problem: any; layers are looked for in the plane.
      units: of the problem.
      parameters: of the problem, known.

    Returns:
      The layers.
    """
    box, domain = units.box, on_host(problem.domain)
    if len(box.half) != 2:
        return []
    curves = domain.curves
    curved: Any = np.asarray(curves.radius) > 0
    straight = box.units(np.asarray(curves.start)[~curved])
    rng = np.random.default_rng(0)
    inside = box.units(sample_inside(domain, box, faces_of(domain), LOOKED[1], rng))
    along = ((np.arange(LOOKED[0]) + 0.5) / LOOKED[0])[:, None]
    found = []
    for face in faces_of(domain):
        ends, normals = face.place(np.array([[0.0], [1.0]]))
        start, stop = box.units(ends)
        if not np.any(np.all(np.abs(straight - start) < DEEP, 1)):
            continue
        inward = -normals[0] * box.half  # of the depth's gradient in units
        inward = inward / np.linalg.norm(inward)
        places, out = face.place(along)
        shown = ends_here(domain, box, places, out)
        if not shown.any() or np.min((inside - start) @ inward) < 0:
            continue
        below = box.places(box.units(places[shown]) + DEEP * inward)
        below = below[contains(domain, below)]
        operator = operator_at(problem, below, parameters, finite=False).scaled(box.half)
        rates = rates_of(operator, inward)
        if rates:
            found.append(Layer(start, stop - start, inward, rates))
    return found


def rates_of(operator: Operator, inward: Float[np.ndarray, "2"]) -> tuple[float, ...]:
    """Return at which rates solutions may fall below an edge.

    Args:
      operator: below the edge, in units.
      inward: the direction in which depth grows.
    """
    value, gradient, hessian = operator
    one = next(part for part in operator if part is not None)
    none = np.zeros(len(one))
    a = none if hessian is None else np.einsum("i,nij,j->n", inward, hessian, inward)
    b = none if gradient is None else gradient @ inward
    c = none if value is None else value
    beside = np.array([-inward[1], inward[0]])
    flow = none if gradient is None else gradient @ beside
    with np.errstate(all="ignore"):
        inner = b**2 - 4 * a * c
        # the root that does not cancel, and the other one by their product
        large = -(b + np.where(b < 0, -1, 1) * np.sqrt(inner)) / 2
        both = np.stack([large / a, c / large])
        both = np.where(np.isfinite(both) & (both < -1 / THIN), both, 0.0)
        rate = both.min(0)
        follows = np.sqrt(np.abs(flow / a))
    if np.mean(rate < 0) > 0.5:
        rate = rate[rate < 0]
        low, middle, high = np.quantile(rate, [0.05, 0.5, 0.95])
        same = high - low < VARIES * abs(middle)
        return (float(middle),) if same else (float(low), float(middle), float(high))
    usual = float(np.median(np.where(np.isfinite(follows), follows, 0.0)))
    if usual > 1 / FLOWS:
        return tuple(-scale * usual for scale in SCALES)
    return ()


def layer_features(layers: Sequence[Layer], seed: int) -> list[LayerFeatures]:
    """Return features for layers, and for pairs of them where their edges meet.

    Args:
      layers: of a problem.
      seed: of their sines.
    """
    sines = sine_features(SINES, np.full(2, FREQUENCY), seed)
    found = [
        LayerFeatures(layer.start, rate * layer.inward, sines)
        for layer in layers
        for rate in layer.rates
    ]
    for one, other, point in corners_of_layers(layers):
        for first, second in itertools.product(one.rates, other.rates):
            slope = first * one.inward + second * other.inward
            found.append(LayerFeatures(point, slope, sines))
    return found


def corners_of_layers(
    layers: Sequence[Layer],
) -> list[tuple[Layer, Layer, Float[np.ndarray, "2"]]]:
    """Return pairs of layers whose edges meet, with the point where they do.

    Args:
      layers: of a problem.
    """
    found = []
    for one, other in itertools.combinations(layers, 2):
        ends = itertools.product(
            (one.start, one.start + one.span), (other.start, other.start + other.span)
        )
        found += [(one, other, a) for a, b in ends if np.max(np.abs(a - b)) < DEEP]
    return found


def fill_layers(
    problem: PDEProblem, sampled: Sampled, units: Units, layers: Sequence[Layer], seed: int
) -> Sampled:
    """Add points in layers, inside and on other edges that end there.

    Args:
      problem: whose points they are.
      sampled: points of it.
      units: of the layers.
      layers: of the problem.
      seed: of the points.
    """
    if not layers:
        return sampled
    box, domain = units.box, on_host(problem.domain)
    num = int(SHARE * len(sampled.inside))
    few = int(SHARE * sum(len(edge.points) for edge in sampled.edges))
    added, faces = [sampled.inside], faces_of(domain)
    edges = list(sampled.edges)
    for at, layer in enumerate(layers):
        rng = np.random.default_rng((seed, at))
        thick = DEPTHS / -max(layer.rates)
        along = (np.arange(num) + rng.random(num)) / num
        depth = thick * rng.exponential(size=num)
        where = layer.start + along[:, None] * layer.span + depth[:, None] * layer.inward
        points = box.places(where)
        added.append(points[contains(domain, points)])
        for face in faces:
            ends, normals = face.place(np.array([[0.0], [1.0]]))
            first, last = (box.units(ends) - layer.start) @ layer.inward
            if min(first, last) > thick or abs(last - first) < DEEP:
                continue
            unit = (thick * rng.exponential(size=few) - first) / (last - first)
            points, out = face.place(unit[(unit > 0) & (unit < 1)][:, None])
            shown = ends_here(domain, box, points, out)
            piece: Any = np.full(np.count_nonzero(shown), face.piece)
            new = Boundary(points[shown], out[shown], piece)
            for number, edge in enumerate(edges):
                same = np.all(np.abs(edge.normals - normals[0]) < DEEP, 1)
                if np.any(same & (edge.piece == face.piece)):
                    pairs: Any = zip(edge, new, strict=True)
                    joint: Any = [np.concatenate(pair) for pair in pairs]
                    edges[number] = Boundary(*joint)
    for at, (one, other, point) in enumerate(corners_of_layers(layers)):
        rng = np.random.default_rng((seed, len(layers) + at))
        both = np.array([DEPTHS / -max(layer.rates) for layer in (one, other)])
        depths = both * rng.exponential(size=(few, 2))
        # the place at these two depths
        where = point + depths @ np.linalg.inv(np.stack([one.inward, other.inward])).T
        points = box.places(where)
        added.append(points[contains(domain, points)])
    return sampled._replace(inside=np.concatenate(added), edges=tuple(edges))
