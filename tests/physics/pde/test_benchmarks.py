"""Each reference satisfies its equation and its boundary data; the scores."""

from importlib import resources

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import chebyshev
from scipy import special

from metajax.core import ConfigError
from metajax.physics.pde import (
    PROBLEMS,
    PUBLISHED,
    apply_operator,
    benchmark,
    data_on,
    differentiate,
    mean_squared_error,
    nodes,
    sample_boundary,
    sample_interior,
    smape,
)
from metajax.physics.pde.benchmarks import HZ_G_HOLES, REFERENCE_SIZE

pytestmark = pytest.mark.usefixtures("x64")

CLOSED, SOLVED = ("HT", "HZ", "WV"), ("HZ-G", "PS-C", "PS-L", "PS-G", "PS-5G")


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_satisfy_their_equation_and_data(name):
    problem = benchmark(name)
    pde, solution = problem.pde, problem.solution

    @jax.jit
    def inside(key):
        points = sample_interior(pde.domain, key, 100)
        jet = differentiate(solution, points)
        return apply_operator(pde.coefficients, jet) - pde.source(points)

    @jax.jit
    def edge(key):
        boundary = sample_boundary(pde.domain, key, 200)
        data = data_on(pde.dirichlet, boundary), data_on(pde.neumann, boundary)
        return boundary, data, differentiate(solution, boundary.points)

    np.testing.assert_allclose(inside(jax.random.key(0)), 0, atol=1e-10)
    boundary, ((u, on_u), (flux, on_flux)), jet = jax.device_get(edge(jax.random.key(1)))
    np.testing.assert_allclose(u[on_u], solution(*boundary.points.T)[on_u], atol=1e-12)
    found = jet.x * boundary.normals[:, 0] + jet.y * boundary.normals[:, 1]
    np.testing.assert_allclose(flux[on_flux], found[on_flux], atol=1e-10)
    edges = np.array([piece.edge for piece in pde.domain.pieces])[boundary.piece]
    np.testing.assert_array_equal(~on_u, (edges == "top") & (name != "HZ"))
    np.testing.assert_array_equal(on_flux, (edges == "bottom") & (name == "WV"))
    np.testing.assert_allclose(problem.reference, solution(*problem.points.T), atol=1e-12)


def on_grid(problem):
    """The reference on its grid, NaN outside, and the distances of the nodes."""
    place = nodes(REFERENCE_SIZE)
    distance = np.asarray(problem.pde.domain.distance(place))
    u = np.full(distance.shape, np.nan)
    u[distance <= 1e-6] = np.asarray(problem.reference)
    return u, distance


@pytest.mark.parametrize("name", SOLVED)
def test_solved_references_satisfy_their_equation_between_the_nodes(name):
    problem = benchmark(name)
    u, distance = on_grid(problem)
    step = 2 / (REFERENCE_SIZE - 1)
    # sixth-order second differences, far from edges so that no kink of the domain is near
    weights = np.array([2, -27, 270, -490, 270, -27, 2]) / (180 * step**2)

    def shifted(i, j):
        return np.roll(u, (-i, -j), (0, 1))

    uxx = sum(w * shifted(0, k - 3) for k, w in enumerate(weights))
    uyy = sum(w * shifted(k - 3, 0) for k, w in enumerate(weights))
    zero = np.zeros_like(u)
    coefficients = np.asarray(problem.pde.coefficients)
    source = np.asarray(problem.pde.source(nodes(REFERENCE_SIZE).reshape(-1, 2))).reshape(u.shape)
    residual = sum(
        c * term for c, term in zip(coefficients, (u, zero, zero, uxx, uyy), strict=True)
    )
    far = distance < -0.15
    size = np.abs(coefficients[3] * uxx)[far].max() + np.abs(source[far]).max()
    # float32 values leave 6e-8 |u| 1400 / step^2 at worst
    assert np.abs((residual - source)[far]).max() < 5e-3 * size
    assert np.sqrt(np.mean((residual - source)[far] ** 2)) < 1e-3 * size


@pytest.mark.parametrize("name", SOLVED)
def test_solved_references_have_their_boundary_values(name):
    problem = benchmark(name)
    u, distance = on_grid(problem)
    edge = {"HZ-G": 0.2, "PS-C": 1.0}.get(name, 0.0)
    place = np.asarray(nodes(REFERENCE_SIZE))
    outer = (np.abs(place).max(-1) == 1) & ~np.isnan(u)
    np.testing.assert_allclose(u[outer], edge, atol=1e-6)
    # next to the holes: within the steepest slope times the distance
    near = (distance < 0) & (distance > -0.02) & (np.abs(place).max(-1) < 0.9)
    inner = {"HZ-G": 1.0, "PS-C": 0.0, "PS-L": 0.0}.get(name)
    if inner is not None:
        # the slope is infinite at the corner of PS-L: u = O(r^(2/3))
        bound = 0.5 * np.abs(distance[near]) ** (2 / 3) if name == "PS-L" else -25 * distance[near]
        assert np.all(np.abs(u[near] - inner) < bound)
        assert near.sum() > 50


@pytest.mark.parametrize(("name", "mean_square"), [("PS-G", 1.20249), ("PS-5G", 1.23075)])
def test_poisson_in_a_square_equals_chebyshev_polynomials(name, mean_square):
    """By collocation at 97 by 97 Chebyshev points: no mesh, no triangles, no quadrature."""
    degree = 96
    place = np.cos(np.pi * np.arange(degree + 1) / degree)
    line = np.linspace(-1, 1, REFERENCE_SIZE)
    to_weights = np.linalg.inv(chebyshev.chebvander(place, degree))
    second = chebyshev.chebval(place, chebyshev.chebder(np.eye(degree + 1), 2)).T @ to_weights
    onto_line = chebyshev.chebvander(line, degree) @ to_weights
    inner = slice(1, -1)  # u = 0 at the others
    values, vectors = np.linalg.eig(second[inner, inner])
    x, y = np.meshgrid(place[inner], place[inner])
    problem = benchmark(name)
    source = np.asarray(problem.pde.source(jnp.stack([x.ravel(), y.ravel()], 1))).reshape(x.shape)
    inverse = np.linalg.inv(vectors)
    modes = (inverse @ source @ inverse.T) / (values[:, None] + values)
    u = (vectors @ modes @ vectors.T).real
    expected = onto_line[:, inner] @ u @ onto_line[:, inner].T
    found = np.asarray(problem.reference).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())
    # as an integral, by the trapezoidal rule: u is 0 on the edge
    assert np.sum(found**2) / (REFERENCE_SIZE - 1) ** 2 == pytest.approx(mean_square, rel=2e-4)


def test_ps_g_is_the_published_problem():
    """Its source is four positive Gaussians, and -lap u = f > 0 makes u positive."""
    problem = benchmark("PS-G")
    np.testing.assert_array_equal(problem.pde.coefficients, [0, 0, 0, 1, 1])
    published = [
        (99.98, -0.911, -0.952, 0.198),
        (99.80, 0.825, -0.380, 0.145),
        (99.50, 0.197, -0.585, 0.093),
        (99.25, 0.197, 0.419, 0.079),
    ]
    x, y = np.asarray(sample_interior(problem.pde.domain, jax.random.key(0), 500)).T
    f = sum(s * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * w**2)) for s, a, b, w in published)
    np.testing.assert_allclose(problem.pde.source(jnp.stack([x, y], 1)), -f, atol=1e-10)
    u = np.asarray(problem.reference)
    assert u.min() > -1e-7 and u.max() > 2
    # over 400 by 400 nodes inside the square, which leaves out the zeros of its edge, it is 1.2085
    integral = np.sum(u**2) / (REFERENCE_SIZE - 1) ** 2
    assert integral * (401 / 400) ** 2 == pytest.approx(1.2085, rel=2e-4)


def test_laplace_around_circles_equals_harmonic_functions():
    """PS-C by logarithms and multipoles of the circles and polynomials, fitted to its data."""
    problem = benchmark("PS-C")
    centres = [complex(x, y) for x in (-0.6, 0.6) for y in (-0.6, 0.6)]

    def functions(z):
        # those with the symmetries of the problem: in x, in y, and between x and y
        columns = [((z / 1.2) ** k).real for k in range(0, 81, 4)]
        columns.append(sum(np.log(abs(z - c) / 0.2) for c in centres))
        for k in range(1, 20):
            poles = ((0.2 * c / abs(c) / (z - c)) ** k for c in centres)
            columns.append(sum(pole.real for pole in poles))
        return np.stack(columns, 1)

    turn = np.exp(2j * np.pi * np.arange(400) / 400)
    line = np.linspace(-1, 1, 400)
    inner = np.concatenate([c + 0.2 * turn for c in centres])
    outer = np.concatenate([line - 1j, line + 1j, -1 + 1j * line, 1 + 1j * line])
    design = functions(np.concatenate([inner, outer]))
    wanted = np.concatenate([np.zeros(inner.size), np.ones(outer.size)])
    weights, *_ = np.linalg.lstsq(design, wanted, rcond=1e-13)
    assert np.abs(design @ weights - wanted).max() < 1e-6
    x, y = np.asarray(problem.points).T
    np.testing.assert_allclose(problem.reference, functions(x + 1j * y) @ weights, atol=2e-6)


def test_screened_poisson_around_circles_equals_sines_and_bessel_functions():
    """HZ-G: its source in sines, the rest in Bessel functions about the origin and the circles."""
    problem = benchmark("HZ-G")
    waves = np.pi * np.arange(1, 61) / 2
    t, weight = np.polynomial.legendre.leggauss(200)
    sines = np.sin(np.outer(waves, t + 1)) * weight
    x, y = np.meshgrid(t, t)
    source = 10 * (17 + x**2 + y**2) * np.sin(np.pi * x) * np.sin(4 * np.pi * y)
    amplitudes = sines @ source @ sines.T / (waves[:, None] ** 2 + waves[None] ** 2 + 64)

    def particular(z):
        across, along = np.sin(np.outer(z.real + 1, waves)), np.sin(np.outer(z.imag + 1, waves))
        return np.sum(along @ amplitudes * across, 1)

    def functions(z):
        columns = []
        about = [(complex(x, y), r, special.kv, 14) for x, y, r in HZ_G_HOLES]
        for centre, radius, bessel, most in [(0, 1.4, special.iv, 48), *about]:
            far, turn = 8 * abs(z - centre), np.angle(z - centre)
            for n in range(most):
                size = bessel(n, far) / bessel(n, 8 * radius)
                columns += [size * np.cos(n * turn), size * np.sin(n * turn)]
        return np.stack(columns, 1)

    turn, line = np.exp(2j * np.pi * np.arange(200) / 200), np.linspace(-1, 1, 300)
    inner = np.concatenate([complex(x, y) + r * turn for x, y, r in HZ_G_HOLES])
    outer = np.concatenate([line - 1j, line + 1j, -1 + 1j * line, 1 + 1j * line])
    edge, value = np.concatenate([inner, outer]), np.repeat([1.0, 0.2], [inner.size, outer.size])
    design, wanted = functions(edge), value - particular(edge)
    weights, *_ = np.linalg.lstsq(design, wanted, rcond=1e-12)
    # corners of the square leave a weak singularity that these functions do not have
    left = np.abs(design @ weights - wanted).max()
    assert left < 1e-3
    x, y = np.asarray(problem.points).T
    place = x + 1j * y
    series = particular(place) + functions(place) @ weights
    # by the maximum principle the error inside is at most that on the edge
    np.testing.assert_allclose(problem.reference, series, atol=left + 2e-6)


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("HT", 0.217),
        ("HZ", 0.246),
        ("PS-G", 1.184),
        ("PS-5G", 1.212),
        ("WV", 0.3125),
        ("PS-C", 0.2857),
        ("HZ-G", 0.278),
        ("PS-L", 0.00677),
    ],
)
def test_the_zero_predictors_error_in_the_domain(name, floor):
    reference = benchmark(name).reference
    zero = jnp.zeros_like(reference)
    np.testing.assert_allclose(mean_squared_error(zero, reference), floor, rtol=2e-3)
    assert mean_squared_error(reference, reference) == smape(reference, reference) == 0
    assert 190 < smape(zero, reference) <= 200


def test_smape_of_given_values():
    values, reference = jnp.array([1.0, 2.0, 0.0, -1.0]), jnp.array([1.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(smape(values, reference), (0 + 200 / 3 + 0 + 200) / 4)


def test_references_are_converged_and_small():
    folder = resources.files("metajax.physics.pde").joinpath("references")
    assert {file.name for file in folder.iterdir()} == {f"{name}.npz" for name in SOLVED}
    for name in SOLVED:
        with folder.joinpath(f"{name}.npz").open("rb") as file:
            assert np.load(file)["error"] < 1e-5
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 1e6


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match=r"did you mean 'PS-5?G'"):
        benchmark("PSG")
    assert set(PROBLEMS) == {*CLOSED, *SOLVED} == {*PUBLISHED, "PS-5G"}
