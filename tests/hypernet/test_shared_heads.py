"""Parameters in shared chunks: their start, and which chunk depends on which."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import generator, shared_head
from metajax.nn import mlp

WIDE = mlp((40, 40), 3)
ORDERS = ("apart", "neighbor", "in_a_row")


def target(key):
    return WIDE.init(key, jnp.zeros((1, 16)))


def make(order, chunk_size=100, **options):
    hidden = (12,) if order == "in_a_row" else (12, 10)
    head = shared_head(chunk_size, embedding=4, order=order)
    return generator(target, **{"hidden": hidden, "head": head} | options)


def flat(params):
    return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(params)])


@pytest.mark.parametrize("order", ORDERS)
def test_networks_start_at_the_targets_scale(order):
    hypernet, latent = make(order), jax.random.normal(jax.random.key(9), (5,))
    keys = jax.random.split(jax.random.key(0), 30)
    made = jax.jit(jax.vmap(lambda key: hypernet.apply(hypernet.init(key, latent), latent)))(keys)
    own = jax.vmap(target)(keys)
    assert jax.tree.structure(made) == jax.tree.structure(own)
    for one, other in zip(jax.tree.leaves(made), jax.tree.leaves(own), strict=True):
        assert one.shape == other.shape
        if other.any():
            assert 0.7 < float(jnp.std(one) / jnp.std(other)) < 1.3
        else:
            assert 0 < float(jnp.std(one)) < 0.05


@pytest.mark.parametrize("order", ORDERS)
def test_a_chunk_depends_on_those_that_its_order_says(order):
    hypernet, latent = make(order, chunk_size=200), jax.random.normal(jax.random.key(9), (5,))
    params = hypernet.init(jax.random.key(1), latent)

    def by_chunk(chunks):
        numbers = flat(hypernet.apply({**params, "chunks": chunks}, latent))
        return numbers[: 12 * 200].reshape(12, 200)

    slopes = jax.jit(jax.jacfwd(by_chunk))(params["chunks"])  # the last chunk is not a whole one
    reached = np.asarray(jnp.any(slopes != 0, axis=(1, 3)))[:, :12]
    row, column = np.indices((12, 12))
    expected = {
        "apart": row == column,
        "neighbor": (row == column) | (row == column + 1),
        "in_a_row": row >= column,
    }[order]
    np.testing.assert_array_equal(reached, expected)


@pytest.mark.parametrize("order", ORDERS)
def test_a_batch_is_a_loop(order):
    hypernet, latents = make(order), jax.random.normal(jax.random.key(9), (2, 3, 5))
    params = hypernet.init(jax.random.key(1), latents[0, 0])
    batched = hypernet.apply(params, latents)
    for i, j in np.ndindex(2, 3):
        one = hypernet.apply(params, latents[i, j])
        for whole, alone in zip(jax.tree.leaves(batched), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(whole[i, j], alone, rtol=1e-5, atol=1e-6)


def test_without_recurrent_weights_and_forget_gates_it_is_a_feed_forward_network():
    """Each chunk is then the same function of its own embedding: their order does not matter."""
    hypernet, latent = make("in_a_row"), jax.random.normal(jax.random.key(9), (5,))
    params = hypernet.init(jax.random.key(1), latent)
    width = params["recurrent"].shape[0]
    shut = params["in"]["bias"].at[width : 2 * width].set(-1e4)
    kernel = params["in"]["kernel"].at[:, width : 2 * width].set(0)
    params |= {
        "recurrent": jnp.zeros_like(params["recurrent"]),
        "in": {"kernel": kernel, "bias": shut},
        "scales": {"mean": jnp.zeros(6), "deviation": jnp.ones(6)},
    }
    count = 2 * 100
    usual = flat(hypernet.apply(params, latent))[: 2 * count].reshape(-1, 100)
    order = jnp.arange(len(params["chunks"])).at[:4].set(jnp.array([2, 0, 3, 1]))
    swapped = {**params, "chunks": params["chunks"][order]}
    found = flat(hypernet.apply(swapped, latent))[: 2 * count].reshape(-1, 100)
    np.testing.assert_allclose(found, usual[order[:4]], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_reach_all_but_the_scales(order):
    hypernet, latent = make(order), jax.random.normal(jax.random.key(9), (5,))
    params = hypernet.init(jax.random.key(1), latent)

    def loss(params, latent):
        return jnp.sum(flat(hypernet.apply(params, latent)) ** 2)

    slopes, to_latent = jax.jit(jax.grad(loss, (0, 1)))(params, latent)
    assert not any(leaf.any() for leaf in jax.tree.leaves(slopes.pop("scales")))
    assert all(leaf.any() for leaf in jax.tree.leaves(slopes)) and to_latent.all()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"chunk_size": 0}, "chunk_size"),
        ({"embedding": 0}, "embedding"),
        ({"order": "all"}, "order"),
        ({"hidden": ()}, "hidden"),
        ({"hidden": (4, 4), "order": "in_a_row"}, "hidden"),
    ],
)
def test_sizes_out_of_range_are_rejected_by_name(options, field):
    hidden = options.pop("hidden", (4,))
    with pytest.raises(ConfigError) as raised:
        generator(target, hidden=hidden, head=shared_head(**{"chunk_size": 10} | options))
    assert raised.value.field == field


def test_a_base_is_added_and_takes_its_share_of_the_variance():
    """At 1 the latents change what the target draws by nothing; others add up."""
    latents = jax.random.normal(jax.random.key(9), (2, 5))
    usual, based = make("apart"), make("apart", base=0.36)
    params = based.init(jax.random.key(1), latents)
    plain = usual.init(jax.random.key(1), latents)
    parts = usual.apply({**plain, "scales": params["scales"]}, latents)
    added = zip(params["base"].values(), jax.tree.leaves(parts), strict=True)
    for (base, part), whole in zip(
        added, jax.tree.leaves(based.apply(params, latents)), strict=True
    ):
        np.testing.assert_allclose(whole, base[None] + part, rtol=1e-6)
    np.testing.assert_allclose(
        params["scales"]["deviation"], 0.8 * plain["scales"]["deviation"], rtol=1e-6
    )
    one = make("apart", base=1.0)
    first, second = one.apply(one.init(jax.random.key(1), latents), latents)["Dense_0"]["kernel"]
    np.testing.assert_array_equal(first, second)
