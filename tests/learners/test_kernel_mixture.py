"""Kernel ridges weighed by left-out rows: closed forms against separate solves."""

import numpy as np

from metajax.learners import predict_mixture, solve_mixture
from metajax.learners.kernel_mixture import RIDGES, kernel_between, left_out, views_of

RNG = np.random.default_rng(0)


def test_each_row_is_predicted_as_by_a_solve_without_it():
    rows, targets = RNG.normal(size=(12, 3)), RNG.normal(size=12)
    for reach in (None, 2.0):
        kernel = kernel_between(rows, rows, 3.0, reach)
        found = left_out(*np.linalg.eigh(kernel), targets, RIDGES)
        for place in range(12):
            rest = np.delete(np.arange(12), place)
            for at, ridge in enumerate(RIDGES):
                known = kernel[np.ix_(rest, rest)] + ridge * np.eye(11)
                along = np.linalg.solve(known, kernel[rest, place])
                error = targets[place] - along @ targets[rest]
                variance = kernel[place, place] + ridge - along @ kernel[rest, place]
                np.testing.assert_allclose(found.errors[place, at], error, rtol=1e-8, atol=1e-9)
                np.testing.assert_allclose(found.variances[place, at], variance, rtol=1e-8)
    spread = found.scales * found.variances
    np.testing.assert_allclose(np.mean(found.errors**2 / spread, axis=0), 1, rtol=1e-10)


def test_predictions_are_those_of_separate_solves_weighed():
    rows, targets = RNG.normal(size=(15, 2)), RNG.normal(size=15)
    asked = RNG.normal(size=(4, 2))
    solved = solve_mixture(rows, targets)
    mean, variance = predict_mixture(solved, asked)
    means, variances, shares = [], [], []
    for one in solved:
        kernel = one.vectors @ np.diag(1 / one.inverse[:, 0] - one.ridges[0]) @ one.vectors.T
        view = views_of(asked)[one.which]
        cross = kernel_between(view, one.view, one.scale, one.reach)
        own = np.diagonal(kernel_between(view, view, one.scale, one.reach))
        for ridge, scale, share in zip(one.ridges, one.scales, one.shares, strict=True):
            along = np.linalg.solve(kernel + ridge * np.eye(15), cross.T)
            means.append(along.T @ targets)
            variances.append(scale * (own + ridge - np.sum(cross.T * along, axis=0)))
            shares.append(share)
    assert np.isclose(np.sum(shares), 1)
    wanted = np.array(shares) @ np.array(means)
    np.testing.assert_allclose(mean, wanted, rtol=1e-6, atol=1e-8)
    second = np.array(shares) @ (np.array(variances) + (np.array(means) - wanted) ** 2)
    np.testing.assert_allclose(variance, second, rtol=1e-6)


def test_orders_of_rows_and_features_change_nothing():
    rows, targets, asked = RNG.normal(size=(30, 4)), RNG.normal(size=30), RNG.normal(size=(5, 4))
    found = predict_mixture(solve_mixture(rows, targets), asked)
    order, other = RNG.permutation(30), RNG.permutation(4)
    again = predict_mixture(solve_mixture(rows[order][:, other], targets[order]), asked[:, other])
    np.testing.assert_allclose(again, found, rtol=1e-6, atol=1e-8)
