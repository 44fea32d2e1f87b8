"""Random problems: exact derivatives, data that agree with the solution, limits, batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from metajax.core import enable_x64
from metajax.physics.pde import (
    Expression,
    draw_expression,
    draw_problem,
    draw_sample,
    expand,
    nodes,
)

NUM = 24
SIZES = {"interior": 64, "boundary": 128, "size": 33}


def psi(kind, z):
    """The functions by their definition, in numpy."""
    return [z, np.sin(z), np.cos(z), np.tanh(z), expit(z), 1 / (1 + z**2)][kind]


def by_definition(expression, x, y):
    u = 0.0
    for join, kind, (a, b, c, d, e) in zip(*expression, strict=True):
        term = d * psi(kind, u if join == 2 else a * x + b * y + c) + e
        u = (u + term, u * term, term)[join]
    return u


def by_steps(expression, x, y, h, i, j):
    """The expression ``i`` and ``j`` steps of ``h`` away."""
    return by_definition(expression, x + i * h, y + j * h)


def at_places(expression, places):
    return by_definition(expression, *places.astype(float).T)


@functools.cache
def expressions(x64=False):
    with enable_x64(x64):
        keys = jax.random.split(jax.random.key(3), 200)
        return jax.device_get(jax.jit(jax.vmap(draw_expression))(keys))


def test_values_and_derivatives_equal_finite_differences_in_float64():
    drawn = expressions(True)
    points = np.random.default_rng(0).uniform(-1, 1, (7, 2))
    with enable_x64(True):
        jets = jax.jit(jax.vmap(expand, (0, None)))(drawn, points)
    x, y, h = *points.T, 3e-5
    compared = 0
    for number in range(200):
        one = jax.tree.map(lambda leaf: leaf[number], drawn)  # noqa: B023
        at = functools.partial(by_steps, one, x, y, h)
        jet = [np.asarray(leaf[number]) for leaf in jets]
        np.testing.assert_allclose(jet[0], at(0, 0), rtol=1e-9, atol=1e-9)
        if max(np.abs(leaf).max() for leaf in jet) > 1e4:
            continue
        compared += 1

        # fourth-order differences
        def first(f):
            return (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h)

        def second(f):
            return (16 * (f(1) + f(-1)) - f(2) - f(-2) - 30 * f(0)) / (12 * h**2)

        mixed = first(lambda i: first(lambda j: at(i, j)))  # noqa: B023
        slopes = first(lambda i: at(i, 0)), first(lambda j: at(0, j))  # noqa: B023
        curvatures = second(lambda i: at(i, 0)), mixed, second(lambda j: at(0, j))  # noqa: B023
        scale = 1 + max(np.abs(leaf).max() for leaf in jet)
        for found, wanted in zip(jet[1:], (*slopes, *curvatures), strict=True):
            np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-4)
    assert compared > 60


def test_single_precision_is_close_to_double_where_the_limits_hold():
    drawn = expressions()
    points = np.asarray(nodes(33)).reshape(-1, 2)
    single = jax.jit(jax.vmap(expand, (0, None)))(drawn, points)
    with enable_x64(True):
        wide = jax.tree.map(
            lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf,
            (drawn, points),
        )
        double = jax.jit(jax.vmap(expand, (0, None)))(*wide)
    double = [np.asarray(leaf) for leaf in double]
    fits = (np.abs(double[0]).max(1) <= 10) & (np.abs(double[1:]).max((0, 2)) <= 1e4)
    assert fits.sum() > 20
    for found, wanted in zip(single, double, strict=True):
        found, wanted = np.asarray(found)[fits], wanted[fits]
        error = np.abs(found - wanted).max(1) / (1 + np.abs(wanted).max(1))
        assert np.median(error) < 3e-6
        assert error.max() < 1e-3


def test_expressions_are_drawn_as_published():
    drawn = Expression(*expressions())
    a, b, c, d, e = np.moveaxis(drawn.constants, -1, 0)
    read = (drawn.constants != 0).any(-1)
    updates = read.sum(1)
    assert np.array_equal(np.unique(updates), np.arange(6, 11))
    # an update that is not read adds nothing
    assert np.all(drawn.join[~read] == 0)
    assert np.all(drawn.join[:, 0] == 0)
    late = read & (np.arange(10) > 0)
    for kinds, values in ((3, drawn.join[late]), (6, drawn.psi[read])):
        share = np.bincount(values, minlength=kinds) / len(values)
        np.testing.assert_allclose(share, 1 / kinds, atol=4 * np.sqrt(1 / kinds / len(values)))
    for slope in (a[read], b[read]):
        np.testing.assert_allclose(np.mean(slope == 0), 0.5, atol=0.06)
        assert 9.9 < np.abs(slope).max() <= 10
        np.testing.assert_allclose(np.std(slope[slope != 0]), 10 / np.sqrt(3), rtol=0.06)
    for constant in (c[read], d[read], e[read]):
        assert 6.2 < np.abs(constant).max() <= 2 * np.pi
        np.testing.assert_allclose(np.std(constant), 2 * np.pi / np.sqrt(3), rtol=0.06)


def draw(key, supervised, homogeneous):
    settings = {"supervised": supervised, "homogeneous": homogeneous}
    return draw_problem(key, **settings), draw_sample(key, **SIZES, **settings)


@functools.cache
def compiled():
    return jax.jit(jax.vmap(draw, (0, None, None)))


@functools.cache
def drawn(supervised, homogeneous=0.0):
    """The problems and samples of the same keys."""
    keys = jax.random.split(jax.random.key(0), NUM)
    found = compiled()(keys, jnp.float32(supervised), jnp.float32(homogeneous))
    return jax.device_get(found)


def each(*settings):
    """Problem and sample one by one."""
    found = drawn(*settings)
    for number in range(NUM):
        yield jax.tree.map(lambda leaf: leaf[number], found)  # noqa: B023


def is_steady(coefficients):
    _, _, c_y, c_xx, c_yy = coefficients
    return not (c_xx * c_yy < 0 or (c_yy == 0 and c_y * c_xx < 0))


def piece_of(problem, sample):
    """The shape and the edge that each boundary point is on."""
    pieces = problem.pde.domain.pieces
    names = [pieces[index] for index in sample.points.boundary.piece]
    return np.array([one.shape for one in names]), np.array([one.edge for one in names])


def test_a_known_solution_satisfies_equation_and_boundary_data():
    assert np.mean(drawn(1.0)[1].valid) > 0.9
    for problem, sample in each(1.0):
        if not sample.valid:
            continue
        assert sample.supervised
        expression = problem.solution.expression
        u, c, points = sample.solution, sample.coefficients, sample.points
        terms = [u.u, u.x, u.y, u.xx, u.yy]
        size = 1 + np.abs(c[:, None] * terms).max()
        source = sum(c * term for c, term in zip(c, terms, strict=True))
        np.testing.assert_allclose(points.source / size, source / size, atol=1e-3)
        at = functools.partial(at_places, expression)
        np.testing.assert_allclose(u.u, at(points.interior), atol=2e-3)
        place, normals, _ = points.boundary
        on = points.dirichlet_mask
        np.testing.assert_allclose(points.dirichlet[on], at(place[on]), atol=2e-3)
        on = points.neumann_mask
        step = 1e-5 * normals.astype(float)
        slope = (at(place + step) - at(place - step)) / 2e-5
        np.testing.assert_allclose(points.neumann[on], slope[on], rtol=1e-3, atol=2e-2)


def test_a_valid_solution_is_within_the_limits():
    for _, sample in each(1.0):
        if sample.valid:
            assert np.abs(sample.solution.u).max() <= 10
            assert np.abs(sample.grids.source).max() <= 1e4
            assert np.abs(sample.points.neumann).max() <= 100
            assert max(np.abs(leaf).max() for leaf in sample.solution) <= 1e4


def test_points_are_in_the_domain_and_on_its_boundary():
    holes = set()
    for problem, sample in each(1.0):
        domain, points = problem.pde.domain, sample.points
        assert np.all(domain.distance(points.interior) < 0)
        np.testing.assert_allclose(domain.distance(points.boundary.points), 0, atol=1e-6)
        length = np.linalg.norm(points.boundary.normals, axis=1)
        np.testing.assert_allclose(length, 1, atol=1e-5)
        assert np.all(points.dirichlet_mask | points.neumann_mask)
        shapes, _ = piece_of(problem, sample)
        holes.add(len(set(shapes)))
    assert len(holes) > 1


@pytest.mark.parametrize("supervised", [0.0, 1.0])
def test_data_are_where_the_type_of_the_operator_has_them(supervised):
    steady_ones = 0
    for problem, sample in each(supervised):
        shapes, edges = piece_of(problem, sample)
        on_u, on_flux = sample.points.dirichlet_mask, sample.points.neumann_mask
        steady = is_steady(sample.coefficients)
        steady_ones += steady
        terms = np.sum(sample.coefficients != 0)
        assert 1 <= terms <= 3 and np.abs(sample.coefficients).max() <= 2
        if steady:
            assert on_u[shapes == "square"].all()
            assert supervised or not (on_u & on_flux).any()
        else:
            assert set(shapes) == {"square"} and set(edges) == {"left", "right", "bottom"}
            assert on_u.all()
            initial = (edges == "bottom") & (sample.coefficients[4] != 0)
            np.testing.assert_array_equal(on_flux, initial)
    assert 0 < steady_ones < NUM


def test_a_problem_without_solution_has_a_constant_source_and_compatible_data():
    sources, linear = [], 0
    for problem, sample in each(0.0):
        assert sample.valid and not sample.supervised
        assert all(np.all(leaf == 0) for leaf in sample.solution)
        assert np.ptp(sample.points.source) == 0 == np.ptp(sample.grids.source)
        sources.append(sample.points.source[0])
        assert np.all(sample.points.neumann == 0)
        shapes, _ = piece_of(problem, sample)
        on = sample.points.dirichlet_mask & (shapes == "square")
        u, place = sample.points.dirichlet[on], sample.points.boundary.points[on]
        if sample.coefficients[0]:
            assert np.all(u == 0)
        elif not sample.coefficients[3:].any():
            assert np.ptp(u) == 0 and u[0] != 0
        else:
            design = np.concatenate([place, np.ones((len(place), 1))], 1)
            _, left, *_ = np.linalg.lstsq(design, u)
            assert left < 1e-9 and np.ptp(u) > 0
            linear += 1
    assert linear > 0
    # 24 draws of a normal number: within its central 99.9%
    assert 5 < np.std(sources) < 16


def test_homogeneous_problems_are_zero_on_the_edge_and_solve_their_equation():
    for problem, sample in each(1.0, 1.0):
        shapes, edges = piece_of(problem, sample)
        assert set(shapes) == {"square"}
        steady = is_steady(sample.coefficients)
        zero = np.ones(len(edges), bool) if steady else edges != "bottom"
        zero &= sample.points.dirichlet_mask
        np.testing.assert_allclose(sample.points.dirichlet[zero], 0, atol=1e-4)
        if sample.valid:
            x, y = sample.points.interior.astype(float).T
            walls = (1 - x**2) * (1 - y**2 if steady else 1)
            u = by_definition(problem.solution.expression, x, y) * walls
            np.testing.assert_allclose(sample.solution.u, u, atol=2e-3)
            assert np.std(sample.solution.u) > 0


def test_a_problem_does_not_depend_on_the_others_of_its_batch():
    """In another order, by the same program."""
    keys = jax.random.split(jax.random.key(0), NUM)[::-1]
    turned = jax.device_get(compiled()(keys, jnp.float32(1.0), jnp.float32(0.0)))
    for one, other in zip(jax.tree.leaves(drawn(1.0)), jax.tree.leaves(turned), strict=True):
        np.testing.assert_array_equal(one, other[::-1])


@pytest.mark.slow
def test_a_batch_equals_a_loop():
    batch = drawn(1.0)[1]
    keys = jax.random.split(jax.random.key(0), NUM)
    one = jax.jit(lambda key: draw(key, jnp.float32(1.0), jnp.float32(0.0))[1])
    for number in (0, 7):
        alone = one(keys[number])
        for many, single in zip(jax.tree.leaves(batch), jax.tree.leaves(alone), strict=True):
            many, single = np.asarray(many[number], float), np.asarray(single, float)
            size = 1 + np.abs(many).max()
            np.testing.assert_allclose(many / size, single / size, atol=1e-3)


@pytest.mark.parametrize("holes", [0, 1, 3])
def test_a_domain_has_as_many_holes_at_most(holes):
    """More are the default's; the shapes of a domain are static."""
    found = jax.eval_shape(functools.partial(draw_problem, holes=holes), jax.random.key(0))
    names = {piece.shape for piece in found.pde.domain.pieces}
    assert names == {"square", *(f"hole_{hole}" for hole in range(holes))}
