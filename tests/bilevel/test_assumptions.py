"""What estimators assume of the inner optimizer in silence, against exact gradients in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.bilevel import (
    OnlineParams,
    descend,
    estimate,
    evaluate_hypergradient,
    full_batches,
    hypergradient,
    online,
    online_run,
)
from metajax.core import Examples, Task, enable_x64
from quadratic import arguments, inner_loss, outer_loss


@pytest.fixture(autouse=True)
def _float64():
    with enable_x64(True):
        yield


def rate(hparams, start):
    return start * jnp.exp(hparams["rate"])


def of_sgd(*before, start=0.1, **options):
    return lambda h: optax.chain(*before, optax.sgd(rate(h, start), **options))


OPTIMIZERS = {
    "sgd": of_sgd(),
    "momentum": of_sgd(start=0.02, momentum=0.9),
    "decayed": of_sgd(optax.add_decayed_weights(0.3)),
    "clipped": of_sgd(optax.clip_by_global_norm(0.5)),
    "projected": lambda h: optax.chain(of_sgd()(h), optax.keep_params_nonnegative()),
    "noisy": lambda h: optax.noisy_sgd(rate(h, 0.1), eta=0.1, key=0),
    "adamw": lambda h: optax.adamw(rate(h, 0.05), eps_root=1e-8, weight_decay=0.3),
    "rmsprop": lambda h: optax.rmsprop(rate(h, 0.05), eps=1e-6),
    "signed": lambda h: optax.sign_sgd(rate(h, 0.02)),
}


def problem_and(name, steps, dtype=np.float64):
    """Its arguments, with the logarithm of a rate among the hyperparameters."""
    hparams, *rest = arguments(steps, dtype)
    hparams = {**hparams, "rate": jnp.zeros((), dtype)}
    return descend(inner_loss, outer_loss, OPTIMIZERS[name]), (hparams, *rest)


@functools.cache
def found(name, steps, *estimators):
    """Each estimator's ``Estimate``, in one compiled program."""
    problem, given = problem_and(name, steps)
    made = [hypergradient(e, **OPTIONS.get(e, {})) for e in estimators]
    return jax.jit(lambda *given: [estimate(e, problem, *given) for e in made])(*given)


OPTIONS = {"neumann": {"terms": 200}}


def error(one, other, leaf=None):
    """The distance of two estimates, relative to the second."""
    a, b = (
        np.concatenate(
            [np.ravel(x) for k, x in sorted(e.hypergradient.items()) if leaf in (None, k)]
        )
        for e in (one, other)
    )
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_unrolled_and_forward_are_exact_through_any_optimizer(name):
    """They agree, and with finite differences of the run itself."""
    unrolled, forward = found(name, 8, "unrolled", "forward")
    assert error(forward, unrolled) < 1e-12
    problem, (hparams, *rest) = problem_and(name, 8)

    @jax.jit
    def loss_along(step):
        moved = jax.tree.map(lambda leaf: leaf + step, hparams)
        return estimate(hypergradient("first_order"), problem, moved, *rest).outer_loss

    slope = (loss_along(1e-5) - loss_along(-1e-5)) / 2e-5
    total = sum(jnp.sum(leaf) for leaf in unrolled.hypergradient.values())
    np.testing.assert_allclose(total, slope, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "steps", "most"),
    [("sgd", 3, 0.02), ("momentum", 3, 0.06), ("clipped", 10, 1e-3), ("signed", 10, 1e-9)],
)
def test_drmad_is_near_where_it_says_that_the_path_is_straight(name, steps, most, caplog):
    unrolled, drmad = found(name, steps, "unrolled", "drmad")
    assert drmad.info["path"] < 0.1 and drmad.info["growth"] < 1.1
    assert error(drmad, unrolled) < most
    problem, given = problem_and(name, steps)
    evaluate_hypergradient(hypergradient("drmad"), problem, *given)
    assert "straight line is not the path" not in caplog.text


@pytest.mark.parametrize(
    ("name", "least"), [("sgd", 0.3), ("momentum", 0.3), ("adamw", 0.3), ("rmsprop", 10)]
)
def test_drmad_says_where_the_path_bends(name, least, caplog):
    """After 40 steps, which converge: an error of a third to many times the hypergradient."""
    unrolled, drmad = found(name, 40, "unrolled", "drmad")
    assert error(drmad, unrolled) > least and drmad.info["path"] > 0.3
    problem, given = problem_and(name, 40)
    evaluate_hypergradient(hypergradient("drmad"), problem, *given)
    assert "drmad: the straight line is not the path of the inner steps" in caplog.text
    assert ("drmad: the derivative of the loss grows" in caplog.text) == (name == "rmsprop")
    assert (drmad.info["growth"] > 10) == (name == "rmsprop")


@pytest.mark.parametrize(
    ("name", "state"),
    [("sgd", None), ("momentum", None), ("clipped", None), ("adamw", ".nu"), ("rmsprop", ".nu")],
)
@pytest.mark.parametrize("estimator", ["drmad", "distilled", "unrolled"])
def test_a_state_that_no_line_can_stand_for_is_named_before_any_step(
    name, state, estimator, caplog
):
    """Also where the estimate is only traced: nothing can be measured then."""
    problem, given = problem_and(name, 3)
    jax.eval_shape(functools.partial(estimate, hypergradient(estimator), problem), *given)
    warned = "from a straight line" in caplog.text
    assert warned == (state is not None and estimator != "unrolled")
    assert not warned or (state in caplog.text and ".mu" not in caplog.text)


def test_online_algorithms_warn_at_construction_and_report_what_estimators_do(caplog):
    def batches(examples, key, num):
        return full_batches(examples.inputs, key, num)

    def init(key, task):
        return OnlineParams(hparams, start)

    problem, (hparams, start, _, _) = problem_and("adamw", 4)
    scored = problem._replace(outer_loss=lambda s, h, b: problem.outer_loss(s, h, ()))
    part = Examples(jnp.ones((3, 1)), jnp.ones(3))
    tasks = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), Task(part, part))
    task = Task(part, part)
    for name, reported in (("drmad", {"path", "growth"}), ("neumann", {"residual", "distance"})):
        caplog.clear()
        algorithm = online(
            hypergradient(name),
            scored,
            optax.sgd(0.1),
            init=init,
            inner_batches=batches,
            outer_batches=batches,
            inner_steps=4,
            every=2,
        )
        state = algorithm.init(jax.random.key(0), task)
        assert ("from a straight line" in caplog.text) == (name == "drmad")
        metrics = jax.eval_shape(algorithm.update, state, tasks, jax.random.key(0))[1]
        assert reported <= set(metrics)
        assert all(metrics[name].shape == () for name in reported)
        run = online_run(
            hypergradient(name),
            scored._replace(update=lambda s, h, b: problem.update(s, h, b.inputs)),
            optax.sgd(0.1),
            init=init,
        )
        state = run.init(jax.random.key(0), task)
        assert reported <= set(jax.eval_shape(run.update, state, tasks, jax.random.key(0))[1])


@pytest.mark.parametrize("name", ["sgd", "decayed", "projected", "clipped"])
def test_implicit_estimates_where_the_optimizer_rests_elsewhere(name, caplog):
    """Neumann differentiates the steps as they are; conjugate gradients the inner loss alone.

    A decay or a projection that is the optimizer's own leaves the latter 20% off, and it says so.
    """
    exact, neumann, implicit = found(name, 200, "unrolled", "neumann", "conjugate_gradient")
    assert error(neumann, exact) < 1e-3 and neumann.info["distance"] < 1e-3
    rests = name in ("sgd", "clipped")
    assert (error(implicit, exact) < 1e-6) == rests
    assert (implicit.info["distance"] < 1e-6) == rests
    assert rests or error(implicit, exact) > 0.15
    problem, given = problem_and(name, 200)
    evaluate_hypergradient(hypergradient("neumann", terms=200), problem, *given)
    assert "settled" not in caplog.text
    evaluate_hypergradient(hypergradient("conjugate_gradient"), problem, *given)
    assert ("conjugate_gradient: the inner steps have not settled" in caplog.text) != rests


@pytest.mark.parametrize("name", ["neumann", "conjugate_gradient"])
def test_steps_that_have_not_settled_are_told_from_those_that_have(name, caplog):
    problem, given = problem_and("sgd", 5)
    options = OPTIONS.get(name, {})
    evaluate_hypergradient(hypergradient(name, **options), problem, *given)
    assert f"{name}: the inner steps have not settled" in caplog.text
    early, late = (
        estimate(hypergradient(name, **options), *_started(steps)).info["distance"]
        for steps in (5, 15)
    )
    assert late < early


def _started(steps):
    problem, given = problem_and("sgd", steps)
    return problem, *given


@pytest.mark.parametrize("estimator", ["unrolled", "forward", "one_step", "distilled", "es"])
def test_steps_without_a_derivative_are_named(estimator, caplog):
    """Only the sign of the gradient counts: exactly 0 is no finding about a decay."""
    problem, given = problem_and("signed", 10)
    options = {"es": {"pairs": 2, "sigma": 0.5}}.get(estimator, {})
    result = evaluate_hypergradient(hypergradient(estimator, **options), problem, *given)
    warned = "let no derivative of hparams['decay'], hparams['shift'] through" in caplog.text
    assert warned == (estimator != "es") and "['rate']" not in caplog.text
    if estimator != "es":
        np.testing.assert_array_equal(result["decay"], 0)


def test_gradients_that_are_stopped_are_named_and_direct_ones_are_not(caplog):
    problem, given = problem_and("sgd", 3)
    evaluate_hypergradient(hypergradient("unrolled"), problem, *given)
    assert "no derivative" not in caplog.text

    def stopped(state, hparams, batch):
        return problem.update(state, jax.lax.stop_gradient(hparams), batch)

    evaluate_hypergradient(hypergradient("unrolled"), problem._replace(update=stopped), *given)
    assert "let no derivative of hparams['decay']" in caplog.text
