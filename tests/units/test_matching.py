"""Networks aligned by their units: a permuted network is found again."""

import jax
import numpy as np
import pytest
from cases import make_cases

from metajax.core import ConfigError
from metajax.units import match_units, mlp_units, permute_units, unit_sizes

CASES = make_cases()


def changed(params, amount):
    """Parameters with a small change of each number."""
    draw = np.random.default_rng(3)
    return jax.tree.map(
        lambda leaf: leaf + (amount * draw.normal(size=leaf.shape)).astype(leaf.dtype), params
    )


@pytest.mark.parametrize("name", CASES)
def test_a_permuted_network_is_aligned_exactly(name):
    """Also where its weights differ a little from those of the reference."""
    case, draw = CASES[name], np.random.default_rng(5)
    sizes = unit_sizes(case.params, case.units)
    orders = {unit: draw.permutation(size) for unit, size in sizes.items()}
    inverse = {unit: np.argsort(order) for unit, order in orders.items()}
    other = permute_units(case.params, case.units, orders)
    for found in (
        match_units(other, case.params, case.units),
        match_units(changed(other, 1e-3), case.params, case.units),
    ):
        for unit, order in inverse.items():
            np.testing.assert_array_equal(found[unit], order)
    back = permute_units(other, case.units, inverse)
    jax.tree.map(np.testing.assert_array_equal, back, case.params)


def test_alignment_brings_unlike_networks_nearer():
    """It is never further than before, though layer by layer alone is here."""
    params, units = jax.tree.map(np.asarray, CASES["mlp"].params), CASES["mlp"].units
    other = jax.tree.map(np.asarray, changed(params, 1.0))

    def distance(other):
        differences = jax.tree.map(lambda a, b: np.sum((a - b) ** 2), other, params)
        return sum(jax.tree.leaves(differences))

    aligned = permute_units(other, units, match_units(other, params, units))
    assert distance(aligned) <= distance(other)
    strange = jax.tree.map(lambda leaf: leaf[..., ::-1] * 1.5, other)
    aligned = permute_units(strange, units, match_units(strange, params, units))
    assert distance(aligned) < 0.9 * distance(strange)


def test_networks_of_other_shapes_are_rejected():
    params = CASES["mlp"].params
    cut = {**params, "Dense_0": jax.tree.map(lambda leaf: leaf[:1], params["Dense_0"])}
    with pytest.raises(ConfigError, match="as in params"):
        match_units(params, cut, mlp_units(params))
