"""What cannot work is refused before any inner step, with the field named."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.bilevel import descend, estimate, evaluate_hypergradient, hypergradient
from metajax.core import ConfigError
from quadratic import arguments, inner_loss, outer_loss, problem


def evaluate(name="unrolled", p=None, changes=None, **options):
    hparams, start, batches, outer = arguments(4, np.float32)
    given = {"hparams": hparams, "start": start, "inner_batches": batches} | (changes or {})
    return evaluate_hypergradient(
        hypergradient(name, **options), p or problem(), outer_batch=outer, **given
    )


def test_no_inner_step_is_refused():
    with pytest.raises(ConfigError, match=r"inner_batches.*0 inner steps"):
        evaluate(changes={"inner_batches": jnp.ones((0, 3, 1))})


@pytest.mark.parametrize("gamma", [-0.1, 1.0, 1.5, float("nan")])
def test_gamma_outside_its_range_is_refused(gamma):
    with pytest.raises(ConfigError, match="gamma"):
        hypergradient("distilled", gamma=gamma)


def test_hyperparameters_that_the_steps_do_not_use_are_named(caplog):
    hparams = {**arguments(4, np.float32)[0], "idle": {"x": jnp.ones(2)}}
    found = evaluate(changes={"hparams": hparams})
    assert "hparams['idle']['x']" in caplog.text and "decay" not in caplog.text
    np.testing.assert_array_equal(found["idle"]["x"], 0)


def test_hyperparameters_must_be_floats():
    hparams = {**arguments(4, np.float32)[0], "layers": jnp.int32(3)}
    with pytest.raises(ConfigError, match=r"hparams\['layers'\]"):
        evaluate(changes={"hparams": hparams})


def test_a_state_that_changes_its_shape_is_refused():
    p = problem()
    grows = p._replace(
        update=lambda s, h, b: s._replace(params=jnp.concatenate([s.params, s.params]))
    )
    with pytest.raises(ConfigError, match=r"state\.params.*float32\[8\]"):
        evaluate(p=grows)


@pytest.mark.parametrize("name", ["unrolled", "first_order", "es"])
def test_a_state_that_is_not_finite_is_named(name):
    """Whatever the estimate: first-order's does not look at the steps at all."""
    with pytest.raises(ConfigError, match=r"not finite: the last inner state.*lower the inner"):
        evaluate(name, descend(inner_loss, outer_loss, optax.sgd(1e30)))


def test_a_w_star_that_is_not_finite_is_named():
    with pytest.raises(ConfigError, match=r"not finite: the inner state w\*.*lower the inner"):
        evaluate("distilled", descend(inner_loss, outer_loss, optax.sgd(1e30)))


def test_a_bounded_loss_does_not_hide_a_state_that_is_not_finite():
    def bounded(params, hparams, batch):
        return jnp.sum(jnp.tanh(params) ** 2) + jnp.sum(hparams["shift"] ** 2)

    p = descend(inner_loss, bounded, optax.sgd(1e9))
    hparams, start, batches, outer = arguments(5, np.float32)
    last = estimate(hypergradient("first_order"), p, hparams, start, batches, outer)
    assert np.isfinite(last.outer_loss) and np.isfinite(last.hypergradient["shift"]).all()
    assert not np.isfinite(last.state.params).all()
    with pytest.raises(ConfigError, match="not finite: the last inner state"):
        evaluate_hypergradient(hypergradient("first_order"), p, hparams, start, batches, outer)


def test_a_derivative_that_is_not_finite_where_the_states_are_is_told_from_them():
    """Adam's root of a second moment of zero; ``eps_root`` is the way out."""

    def silent(params, hparams, batch):
        return 0.0 * inner_loss(params, hparams, batch)

    with pytest.raises(ConfigError, match=r"not finite: the hypergradient'.*eps_root"):
        evaluate(p=descend(silent, outer_loss, optax.adam(0.1)))
    found = evaluate(p=descend(silent, outer_loss, optax.adam(0.1, eps_root=1e-8)))
    assert np.isfinite(found["shift"]).all()


@pytest.mark.parametrize("field", ["hparams", "start"])
def test_arguments_that_are_not_finite_are_named(field):
    hparams, start, *_ = arguments(4, np.float32)
    value = {
        "hparams": hparams | {"decay": jnp.full(4, jnp.nan)},
        "start": start.at[0].set(jnp.inf),
    }
    with pytest.raises(ConfigError, match=f"not finite: {field}.*finite"):
        evaluate(changes={field: value[field]})


@pytest.mark.parametrize("name", ["neumann", "conjugate_gradient"])
def test_implicit_estimators_refuse_a_learned_initialisation(name):
    p = descend(inner_loss, outer_loss, optax.sgd(0.1), init=lambda h, start: start + h["shift"])
    with pytest.raises(ConfigError, match=r"hparams\['shift'\].*implicit gradient is zero"):
        evaluate(name, p)


def test_conjugate_gradient_asks_for_the_inner_loss():
    with pytest.raises(ConfigError, match="inner_loss"):
        evaluate("conjugate_gradient", problem()._replace(inner_loss=None))


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ConfigError, match="unrolled"):
        hypergradient("unroled")
    with pytest.raises(ConfigError, match="terms"):
        hypergradient("unrolled", terms=3)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("neumann", "terms", 0),
        ("conjugate_gradient", "iterations", 0),
        ("conjugate_gradient", "damping", -1.0),
        ("unrolled", "segment", 0),
        ("es", "sigma", 0.0),
        ("pes", "pairs", 0),
        ("distilled", "scale", "other"),
    ],
)
def test_options_out_of_range_are_refused(name, option, value):
    with pytest.raises(ConfigError, match=option):
        hypergradient(name, **{option: value})


def test_windows_must_divide_the_steps():
    with pytest.raises(ConfigError, match="windows"):
        evaluate_hypergradient(
            hypergradient("forward"), problem(), *arguments(4, np.float32), windows=3
        )


def test_distilled_wants_batches_of_examples():
    uneven = {"inner_batches": (jnp.ones((4, 3, 1)), jnp.ones((4, 2, 1)))}
    p = problem()._replace(update=lambda s, h, b: problem().update(s, h, b[0]))
    with pytest.raises(ConfigError, match="examples"):
        evaluate("distilled", p, uneven)


def test_the_result_can_be_compiled():
    """Inside jit nothing is looked at, and the estimate is the same."""
    args = arguments(4, np.float32)
    estimator = hypergradient("unrolled")
    compiled = jax.jit(lambda *args: evaluate_hypergradient(estimator, problem(), *args))(*args)
    plain = evaluate_hypergradient(estimator, problem(), *args)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), compiled, plain)
