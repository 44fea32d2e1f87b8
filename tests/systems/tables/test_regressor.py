"""Regression on small tables with scikit-learn's interface."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from metajax.core import ConfigError
from metajax.systems.tables import InContextRegressor
from metajax.systems.tables.reading import LARGEST


@parametrize_with_checks([InContextRegressor()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_units_change_nothing_and_missing_values_are_means():
    rng = np.random.default_rng(0)
    x, y, asked = rng.normal(size=(40, 3)), rng.normal(size=40), rng.normal(size=(6, 3))
    mean, std = InContextRegressor().fit(x, y).predict(asked, return_std=True)
    units = np.array([1e-6, 10.0, 1e5])
    model = InContextRegressor().fit(x * units + 3, 1e4 * y - 7)
    again, wider = model.predict(asked * units + 3, return_std=True)
    np.testing.assert_allclose(again, 1e4 * mean - 7, rtol=1e-6)
    np.testing.assert_allclose(wider, 1e4 * std, rtol=1e-6)
    model = InContextRegressor().fit(np.concatenate([x, np.ones((40, 1))], axis=1), y)
    assert model.constant_features_.tolist() == [3]
    blank = np.concatenate([asked, np.ones((6, 1))], axis=1)
    blank[0, 1] = np.nan
    filled = asked.copy()
    filled[0, 1] = x[:, 1].mean()
    wanted = InContextRegressor().fit(x, y).predict(filled)
    np.testing.assert_allclose(model.predict(blank), wanted, rtol=1e-6)


def test_it_passes_a_tuned_ridge_where_the_function_is_curved_and_its_intervals_hold():
    """Friedman's function, 100 rows, noise 1; five draws; 95% intervals of 1,000 new targets."""
    errors, others, inside = [], [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x = rng.random((300, 6))
        y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3]
        y += rng.normal(size=300)
        mean, std = InContextRegressor().fit(x[:100], y[:100]).predict(x[100:], return_std=True)
        ridge = RidgeCV(np.logspace(-3, 3, 13)).fit(x[:100], y[:100]).predict(x[100:])
        errors.append(np.mean((mean - y[100:]) ** 2))
        others.append(np.mean((ridge - y[100:]) ** 2))
        inside.append(np.mean(abs(mean - y[100:]) < 1.96 * std))
    assert np.mean(errors) < 0.7 * np.mean(others)
    assert 0.9 < np.mean(inside) < 0.99


def test_too_many_rows_and_infinite_values_are_rejected():
    x, y = load_diabetes(return_X_y=True)
    many = np.zeros((LARGEST + 1, 1))
    with pytest.raises(ConfigError, match="rows"):
        InContextRegressor().fit(many, many[:, 0])
    with pytest.raises(ValueError, match="infinity"):
        InContextRegressor().fit(np.where(x == x[0, 0], np.inf, x), y)
