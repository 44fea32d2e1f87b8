"""HyPINO: losses, phases, refinement, closed-form heads, and a run through the shared loop."""

import itertools
import json
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.physics.pde import PUBLISHED, apply_operator, benchmark, nodes, rasterise
from metajax.physics.solver import random_features, solve_head
from metajax.systems import build, get_system, replace
from metajax.systems.hypino import Inputs, Settings, make_tasks, refine
from metajax.systems.hypino.benchmarking import by_least_squares, grid_errors, prepare_benchmark
from metajax.systems.hypino.learner import PARTS, losses
from metajax.systems.hypino.settings import BenchmarkName
from metajax.systems.hypino.tasks import Scored, make_phases
from pdes import (
    COEFFICIENTS,
    CONFIG,
    METHOD,
    QUADRATIC,
    WEIGHTS,
    combine,
    monomials,
    quadratic_problem,
    quadratics,
)

TINY = replace(
    CONFIG,
    interior=12,
    boundary=16,
    eval_every=2,
    eval_tasks=4,
    finetune_steps=4,
    benchmarks=("HT", "HZ"),
)
KEY = jax.random.key(0)


def test_the_losses_are_zero_for_the_solution_alone():
    with enable_x64(True):
        _, points = quadratic_problem()
        true = jax.jit(combine)(WEIGHTS, points.interior)
        scored = Scored(points, true, jnp.array(True), jnp.array(True), jnp.ones(6))

        @jax.jit
        def of(weights, scored):
            inside, edge = (combine(weights, p) for p in (points.interior, points.boundary.points))
            return losses(jnp.asarray(COEFFICIENTS), inside, edge, scored)

        assert max(map(float, of(WEIGHTS, scored))) < 1e-20
        # an offset of .1 is seen by u and its data, and by the equation through its first term
        found = of(WEIGHTS + np.eye(6)[0] * 0.1, scored)
        expected = dict.fromkeys(PARTS, 0.0) | {
            "residual": 0.05**2 / 2,
            "solution": 0.005,
            "dirichlet": 0.005,
        }
        for name, value in expected.items():
            assert float(getattr(found, name)) == pytest.approx(value, abs=1e-12), name
        unknown = scored._replace(supervised=jnp.array(False))
        found = of(0 * WEIGHTS, unknown)
        assert found.solution == found.gradient == found.second == 0 < found.residual


def test_the_head_is_exact_where_features_hold_the_solution():
    with enable_x64(True):
        _, points = quadratic_problem()
        solve = jax.jit(lambda points: solve_head(jnp.asarray(COEFFICIENTS), points, monomials))
        found = solve(points)
        np.testing.assert_allclose(found, WEIGHTS, atol=1e-10)


def test_refinement_needs_one_round_with_a_perfect_operator():
    """A model that is linear in the data and exact: what it adds after the first is nothing."""
    with enable_x64(True):
        pde, points = quadratic_problem()
        grids = rasterise(pde, points, 12)
        inputs = Inputs(jnp.asarray(COEFFICIENTS), grids)

        def model(given):
            # the quadratic that fits the equation on the nodes: exact and linear in the source
            rows = apply_operator(COEFFICIENTS, monomials(nodes(12).reshape(-1, 2)))
            return jnp.linalg.lstsq(rows, given.grids.source.reshape(-1))[0]

        def exact(given):
            return 0.75 * model(given)

        def refined(model, rounds):
            return jax.jit(lambda given: refine(model, QUADRATIC, given, points, rounds))(inputs)

        zero_rounds, four = (refined(exact, rounds).weights for rounds in (0, 4))
        # each round leaves a quarter of the residual
        np.testing.assert_allclose(four[0], zero_rounds[0], atol=1e-12)
        for before, after in itertools.pairwise(four):
            np.testing.assert_allclose(after, before / 4, atol=1e-9)
        solution = refined(model, 2)
        full = np.asarray(solution.weights)
        assert np.abs(full[0]).max() > 0.1 and np.abs(full[1:]).max() < 1e-9
        found = solution.derivatives(QUADRATIC, points.interior)
        np.testing.assert_allclose(apply_operator(COEFFICIENTS, found), points.source, atol=1e-9)
        with pytest.raises(ConfigError, match="rounds"):
            refine(model, QUADRATIC, inputs, points, -1)


@pytest.mark.slow
def test_random_features_solve_the_heat_equation():
    """The trivial baseline: 300 features in float64, in a fraction of a second."""
    case = prepare_benchmark("HT", TINY.grid)
    with enable_x64(True):
        features = random_features(KEY, 300, 4.0, jnp.float64)
        values = features(jnp.asarray(np.array([[0.1, 0.2], [-0.3, 0.5]])))
        step = 1e-5
        shifted = [
            features(jnp.asarray(np.array([[0.1 + d, 0.2], [-0.3 + d, 0.5]]))).u
            for d in (-step, step)
        ]
        np.testing.assert_allclose(values.x, (shifted[1] - shifted[0]) / (2 * step), atol=1e-6)
        np.testing.assert_allclose(
            values.xx, (shifted[1] - 2 * values.u + shifted[0]) / step**2, atol=1e-3
        )
    found = by_least_squares(case, features)
    assert grid_errors(found.u, case)["mse"] < 1e-9
    # what it leaves of the equation is small, and of the zero solution is all of the source
    assert np.abs(found.residual[case.place]).max() < 1e-2
    zero = grid_errors(np.zeros((129, 129), np.float32), case)
    assert zero["mse"] == pytest.approx(0.217, abs=2e-3)


def test_phases_switch_at_their_step():
    """Only the second has problems without a known solution, and its own weights."""
    phases = make_phases(replace(TINY, unsupervised=0.25, homogeneous=0.5)).draw
    at = jax.jit(lambda phases, step: phases.at(step))
    for step in range(4):
        found, first = at(phases, step), step < TINY.first_phase
        assert (found.supervised, found.homogeneous) == (1.0 if first else 0.75, 0.5)
        weights = TINY.weights_first if first else TINY.weights_second
        np.testing.assert_array_equal(found.weights, np.float32(weights))
    assert at._cache_size() == 1


@pytest.mark.slow
def test_a_step_draws_problems_of_its_phase():
    tasks = make_phases(replace(TINY, unsupervised=1.0))
    draw = jax.jit(lambda tasks, key, step: tasks(key, step).query)
    for step in range(4):
        found, first = draw(tasks, KEY, step), step < TINY.first_phase
        assert bool(found.supervised) == first
        weights = TINY.weights_first if first else TINY.weights_second
        np.testing.assert_array_equal(found.weights, np.float32(weights))
    assert draw._cache_size() == 1


@pytest.mark.slow
def test_the_loss_is_its_parts_by_the_weights_of_the_problem():
    learner, task = METHOD.learner, quadratics(KEY)
    params = jax.jit(learner.init)(KEY, task)
    loss = jax.jit(learner.loss)
    for weights in (CONFIG.weights_first, CONFIG.weights_second):
        scored = task.query._replace(weights=jnp.array(weights))
        total, metrics = loss(params, task._replace(query=scored), KEY)
        parts = [float(metrics[name]) for name in PARTS]
        assert min(parts) > 0
        assert float(total) == pytest.approx(np.dot(weights, parts), rel=1e-5)


def test_problems_are_drawn_whatever_random_bits_are_configured():
    key = jax.random.key_data(KEY)
    algorithm, tasks = METHOD.algorithm, make_tasks(CONFIG)
    with jax.default_prng_impl("rbg"):
        key = jax.random.wrap_key_data(key, impl="threefry2x32")
        state = jax.eval_shape(algorithm.init, key, jax.eval_shape(tasks, key))
    assert jax.tree.leaves(state)


@pytest.mark.slow
def test_an_evaluation_has_every_way_of_solving_a_benchmark():
    """Of a network as first drawn: the battery trains one."""
    config = replace(TINY, benchmarks=("HZ",))
    run = build(config)
    params = jax.jit(run.method.learner.init)(KEY, run.example_tasks(KEY))
    evaluation = json.loads(json.dumps(run.evaluate(params, False)))
    found = evaluation["more"]["benchmarks"]["HZ"]
    ways = found["ways"]
    for errors in (found["by_round"], found["tuning"]["generated"]):
        assert errors[0] == pytest.approx(ways["model"]["mse"], rel=1e-3)
    assert found["by_round"][1] == pytest.approx(ways["refined_1"]["mse"], rel=1e-3)
    assert found["tuning"]["steps"] == [0, 1, 2, 3, 4] and len(found["tuning"]["random"]) == 5
    assert {"zero", "model", "refined_1", "head", "head_1", "random"} <= set(ways)
    assert ways["random"]["mse"] < 1e-6 < ways["zero"]["mse"]
    system = get_system("hypino")
    assert "HyPINO 10, published" in system.table(evaluation)


@pytest.mark.parametrize(
    ("field", "value"),
    [("heads", (3,)), ("depths", (1, 1)), ("width", 36), ("rounds", ())],
)
def test_sizes_that_do_not_fit_together_are_rejected(field, value):
    with pytest.raises(ConfigError, match=field):
        replace(TINY, **{field: value})


def test_the_weights_of_the_losses_are_six():
    with pytest.raises(ConfigError, match=r"weights_first = .*6 values"):
        replace(TINY, weights_first=(1.0,) * 5)


def test_the_published_benchmarks_are_those_that_runs_are_evaluated_on():
    assert get_args(BenchmarkName) == PUBLISHED == Settings().benchmarks
    with pytest.raises(ConfigError, match="benchmarks = 'PS-X'"):
        replace(TINY, benchmarks=("HT", "PS-X"))
    with pytest.raises(ConfigError, match="benchmarks"):
        replace(TINY, benchmarks=())


def test_benchmarks_have_their_floor():
    """The error of 0, as published for three of them."""
    for name, floor in {"HT": 0.217, "HZ": 0.248, "WV": 0.312}.items():
        problem = benchmark(name)
        assert float(np.mean(np.asarray(problem.reference) ** 2)) == pytest.approx(
            floor, rel=0.03
        ), name
