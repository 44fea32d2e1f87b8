"""Solves: against numpy's in float64, their derivatives, and one system a LAPACK call."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import all_finite, enable_x64
from metajax.nn import (
    cholesky,
    damped_least_squares,
    draw_orthogonal,
    factored_least_squares,
    least_squares,
    positive_solve,
    ridge_scores,
    triangular_solve,
)

RIDGE = 1e-6
FIT = jax.jit(least_squares)
SHAPES = {"tall": (30, 8), "square": (9, 9), "wide": (6, 10)}


def problem(shape, seed=0, dependent=False, dtype=np.float64):
    """A design with columns of very different sizes, targets, weights and a mask."""
    draw = np.random.default_rng(seed)
    m, num = shape
    design = draw.normal(size=shape) * 10.0 ** np.linspace(2, -2, num)[None]
    if dependent:
        design[:, 1] = 3 * design[:, 0]
        design[:, 2] = 0
    mask = draw.uniform(size=m) > 0.2
    return (
        design.astype(dtype),
        draw.normal(size=(m, 2)).astype(dtype),
        draw.uniform(0.5, 2, m).astype(dtype),
        mask,
    )


def stacked(design, targets, ridge, weights, mask):
    """What ``numpy.linalg.lstsq`` finds with a row of ``sqrt(ridge) |column|`` for each feature."""
    scale = np.sqrt(np.where(mask, weights, 0))[:, None]
    design, targets = scale * design, scale * targets
    length = np.linalg.norm(design, axis=0)
    damping = np.diag(np.sqrt(ridge) * np.where(length > 0, length, 1))
    rows = np.concatenate([design, damping])
    return np.linalg.lstsq(rows, np.pad(targets, ((0, len(length)), (0, 0))), rcond=None)[0]


def solved(design, targets, weights, mask, ridge=RIDGE):
    return FIT(design, targets, ridge, weights=weights, mask=mask)


@pytest.mark.parametrize("dependent", [False, True], ids=["full rank", "rank deficient"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_head_is_that_of_numpy(shape, dependent):
    design, targets, weights, mask = problem(shape, dependent=dependent)
    expected = stacked(design, targets, RIDGE, weights, mask)
    length = np.where(np.any(design, axis=0), np.linalg.norm(design, axis=0), 1)[:, None]
    with enable_x64(True):
        exact = np.asarray(solved(*map(jnp.asarray, (design, targets, weights, mask))))
    size = np.max(abs(length * expected))
    assert np.max(abs(length * (exact - expected))) < 1e-9 * size
    single = [part.astype(np.float32) for part in (design, targets, weights)]
    found = solved(*single, mask)
    assert found.dtype == jnp.float32
    fitted, wanted = (design @ np.float64(head) for head in (found, expected))
    assert np.max(abs(fitted - wanted)) < 2e-4 * np.max(abs(wanted))


def test_float32_keeps_the_digits_that_normal_equations_lose():
    draw = np.random.default_rng(1)
    left, right = (np.linalg.qr(draw.normal(size=(n, 32)))[0] for n in (200, 32))
    design = np.float32(left @ np.diag(np.logspace(0, -4, 32)) @ right)
    targets = design @ np.float32(draw.normal(size=(32, 1)))
    strength = np.float32(1e-12)
    found = damped_least_squares(design, targets, strength)
    gram = design.T @ design + strength * np.eye(32, dtype=np.float32)
    normal = np.linalg.solve(gram, design.T @ targets)
    left_by = [
        np.linalg.norm(np.float64(design) @ head - targets) / np.linalg.norm(targets)
        for head in (found, normal)
    ]
    assert left_by[0] < 1e-6
    assert left_by[1] > 20 * left_by[0]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_masked_row_has_no_influence_whatever_it_holds(shape):
    design, targets, weights, mask = problem(shape, dtype=np.float32)
    broken = [
        np.where(mask.reshape(-1, *[1] * (part.ndim - 1)), part, np.nan).astype(np.float32)
        for part in (design, targets, weights)
    ]

    @jax.jit
    def derivatives(*given):
        return jax.grad(lambda *x: jnp.sum(solved(*x, mask) ** 2), (0, 1, 2))(*given)

    np.testing.assert_array_equal(solved(*broken, mask), solved(design, targets, weights, mask))
    grads = derivatives(*broken)
    assert all_finite(grads)
    assert all(np.all(np.asarray(grad)[~mask] == 0) for grad in grads)
    assert all(np.all(np.any(np.asarray(grad)[mask].reshape(mask.sum(), -1), 1)) for grad in grads)


def check_derivatives(function, given, tolerance=1e-5):
    """In both modes, and of a gradient, along a random direction, by central differences."""
    draw = np.random.default_rng(5)
    along = [draw.normal(size=np.shape(x)) for x in given]
    function = jax.jit(function)

    def size(*given):
        return jnp.sum(jnp.sin(function(*given)))

    grad = jax.jit(jax.grad(size, tuple(range(len(given)))))
    step = 1e-5

    def numeric(function):
        ends = [
            jax.device_get(
                function(*(x + sign * step * t for x, t in zip(given, along, strict=True)))
            )
            for sign in (1, -1)
        ]
        return jax.tree.map(lambda a, b: (a - b) / (2 * step), *ends)

    def forward(function):
        return jax.jit(lambda x, t: jax.jvp(function, x, t)[1])(tuple(given), tuple(along))

    def close(found, wanted):
        scale = max(np.max(np.abs(leaf)) for leaf in jax.tree.leaves(wanted))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)

    size = jax.jit(size)
    close(forward(function), numeric(function))
    grads = jax.device_get(grad(*given))
    close(sum(np.vdot(g, t) for g, t in zip(grads, along, strict=True)), numeric(size))
    close(forward(grad), numeric(grad))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_derivatives_of_both_modes_agree_with_finite_differences(shape):
    with enable_x64(True):
        design, targets, weights, mask = problem(shape)
        design = design / np.linalg.norm(design, axis=0)[None]

        def head(design, targets, weights, log_ridge):
            return solved(design, targets, weights, mask, jnp.exp(log_ridge))

        check_derivatives(head, (design, targets, weights, np.log(0.1)))


def test_derivatives_of_factor_and_triangular_solve():
    with enable_x64(True):
        draw = np.random.default_rng(2).normal(size=(3, 5, 7))
        a, b = draw[0] @ draw[0].T, draw[1]
        np.testing.assert_allclose(cholesky(a), np.linalg.cholesky(a), rtol=1e-10)
        check_derivatives(cholesky, (a,))
        np.testing.assert_allclose(positive_solve(a, b), np.linalg.solve(a, b), rtol=1e-8)
        check_derivatives(positive_solve, (a, b))
        for transpose in (False, True):

            def solve(lower, b, transpose=transpose):
                return triangular_solve(lower, b, transpose=transpose)

            lower = np.linalg.cholesky(a)
            wanted = np.linalg.solve(lower.T if transpose else lower, b)
            np.testing.assert_allclose(solve(lower, b), wanted, rtol=1e-9)
            np.testing.assert_array_equal(solve(lower + np.triu(a, 1), b), solve(lower, b))
            check_derivatives(solve, (lower, b))


def test_a_batch_is_the_loop_in_values_and_gradients():
    """Mapped over two axes, over one of the arguments, and as leading axes."""
    draw = np.random.default_rng(3).normal(size=(2, 3, 12, 4)).astype(np.float32)
    targets = draw[..., :1] + 1

    def value(design, targets, ridge):
        gram = design.T @ design + jnp.eye(4)
        head = least_squares(design, targets, ridge) + triangular_solve(
            cholesky(gram), design.T[:, :1]
        )
        return jnp.sum(head**2)

    both = jax.jit(jax.value_and_grad(value, (0, 1, 2)))
    mapped = jax.vmap(jax.vmap(both, (0, 0, None)), (0, 0, None))
    found = jax.jit(mapped)(draw, targets, jnp.float32(0.1))
    for i, j in np.ndindex(2, 3):
        one = both(draw[i, j], targets[i, j], jnp.float32(0.1))
        jax.tree.map(
            lambda a, b, i=i, j=j: np.testing.assert_allclose(a[i, j], b, rtol=1e-4, atol=1e-6),
            found,
            one,
        )
    grams = draw.swapaxes(-1, -2) @ draw
    lower = cholesky(grams)
    right = draw[..., :4, :]
    np.testing.assert_allclose(lower @ lower.swapaxes(-1, -2), grams, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(lower @ triangular_solve(lower, right), right, rtol=1e-3, atol=1e-4)


def test_one_system_for_each_lapack_call_on_the_cpu():
    """Batched calls are those that can hang."""

    def value(design, targets):
        scores = ridge_scores(design, targets, jnp.array([0.1, 1.0]))
        head = least_squares(design, targets, scores[0])
        constant = jax.lax.stop_gradient((design, targets))
        factored = factored_least_squares(*constant, 0.1).head
        lower = cholesky(design.T @ design + jnp.eye(4))
        return jnp.sum(
            head * triangular_solve(lower, positive_solve(lower @ lower.T, head))
        ) + jnp.sum(factored)

    def steps(design, targets):
        grads = jax.vmap(jax.vmap(jax.grad(value), (0, None)), (None, 0))
        return jax.lax.scan(lambda x, _: (x - grads(x, targets)[0], None), design, length=2)[0]

    shapes = (3, 12, 4), (2, 12, 1)
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    program = jax.jit(steps).lower(*given).compile().as_text()
    calls = re.findall(r"= \(?(?:\w+\[([\d,]*)\]).*custom_call_target=\"(lapack_\w+)\"", program)
    assert {name[len("lapack_s") :] for _, name in calls} >= {
        "geqrf_ffi",
        "orgqr_ffi",
        "potrf_ffi",
        "trsm_ffi",
        "gesdd_ffi",
    }
    assert all(shape.count(",") == 1 for shape, _ in calls), calls


def test_16_bit_designs_are_solved_in_float32():
    design, targets, weights, _ = problem(SHAPES["tall"], dtype=np.float32)
    narrow = jnp.asarray(design, jnp.bfloat16)
    found = FIT(narrow, jnp.asarray(targets, jnp.bfloat16), 0.1, weights=weights)
    wanted = FIT(
        narrow.astype(jnp.float32),
        jnp.asarray(targets, jnp.bfloat16).astype(jnp.float32),
        0.1,
        weights=weights,
    )
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, wanted)


def test_the_ridge_has_no_unit_and_rows_count_by_their_weights():
    with enable_x64(True):
        design, targets, _, _ = problem(SHAPES["tall"])
        head = np.asarray(FIT(design, targets, 0.1))
        units = np.logspace(-3, 3, design.shape[1])[:, None]
        np.testing.assert_allclose(FIT(design * units.T, targets, 0.1), head / units)
        twice = np.concatenate([design, design[:5]]), np.concatenate([targets, targets[:5]])
        weights = np.where(np.arange(len(design)) < 5, 2.0, 1.0)
        np.testing.assert_allclose(FIT(design, targets, 0.1, weights=weights), FIT(*twice, 0.1))


def test_the_triangular_factor_tells_what_a_change_of_the_head_costs():
    with enable_x64(True):
        design, targets, weights, mask = problem(SHAPES["tall"])
        options = {"weights": weights, "mask": mask}
        factored = jax.jit(lambda d, t: factored_least_squares(d, t, 0.1, **options))
        found = jax.device_get(factored(design, targets))
        head = np.asarray(FIT(design, targets, 0.1, **options))
        np.testing.assert_allclose(found.head, head, rtol=1e-9)

        def cost(head):
            left = np.where(mask, weights, 0)[:, None] * (design @ head - targets) ** 2
            return np.sum(left) + 0.1 * np.sum((found.length[:, None] * head) ** 2)

        change = np.random.default_rng(4).normal(size=head.shape) / found.length[:, None]
        more = np.sum((found.factor @ (found.length[:, None] * change)) ** 2)
        np.testing.assert_allclose(cost(head + change) - cost(head), more, rtol=1e-8)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_scores_of_ridges_are_those_of_leaving_equations_out(shape):
    """With the columns' lengths of all equations, as a ridge that is given in units would have."""
    design, targets, weights, mask = problem(shape)
    root = np.sqrt(np.where(mask, weights, 0))[:, None]
    rows, wanted = root * design, root * targets
    length = np.linalg.norm(rows, axis=0)
    ridges = np.array([1e-3, 1.0])
    left_out, generalized = [], []
    for ridge in ridges:
        inverse = np.linalg.inv(rows.T @ rows + ridge * np.diag(length**2))
        left, influence = [], np.trace(rows @ inverse @ rows.T) / mask.sum()
        for i in np.flatnonzero(mask):
            others = np.arange(len(rows)) != i
            gram = rows[others].T @ rows[others] + ridge * np.diag(length**2)
            head = np.linalg.solve(gram, rows[others].T @ wanted[others])
            left.append(np.sum((rows[i] @ head - wanted[i]) ** 2))
        left_out.append(np.mean(left))
        whole = wanted - rows @ inverse @ rows.T @ wanted
        generalized.append(np.sum(whole**2) / mask.sum() / (1 - influence) ** 2)
    scores = jax.jit(ridge_scores, static_argnames="leave_one_out")
    with enable_x64(True):
        given = [jnp.asarray(part) for part in (design, targets, ridges)]
        for leave_one_out, expected in ((True, left_out), (False, generalized)):
            found = scores(
                *given,
                weights=jnp.asarray(weights),
                mask=jnp.asarray(mask),
                leave_one_out=leave_one_out,
            )
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("leave_one_out", [True, False])
def test_scores_in_float32_are_those_in_float64_also_of_ridges_below_its_rounding(leave_one_out):
    """With more columns than equations, whose influences on themselves are 1 but for the ridge."""
    rng = np.random.default_rng(0)
    design, targets = rng.normal(size=(9, 12)), rng.normal(size=(9, 2))
    ridges = np.logspace(-12, 1, 14)
    scores = jax.jit(ridge_scores, static_argnames="leave_one_out")
    narrow = (part.astype(np.float32) for part in (design, targets, ridges))
    found = scores(*narrow, leave_one_out=leave_one_out)
    with enable_x64(True):
        expected = scores(design, targets, ridges, leave_one_out=leave_one_out)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_orthogonal_draws_are_those_of_jax():
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = jax.vmap(lambda key: draw_orthogonal(key, 6))(keys)
    expected = jax.nn.initializers.orthogonal()(keys[1], (6, 6), jnp.float32)
    np.testing.assert_array_equal(drawn[1], expected)
