"""Every derivative-based estimator against its closed form on a quadratic, in float64."""

import jax
import numpy as np
import pytest

from metajax.bilevel import estimate, estimate_theta, evaluate_hypergradient, hypergradient
from metajax.core import enable_x64
from quadratic import Closed, arguments, problem

EXPECTED = [
    ("unrolled", {}, lambda c: c.exact()),
    ("unrolled", {"segment": 3}, lambda c: c.exact()),
    ("forward", {}, lambda c: c.exact()),
    ("first_order", {}, lambda c: c.first_order()),
    ("one_step", {}, lambda c: c.one_step()),
    ("drmad", {}, lambda c: c.drmad()),
    ("neumann", {"terms": 1}, lambda c: c.neumann(1)),
    ("neumann", {"terms": 7}, lambda c: c.neumann(7)),
    ("conjugate_gradient", {"iterations": 8}, lambda c: c.implicit()),
]


@pytest.fixture(autouse=True)
def _float64():
    with enable_x64(True):
        yield


def assert_close(found, expected, rtol=1e-10):
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=rtol, err_msg=name)


# each number of steps is a program of its own
@pytest.mark.parametrize(
    "steps", [1, 7, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 50))]
)
@pytest.mark.parametrize(
    ("name", "options", "expected"), EXPECTED, ids=[f"{n}-{o}" for n, o, _ in EXPECTED]
)
def test_the_estimate_is_its_closed_form(name, options, expected, steps):
    found = evaluate_hypergradient(hypergradient(name, **options), problem(), *arguments(steps))
    assert_close(found, expected(Closed(steps)))


@pytest.mark.parametrize("name", ["neumann", "conjugate_gradient"])
def test_implicit_estimates_converge_to_the_exact_one(name):
    """As steps and terms grow: the error falls, and at 300 steps it is gone."""
    options = {"neumann": {"terms": 300}, "conjugate_gradient": {"iterations": 8}}[name]
    errors = []
    for steps in (10, 40, 300):
        estimator = hypergradient(name, **options)
        found = jax.jit(lambda *given, of=estimator: estimate(of, problem(), *given))(
            *arguments(steps)
        )
        exact = Closed(steps).exact()
        errors.append(max(np.abs(found.hypergradient[k] - exact[k]).max() for k in exact))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-8
    assert float(found.info["residual"]) < 1e-8 and float(found.info["stationarity"]) < 1e-8


def test_neumann_reports_the_term_left_out(caplog):
    closed = Closed(20)
    found = estimate(hypergradient("neumann", terms=2), problem(), *arguments(20))
    residual = np.linalg.norm(closed.alpha * closed.a**2) / np.linalg.norm(closed.alpha)
    np.testing.assert_allclose(found.info["residual"], residual, rtol=1e-10)
    evaluate_hypergradient(hypergradient("neumann", terms=2), problem(), *arguments(20))
    assert "has not converged" in caplog.text


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("steps", [1, pytest.param(2, marks=pytest.mark.slow), 13])
def test_distilled_is_its_definition(gamma, steps):
    """w*, the weights and the scale step by step, in the precision of the problem."""
    estimator = hypergradient("distilled", gamma=gamma, theta=0.7)
    found = evaluate_hypergradient(estimator, problem(), *arguments(steps))
    assert_close(found, Closed(steps).distilled(gamma, 0.7), rtol=1e-12)


def test_distilled_with_gamma_zero_is_one_step():
    found = evaluate_hypergradient(hypergradient("distilled", gamma=0.0), problem(), *arguments(9))
    assert_close(found, Closed(9).one_step(), rtol=1e-7)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.99])
def test_theta_is_that_of_algorithm_4(gamma, stored):
    hparams, start, batches, outer_batch = arguments(12)
    state = problem().init(hparams, start)
    theta = estimate_theta(
        problem(),
        hparams,
        state,
        batches,
        outer_batch,
        jax.random.key(0),
        gamma=gamma,
        stored=stored,
    )
    np.testing.assert_allclose(theta, Closed(12).theta(gamma, stored), rtol=1e-10)


def test_theta_falls_back_where_there_is_nothing_to_fit():
    """At the outer optimum alpha is zero, and so is every term."""
    hparams, start, batches, outer_batch = arguments(5)
    p = problem()._replace(outer_loss=lambda state, hparams, batch: 0.0 * state.params.sum())
    state = p.init(hparams, start)
    theta = estimate_theta(
        p, hparams, state, batches, outer_batch, jax.random.key(0), gamma=0.9, fallback=0.25
    )
    assert float(theta) == 0.25


@pytest.mark.parametrize("windows", [1, 2, 6])
def test_forward_sees_through_windows_and_unrolled_does_not(windows):
    exact, args = Closed(12).exact(), arguments(12)
    found = evaluate_hypergradient(hypergradient("forward"), problem(), *args, windows=windows)
    assert_close(found, exact)
    short = evaluate_hypergradient(hypergradient("unrolled"), problem(), *args, windows=windows)
    distance = np.abs(short["decay"] - exact["decay"]).max()
    assert distance < 1e-10 if windows == 1 else distance > 1e-3
