"""Adapters from pairs: what no order, no rotation and no absent pair may change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import Pairs, modality_adapter, solved_columns
from metajax.nn import draw_orthogonal, mlp

DRAW = np.random.default_rng(0)
FEATURES, TEXT, NUM = 6, 4, 9
PROJECTOR = mlp([5], TEXT, jax.nn.gelu)
SHARED = PROJECTOR.init(jax.random.key(0), jnp.zeros((1, FEATURES)))
KINDS = pytest.mark.parametrize("ridges", [(), (0.1, 2.0)], ids=["generated", "solved"])


def some_pairs(num=NUM, features=FEATURES):
    rows = [DRAW.normal(1, size=(num, size)).astype(np.float32) for size in (features, TEXT)]
    return Pairs(*map(jnp.asarray, rows), jnp.arange(num) < num - 2)


def made(ridges):
    """An adapter whose heads are not zero, which they start as."""
    adapter = modality_adapter(rank=2, width=8, depth=1, heads=2, ridges=ridges)
    params = jax.jit(adapter.init)(jax.random.key(1), SHARED, some_pairs())
    keys = iter(jax.random.split(jax.random.key(2), 99))
    params["heads"] = jax.tree.map(
        lambda leaf: 0.3 * jax.random.normal(next(keys), leaf.shape), params["heads"]
    )
    return params, jax.jit(adapter.apply)


def assert_close(found, expected, atol=1e-4):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), found, expected)


@KINDS
def test_heads_of_zero_give_the_shared_projector_bit_for_bit(ridges):
    params, apply = made(ridges)
    zero = {**params, "heads": jax.tree.map(jnp.zeros_like, params["heads"])}
    if ridges:
        zero["reading"] = jnp.zeros_like(params["reading"])
    found = apply(zero, SHARED, some_pairs())
    jax.tree.map(np.testing.assert_array_equal, found, SHARED)


@KINDS
def test_neither_the_order_of_pairs_nor_what_is_absent_matters(ridges):
    params, apply = made(ridges)
    pairs = some_pairs()
    found = apply(params, SHARED, pairs)
    assert max(np.abs(found["Dense_0"]["kernel"] - SHARED["Dense_0"]["kernel"]).ravel()) > 0.01
    order = DRAW.permutation(NUM)
    assert_close(apply(params, SHARED, Pairs(*(leaf[order] for leaf in pairs))), found)
    nan = jnp.where(pairs.present[:, None], 0, jnp.nan)
    absent = Pairs(pairs.inputs + nan, pairs.texts + nan, pairs.present)
    jax.tree.map(np.testing.assert_array_equal, apply(params, SHARED, absent), found)
    other = pairs._replace(present=pairs.present.at[0].set(False))
    changed = apply(params, SHARED, other)
    assert np.abs(changed["Dense_0"]["kernel"] - found["Dense_0"]["kernel"]).max() > 1e-3


def test_what_a_solved_adapter_adds_turns_with_the_modality():
    params, apply = made((0.1, 2.0))
    pairs = some_pairs()
    turn = draw_orthogonal(jax.random.key(3), FEATURES)
    plain = apply(params, SHARED, pairs)
    turned = apply(params, SHARED, pairs._replace(inputs=pairs.inputs @ turn))
    shared = SHARED["Dense_0"]["kernel"]
    added = plain["Dense_0"]["kernel"] - shared
    assert_close(turned["Dense_0"]["kernel"] - shared, turn.T @ added)
    assert_close(turned["Dense_0"]["bias"], plain["Dense_0"]["bias"])
    assert_close(turned["Dense_1"], plain["Dense_1"])


@pytest.mark.parametrize("features", [4, 20], ids=["tall", "wide"])
def test_columns_are_ridge_regressions(features):
    """By the normal equations in float64, of the pairs that there are."""
    pairs, ridges = some_pairs(features=features), [0.1, 2.0]
    found = jax.jit(solved_columns)(pairs, jnp.log(jnp.asarray(ridges)))
    rows, texts = (np.asarray(leaf, float)[: NUM - 2] for leaf in pairs[:2])
    centered = rows - rows.mean(0)
    square = np.mean(np.sum(centered**2, axis=1))
    for place, ridge in enumerate(ridges):
        system = centered.T @ centered + ridge * square * np.eye(features)
        expected = np.linalg.solve(system, centered.T @ (texts - texts.mean(0)))
        kernel = found.kernel[:, place * TEXT : (place + 1) * TEXT]
        np.testing.assert_allclose(kernel, expected, atol=1e-5)
    np.testing.assert_allclose(found.offset, -rows.mean(0) @ found.kernel, atol=1e-5)
    none = jax.jit(solved_columns)(pairs._replace(present=pairs.present & False), jnp.zeros(1))
    assert not np.any(none.kernel) and not np.any(none.offset)


def test_the_gradient_by_the_ridges_is_that_of_differences():
    with jax.enable_x64(True):
        pairs = jax.tree.map(lambda leaf: jnp.asarray(leaf), some_pairs())
        pairs = pairs._replace(
            inputs=pairs.inputs.astype(jnp.float64), texts=pairs.texts.astype(jnp.float64)
        )

        @jax.jit
        def total(log_ridge):
            columns = solved_columns(pairs, log_ridge[None])
            return jnp.sum(jnp.sin(pairs.inputs[0] @ columns.kernel + columns.offset))

        at, step = jnp.float64(0.3), 1e-5
        slope = (total(at + step) - total(at - step)) / (2 * step)
        np.testing.assert_allclose(jax.jit(jax.grad(total))(at), slope, rtol=1e-7)


def test_gradients_reach_every_parameter():
    for ridges in ((), (0.1, 2.0)):
        params, apply = made(ridges)

        @jax.jit
        def slopes(params, pairs, apply=apply):
            def total(params):
                adapted = apply(params, SHARED, pairs)
                return jnp.sum(jnp.sin(PROJECTOR.apply(adapted, pairs.inputs)))

            return jax.grad(total)(params)

        for leaf in jax.tree.leaves(slopes(params, some_pairs())):
            assert np.abs(leaf).max() > 0


def test_what_does_not_fit_is_rejected():
    for field, values in (
        ("rank", {"rank": 0}),
        ("width", {"width": 9}),
        ("ridges", {"ridges": (1.0, 0.0)}),
    ):
        adapter = {"rank": 1, "width": 8, **values}
        with pytest.raises(ConfigError) as raised:
            modality_adapter(**adapter).init(jax.random.key(0), SHARED, some_pairs())
        assert raised.value.field == field
    adapter = modality_adapter(rank=1, width=8)
    with pytest.raises(ConfigError, match="projector/Conv_0"):
        adapter.init(jax.random.key(0), {"Conv_0": {"kernel": jnp.zeros((3, 3))}}, some_pairs())
