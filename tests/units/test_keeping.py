"""Keeping so many units: the same function as taking them, by one program for all numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import mlp
from metajax.units import (
    keep_first,
    keep_largest,
    mask_units,
    mlp_units,
    prune_units,
    relative_norms,
    share_masks,
    slice_units,
    take_units,
    unit_norms,
)

INPUTS = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
NETWORK = mlp((4, 6, 4), 3)
PARAMS = NETWORK.init(jax.random.key(0), INPUTS)
UNITS = mlp_units(PARAMS)


@pytest.fixture(scope="module")
def kept():
    def both(size):
        sizes = {"h1": size}
        found = keep_first(PARAMS, UNITS, sizes), keep_largest(PARAMS, UNITS, sizes)
        return [NETWORK.apply(params, INPUTS) for params in found]

    return jax.jit(jax.vmap(both))(jnp.array([1, 3, 6]))


@pytest.mark.parametrize(("place", "size"), [(0, 1), (1, 3), (2, 6)])
def test_masked_units_are_the_taken_ones(kept, place, size):
    small = mlp((4, size, 4), 3)
    first = small.apply(slice_units(PARAMS, UNITS, {"h1": size}), INPUTS)
    np.testing.assert_allclose(kept[0][place], first, rtol=1e-5, atol=1e-5)
    norms = np.asarray(unit_norms(PARAMS, UNITS)["h1"])
    largest = np.sort(np.argsort(-norms)[:size])
    taken = small.apply(take_units(PARAMS, UNITS, {"h1": largest}), INPUTS)
    np.testing.assert_allclose(kept[1][place], taken, rtol=1e-5, atol=1e-5)


def test_a_share_of_all_units_is_kept_by_relative_norms():
    """Masked equals sliced; each name keeps its largest unit, and nothing else at a share of 0."""
    shares = [0.0, 0.5, 1.0]

    @jax.jit
    @jax.vmap
    def found(share):
        masks = share_masks(PARAMS, UNITS, share)
        outputs = NETWORK.apply(mask_units(PARAMS, UNITS, masks), INPUTS)
        return masks, outputs, relative_norms(PARAMS, UNITS)

    all_masks, outputs, relative = found(jnp.array(shares))
    norms = {name: np.asarray(one[0]) for name, one in relative.items()}
    assert {float(one.max()) for one in norms.values()} == {1.0}
    limit = np.sort(np.concatenate([*norms.values()]))[-7]  # half of the 14 units
    for place, number in enumerate([3, 7, 14]):
        masks = {name: np.asarray(mask[place]) for name, mask in all_masks.items()}
        assert sum(mask.sum() for mask in masks.values()) == number
        assert all(mask[norms[name].argmax()] for name, mask in masks.items())
        if number != 7:
            continue
        for name, mask in masks.items():
            np.testing.assert_array_equal(mask, norms[name] >= limit)
        small = prune_units(PARAMS, UNITS, masks)
        sizes = [int(mask.sum()) for mask in masks.values()]
        assert small["Dense_1"]["kernel"].shape == tuple(sizes[:2])
        sliced = mlp(sizes, 3).apply(small, INPUTS)
        np.testing.assert_allclose(outputs[place], sliced, rtol=1e-5, atol=1e-5)


def test_what_cannot_be_pruned_is_rejected():
    with pytest.raises(ConfigError, match="0 to 1"):
        share_masks(PARAMS, UNITS, 1.5)
    for mask in (np.zeros(6, bool), np.ones(5, bool)):
        with pytest.raises(ConfigError, match="mask of h1"):
            prune_units(PARAMS, UNITS, {"h1": mask})
    with pytest.raises(ConfigError, match="known values"):
        jax.eval_shape(lambda mask: prune_units(PARAMS, UNITS, {"h1": mask}), np.ones(6, bool))
