"""Evolution strategies against the closed form of a quadratic, whose smoothing changes nothing."""

import jax
import numpy as np
import pytest

from metajax.bilevel import evaluate_hypergradient, hypergradient
from metajax.core import enable_x64
from quadratic import Closed, arguments, problem

STEPS, REPEATS = 12, 200


def z_scores(name, windows):
    """Deviations of the mean estimate of d/d shift from the exact one, in standard errors.

    The outer loss is quadratic in ``shift``, so the smoothed gradient is the gradient itself;
    ``decay`` is no hyperparameter here.
    """
    with enable_x64(True):
        hparams, start, batches, outer = arguments(STEPS)
        fixed = problem()
        p = fixed._replace(
            init=lambda h, start: fixed.init({**hparams, **h}, start),
            update=lambda s, h, b: fixed.update(s, {**hparams, **h}, b),
            outer_loss=lambda s, h, b: fixed.outer_loss(s, {**hparams, **h}, b),
        )
        estimator = hypergradient(name, sigma=0.1, pairs=16)
        shift = {"shift": hparams["shift"]}

        @jax.jit
        @jax.vmap
        def draw(key):
            return evaluate_hypergradient(
                estimator, p, shift, start, batches, outer, key=key, windows=windows
            )["shift"]

        draws = np.asarray(draw(jax.random.split(jax.random.key(3), REPEATS)))
        error = draws.std(axis=0, ddof=1) / np.sqrt(REPEATS)
        return (draws.mean(axis=0) - Closed(STEPS).exact()["shift"]) / error


@pytest.mark.parametrize(("name", "windows"), [("es", 1), ("pes", 1), ("pes", 4)])
def test_the_mean_is_the_gradient_within_its_standard_error(name, windows):
    assert np.abs(z_scores(name, windows)).max() < 4


def test_truncation_biases_es():
    """Four windows: es sees the last three steps alone, pes all twelve."""
    assert np.abs(z_scores("es", 4)).max() > 8
