"""Helpers over pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import (
    all_finite,
    cast_floats,
    count,
    digest,
    mean_over_devices,
    norm,
    root,
    wide_dtype,
)

TREE = {"a": jnp.arange(6, dtype=jnp.float32).reshape(2, 3), "b": jnp.zeros((), jnp.int32)}


def flip_bit(x, index, bit):
    raw = bytearray(np.asarray(x).tobytes())
    raw[index] ^= 1 << bit
    return jnp.asarray(np.frombuffer(bytes(raw), x.dtype).reshape(x.shape))


def test_digest_is_the_same_for_equal_trees_wherever_they_live():
    copy = jax.tree.map(lambda x: np.array(x), TREE)
    on_another_device = jax.device_put(TREE, jax.devices()[5])
    assert digest(TREE) == digest(copy) == digest(on_another_device)
    assert len(digest(TREE)) == 64
    transposed = {**copy, "a": np.asfortranarray(copy["a"])}
    assert digest(transposed) == digest(TREE)


@pytest.mark.parametrize("index", [0, 11, 23])
@pytest.mark.parametrize("bit", [0, 7])
def test_digest_sees_one_flipped_bit(index, bit):
    assert digest({**TREE, "a": flip_bit(TREE["a"], index, bit)}) != digest(TREE)


@pytest.mark.parametrize(
    "other",
    [
        {"a": TREE["a"].reshape(3, 2), "b": TREE["b"]},
        {"a": TREE["a"], "b": TREE["b"].reshape(1)},
        {"a": TREE["a"], "b": jnp.zeros((), jnp.float32)},
        {"a": TREE["a"], "c": TREE["b"]},
        {"a": TREE["a"]},
        [TREE["a"], TREE["b"]],
    ],
    ids=["shape", "rank", "dtype", "name", "missing", "container"],
)
def test_digest_sees_structure(other):
    assert digest(other) != digest(TREE)


def test_digest_tells_keys_and_signed_zeros_and_nans_apart():
    assert digest(jax.random.key(0)) != digest(jax.random.key(1))
    assert digest(jnp.float32(0.0)) != digest(jnp.float32(-0.0))
    assert digest(jnp.float32(np.nan)) == digest(jnp.float32(np.nan))
    assert digest(jnp.bfloat16(1)) != digest(jnp.bfloat16(2))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_all_finite_finds_one_bad_number_in_any_float_leaf(bad, dtype):
    tree = {"ok": jnp.ones(3), "n": jnp.arange(3), "key": jax.random.key(0)}
    tree["x"] = jnp.ones((4, 5), dtype)
    assert all_finite(tree)
    tree["x"] = tree["x"].at[2, 3].set(bad)
    assert not all_finite(tree)


def test_all_finite_without_any_float_is_true():
    assert all_finite({}) and all_finite({"n": jnp.arange(3)})


def test_cast_floats_leaves_integers_booleans_and_keys():
    tree = {
        "f": jnp.ones(2),
        "h": jnp.ones(2, jnp.float16),
        "n": jnp.arange(2),
        "b": jnp.array(True),
        "k": jax.random.key(0),
    }
    cast = cast_floats(tree, jnp.bfloat16)
    assert cast["f"].dtype == cast["h"].dtype == jnp.bfloat16
    for name in "nbk":
        assert cast[name].dtype == tree[name].dtype


def test_count_counts_numbers_of_arrays_abstract_or_not():
    assert count(TREE) == 7
    assert count(jax.eval_shape(lambda: TREE)) == 7
    assert count({}) == 0


def test_mean_over_devices_averages_over_the_axis_or_leaves_alone():
    x = {"a": jnp.arange(4.0)}
    averaged = jax.vmap(lambda t: mean_over_devices(t, "d"), axis_name="d")(x)
    np.testing.assert_allclose(averaged["a"], [1.5] * 4)
    assert mean_over_devices(x, None) is x


def test_a_root_and_a_norm_have_finite_derivatives_of_every_order_at_zero():
    squares = jnp.array([0.0, 4.0])
    np.testing.assert_array_equal(root(squares), [0, 2])
    first = jax.jit(jax.grad(lambda x: jnp.sum(root(x))))
    np.testing.assert_array_equal(first(squares), [0, 0.25])
    np.testing.assert_array_equal(jax.jit(jax.jacrev(first))(squares), [[0, 0], [0, -1 / 32]])
    tree = {"a": jnp.array([3.0, 0.0]), "b": jnp.float32(4)}
    assert norm(tree) == 5
    np.testing.assert_allclose(jax.jit(jax.grad(norm))(tree)["a"], [0.6, 0], rtol=1e-6)
    zero = jax.tree.map(jnp.zeros_like, tree)
    assert norm(zero) == 0
    derivatives = jax.jit(lambda tree: (jax.grad(norm)(tree), jax.hessian(norm)(tree)))
    for leaf in jax.tree.leaves(derivatives(zero)):
        np.testing.assert_array_equal(leaf, 0)


def test_the_widest_float_is_float32_or_wider():
    half = {"a": jnp.zeros(2, jnp.bfloat16), "b": jnp.zeros(2, jnp.int32), "c": jax.random.key(0)}
    assert wide_dtype(half) == wide_dtype(()) == np.float32
    assert wide_dtype((half, np.zeros(1), np.zeros(1, np.float32))) == np.float64
