"""GPICL's figures: accuracy by position and its intervals."""

import jax
import numpy as np
import pytest
from sequence_learners import sequence_learner

from metajax.data import noise_pool
from metajax.learners import nearest_neighbour
from metajax.systems.gpicl import projection_tasks
from metajax.systems.gpicl.accuracy import (
    accuracy_by_position,
    half_width,
    sample_sequences,
    score_sequences,
    state_size,
    summarize,
)


def test_half_width_covers_the_truth_at_its_rate():
    """Over 2000 draws of 64 coins with p = .3, the interval holds p in 93% to 98% of them."""
    rng = np.random.default_rng(0)
    coins = rng.random((2000, 64)) < 0.3
    covered = [abs(c.mean() - 0.3) <= half_width(c[:, None])[0] for c in coins]
    assert 0.93 < np.mean(covered) < 0.98


def test_summary_of_a_known_table():
    correct = np.zeros((50, 12), bool)
    correct[:, 2:] = True
    summary = summarize(correct)
    assert summary["accuracy"] == [0, 0, *[1] * 10]
    assert summary["gain"] == 1 and summary["gain_ci95"] == 0 and summary["n"] == 50
    assert len(summary["ci95"]) == 12 and min(summary["ci95"]) > 0


def test_a_figure_behind_which_outputs_are_not_finite_is_not_finite():
    """NaN logits in one sequence at one position: what is made of it is NaN, all else is not."""
    right = np.zeros((50, 12))
    right[3, 4] = np.nan
    summary = summarize(right)
    assert [i for i in range(12) if np.isnan(summary["accuracy"][i])] == [4]
    assert np.isnan(summary["ci95"][4]) and np.isnan(summary["gain"]) and np.isnan(summary["last"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_neither_right_nor_wrong(bad):
    """They counted as class 0: of three classes a third was right."""
    learner = sequence_learner("transformer", ways=3, examples=6)
    pool = noise_pool(jax.random.key(0), num_classes=3, size=(4, 4))
    tasks = projection_tasks(pool, jax.random.key(1), num_tasks=8, length=6)
    keys = jax.random.split(jax.random.key(2), 4)
    sequences = sample_sequences(tasks, keys)
    spoiled = learner._replace(
        logits=lambda params, examples, key: jax.numpy.zeros((1, 6, 3)).at[0, 2, 1].set(bad)
    )
    scored = np.asarray(score_sequences(spoiled, {}, sequences, keys))
    assert np.isnan(scored[:, 2]).all() and np.isfinite(np.delete(scored, 2, 1)).all()


def test_nearest_neighbour_is_perfect_once_every_noise_image_was_seen():
    """Ten noise images, one per label: after many examples the nearest one is the same image."""
    pool = noise_pool(jax.random.key(0), num_classes=5, size=(4, 4))
    tasks = projection_tasks(pool, jax.random.key(1), num_tasks=2**20, length=60)
    scored = accuracy_by_position(nearest_neighbour(5), {}, tasks, jax.random.key(2), 128)
    assert scored["accuracy"][-1] > 0.97
    assert abs(scored["accuracy"][0] - 0.2) < 0.12


def test_state_size_of_a_transformer_is_its_cache():
    pool = noise_pool(jax.random.key(0), num_classes=3, size=(4, 4))
    tasks = projection_tasks(pool, jax.random.key(1), num_tasks=8, length=20)
    learner = sequence_learner("transformer", ways=3, examples=20, width=16, layers=3).meta
    params = jax.eval_shape(lambda key: learner.init(key, tasks(key)), jax.random.key(0))
    last_label = 3
    assert state_size(learner, params, tasks) == 3 * 2 * (2 * 8) * 20 + last_label
