"""Rates along time: exact for polynomials, close for smooth values, with errors that hold."""

import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.physics import estimate_rates


def wave(times):
    return np.sin(times) + 0.3 * np.cos(2.3 * times)


def slope(times):
    return np.cos(times) - 0.69 * np.sin(2.3 * times)


def test_parabolas_are_differentiated_exactly_at_uneven_times():
    """They are not rough: no smoothing changes them."""
    times = np.sort(np.random.default_rng(0).uniform(-2, 3, 30))
    found = estimate_rates(times, np.stack([times**2, 3 * times, np.ones(30)], axis=1))
    expected = np.stack([2 * times, np.full(30, 3.0), np.zeros(30)], axis=1)
    np.testing.assert_allclose(found.rates, expected, atol=1e-8)


def test_smooth_values_are_differentiated_far_better_than_by_differences():
    times = np.linspace(0, 10, 100)
    found = estimate_rates(times, wave(times))
    off = np.abs(found.rates - slope(times))[5:-5].max()
    assert off < 0.02 * np.abs(np.gradient(wave(times), times) - slope(times))[5:-5].max()


def test_errors_of_noisy_values_hold():
    """95% intervals hold the truth about that often, over 20 draws of the noise (seeds 0 to 19)."""
    times = np.linspace(0, 10, 150)
    held, off, by_differences, noise = [], [], [], []
    for seed in range(20):
        seen = wave(times) + 0.05 * np.random.default_rng(seed).normal(size=150)
        found = estimate_rates(times, seen)
        wrong = np.abs(found.rates - slope(times))
        held.append(np.mean(wrong < 1.96 * found.errors))
        off.append(np.mean(wrong**2))
        by_differences.append(np.mean((np.gradient(seen, times) - slope(times)) ** 2))
        noise.append(float(found.noise))
    assert 0.9 < np.mean(held) < 0.995
    assert np.mean(off) < np.mean(by_differences) / 25
    assert np.mean(noise) == pytest.approx(0.05, rel=0.1)


def test_units_do_not_matter():
    times = np.linspace(0, 10, 40)
    one, other = estimate_rates(times, wave(times)), estimate_rates(1e3 * times, 1e-6 * wave(times))
    np.testing.assert_allclose(other.rates * 1e9, one.rates, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("times", "values", "field"),
    [
        (np.arange(7.0), np.zeros(7), "times"),
        (np.zeros(9), np.zeros(9), "times"),
        (np.arange(9.0), np.zeros(8), "values"),
        (np.arange(9.0), np.full(9, np.nan), "values"),
    ],
)
def test_what_has_no_rates_is_rejected(times, values, field):
    with pytest.raises(ConfigError) as raised:
        estimate_rates(times, values)
    assert raised.value.field == field
