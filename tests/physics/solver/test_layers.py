"""Thin layers: along edges, where the coefficients tell of them, and inside."""

import sys
from pathlib import Path

import numpy as np
import pytest

from metajax.physics.solver import PDEProblem
from metajax.physics.solver.diffused import combine_diffused
from metajax.physics.solver.layers import LayerFeatures, layers_of
from metajax.physics.solver.nonlinear import combine_nonlinear
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.ridge_functions import Joined, One, sine_features
from metajax.physics.solver.taking import taker

sys.path.insert(0, str(Path(__file__).parents[3] / "experiments" / "solve"))
from known import KNOWN
from trust import row


@pytest.mark.parametrize(
    "name", ["layer .001", "reaction", pytest.param("two layers", marks=pytest.mark.slow)]
)
def test_layers_of_a_thousandth_are_resolved(name):
    found = row(KNOWN[name](), 0, 640)
    assert found["error"] < 1e-6 and found["verdict"] == "reliable"


def test_layers_are_where_the_coefficients_make_them():
    def rates(coefficients, **more):
        problem = PDEProblem(coefficients, dirichlet=0.0, **more)
        layers = layers_of(problem, taker(problem).units, {})
        return {tuple(np.round(layer.inward, 9)): layer.rates for layer in layers}

    carried = rates({"u_xx": -0.01, "u_yy": -0.02, "u_x": 1.0, "u_y": -1.0})
    assert carried.keys() == {(-1, 0), (0, 1)}
    np.testing.assert_allclose(carried[-1, 0], [-100])
    np.testing.assert_allclose(carried[0, 1], [-50])
    reacts = rates({"u_xx": -1e-4, "u_yy": -1e-4, "u": 1.0})
    assert len(reacts) == 4
    np.testing.assert_allclose([*reacts.values()], -100)
    # 1e-4 is carried along the bottom and the top for 1 unit
    along = rates({"u_xx": -1e-4, "u_yy": -1e-4, "u_x": 1.0})
    assert along.keys() == {(-1, 0), (0, 1), (0, -1)}
    np.testing.assert_allclose(along[0, 1], [-50, -100, -200, -400])
    assert not rates({"u_xx": 1, "u_yy": 1}) and not rates({"u_xx": 1, "u_yy": 1, "u": 400})


def test_derivatives_are_those_of_a_layer():
    sines = sine_features(5, np.full(2, 3.0), 0)
    made = LayerFeatures(np.array([1.0, 1.0]), np.array([4.0, 7.0]), sines)
    rng = np.random.default_rng(0)
    points, along = rng.uniform(-0.5, 0.9, (30, 2)), rng.normal(size=(30, 2))
    ones, step = Operator(np.ones(30)), 1e-4
    back, here, ahead = (made(points + at * step * along, ones) for at in (-1, 0, 1))
    slope, bend = (ahead - back) / (2 * step), (ahead - 2 * here + back) / step**2
    both = made(points, Operator(np.ones(30), along, along[:, :, None] * along[:, None]))
    expected = here + slope + bend
    np.testing.assert_allclose(both, expected, atol=1e-4 * np.abs(expected).max())


def test_an_inner_layer_is_found_by_way_of_more_diffusion():
    """Allen-Cahn: Gauss-Newton from the linear part ends at another function."""
    known = KNOWN["interface"]()
    taken = taker(known.problem)
    blocks = taken.take(1, 1000, 480)
    features = Joined((One(), sine_features(300, np.array([80.0, 3.0]), 0)))
    points = blocks[0].parts[0].points
    u = features(points, Operator(np.ones(len(points))))

    def error(solve):
        found = taken.units.u * u @ solve(blocks, features).weights
        return np.sqrt(np.mean((found - known.exact[0](*points.T)) ** 2))

    assert error(combine_nonlinear) > 0.5
    assert error(combine_diffused) < 0.02


@pytest.mark.slow
def test_an_inner_layer_is_resolved():
    found = row(KNOWN["interface"](), 0, 2000)
    assert found["error"] < 1e-4 and found["verdict"] == "reliable"
