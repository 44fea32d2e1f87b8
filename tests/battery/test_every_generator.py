"""The contract of generated weights, held against every generator of the library.

What a hypernetwork makes is a tree as the target's own: its structure, shapes, dtypes, and the
scale of its start. What takes compiling, one program a row, is in the slow suite.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax import hypernet
from metajax.core import Network
from metajax.hypernet import (
    chunked_head,
    generator,
    implicit,
    low_rank_head,
    magnitude_invariant,
    shared_head,
    shared_implicit,
)
from metajax.nn import mlp
from metajax.units import mlp_units

INPUTS = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
TARGET = mlp((6,), 3)
KEY = jax.random.key(0)
DRAWS = 64
SIZE = 3
"""Numbers of a latent."""


def start(key):
    return TARGET.init(key, INPUTS)


SHAPES = jax.eval_shape(start, jax.random.key(0))


class Row(NamedTuple):
    """A generator under test.

    Attributes:
      name: of the function, and of its options.
      make: returns the hypernetwork of the target.
      latent: ``latent(key)`` draws what it reads.
      batched: whether ``apply`` takes batch axes in front of a latent; others are mapped.
      undrawn: the scale at the start of tensors that the target does not draw, over its own of the
        others; 0: what the target sets them to.
      constant: how the names of parameters begin that no gradient reaches: scales that are the
        target's own.
    """

    name: str
    make: Callable[[], Network]
    latent: Callable[[Any], Any]
    batched: bool = True
    undrawn: float = 0.0
    constant: tuple[str, ...] = ("scales",)


def normal(key):
    return jax.random.normal(key, (SIZE,))


def uniform(key):
    return jax.random.uniform(key, (SIZE,))


def per_tensor(key):
    return jax.random.normal(key, (len(jax.tree.leaves(SHAPES)), SIZE))


def unit_square(key):
    x = normal(key)
    return x / jnp.sqrt(jnp.mean(jnp.square(x)))


def made(hidden=(8,), **options):
    return lambda: generator(start, hidden=hidden, **options)


def shared(order, **options):
    hidden = (8,) if order == "in_a_row" else (8, 8)
    return made(hidden, head=shared_head(10, embedding=3, order=order), **options)


def invariant(**options):
    return lambda: magnitude_invariant(start, hidden=(6, 12), **options)


def any_width(maker):
    def make():
        of_sizes = maker(start, mlp_units(SHAPES), ["h0"], hidden=12, depth=2)
        return Network(
            lambda key, width: of_sizes.init(key, {"h0": width}),
            lambda params, width: of_sizes.apply(params, {"h0": width}),
        )

    return make


def full_width(key):
    return jnp.int32(6)


ROWS = [
    Row("generator", made(), normal),
    Row("generator of products", made(head=low_rank_head(2)), normal),
    Row("generator of chunks", made(head=chunked_head(10)), normal),
    Row("generator without hidden layers", made(hidden=()), unit_square),
    Row("generator with a base", made(base=0.5), normal),
    Row("generator of a latent a tensor", made(latents="per_tensor"), per_tensor),
    Row("generator of shared chunks, apart", shared("apart"), normal, undrawn=0.1),
    Row("generator of shared chunks, neighbor", shared("neighbor"), normal, undrawn=0.1),
    Row("generator of shared chunks, in_a_row", shared("in_a_row"), normal, undrawn=0.1),
    Row("generator of shared chunks with a base", shared("apart", base=0.5), normal, undrawn=0.1),
    Row("magnitude_invariant", invariant(), uniform),
    Row("magnitude_invariant, raw", invariant(encoding=False, base=None), uniform),
    Row("magnitude_invariant, norm", invariant(norm=True), uniform),
    Row("magnitude_invariant of products", invariant(head=low_rank_head(2)), uniform),
    Row("implicit", any_width(implicit), full_width, batched=False),
    Row("shared_implicit", any_width(shared_implicit), full_width, batched=False),
]
every_generator = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def several(row, network, params, latents):
    if row.batched:
        return network.apply(params, latents)
    return jax.vmap(network.apply, (None, 0))(params, latents)


def squared(tree):
    """The mean and the mean square of each tensor, for each draw."""
    found = []
    for leaf in jax.tree.leaves(tree):
        flat = leaf.reshape(len(leaf), -1)
        found.append((jnp.mean(flat, 1), jnp.mean(jnp.square(flat), 1)))
    return found


@pytest.fixture(scope="module")
def own():
    keys = jax.random.split(jax.random.key(1), DRAWS)
    return jax.jit(lambda: squared(jax.vmap(start)(keys)))()


def test_every_generator_is_tried():
    """Those that make the parameters of a target that they are given."""
    makers = [
        name
        for name in hypernet.__all__
        if inspect.isfunction(function := getattr(hypernet, name))
        and "target" in inspect.signature(function).parameters
    ]
    assert len(makers) >= 3
    assert all(any(row.name.startswith(maker) for row in ROWS) for maker in makers)


@every_generator
def test_what_is_made_is_a_tree_as_the_targets_own(row):
    network = row.make()
    latents = jax.eval_shape(jax.vmap(jax.vmap(row.latent)), jax.random.split(KEY, (2, 4)))
    params = jax.eval_shape(network.init, KEY, jax.eval_shape(row.latent, KEY))

    def apply(params, latents):
        if row.batched:
            return network.apply(params, latents)
        return jax.vmap(jax.vmap(network.apply, (None, 0)), (None, 0))(params, latents)

    found = jax.eval_shape(apply, params, latents)
    assert jax.tree.structure(found) == jax.tree.structure(SHAPES)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(SHAPES), strict=True):
        assert one.shape == (2, 4, *other.shape) and one.dtype == other.dtype


@pytest.mark.slow
@every_generator
def test_starts_batches_and_gradients(row, own):
    """Scales over 64 draws within 4 standard errors; a batch is a loop; no parameter is idle."""
    network = row.make()

    @jax.jit
    def program(key):
        def drawn(key):
            init_key, latent_key = jax.random.split(key)
            latent = row.latent(latent_key)
            return network.apply(network.init(init_key, latent), latent)

        stats = squared(jax.vmap(drawn)(jax.random.split(key, DRAWS)))
        latents = jax.vmap(row.latent)(jax.random.split(key, 2))
        params = network.init(key, jax.tree.map(lambda leaf: leaf[0], latents))
        batch = several(row, network, params, latents)
        loop = [network.apply(params, jax.tree.map(lambda z, i=i: z[i], latents)) for i in (0, 1)]

        def loss(params):
            weights = several(row, network, params, latents)
            outputs = jax.vmap(TARGET.apply, (0, None))(weights, INPUTS)
            return jnp.mean(jnp.square(outputs - 1))

        # what lies behind outputs of zero has a gradient from the second step on
        def step(params, _):
            grads = jax.grad(loss)(params)
            return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), grads

        _, grads = jax.lax.scan(step, params, length=2)
        return stats, batch, loop, grads

    stats, batch, loop, grads = program(KEY)
    usual = max(float(np.mean(square)) for _, square in own) ** 0.5
    for (mean, square), (own_mean, own_square) in zip(stats, own, strict=True):
        mean, square, own_mean, own_square = map(
            np.asarray, (mean, square, own_mean, own_square), [np.float64] * 4
        )
        if not own_square.any():
            if row.undrawn == 0:
                assert not square.any()
            else:
                assert 0 < square.mean() ** 0.5 < 2 * row.undrawn * usual
            continue
        for ours, theirs in ((mean, own_mean), (square, own_square)):
            error = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / DRAWS)
            assert abs(ours.mean() - theirs.mean()) < 4 * error
    for i in (0, 1):
        for one, other in zip(jax.tree.leaves(batch), jax.tree.leaves(loop[i]), strict=True):
            np.testing.assert_allclose(one[i], other, rtol=1e-4, atol=1e-5)
    for path, grad in jax.tree.leaves_with_path(grads):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        assert np.any(grad) != name.startswith(row.constant), name


@pytest.mark.slow
def test_a_draw_of_noise_is_a_draw_of_a_network():
    """One key repeats its network, another key gives another."""
    network = made()()
    params = network.init(KEY, normal(KEY))
    sample = jax.jit(lambda key: network.apply(params, normal(key))["Dense_0"]["kernel"])
    one, again, other = (np.asarray(sample(jax.random.key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.all(one != other)
