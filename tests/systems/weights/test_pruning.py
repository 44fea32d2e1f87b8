"""Networks by kept units: masks, starts of small networks, and what is compared with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, derive
from metajax.nn import mlp
from metajax.systems import configure
from metajax.systems.weights.pruning.evaluate import kept_weights, largest_weights, narrow_starts

INPUTS = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
SHAPES = jax.eval_shape(mlp((4, 4), 3).init, jax.random.key(0), INPUTS)
DRAW = np.random.default_rng(1).standard_normal
PARAMS = jax.tree.map(lambda leaf: DRAW(leaf.shape).astype(np.float32), SHAPES)


def narrow(size):
    return mlp((size, size), 3)


def total(masks):
    return sum(int(np.sum(leaf)) for leaf in jax.tree.leaves(masks))


def test_units_and_single_weights_are_kept_in_equal_numbers():
    @jax.jit
    def both(size):
        masks = kept_weights(PARAMS, size)
        number = sum(jnp.sum(leaf) for leaf in jax.tree.leaves(masks))
        return masks, largest_weights(PARAMS, number.astype(jnp.int32))

    units, single = both(2)
    assert total(units) == total(single) == (6 * 2 + 2) + (2 * 2 + 2) + (2 * 3 + 3)
    pairs = [*zip(*map(jax.tree.leaves, (PARAMS, single)), strict=True)]
    kept = np.concatenate([np.abs(leaf)[mask > 0] for leaf, mask in pairs])
    dropped = np.concatenate([np.abs(leaf)[mask == 0] for leaf, mask in pairs])
    assert kept.min() > dropped.max()


def test_small_networks_start_as_they_would_by_themselves():
    """Padded with zeros, they compute the same."""
    key, sizes = jax.random.key(3), (3, 1)

    @jax.jit
    def both(params):
        starts, masks = narrow_starts(narrow, params, sizes, key)
        padded = jax.vmap(narrow(4).apply, (0, None))(starts, INPUTS)
        own = [
            narrow(size).init(derive(key, "small", number), INPUTS)
            for number, size in enumerate(sizes)
        ]
        alone = [narrow(size).apply(start, INPUTS) for size, start in zip(sizes, own, strict=True)]
        return starts, masks, padded, own, alone

    starts, masks, padded, own, alone = both(PARAMS)
    for place in range(len(sizes)):
        np.testing.assert_allclose(padded[place], alone[place], rtol=1e-5, atol=1e-6)
        for start, mask, small in zip(
            *map(jax.tree.leaves, (starts, masks, own[place])), strict=True
        ):
            corner = tuple(slice(0, size) for size in small.shape)
            np.testing.assert_array_equal(start[place][corner], small)
            assert np.all(mask[place][corner] == 1)
            assert np.sum(mask[place]) == small.size and not np.any(start[place][mask[place] == 0])


@pytest.mark.parametrize(
    ("field", "value"), [("zoo_steps", 1500), ("kept_units", (49,)), ("kept_units", ())]
)
def test_settings_that_do_not_fit_are_rejected(field, value):
    with pytest.raises(ConfigError) as raised:
        configure("weights", "pruning", **{field: value})
    assert raised.value.field == field
    with pytest.raises(ConfigError, match="channels"):
        configure("weights", "metapruning", channels=3)
