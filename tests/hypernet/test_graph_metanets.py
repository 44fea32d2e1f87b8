"""Metanetworks of weights: orders of units, the identity, and gradients that are fed in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import make_cases
from jax.flatten_util import ravel_pytree

from metajax.core import ConfigError
from metajax.hypernet import fed_loss, graph_metanetwork
from metajax.units import group_penalty, permute_units, unit_sizes

CASES = make_cases()


def drawn(metanet, params):
    """Parameters none of which is zero; nothing is compiled."""
    shapes = jax.eval_shape(metanet.init, jax.random.key(0), params)
    draw = np.random.default_rng(0).standard_normal
    return jax.tree.map(lambda leaf: (draw(leaf.shape) / 3).astype(np.float32), shapes)


@pytest.fixture(scope="module", params=["mlp", pytest.param("conv", marks=pytest.mark.slow)])
def changed(request):
    """A network changed, the same with its units in another order, and a ratio of 0."""
    case, draw = CASES[request.param], np.random.default_rng(4)
    metanet = graph_metanetwork(case.units, width=4, rounds=2, ratio=1.0)
    meta = drawn(metanet, case.params)
    sizes = unit_sizes(case.params, case.units)
    orders = {unit: draw.permutation(size) for unit, size in sizes.items()}
    moved = permute_units(case.params, case.units, orders)

    @jax.jit
    @jax.vmap
    def apply(params, ratio):
        return metanet.apply(meta, params, ratio)

    three = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), case.params, moved, case.params, case.params
    )
    found = apply(three, jnp.array([1.0, 1.0, 0.0, 0.5]))
    parts = [jax.tree.map(lambda leaf, at=at: leaf[at], found) for at in range(4)]
    return case, orders, parts


def test_it_commutes_with_orders_of_units(changed):
    case, orders, (usual, moved, _, _) = changed
    for found, wanted, old in zip(
        *map(jax.tree.leaves, (moved, permute_units(usual, case.units, orders), case.params)),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        assert np.abs(wanted - old).max() > 1e-2


def test_a_ratio_of_0_returns_the_network_and_others_scale_the_change(changed):
    case, _, (whole, _, none, half) = changed
    jax.tree.map(np.testing.assert_array_equal, none, case.params)

    def near(old, whole, half):
        np.testing.assert_allclose(2 * (half - old), whole - old, rtol=1e-4, atol=1e-5)

    jax.tree.map(near, case.params, whole, half)


def test_sizes_out_of_range_are_rejected():
    units = CASES["mlp"].units
    with pytest.raises(ConfigError, match="even"):
        graph_metanetwork(units, width=3)
    with pytest.raises(ConfigError, match="rounds"):
        graph_metanetwork(units, rounds=0)


def test_a_slope_that_is_fed_in_is_a_vector_jacobian_product():
    """The meta-gradient is that of the loss plus the penalty, whose factors are constants.

    It also has a central difference in float64 along a random direction.
    """
    case = CASES["mlp"]
    metanet = graph_metanetwork(case.units, width=4, rounds=1, ratio=0.5)
    with jax.enable_x64():
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), case.params)
        meta = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), drawn(metanet, wide))
        flat, back = ravel_pytree(meta)

        def loss(params):
            return jnp.sum(jnp.square(params["Dense_1"]["kernel"]))

        def penalty(params):
            return group_penalty(params, case.units, 1.0, squared=True)

        def fed(flat):
            return fed_loss(loss, jax.grad(penalty), metanet.apply(back(flat), wide))

        def summed(flat):
            params = metanet.apply(back(flat), wide)
            return loss(params) + penalty(params)

        along = np.random.default_rng(1).standard_normal(flat.size)
        step = 1e-5

        @jax.jit
        def all_of_it(flat):
            ends = summed(flat + step * along), summed(flat - step * along)
            value, slope = jax.value_and_grad(fed)(flat)
            only = loss(metanet.apply(back(flat), wide))
            return value, only, slope, jax.grad(summed)(flat), (ends[0] - ends[1]) / (2 * step)

        value, only, slope, wanted, difference = all_of_it(flat)
        np.testing.assert_allclose(value, only, rtol=1e-12)
        np.testing.assert_allclose(slope, wanted, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(slope @ along, difference, rtol=1e-6)
