"""Streams of random keys: told apart by purpose and step, the same in every process and layout."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from metajax.core import (
    ConfigError,
    check_one_key,
    derive,
    normals_from,
    random_indices,
    task_keys,
)


def data(key):
    return np.asarray(jax.random.key_data(key))


def test_derive_tells_purposes_steps_and_runs_apart():
    keys = [
        derive(jax.random.key(seed), purpose, step)
        for seed in (0, 1)
        for purpose in ("tasks", "update", "init", "evaluate unseen")
        for step in range(50)
    ]
    assert len({data(key).tobytes() for key in keys}) == len(keys)


def test_derive_is_two_fold_ins_the_first_of_the_crc32_of_the_purpose():
    # CRC-32 bit by bit, reflected polynomial 0xEDB88320
    register = 0xFFFFFFFF
    for byte in b"tasks":
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ (0xEDB88320 if register & 1 else 0)
    purpose = register ^ 0xFFFFFFFF
    key = jax.random.key(3)
    expected = jax.random.fold_in(jax.random.fold_in(key, purpose), 12)
    np.testing.assert_array_equal(data(derive(key, "tasks", 12)), data(expected))


def test_derive_is_the_same_in_a_process_of_another_hash_seed():
    program = (
        "import jax; from metajax.core import derive;"
        "print(jax.random.key_data(derive(jax.random.key(0), 'tasks', 5)).tolist())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert run.stdout.strip() == str(data(derive(jax.random.key(0), "tasks", 5)).tolist())


def test_derive_takes_a_traced_step():
    key = jax.random.key(0)
    traced = jax.jit(lambda step: derive(key, "tasks", step))(jnp.int32(9))
    np.testing.assert_array_equal(data(traced), data(derive(key, "tasks", 9)))


def test_task_keys_do_not_depend_on_how_tasks_are_split():
    key = jax.random.key(1)
    whole = data(task_keys(key, 8))
    assert len({row.tobytes() for row in whole}) == 8
    for parts in (1, 2, 4, 8):
        split = jax.vmap(lambda _, n=8 // parts: task_keys(key, n, "d"), axis_name="d")
        np.testing.assert_array_equal(data(split(jnp.zeros(parts))).reshape(8, -1), whole)
    mapped = jax.pmap(lambda _: task_keys(key, 2, "d"), axis_name="d", devices=jax.devices()[:4])
    np.testing.assert_array_equal(data(mapped(jnp.zeros(4))).reshape(8, -1), whole)


@pytest.mark.parametrize("num", [1, 3, 7, 16])
def test_random_indices_are_uniform_below_num(num):
    draws = np.asarray(random_indices(jax.random.key(0), (20_000,), jnp.uint32(num)))
    assert draws.dtype == np.int32
    counts = np.bincount(draws, minlength=num)
    assert len(counts) == num
    # chi-squared, against its mean plus 5 deviations
    expected = 20_000 / num
    chi2 = np.sum((counts - expected) ** 2 / expected)
    assert chi2 <= (num - 1) + 5 * np.sqrt(2 * (num - 1))


def test_random_indices_take_a_bound_for_each():
    num = jnp.array([1, 5, 2**31 - 1], jnp.uint32)
    draws = jax.vmap(lambda key: random_indices(key, (3,), num))(
        jax.random.split(jax.random.key(0), 500)
    )
    assert np.all(np.asarray(draws) >= 0) and np.all(np.asarray(draws) < np.asarray(num, np.int64))
    assert set(np.asarray(draws)[:, 1]) == set(range(5)) and np.max(draws[:, 2]) > 2**30


def test_normals_from_bits_are_normal_and_finite_at_both_ends():
    """Against the normal distribution by Kolmogorov and Smirnov, and at the extreme words."""
    bits = jax.random.bits(jax.random.key(0), (50_000,), jnp.uint32)
    draws = np.asarray(normals_from(bits))
    assert draws.dtype == np.float32
    assert scipy.stats.kstest(draws, "norm").pvalue > 1e-3
    ends = np.asarray(normals_from(jnp.array([0, 2**32 - 1], jnp.uint32)))
    assert np.all(np.isfinite(ends)) and ends[0] == -ends[1]


@pytest.mark.parametrize(
    "wrong",
    [
        0,
        None,
        jax.random.split(jax.random.key(0)),
        jax.random.PRNGKey(0),
        jax.random.key(0, impl="rbg"),
    ],
)
def test_one_key_is_typed_and_draws_the_same_whatever_is_drawn_with_it(wrong):
    check_one_key("mine", jax.random.key(0))
    with pytest.raises(ConfigError) as raised:
        check_one_key("mine", wrong)
    assert raised.value.field == "mine"
