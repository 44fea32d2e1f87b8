"""The encoder of token sets: what is left out has no influence at all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import token_set_encoder

DRAW = np.random.default_rng(0)
TOKENS = jnp.asarray(DRAW.normal(size=(5, 4, 3)), jnp.float32)
PRESENT = jnp.asarray([[1, 0, 1, 1], [1, 1, 1, 1], [0, 0, 1, 0], [1, 1, 0, 1], [0, 1, 1, 0]], bool)
ENCODER = token_set_encoder(num_outputs=2, width=8, layers=2, heads=2)
PARAMS = jax.jit(ENCODER.init)(jax.random.key(0), TOKENS, PRESENT)
apply = jax.jit(ENCODER.apply)


def test_a_token_that_is_left_out_has_no_influence():
    usual = apply(PARAMS, TOKENS, PRESENT)
    for other in (7.0, np.nan, np.inf):
        changed = jnp.where(PRESENT[..., None], TOKENS, other)
        np.testing.assert_array_equal(apply(PARAMS, changed, PRESENT), usual)
    slope = jax.jit(jax.grad(lambda tokens: jnp.sum(apply(PARAMS, tokens, PRESENT) ** 2)))(TOKENS)
    there = np.any(np.asarray(slope) != 0, axis=-1)
    np.testing.assert_array_equal(there, PRESENT)


def test_a_set_is_encoded_as_if_left_out_tokens_did_not_exist_and_in_any_order():
    found = apply(PARAMS, TOKENS, PRESENT)
    for index in (0, 4):
        kept = np.asarray(TOKENS[index])[np.asarray(PRESENT[index])][::-1]
        alone = apply(PARAMS, jnp.asarray(kept), jnp.ones(len(kept), bool))
        np.testing.assert_allclose(alone, found[index], rtol=1e-4, atol=1e-5)


def test_named_tokens_have_an_order():
    named = token_set_encoder(num_outputs=2, width=8, heads=2, named=True)
    everything = jnp.ones_like(PRESENT)
    params = jax.jit(named.init)(jax.random.key(0), TOKENS, everything)
    named_apply = jax.jit(named.apply)
    turned = named_apply(params, TOKENS[:, ::-1], everything)
    assert np.abs(turned - named_apply(params, TOKENS, everything)).max() > 0.1


def test_prefixes_read_a_set_in_any_order_and_each_differently():
    reader = token_set_encoder(num_outputs=2, width=8, heads=2, prefixes=3)
    params = jax.jit(reader.init)(jax.random.key(0), TOKENS, PRESENT)
    read = jax.jit(reader.apply)
    found = read(params, TOKENS, PRESENT)
    assert found.shape == (5, 3, 2)
    turned = read(params, TOKENS[:, ::-1], PRESENT[:, ::-1])
    np.testing.assert_allclose(turned, found, rtol=1e-4, atol=1e-5)
    left_out = read(params, jnp.where(PRESENT[..., None], TOKENS, np.nan), PRESENT)
    np.testing.assert_array_equal(left_out, found)
    assert np.abs(found[:, 0] - found[:, 1]).min() > 1e-3
    # the prefixes see the set
    assert np.abs(found[0] - found[1]).max() > 1e-2


@pytest.mark.parametrize(
    ("field", "value"), [("num_outputs", 0), ("heads", 3), ("layers", 0), ("prefixes", -1)]
)
def test_sizes_that_do_not_fit_are_rejected(field, value):
    with pytest.raises(ConfigError, match="multiple of heads" if field == "heads" else field):
        token_set_encoder(**{"num_outputs": 2, "width": 8, field: value})
