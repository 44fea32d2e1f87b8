"""The Swin Transformer against plain attention; FiLM, pooling and the embedding of problems."""

import functools

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from metajax.core import ConfigError, Network, cast_floats, count, enable_x64
from metajax.nn import attention_pool, film, grid_embedding, grid_positions, swin
from metajax.nn.vision.swin_transformer import PatchMerging, SwinBlock, WindowAttention
from metajax.nn.vision.windows import from_windows, to_windows, window_mask, windows_of

SIZES = {"depths": (2, 1), "heads": (2, 4), "window": 3, "mlp_ratio": 2}


def noisy(params, seed=7, size=0.3):
    """Parameters none of which is zero or one: biases, tables and FiLM would not show else."""
    leaves, treedef = jax.tree.flatten(params)
    draw = np.random.default_rng(seed).standard_normal
    leaves = [x + size * draw(x.shape).astype(x.dtype) for x in leaves]
    return jax.tree.unflatten(treedef, leaves)


def random(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def compiled(network):
    return Network(*map(jax.jit, network))


@functools.cache
def made():
    network = compiled(swin(**SIZES))
    inputs = (random(2, 8, 6, 4), random(2, 5, seed=2))
    return network, noisy(network.init(jax.random.key(0), *inputs)), inputs


# windows


def plain_attention(params, x, heads, window, shift):
    """All tokens score all tokens; a mask leaves those of the same window. Float64, one map."""
    height, width, channels = x.shape
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    cells = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    cells = cells.reshape(-1, 2)
    tokens = np.asarray(x, np.float64).reshape(-1, channels)
    qkv = tokens @ p["qkv"]["kernel"] + p["qkv"]["bias"]
    q, k, v = qkv.reshape(-1, 3, heads, channels // heads).swapaxes(0, 1)
    # windows start at the shift, and what lies before the first of them is a window by itself
    place = (cells - np.array(shift)) // np.array(window)
    seen = (place[:, None] == place[None]).all(-1)
    side = (np.sqrt(len(p["positions"])) + 1) / 2
    between = (cells[:, None] - cells[None] + side - 1).astype(int)
    found = np.zeros_like(tokens)
    for head in range(heads):
        scores = q[:, head] @ k[:, head].T / np.sqrt(channels // heads)
        for i, j in zip(*np.nonzero(seen), strict=True):
            row, column = between[i, j]
            scores[i, j] += p["positions"][int(row * (2 * side - 1) + column), head]
        weights = np.where(seen, np.exp(scores), 0)
        weights /= weights.sum(-1, keepdims=True)
        found[:, head * channels // heads : (head + 1) * channels // heads] = weights @ v[:, head]
    return (found @ p["out"]["kernel"] + p["out"]["bias"]).reshape(x.shape)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("grid", "window", "shift"),
    [
        ((8, 12), 4, (2, 2)),  # windows divide the grid
        ((7, 9), 4, (2, 2)),  # padded
        ((9, 3), 4, (2, 0)),  # one axis shorter than a window
        ((4, 4), 4, (0, 0)),  # one window
        ((6, 6), 3, (1, 1)),
    ],
)
def test_window_attention_is_masked_attention_over_all_tokens(grid, window, shift, shifted):
    x = random(2, *grid, 6)
    module = WindowAttention(2, window)
    windows = windows_of(*grid, window, shifted=shifted)
    params = noisy(module.init(jax.random.key(0), x, windows)["params"])
    found = jax.jit(lambda p, x: module.apply({"params": p}, x, windows))(params, x)
    sides = [min(window, size) for size in grid]
    shift = shift if shifted else (0, 0)
    for ours, image in zip(found, x, strict=True):
        np.testing.assert_allclose(ours, plain_attention(params, image, 2, sides, shift), atol=2e-5)


@pytest.mark.parametrize("grid", [(8, 8), (7, 5), (2, 9)])
def test_cutting_into_windows_is_undone(grid):
    x = random(2, *grid, 3)
    windows = windows_of(*grid, 4, shifted=True)
    np.testing.assert_array_equal(from_windows(to_windows(x, windows), windows), x)


def test_masks_of_shifted_windows_of_a_small_grid():
    """4 x 4 cells, windows of 2, shifted by 1: the last windows hold cells of opposite edges."""
    assert window_mask(windows_of(4, 4, 2, shifted=False)) is None
    first, right, below, corner = window_mask(windows_of(4, 4, 2, shifted=True))
    assert first.all()
    columns = np.array([[0, 1, 0, 1]])
    np.testing.assert_array_equal(right, columns == columns.T)
    rows = np.array([[0, 0, 1, 1]])
    np.testing.assert_array_equal(below, rows == rows.T)
    np.testing.assert_array_equal(corner, np.eye(4, dtype=bool))


# the Transformer


def test_maps_halve_in_size_and_double_in_width():
    network = swin(depths=(1, 1, 2), heads=(2, 2, 4), window=3)
    x = random(5, 9, 4)
    params = jax.eval_shape(network.init, jax.random.key(0), x)
    maps = jax.eval_shape(network.apply, params, x)
    assert [m.shape for m in maps] == [(5, 9, 4), (3, 5, 8), (2, 3, 16)]
    assert not any("film" in name for name in params)


def test_merging_gathers_the_four_cells_of_each_square():
    network, params, (x, condition) = made()
    merge = params["merge_1"]
    fine, coarse = network.apply(params, x, condition)
    four = np.concatenate(
        [fine[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=-1, dtype=np.float64
    )
    centred = four - four.mean(-1, keepdims=True)
    normed = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5)
    normed = normed * np.asarray(merge["norm"]["scale"]) + np.asarray(merge["norm"]["bias"])
    expected = normed @ np.asarray(merge["reduction"]["kernel"])
    found = jax.jit(PatchMerging().apply)({"params": merge}, fine)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    block = jax.jit(SwinBlock(4, 3, False, 2).apply)
    found = block({"params": params["stage_1_block_0"]}, found)
    modulation = condition @ params["film_1"]["weight"] + params["film_1"]["bias"][None]
    found = film(found, modulation[:, None, None])
    np.testing.assert_allclose(coarse, found, atol=1e-4)


def test_film_starts_as_the_identity_and_then_scales_and_shifts():
    network, _, (x, condition) = made()
    params = network.init(jax.random.key(0), x, condition)
    without = {name: block for name, block in params.items() if "film" not in name}
    assert len(without) == len(params) - 2
    for one, other in zip(
        network.apply(params, x, condition), network.apply(without, x), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(film(x, jnp.zeros((1, 1, 1, 8))), x)
    modulation = np.repeat([1.0, -2.0], 4).astype(np.float32)
    np.testing.assert_allclose(film(x, modulation[None, None, None]), 2 * x - 2)
    last = jax.jit(jax.grad(lambda p: jnp.sum(network.apply(p, x, condition)[-1] ** 2)))(params)
    assert all(jnp.any(last[f"film_{stage}"]["weight"] != 0) for stage in (0, 1))


def test_parameters_do_not_depend_on_the_size_of_the_grid():
    network = swin(**SIZES)
    shapes = [
        jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((size, size, 4)))
        for size in (2, 7, 12)
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def value_and_grads(network, params, inputs):
    def loss(params):
        return sum(jnp.sum(jnp.sin(m)) for m in network.apply(params, *inputs))

    return jax.jit(jax.value_and_grad(loss))(params)


def close(one, other, rtol=1e-4, atol=1e-4):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), one, other)


@pytest.mark.slow
def test_rematerialised_blocks_give_the_same_and_keep_less():
    network, params, inputs = made()
    remat = swin(**SIZES, remat=True)
    assert jax.tree.structure(jax.eval_shape(remat.init, jax.random.key(0), *inputs)) == (
        jax.tree.structure(params)
    )
    close(value_and_grads(remat, params, inputs), value_and_grads(network, params, inputs))

    def kept(network):
        return count(jax.vjp(lambda p: network.apply(p, *inputs), params)[1])

    assert kept(remat) < 0.5 * kept(network)


def test_mapped_over_tasks_equals_one_batch_with_its_gradients():
    network, params, inputs = made()

    def mapped(params, *inputs):
        return jax.vmap(network.apply, (None, 0, 0))(params, *inputs)

    both = network._replace(apply=mapped)
    close(value_and_grads(both, params, inputs), value_and_grads(network, params, inputs))
    alone = network.apply(params, *(x[1] for x in inputs))
    for one, batch in zip(alone, network.apply(params, *inputs), strict=True):
        np.testing.assert_allclose(one, batch[1], atol=1e-5)
    deeper = network.apply(params, *(x[:, None] for x in inputs))
    assert deeper[0].shape == (2, 1, 8, 6, 4)


def test_gradients_agree_with_finite_differences_in_float64():
    with enable_x64(True):
        network = swin(depths=(2,), heads=(2,), window=2, mlp_ratio=1)
        x, condition = random(3, 4, 4), random(2)
        params = jax.jit(network.init)(jax.random.key(0), x, condition)
        params, x, condition = cast_floats((noisy(params), x, condition), jnp.float64)

        def loss(params, x, condition):
            return jnp.mean(jnp.square(network.apply(params, x, condition)[0]))

        check_grads(
            jax.jit(loss), (params, x, condition), 1, modes=["rev"], eps=1e-5, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("option", [True, False])
def test_half_precision_is_close_to_single(option):
    network, params, inputs = made()
    half = compiled(swin(**SIZES, dtype=jnp.bfloat16)) if option else network
    used = params if option else jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    for one, other in zip(half.apply(used, *inputs), network.apply(params, *inputs), strict=True):
        assert one.dtype == jnp.bfloat16
        assert np.std(one.astype(np.float32) - other) < 0.02 * np.std(other)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"depths": (2, 0)}, "depths"),
        ({"heads": (2, 0)}, "heads"),
        ({"window": 0}, "window"),
        ({"mlp_ratio": 0}, "mlp_ratio"),
        ({"heads": (2,)}, "heads"),
        ({"heads": (2, 3)}, "heads"),
    ],
)
def test_sizes_out_of_range_are_refused(options, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        swin(**{**SIZES, **options}).init(jax.random.key(0), jnp.zeros((6, 6, 4)))


# pooling


def test_pooling_is_multi_head_attention_of_flax():
    network = compiled(attention_pool(5, heads=2))
    tokens = random(3, 11, 8)
    params = noisy(network.init(jax.random.key(0), tokens))
    p = jax.tree.map(np.asarray, params)
    normed = flax.linen.LayerNorm(epsilon=1e-5).apply({"params": p["norm"]}, tokens)
    projections = {
        "query": {
            "kernel": p["query"]["kernel"].reshape(8, 2, 4),
            "bias": p["query"]["bias"].reshape(2, 4),
        },
        **{
            name: {"kernel": p[name], "bias": np.zeros((2, 4), np.float32)}
            for name in ("key", "value")
        },
        "out": {"kernel": p["out"]["kernel"].reshape(2, 4, 8), "bias": p["out"]["bias"]},
    }
    theirs = flax.linen.MultiHeadDotProductAttention(2)
    queries = np.broadcast_to(p["queries"], (3, 5, 8))
    expected = jax.jit(theirs.apply)({"params": projections}, queries, normed)
    np.testing.assert_allclose(network.apply(params, tokens), expected, atol=1e-5)


def test_pooling_does_not_see_the_order_of_tokens_but_what_they_are():
    network = compiled(attention_pool(3, heads=2))
    tokens = random(2, 9, 4)
    params = noisy(network.init(jax.random.key(0), tokens))
    pooled = network.apply(params, tokens)
    assert pooled.shape == (2, 3, 4)
    np.testing.assert_allclose(network.apply(params, tokens[:, ::-1]), pooled, atol=1e-5)
    changed = np.array(tokens)
    changed[:, 4] *= -1
    assert np.abs(network.apply(params, changed) - pooled).max() > 1e-2
    assert np.abs(pooled[:, 0] - pooled[:, 1]).max() > 1e-2
    one = jax.vmap(network.apply, (None, 0))(params, tokens)
    np.testing.assert_allclose(one, pooled, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "field"),
    [({"num_queries": 0}, "num_queries"), ({"heads": 0}, "heads"), ({"heads": 3}, "heads")],
)
def test_pools_out_of_range_are_refused(options, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        attention_pool(**{"num_queries": 2, **options}).init(jax.random.key(0), jnp.zeros((5, 4)))


# the embedding


def test_positions_are_told_apart_and_near_ones_are_alike():
    positions = grid_positions(5, 7, 8)
    flat = positions.reshape(35, 8)
    np.testing.assert_allclose(np.square(flat).sum(-1), 4, rtol=1e-6)
    apart = np.square(flat[:, None] - flat[None]).sum(-1)
    assert apart[~np.eye(35, dtype=bool)].min() > 1e-3
    assert apart[0, 1] == pytest.approx(apart[0, 7], rel=1e-5)  # a column, a row
    assert apart[0, 1] < apart[0, 2]


@pytest.mark.parametrize(("grid", "coarse"), [((8, 12), (2, 3)), ((9, 6), (3, 2))])
def test_embedding_is_a_quarter_of_the_grid_and_sees_every_channel(grid, coarse):
    network = compiled(grid_embedding(8))
    grids = random(*grid, 5)
    params = noisy(network.init(jax.random.key(0), grids))
    tokens = network.apply(params, grids)
    assert tokens.shape == (*coarse, 8)
    for channel in range(5):
        changed = grids.copy()
        changed[..., channel] += 0.5
        assert np.abs(network.apply(params, changed) - tokens).max() > 1e-2
    batch = np.stack([grids, 2 * grids])
    mapped = jax.vmap(network.apply, (None, 0))(params, batch)
    np.testing.assert_allclose(mapped[0], tokens, atol=1e-5)
    np.testing.assert_allclose(network.apply(params, batch), mapped, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"width": 6}, "width"),
        ({"width": 40}, "width"),
        ({"conditions": 0}, "conditions"),
        ({"frequencies": 0}, "frequencies"),
        ({"conditions": 3}, "conditions"),
    ],
)
def test_embeddings_out_of_range_are_refused(options, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        grid_embedding(**{"width": 8, **options}).init(jax.random.key(0), jnp.zeros((8, 8, 5)))
