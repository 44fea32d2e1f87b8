"""Features that are generated or chosen, with a head that is solved for each problem."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Network, Task, cast_floats, enable_x64
from metajax.nn import modified_mlp
from metajax.physics.pde import PDE, Grids, apply_operator, differentiate, sample
from metajax.physics.solver import (
    RandomFeatures,
    equations,
    improve_features,
    solve_head,
    with_constant,
)
from metajax.systems import build, configure, replace
from metajax.systems.hypino import Inputs, choose_features, draw_features, shipped
from metajax.systems.hypino.distribution import SCALES, draw_from, drawn, first_maps
from metajax.systems.hypino.network import Target
from metajax.systems.hypino.solved import make_solved_learner, tanh_network
from metajax.systems.hypino.tasks import Scored
from pdes import CONFIG, quadratics

KEY = jax.random.key(0)
OPERATOR = (0.5, -1.0, 0.25, 1.0, 2.0)
CANDIDATES = np.random.default_rng(1).uniform(-2, 2, (3, 12))
HEAD = np.array([1.5, -0.7, 0.4])  # of candidates 3 and 7, and of the constant


def true(x, y):
    a, b, c = CANDIDATES[:, [3, 7]]
    return HEAD[0] * jnp.tanh(a[0] * x + b[0] * y + c[0]) + (
        HEAD[1] * jnp.tanh(a[1] * x + b[1] * y + c[1]) + HEAD[2]
    )


@functools.cache
def problem():
    """A problem that two of the candidates and a constant solve, in float64, with flux data."""

    def source(x, y):
        return apply_operator(jnp.asarray(OPERATOR), differentiate(true, jnp.stack([x, y], 1)))

    def flux(x, y):
        return differentiate(true, jnp.stack([x, y], 1)).x

    sides = dict.fromkeys(("left", "bottom", "top"), true)
    pde = PDE(list(OPERATOR), source=source, dirichlet=sides, neumann={"right": flux})
    points = cast_floats(jax.jit(lambda key: sample(pde, key, 60, 40))(KEY), np.float64)
    solution = jax.jit(lambda at: differentiate(true, at))(points.interior)
    scored = Scored(points, solution, jnp.array(True), jnp.array(True), jnp.ones(6))
    grids = Grids(*[jnp.zeros((CONFIG.grid, CONFIG.grid))] * 5)  # which are not read here
    inputs = Inputs(jnp.asarray(OPERATOR), grids, points)
    return jax.device_get(Task(inputs, scored))


def test_those_that_solve_the_problem_are_chosen_and_combined_exactly():
    with enable_x64(True):
        task = problem()
        points = jax.tree.map(jnp.asarray, task.support.points)
        choose = jax.jit(choose_features, static_argnums=3)
        inner = choose(jnp.asarray(OPERATOR), points, jnp.asarray(CANDIDATES), 2)
        assert {tuple(column) for column in np.asarray(inner).T} == {
            tuple(CANDIDATES[:, place]) for place in (3, 7)
        }
        solve = jax.jit(lambda o, at, i: solve_head(o, at, with_constant(RandomFeatures(i))))
        head = solve(jnp.asarray(OPERATOR), points, inner)
        np.testing.assert_allclose(np.sort(head), np.sort(HEAD), atol=1e-8)


def test_a_learner_of_given_features_solves_and_learns_through_the_solve():
    """Exact in the span; its gradient is that of finite differences; units do not matter."""
    with enable_x64(True):
        task = problem()
        target = Target(tanh_network(4), 4)
        given = Network(lambda key, inputs: CANDIDATES, lambda params, inputs: weights(params))

        def weights(inner):
            return {"inner": inner, "head": {"kernel": jnp.zeros((4, 1)), "bias": jnp.zeros(1)}}

        learner = make_solved_learner(given, target, CONFIG.grid, ridge=1e-24)
        adapt = jax.jit(lambda inner, support: learner.adapt(inner, support, KEY))
        inside = jnp.asarray(CANDIDATES[:, [0, 3, 5, 7]])
        adapted = adapt(inside, task.support)
        found = jax.jit(learner.predict)(inside, adapted, task.query.points.interior)
        for name, one, other in zip(found._fields, found, task.query.solution, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-7, err_msg=name)
        loss = jax.jit(lambda inner, task: learner.loss(inner, task, KEY)[0])
        assert float(loss(inside, task)) < np.log(1e-7)
        # features that do not hold the solution
        off = jnp.asarray(CANDIDATES[:, [0, 1, 2, 5]])
        slope = jax.jit(jax.grad(loss))(off, task)
        for place in ((0, 0), (1, 2), (2, 3)):
            step = 1e-5
            up, down = (loss(off.at[place].add(by), task) for by in (step, -step))
            np.testing.assert_allclose(slope[place], (up - down) / (2 * step), rtol=1e-4)
        # the solution, its source and its data in another unit: the same relative error
        points = task.support.points
        scaled = points._replace(
            source=7 * points.source, dirichlet=7 * points.dirichlet, neumann=7 * points.neumann
        )
        scored = task.query._replace(
            points=scaled, solution=jax.tree.map(lambda leaf: 7 * leaf, task.query.solution)
        )
        other = Task(task.support._replace(points=scaled), scored)
        np.testing.assert_allclose(loss(off, other), loss(off, task), rtol=1e-8)
        # what is not valid, or has no known solution, is left out, and moves nothing
        for field in ("valid", "supervised"):
            out = Task(task.support, task.query._replace(**{field: jnp.array(False)}))
            assert float(loss(off, out)) == 0
            assert not np.any(jax.jit(jax.grad(loss))(off, out))


def test_gauss_newton_steps_find_features_that_were_moved():
    with enable_x64(True):
        points = jax.tree.map(jnp.asarray, problem().support.points)
        start = jnp.asarray(CANDIDATES[:, [3, 7]] + 0.2)
        improve = jax.jit(
            lambda inner, steps: improve_features(jnp.asarray(OPERATOR), points, inner, steps),
            static_argnums=1,
        )
        none, few, many = (improve(start, steps) for steps in (0, 2, 25))
        np.testing.assert_array_equal(none.inner, start)
        rows = jax.jit(lambda o, at, s: equations(o, at, with_constant(RandomFeatures(s))))(
            jnp.asarray(OPERATOR), points, start
        )
        best = np.linalg.lstsq(*map(np.asarray, rows))[0]
        np.testing.assert_allclose(none.left, np.linalg.norm(rows.design @ best - rows.targets))
        assert few.left <= none.left and many.left < 1e-6 * none.left
        np.testing.assert_allclose(many.inner, CANDIDATES[:, [3, 7]], atol=1e-4)
        with pytest.raises(ConfigError, match="steps"):
            improve_features(jnp.asarray(OPERATOR), points, start, -1)


def test_first_features_bend_inside_the_square_and_have_their_derivatives():
    a, b, c = inner = draw_features(KEY, 500)
    slope = np.hypot(a, b)
    assert 0.3 <= slope.min() < 0.5 and 8 < slope.max() <= 12
    # a line's distance from the middle, against that of the square in its direction
    assert (np.abs(c) <= np.abs(a) + np.abs(b)).all()
    target = tanh_network(3)
    points = jnp.asarray([[0.1, -0.3], [0.5, 0.9]])
    params = target.init(KEY, points)
    params = {**params, "head": {"kernel": jnp.ones((3, 1)), "bias": jnp.full(1, 0.5)}}
    found, hidden = jax.jit(target.derivatives)(params, points)

    def u(x, y):
        return target.apply(params, jnp.stack([x, y])[None])[0, 0]

    for one, other in zip(found, jax.jit(lambda at: differentiate(u, at))(points), strict=True):
        np.testing.assert_allclose(one[:, 0], other, rtol=2e-4, atol=2e-4)
    total = np.asarray(hidden.u).sum(1, keepdims=True)
    np.testing.assert_allclose(found.u, total + 0.5, rtol=1e-6)
    assert inner.shape == (3, 500)
    with pytest.raises(ConfigError, match="width"):
        tanh_network(0)


def test_a_distribution_scales_turns_and_places_random_features():
    """It starts as random features of four scales; its maps move them as they say."""
    draw = jax.jit(draw_from, static_argnums=2)
    maps = jax.jit(first_maps)(KEY)
    first = np.asarray(draw(maps, KEY, 4000))
    for part, scale in enumerate(SCALES):
        np.testing.assert_allclose(np.abs(first[:, part::4]).max(1), scale, rtol=0.02)
        # of the mean of a thousand uniform numbers, four standard errors
        assert np.abs(first[:, part::4].mean(1)).max() < 4 * scale / np.sqrt(3000)
    # c = -(a x0 + b y0): all features are 0 at that point, whatever their slopes
    around = jnp.asarray([[2.0, 0, 0], [0.5, 1, 0], [-(2 * 0.3 + 0.5 * -0.7), 0.7, 0]])
    placed = np.asarray(draw({**maps, "map": np.stack([around] * 4)}, KEY, 40))
    at = jax.jit(lambda inner, x: RandomFeatures(inner)(x).u)(placed, jnp.asarray([[0.3, -0.7]]))
    np.testing.assert_allclose(at, 0, atol=1e-6)
    assert np.abs(placed[0]).max() > np.abs(first[0, :40]).max()
    shifted = np.asarray(draw({**maps, "shift": np.full((4, 3), 0.25, np.float32)}, KEY, 4000))
    moved = 0.25 * np.tile(np.asarray(SCALES), 1000)
    np.testing.assert_allclose(shifted - first, np.stack([moved] * 3), rtol=1e-5, atol=1e-5)


def test_another_key_draws_other_features_of_any_number():
    config = replace(CONFIG, method="distribution", features=4)
    few, many = (build(replace(config, features=num)).method.learner for num in (4, 9))
    task = jax.jit(quadratics)(KEY)
    given = task.support._replace(points=task.query.points)
    params = jax.jit(lambda task: few.init(KEY, task))(task)
    found = jax.jit(lambda key: few.adapt(params, given, key)["inner"])
    assert np.abs(found(KEY) - found(jax.random.key(1))).min() > 0
    alone = jax.jit(lambda key: draw_from(first_maps(key), key, 4))
    np.testing.assert_array_equal(found(KEY), alone(KEY))
    made = jax.eval_shape(lambda given: many.adapt(params, given, KEY), given)
    assert made["inner"].shape == (3, 9)


def of_network():
    """The generated weights of `solved`, as the parameters that are learned."""
    network = modified_mlp(width=4, layers=1)
    return Target(network, 4), jax.jit(network.init)(KEY, jnp.zeros((1, 2))), None


def of_distribution():
    """The generated maps of `distribution`, likewise."""
    return Target(tanh_network(4), 4), first_maps(KEY), functools.partial(drawn, 4)


@pytest.mark.parametrize("make", [of_network, of_distribution])
def test_the_loss_has_its_gradient_in_what_is_generated(make):
    """Along a random direction, against a central difference in float64."""
    target, made, draw = make()
    itself = Network(lambda key, inputs: made, lambda params, inputs: params)
    learner = make_solved_learner(itself, target, CONFIG.grid, draw=draw)
    with enable_x64(True):
        task, params = problem(), cast_floats(jax.device_get(made), np.float64)
        along = optax.tree.random_like(KEY, params, jax.random.normal)

        def loss(by, task):
            moved = jax.tree.map(lambda p, a: p + by * a, params, along)
            return learner.loss(moved, task, KEY)[0]

        (value, slope), step = jax.jit(jax.value_and_grad(loss))(0.0, task), 1e-6
        at = jax.jit(loss)
        up, down = (at(by, task) for by in (step, -step))
        assert np.isfinite(value) and np.abs(slope) > 1e-3
        np.testing.assert_allclose(slope, (up - down) / (2 * step), rtol=1e-5)


def test_training_starts_from_the_shipped_weights():
    config = configure("hypino", "cpu", method="solved", start="shipped")
    run = build(config)
    shapes = jax.eval_shape(run.example_tasks, KEY)
    task = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    first = jax.jit(run.method.learner.init)(KEY, task)
    jax.tree.map(np.testing.assert_array_equal, first, shipped().params)
    with pytest.raises(ConfigError, match="start = 'shipped'"):
        build(replace(config, target_width=16))


@pytest.mark.parametrize(
    "method",
    ["chosen", *(pytest.param(m, marks=pytest.mark.slow) for m in ("solved", "distribution"))],
)
def test_methods_solve_for_the_head_at_points(method):
    """Twice the data give twice the head; without points there is nothing to solve at."""
    learner = build(replace(CONFIG, method=method)).method.learner
    task = jax.jit(quadratics)(KEY)
    task = Task(task.support._replace(points=task.query.points), task.query)
    params = jax.jit(learner.init)(KEY, task)
    adapt = jax.jit(lambda inputs: learner.adapt(params, inputs, KEY))
    points = task.support.points
    twice = points._replace(
        source=2 * points.source, dirichlet=2 * points.dirichlet, neumann=2 * points.neumann
    )
    one, other = (adapt(task.support._replace(points=p))["head"] for p in (points, twice))
    assert np.abs(one["kernel"]).max() > 0
    scale = max(np.abs(one["kernel"]).max(), np.abs(one["bias"]).max())
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(other[name], 2 * one[name], atol=2e-3 * float(scale))
    with pytest.raises(ConfigError, match=r"support\.points"):
        learner.adapt(params, task.support._replace(points=None), KEY)
    if method == "chosen":
        with pytest.raises(ConfigError, match="candidates"):
            build(replace(CONFIG, method=method, candidates=8, features=9))
