"""Linear systems solved further than floats reach, and implicit estimates in float32."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.bilevel import descend, estimate, evaluate_hypergradient, hypergradient
from metajax.bilevel.implicit import solve_positive
from metajax.core import ConfigError, enable_x64


def system(condition, size, seed=0):
    """A matrix of curvatures 1 to ``condition``, and a right side."""
    draw = np.random.default_rng(seed)
    basis = np.linalg.qr(draw.normal(size=(size, size)))[0]
    return basis @ np.diag(np.geomspace(1, condition, size)) @ basis.T, draw.normal(size=size)


@pytest.mark.parametrize("largest", [1.0, 0.1, 0.01])
def test_iterations_past_convergence_of_small_curvatures(largest):
    """Where the curvature of a residual that has vanished underflows before its square does.

    The quotient of the two is infinite then: about a third of these systems became NaN.
    """
    seeds = [system(100, 3, seed) for seed in range(40)]
    matrices, rights = (np.stack(part) for part in zip(*seeds, strict=True))
    matrices *= largest / 100
    expected = np.linalg.solve(matrices, rights[..., None])[..., 0]

    def solve(m, b):
        return solve_positive(lambda x: m @ x, b, 20)

    found = jax.jit(jax.vmap(solve))(jnp.asarray(matrices, "f4"), jnp.asarray(rights, "f4"))
    errors = np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert np.all(errors < 100 * np.finfo(np.float32).eps)


@functools.partial(jax.jit, static_argnums=2)
def solved(matrix, right, iterations):
    return solve_positive(lambda x: matrix @ x, right, iterations)


@pytest.mark.parametrize("condition", [1, 100, 1e4])
@pytest.mark.parametrize("magnitude", [1e-30, 1.0, 1e30])
def test_iterations_past_convergence_change_nothing(condition, magnitude):
    """In float32, as good as its rounding allows, whatever the units of the right side."""
    matrix, right = system(condition, 3)
    expected = magnitude * np.linalg.solve(matrix, right)
    for iterations in (20, 1000):
        found = solved(matrix.astype("f4"), (magnitude * right).astype("f4"), iterations)
        error = np.linalg.norm(np.asarray(found, np.float64) - expected) / np.linalg.norm(expected)
        assert error < 10 * condition * np.finfo(np.float32).eps


def test_a_direction_without_curvature_is_no_division_by_zero():
    flat = jnp.array([2.0, 0.0])
    solve = jax.jit(lambda right: solve_positive(lambda x: flat * x, right, 10))
    np.testing.assert_allclose(solve(jnp.array([2.0, 0.0])), [1.0, 0.0], rtol=1e-6)
    for right in ([0.0, 1.0], [0.0, 0.0]):
        np.testing.assert_array_equal(solve(jnp.array(right)), 0)


def test_the_solution_is_differentiated_by_its_own_equation():
    with enable_x64(True):
        matrix, right = system(10, 3)

        def of(m, b):
            return solve_positive(lambda x: m @ x, b, 10)

        def exact(m, b):
            return jnp.linalg.solve(m, b)

        found, expected = (jax.jit(jax.jacrev(f, (0, 1)))(matrix, right) for f in (of, exact))
        np.testing.assert_allclose(found[1], expected[1], rtol=1e-9)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)


def ridge_problem(condition, dtype, size=3, largest=0.01):
    """Weight decay of least squares, whose hypergradient is known: ``-x (H + e^h)^-1 e^h w``."""
    matrix, centre = system(condition, size, seed=1)
    matrix, centre = (jnp.asarray(x, dtype) for x in (matrix * largest / condition, centre))
    decay = largest / 1000

    def inner_loss(w, hparams, batch):
        away = w - centre
        return (away @ matrix @ away + jnp.exp(hparams) * jnp.sum(w**2)) / 2

    def outer_loss(w, hparams, batch):
        return jnp.sum((w - jnp.asarray(1, dtype)) ** 2) / 2

    problem = descend(inner_loss, outer_loss, optax.sgd(1 / (largest + decay)))
    hessian = np.asarray(matrix, np.float64) + decay * np.eye(size)
    w = np.linalg.solve(hessian, np.asarray(matrix, np.float64) @ np.asarray(centre, np.float64))
    expected = -np.linalg.solve(hessian, w - 1) @ (decay * w)
    return problem, jnp.asarray(np.log(decay), dtype), jnp.asarray(w, dtype), expected


@pytest.mark.parametrize("iterations", [3, 20, 200])
def test_conjugate_gradient_in_float32_iterated_past_convergence(iterations):
    problem, hparams, start, expected = ridge_problem(100.0, jnp.float32)
    estimator = hypergradient("conjugate_gradient", iterations=iterations)
    given = hparams, start, jnp.zeros((2, 1)), ()
    found = jax.jit(lambda *given: estimate(estimator, problem, *given))(*given)
    np.testing.assert_allclose(found.hypergradient, expected, rtol=2e-4)
    assert found.info["residual"] < 1e-4


def test_in_float64_it_converges_to_the_rounding_of_float64():
    with enable_x64(True):
        problem, hparams, start, expected = ridge_problem(100.0, jnp.float64)
        estimator = hypergradient("conjugate_gradient", iterations=50)
        given = hparams, start, jnp.zeros((2, 1)), ()
        found = jax.jit(lambda *given: estimate(estimator, problem, *given))(*given)
        np.testing.assert_allclose(found.hypergradient, expected, rtol=1e-11)


def steep(w, hparams):
    return 500 * hparams * jnp.sum(w**2)


def kinked(w, hparams):
    return hparams * jnp.sum(jnp.abs(w) ** 1.5)


def distance(w, hparams):
    return jnp.sum((w - 1) ** 2)


def cliff(w, hparams):
    return distance(w, hparams) + jnp.where(jnp.abs(hparams - 1) > 1e-3, jnp.inf, 0)


@pytest.mark.parametrize(
    ("name", "options", "inner_loss", "outer_loss", "advice"),
    [
        ("neumann", {"terms": 50}, steep, distance, "inner steps that contract"),
        ("conjugate_gradient", {}, kinked, distance, "a finite Hessian of inner_loss"),
        ("es", {"pairs": 2, "sigma": 1.0}, steep, cliff, "a smaller sigma"),
        ("pes", {"pairs": 2, "sigma": 1.0}, steep, cliff, "a smaller sigma"),
    ],
)
def test_what_is_not_finite_is_refused_with_advice_of_its_own(
    name, options, inner_loss, outer_loss, advice
):
    """The run rests at its minimum, 0; what the estimator makes of it overflows."""
    losses = [lambda w, hparams, batch, f=f: f(w, hparams) for f in (inner_loss, outer_loss)]
    problem = descend(*losses, optax.sgd(1.0))
    with pytest.raises(ConfigError, match=advice) as error:
        evaluate_hypergradient(
            hypergradient(name, **options),
            problem,
            jnp.float32(1),
            jnp.zeros(2),
            jnp.zeros((3, 1)),
            (),
        )
    assert "Adam" not in str(error.value)
