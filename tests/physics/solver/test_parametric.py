"""Solutions as functions of parameters: accuracy, derivatives, batches, one compilation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, float64_on_cpu
from metajax.physics.pde import Disk, Rectangle, Square
from metajax.physics.solver import Ball, Operator, PDEProblem, Robin, solve_fn
from metajax.physics.solver.moving_holes import HoleFeatures
from metajax.physics.solver.optimum import solve_rows

EXAMPLE = {
    "conductivity": 0.5,
    "centre": [0.1, 0.2],
    "radius": 0.4,
    "source": [-0.4, -0.3],
    "strength": 3.0,
    "edge": 1.0,
    "flux": 0.5,
    "resistance": 0.3,
    "outside": 0.7,
    "reaction": 0.8,
}
"""A parameter of every kind."""
STEP = 1e-3
TRACES = []


def plate(p, linear):
    """A plate whose conductivity grows to the right, with a hole and a source."""
    TRACES.append(linear)

    def conductivity(x, y):
        return jnp.exp(p["conductivity"] * x)

    def source(x, y):
        apart = (x - p["source"][0]) ** 2 + (y - p["source"][1]) ** 2
        return -p["strength"] * jnp.exp(-4 * apart)

    def reaction(u, gradient, coordinates):
        return p["reaction"] * (u * gradient[:, 0] - u**3)

    return PDEProblem(
        {
            "u_xx": conductivity,
            "u_yy": conductivity,
            "u_x": lambda x, y: p["conductivity"] * conductivity(x, y),
        },
        source=source,
        nonlinear=None if linear else reaction,
        domain=Square() - Disk(p["centre"], p["radius"], "hole"),
        dirichlet={"left": p["edge"], "right": lambda x, y: p["edge"] * y},
        neumann={"top": lambda x, y: p["flux"] * x},
        robin={
            "hole": Robin(1.0, p["resistance"], p["outside"]),
            "bottom": Robin(1.0, p["resistance"], 0.0),
        },
    )


def functional(solution, p):
    """The flux through the hole's edge, which moves, and u at a point."""
    angle = jnp.linspace(0, 2 * jnp.pi, 24, endpoint=False)
    normal = jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
    edge = p["centre"][None] + p["radius"] * normal
    flux = jnp.mean(jnp.sum(solution.gradient(edge) * normal, 1)) * p["radius"]
    return flux + solution(jnp.full((1, 2), -0.8))[0]


@pytest.fixture(
    scope="module", params=["linear", pytest.param("nonlinear", marks=pytest.mark.slow)]
)
def made(request):
    """The function, example parameters, and parameters a little to both sides with the values."""
    linear = request.param == "linear"
    with float64_on_cpu():
        example = {name: jnp.asarray(value, jnp.float64) for name, value in EXAMPLE.items()}
        solution_of = solve_fn(lambda p: plate(p, linear), example, features=40, scale=3.0)
        flat, build = jax.flatten_util.ravel_pytree(example)
        steps = STEP * np.array([-3, -2, -1, 1, 2, 3])
        beside = flat[None] + (steps[:, None, None] * np.eye(len(flat))[None]).reshape(
            -1, len(flat)
        )
        values = jax.jit(jax.vmap(lambda one: functional(solution_of(build(one)), build(one))))
        return solution_of, example, build, beside, values(beside)


def test_derivatives_are_those_of_finite_differences(made):
    """By coefficients, source, boundary data of all kinds, and the place and size of a hole.

    The solution leaves a part of the equations, so that the curvature of what is left counts, which
    the last step of Gauss-Newton leaves out.
    """
    solution_of, example, _, _, values = made
    with float64_on_cpu():
        gradient = jax.jit(jax.grad(lambda p: functional(solution_of(p), p)))(example)
        found = np.asarray(jax.flatten_util.ravel_pytree(gradient)[0])
    weights = np.array([-1, 9, -45, 45, -9, 1]) / (60 * STEP)
    expected = weights @ np.asarray(values).reshape(6, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert (np.abs(found) > 1e-3).sum() >= len(found) - 1  # all but the reaction of the linear one


def test_a_batch_is_what_a_loop_gives_without_compiling_again(made):
    solution_of, _, build, beside, values = made
    before = len(TRACES)
    with float64_on_cpu():
        for place in (0, 17, 40):
            one = build(beside[place])
            np.testing.assert_allclose(functional(solution_of(one), one), values[place], 1e-9)
    assert len(TRACES) == before


def test_no_array_is_part_of_the_program(made):
    solution_of, example, *_ = made
    with float64_on_cpu():
        traced = jax.make_jaxpr(solution_of.program)(solution_of.fixed, example)
    assert sum(np.size(constant) for constant in traced.consts) < 10


def test_the_flux_of_a_ring_and_its_derivative_by_both_radii_are_in_closed_form():
    """30 features and those of the hole, which moves with it.

    Nothing is left of the equations but rounding, which derivatives are not to be made of.
    """

    def ring(p):
        domain = Disk([2.0, 1.0], p["outer"], "outer") - Disk([2.0, 1.0], p["inner"], "inner")
        return PDEProblem({"u_xx": 1, "u_yy": 1}, domain=domain, dirichlet={"outer": 0, "inner": 1})

    def flux(p):
        at = jnp.stack([2 + p["inner"], jnp.ones(())])[None]
        return -2 * jnp.pi * p["inner"] * solution_of(p).gradient(at)[0, 0]

    with float64_on_cpu():
        solution_of = solve_fn(ring, {"inner": 0.2, "outer": 1.0}, features=30, scale=2.0)
        p = {"inner": jnp.asarray(0.3), "outer": jnp.asarray(1.5)}
        value, slope = jax.jit(jax.value_and_grad(flux))(p)
    ratio = np.log(1.5 / 0.3)
    assert value == pytest.approx(2 * np.pi / ratio, rel=1e-9)
    assert slope["inner"] == pytest.approx(2 * np.pi / ratio**2 / 0.3, rel=1e-6)
    assert slope["outer"] == pytest.approx(-2 * np.pi / ratio**2 / 1.5, rel=1e-6)


def test_features_of_holes_have_the_derivatives_that_their_values_have():
    hole = HoleFeatures(jnp.array([0.2, -0.1]), jnp.array([3.0, 5.0]), orders=2)
    at = jnp.array([[0.9, 0.7], [-0.6, 0.1]])

    def value(point):
        return hole(point[None], Operator(jnp.ones(1)))[0]

    @jax.jit
    def by_values(at, gradient, hessian):
        first, second = jax.vmap(jax.jacfwd(value))(at), jax.vmap(jax.hessian(value))(at)
        return jnp.einsum("nki,ni->nk", first, gradient) + jnp.einsum(
            "nkij,nij->nk", second, hessian
        )

    rng = np.random.default_rng(0)
    gradient, hessian = (
        jnp.asarray(rng.normal(size=(2, 2))),
        jnp.asarray(rng.normal(size=(2, 2, 2))),
    )
    expected = by_values(at, gradient, hessian)
    found = jax.jit(lambda *given: hole(at, Operator(None, *given)))(gradient, hessian)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert found.shape == (2, 5)


def exact(x, y, p):
    return jnp.exp(0.5 * x) * jnp.sin(2 * x + p["phase"] * y)


def helmholtz(p):
    """A problem with a known solution, in a domain whose box moves too."""

    def source(x, y):
        laplacian = (0.25 - 4 - p["phase"] ** 2) * exact(x, y, p)
        return laplacian + 2 * jnp.exp(0.5 * x) * jnp.cos(2 * x + p["phase"] * y) + exact(x, y, p)

    return PDEProblem(
        {"u_xx": 1, "u_yy": 1, "u": 1},
        source=source,
        domain=Rectangle([-1.0, -1.0], jnp.stack([p["side"], 1.0 * p["side"]])) - Disk([0, 0], 0.3),
        dirichlet=lambda x, y: exact(x, y, p),
    )


def test_known_solutions_are_found_for_other_parameters():
    """Also the derivative of the solution by a parameter: 1e-4 with 70 features."""
    with float64_on_cpu():
        solution_of = solve_fn(helmholtz, {"phase": 1.0, "side": 1.0}, features=70, scale=2.5)
        p = {"phase": jnp.asarray(1.4), "side": jnp.asarray(1.2)}
        at = jnp.asarray([[-0.7, 0.1], [0.5, 0.6], [1.0, -0.8]])
        solution = solution_of(p)
        x, y = at.T
        np.testing.assert_allclose(solution(at), exact(x, y, p), atol=1e-4)
        slopes = jax.vmap(jax.grad(exact, (0, 1)), (0, 0, None))(x, y, p)
        np.testing.assert_allclose(solution.gradient(at), jnp.stack(slopes, 1), atol=1e-3)
        assert solution_of.residual(p) < 1e-4
        along = {"phase": jnp.ones(()), "side": jnp.zeros(())}
        moved = jax.jit(lambda p: jax.jvp(lambda p: solution_of(p)(at), (p,), (along,))[1])(p)
        _, expected = jax.jvp(lambda p: exact(x, y, p), (p,), (along,))
        np.testing.assert_allclose(moved, expected, atol=1e-3)


def test_a_heat_equation_in_other_units_with_formulas_and_parameters():
    """The rod is 10 long and cools over 4; its conductivity is a parameter of the formulas."""

    def rod(k):
        return PDEProblem(
            {"u_t": 1, "u_xx": "-k"},
            domain=Rectangle((0.0, 0.0), (10.0, 4.0)),
            dirichlet={"left": 0, "right": 0},
            time="t",
            initial="50 * sin(pi * x / 10)",
            parameters={"k": k},
            coordinates=("x", "t"),
        )

    with float64_on_cpu():
        solution_of = solve_fn(rod, 1.0, features=60, scale=2.5)
        at = jnp.asarray([[5.0, 4.0], [2.0, 1.0]])

        def known(k):
            return 50 * jnp.sin(jnp.pi * at[:, 0] / 10) * jnp.exp(-k * at[:, 1] * jnp.pi**2 / 100)

        value, slope = jax.jit(
            lambda k: jax.jvp(lambda k: solution_of(k)(at), (k,), (jnp.ones(()),))
        )(jnp.asarray(2.0))
        expected, expected_slope = jax.jvp(known, (jnp.asarray(2.0),), (jnp.ones(()),))
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-3)


def test_targets_of_the_same_rows_share_a_factorization():
    """And have the solutions that each has alone."""
    rng = np.random.default_rng(0)
    rows = jnp.asarray(rng.normal(size=(30, 5)))
    targets = jnp.asarray(rng.normal(size=(8, 30)))
    mapped = jax.vmap(solve_rows, (None, 0))
    text = str(jax.make_jaxpr(mapped)(rows, targets))
    assert "[35,5]" in text and "[8,35,5]" not in text and "[8,35,6]" not in text
    alone = jnp.stack([solve_rows(rows, target) for target in targets])
    np.testing.assert_allclose(mapped(rows, targets), alone, rtol=1e-4, atol=1e-5)


def still(p):
    return PDEProblem({"u_xx": 1, "u_yy": 1}, source=p, dirichlet=0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"features": 0}, "features"), ({"points": (0, 5)}, "points"), ({"scale": -1.0}, "scale")],
)
def test_bad_settings_are_rejected_by_name(changed, said):
    with float64_on_cpu(), pytest.raises(ConfigError, match=said):
        solve_fn(still, 1.0, **changed)


@pytest.mark.parametrize("where", ["a line", "a circle", "a region"])
def test_coefficients_that_jump_are_rejected_by_name(where):
    """Their slopes jump, which no smooth function does; features of one's own may do."""

    def problem_of(p):
        size = {"a line": lambda x, y: x, "a circle": lambda x, y: jnp.hypot(x, y) - 0.4}
        name = "where(core, 3, 1)"
        if where in size:

            def name(x, y):
                return jnp.where(size[where](x, y) > 0.1, p, 1.0)

        regions = {"core": Disk((0.2, 0.1), 0.3)} if where == "a region" else {}
        both = dict.fromkeys(("u_xx", "u_yy"), name)
        return PDEProblem(both, 1, dirichlet=0, regions=regions)

    said = {"a line": "the line through", "a circle": "the circle around", "a region": "of core"}
    with float64_on_cpu(), pytest.raises(ConfigError, match=f"coefficients.*jump.*{said[where]}"):
        solve_fn(problem_of, 2.0, features=10)


def test_float32_is_rejected():
    with pytest.raises(ConfigError, match="float64_on_cpu"):
        solve_fn(still, 1.0, features=10)


def test_solids_may_move_and_grow():
    """A shell with a source and the u of a whole ball, which no hole in it changes."""

    def shell(p):
        domain = Ball(p["center"], p["outer"], "outer") - Ball(p["center"], p["inner"], "inner")
        terms = {"u_xx": 1, "u_yy": 1, "u_zz": 1}
        data = {"outer": 0, "inner": (p["outer"] ** 2 - p["inner"] ** 2) / 6}
        return PDEProblem(
            terms, source=-1, domain=domain, dirichlet=data, coordinates=("x", "y", "z")
        )

    with float64_on_cpu():
        example = {"center": jnp.zeros(3), "inner": 0.5, "outer": 1.1}
        solution_of = solve_fn(shell, example, features=60, scale=1.5)
        center, away = jnp.asarray([1.0, 2.0, -1.0]), jnp.asarray([0.5, -0.4, 0.3])

        def value(p):
            return solution_of(p)((center + away)[None])[0]

        p = {"center": center, "inner": jnp.asarray(0.4), "outer": jnp.asarray(1.2)}
        u, slopes = jax.jit(jax.value_and_grad(value))(p)
    assert u == pytest.approx((1.2**2 - 0.5) / 6, rel=1e-3)
    assert slopes["outer"] == pytest.approx(1.2 / 3, rel=1e-2)
    assert slopes["inner"] == pytest.approx(0, abs=3e-3)
    np.testing.assert_allclose(slopes["center"], away / 3, atol=3e-3)


def test_a_corner_may_move():
    """The solution is r^(2/3) sin(2 t / 3) around it, which waves do not combine to."""

    def exact(x, y, corner):
        x, y = x - corner[0], y - corner[1]
        # the angle from the edge that goes up, to the left
        angle = (jnp.arctan2(y, x) - jnp.pi / 2) % (2 * jnp.pi)
        return (x**2 + y**2) ** (1 / 3) * jnp.sin(2 * angle / 3)

    def bent(corner):
        domain = Square() - Rectangle(corner, [2.0, 2.0], "cut")
        return PDEProblem(
            {"u_xx": 2, "u_yy": 2}, domain=domain, dirichlet=lambda x, y: exact(x, y, corner)
        )

    with float64_on_cpu():
        solution_of = solve_fn(bent, [0.1, 0.0], features=40, scale=2.0)
        corner, at = jnp.asarray([-0.1, 0.2]), jnp.asarray([[-0.5, 0.4], [-0.12, 0.15]])
        moved = jax.jit(jax.jacfwd(lambda corner: solution_of(corner)(at)))(corner)
        u = solution_of(corner)(at)
        expected = exact(*at.T, corner)
        slopes = jax.jacfwd(lambda corner: exact(*at.T, corner))(corner)
    np.testing.assert_allclose(u, expected, atol=1e-6)
    np.testing.assert_allclose(moved, slopes, atol=1e-4)
