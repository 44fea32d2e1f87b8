"""The contract of changed weights, held against everything of the library that edits a network.

What comes out is a tree as the network's own, nothing is changed where nothing was learned yet, and
every parameter of an editor is of use. What takes compiling is in the slow suite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.hypernet import (
    Pairs,
    edit_hypernetwork,
    graph_metanetwork,
    low_rank_factors,
    low_rank_update,
    modality_adapter,
    modulate,
)
from metajax.nn import mlp
from metajax.units import mlp_units

KEY = jax.random.key(0)
TARGET = mlp((6,), 3)
INPUTS = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)


def dense(key):
    """No bias is zero: a factor of zero would be of no use."""
    shift = 0.1 * jax.random.normal(key, ())
    return jax.tree.map(lambda leaf: leaf + shift, TARGET.init(key, INPUTS))


def convolution(key):
    return {"conv": {"kernel": jax.random.normal(key, (3, 3, 1, 2)), "bias": jnp.zeros(2)}}


class Row(NamedTuple):
    """An editor under test.

    Attributes:
      name: of the function, and of its options.
      network: ``network(key)`` draws the weights that are changed.
      read: ``read(key)`` draws what the change depends on.
      init: ``init(key, weights, read) -> params`` of the editor.
      apply: ``apply(params, weights, read) -> weights``.
      idle: nothing is changed at the start.
    """

    name: str
    network: Callable[[Any], Any]
    read: Callable[[Any], Any]
    init: Callable[..., Any]
    apply: Callable[..., Any]
    idle: bool = True


def nothing(key):
    return ()


def of_deltas():
    def init(key, weights, read):
        return jax.tree.map(jnp.zeros_like, weights)

    return Row("modulate", dense, nothing, init, lambda own, weights, read: modulate(weights, own))


def of_factors():
    def init(key, weights, read):
        return low_rank_factors(key, weights, 2)

    def apply(own, weights, read):
        return low_rank_update(weights, *own)

    return Row("low_rank_update", dense, nothing, init, apply)


def of_images():
    shapes = jax.eval_shape(convolution, KEY)
    editor = edit_hypernetwork(shapes, channels=2, hidden=5)

    def read(key):
        one, other = jax.random.split(key)
        return jax.random.uniform(one, (1, 8, 8, 1)), jax.random.uniform(other, (1, 8, 8, 1))

    def init(key, weights, images):
        return editor.init(key, *images)

    def apply(own, weights, images):
        deltas = editor.apply(own, *images)
        return modulate(weights, jax.tree.map(lambda leaf: leaf[0], deltas))

    return Row("edit_hypernetwork", convolution, read, init, apply)


def of_pairs(name, ridges, idle):
    adapter = modality_adapter(rank=2, width=8, depth=1, heads=2, ridges=ridges)

    def read(key):
        one, other = jax.random.split(key)
        present = jnp.arange(7) < 6
        return Pairs(jax.random.normal(one, (7, 5)), jax.random.normal(other, (7, 3)), present)

    return Row(name, dense, read, adapter.init, adapter.apply, idle)


def of_graph():
    metanet = graph_metanetwork(mlp_units(jax.eval_shape(dense, KEY)), width=4, rounds=1, ratio=0.1)

    def init(key, weights, read):
        return metanet.init(key, weights)

    def apply(own, weights, read):
        return metanet.apply(own, weights)

    return Row("graph_metanetwork", dense, nothing, init, apply, idle=False)


ROWS = [
    of_deltas(),
    of_factors(),
    of_images(),
    of_pairs("modality_adapter", (), True),
    of_pairs("modality_adapter with ridges", (0.1, 2.0), False),
    of_graph(),
]
every_editor = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def named(tree):
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


@every_editor
def test_what_is_changed_is_a_tree_as_the_networks_own(row):
    weights, read = jax.eval_shape(row.network, KEY), jax.eval_shape(row.read, KEY)
    own = jax.eval_shape(row.init, KEY, weights, read)
    found = jax.eval_shape(row.apply, own, weights, read)
    assert jax.tree.structure(found) == jax.tree.structure(weights)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(weights), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype


@pytest.mark.slow
@every_editor
def test_starts_maps_and_gradients(row):
    """The start is the network itself, a map is a loop, and no parameter is idle."""

    @jax.jit
    def program(key):
        keys = jax.random.split(key, 2)
        weights, read = jax.vmap(row.network)(keys), jax.vmap(row.read)(keys)
        first = jax.tree.map(lambda leaf: leaf[0], (weights, read))
        own = row.init(key, *first)
        changed = row.apply(own, *first)

        def loss(own):
            found = row.apply(own, *first)
            return sum(jnp.sum(jnp.sin(leaf + 1)) for leaf in jax.tree.leaves(found))

        # what lies behind outputs of zero has a gradient from the second step on
        def step(own, _):
            slopes = jax.grad(loss)(own)
            return jax.tree.map(lambda p, g: p - 0.1 * g, own, slopes), slopes

        own, slopes = jax.lax.scan(step, own, length=2)
        mapped = jax.vmap(row.apply, (None, 0, 0))(own, weights, read)
        loop = [
            row.apply(own, *jax.tree.map(lambda leaf, i=i: leaf[i], (weights, read)))
            for i in (0, 1)
        ]
        return first[0], changed, mapped, loop, slopes

    weights, changed, mapped, loop, slopes = program(KEY)
    for one, other in zip(jax.tree.leaves(changed), jax.tree.leaves(weights), strict=True):
        if row.idle:
            np.testing.assert_array_equal(one, other)
        else:
            assert np.all(np.isfinite(one))
    if not row.idle:
        assert any(
            np.any(one != other)
            for one, other in zip(jax.tree.leaves(changed), jax.tree.leaves(weights), strict=True)
        )
    for i in (0, 1):
        for one, other in zip(jax.tree.leaves(mapped), jax.tree.leaves(loop[i]), strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-4, atol=1e-5)
    for name, slope in named(slopes).items():
        assert np.any(slope), name
