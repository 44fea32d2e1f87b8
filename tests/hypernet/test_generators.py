"""Generated parameters: their shapes, scale at the start, forms, batches and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Network, count
from metajax.hypernet import chunked_head, generator, low_rank_head, shared_head
from metajax.nn import (
    Graph,
    attention_pool,
    causal_transformer,
    conv_net,
    graph_net,
    grid_embedding,
    mlp,
    modified_mlp,
    swin,
)

INPUTS = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
EDGE = np.zeros(1, np.int32)
GRAPH = Graph(INPUTS[:2], EDGE, EDGE)
WIDE = mlp((48, 48), 3)
FORMS = {
    "dense": {},
    "chunked": {"head": chunked_head(100)},
    "low_rank": {"head": low_rank_head(4)},
    "linear": {"hidden": ()},
    "deep": {"hidden": (32, 16)},
    "base": {"base": 0.5},
    "base and chunks": {"base": 0.25, "head": chunked_head(100)},
    "base and products": {"base": 0.75, "head": low_rank_head(4)},
    "linear chunks": {"hidden": (), "head": chunked_head(100)},
}


# forms that combine what the others hold one by one
SECOND_LINE = ("deep", "base", "linear chunks")
EVERY_FORM = [
    pytest.param(form, marks=pytest.mark.slow if form in SECOND_LINE else ()) for form in FORMS
]


def start(key):
    return WIDE.init(key, INPUTS)


def layer(key):
    """One layer compiles in a third of the time, where every head is like the others."""
    return mlp((), 48).init(key, INPUTS)


def shapes_of(function, *args):
    return jax.tree.map(lambda leaf: leaf.shape, jax.eval_shape(function, *args))


def compiled(*args, **options):
    return Network(*map(jax.jit, generator(*args, **options)))


def latents_of(*shape, seed=0, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def root_mean_square(x):
    return float(np.sqrt(np.mean(np.square(x))))


def layers(params, x):
    """Inputs of every layer's activation, and the output."""
    found = []
    for number in range(3):
        x = x @ params[f"Dense_{number}"]["kernel"] + params[f"Dense_{number}"]["bias"][None]
        found.append(x)
        x = jax.nn.relu(x)
    return found


# the scale at the start


@pytest.fixture(scope="module")
def own_layers():
    keys = jax.random.split(jax.random.key(1), 32)
    return jax.jit(jax.vmap(lambda key: layers(start(key), INPUTS)))(keys)


@pytest.mark.parametrize(
    ("form", "size"),
    [
        ("dense", 1),
        pytest.param("dense", 8, marks=pytest.mark.slow),  # between 1 and 64
        ("dense", 64),
        ("chunked", 8),
        ("low_rank", 8),
        pytest.param("linear", 8, marks=pytest.mark.slow),
        ("linear", 64),
        ("base", 8),
    ],
)
def test_activations_start_at_the_scale_of_the_targets_own_start(form, size, own_layers):
    """Root mean squares over 32 hypernetworks, against as many starts of the target."""
    hypernet = generator(start, **FORMS[form])
    keys = jax.random.split(jax.random.key(1), 32)
    scales = (1.0,) if "linear" in form else (0.1, 1.0, 30.0)

    @jax.jit
    @jax.vmap
    def generated(key, z):
        params = hypernet.init(key, z)
        return [layers(hypernet.apply(params, scale * z), INPUTS) for scale in scales]

    z = latents_of(32, size)
    if "linear" in form:
        z /= np.sqrt(np.mean(np.square(z), axis=-1, keepdims=True))
    for made in generated(keys, z):
        for ours, theirs in zip(made, own_layers, strict=True):
            assert root_mean_square(ours) / root_mean_square(theirs) == pytest.approx(1, abs=0.2)


def mixed(key):
    """Tensors that are drawn around zero, drawn around another mean, set, and set in part."""
    params = mlp((48,), 3).init(key, INPUTS)
    one, other = jax.random.split(jax.random.fold_in(key, 1))
    params["tilted"] = 2 + 0.5 * jax.random.uniform(one, (20, 30))
    params["scale"] = jnp.ones(7)
    half = jnp.arange(40) < 20
    params["partly"] = jnp.where(half, 1, jax.random.normal(other, (40,)))
    return params


@pytest.fixture(scope="module")
def own_tensors():
    return jax.jit(jax.vmap(mixed))(jax.random.split(jax.random.key(2), 32))


@pytest.mark.parametrize("form", EVERY_FORM)
def test_every_tensor_starts_with_the_mean_and_deviation_of_its_own(form, own_tensors):
    hypernet = generator(mixed, **FORMS[form])
    keys = jax.random.split(jax.random.key(2), 32)
    z = latents_of(32, 16)
    ours = jax.jit(jax.vmap(lambda key, z: hypernet.apply(hypernet.init(key, z), z)))(keys, z)
    own = own_tensors
    fixed = ("scale", "Dense_0/bias", "Dense_1/bias")
    for (path, made), drawn in zip(
        jax.tree.leaves_with_path(ours), jax.tree.leaves(own), strict=True
    ):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        assert made.shape == drawn.shape
        if name in fixed:
            np.testing.assert_array_equal(made, drawn)
        elif name == "tilted" and form == "low_rank":
            assert abs(np.mean(made)) < 0.1  # a product has no mean, as documented
        else:
            np.testing.assert_allclose(np.mean(made), np.mean(drawn), atol=0.1)
            np.testing.assert_allclose(np.std(made), np.std(drawn), rtol=0.15)
    if form != "base and chunks":
        np.testing.assert_array_equal(ours["partly"][:, :20], 1)


def test_a_latent_of_zeros_gives_a_network_of_the_right_scale():
    hypernet = generator(start)
    zeros = np.zeros(8, np.float32)
    keys = jax.random.split(jax.random.key(0), 32)
    made = jax.jit(jax.vmap(lambda key: hypernet.apply(hypernet.init(key, zeros), zeros)))(keys)
    own = root_mean_square(jax.jit(start)(jax.random.key(0))["Dense_1"]["kernel"])
    assert root_mean_square(made["Dense_1"]["kernel"]) == pytest.approx(own, rel=0.1)


@pytest.mark.slow
def test_the_targets_gradient_reaches_every_parameter():
    """Also where the target's own start is zero, as that of biases is."""
    for form in ("deep", "base and products", "linear chunks"):
        hypernet = generator(start, **FORMS[form])
        z = latents_of(4, 8)
        params = hypernet.init(jax.random.key(0), z)

        def loss(params, hypernet=hypernet, z=z):
            outputs = jax.vmap(WIDE.apply, (0, None))(hypernet.apply(params, z), INPUTS)
            return jnp.mean(jnp.square(outputs - 1))

        for _ in range(2):  # what lies behind outputs of zero has a gradient from the second on
            grads = jax.jit(jax.grad(loss))(params)
            params = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        for path, grad in jax.tree.leaves_with_path(grads):
            assert np.any(grad), (form, path)


def test_different_latents_give_different_networks_unless_the_base_is_all():
    z = latents_of(2, 8)
    for base, differ in ((None, True), (0.5, True), (1.0, False)):
        hypernet = compiled(layer, base=base)
        params = hypernet.init(jax.random.key(0), z)
        kernel = hypernet.apply(params, z)["Dense_0"]["kernel"]
        assert (root_mean_square(kernel[0] - kernel[1]) > 0.05) == differ


# forms


def test_products_have_the_rank_asked_for_and_small_tensors_are_made_whole():
    hypernet = compiled(start, head=low_rank_head(4))
    z = latents_of(8)
    params = hypernet.init(jax.random.key(0), z)
    made = hypernet.apply(params, z)
    assert np.linalg.matrix_rank(made["Dense_1"]["kernel"], tol=1e-4) == 4
    assert params["Dense_1/kernel"]["out"]["kernel"].shape == (64, 4 * (48 + 48))
    assert np.linalg.matrix_rank(made["Dense_2"]["kernel"], tol=1e-4) == 3
    assert params["Dense_2/kernel"]["out"]["kernel"].shape == (64, 48 * 3)


def tensor_of(*shape):
    return lambda key: {"only": jax.random.normal(key, shape)}


@pytest.mark.parametrize(
    ("shape", "chunk", "width"),
    [
        pytest.param((48, 48), 96, 8, id="whole"),
        pytest.param((48, 48), 96, 64, id="whole, few"),  # fewer chunks than hidden units
        pytest.param((3, 769), 100, 8, id="cut"),  # no number from 50 to 100 divides 2307
    ],
)
def test_chunks_share_a_head_and_differ_by_their_embeddings(shape, chunk, width):
    hypernet = compiled(
        tensor_of(*shape), hidden=(width,), head=chunked_head(100, embedding=5), base=0.5
    )
    z = latents_of(8)
    params = hypernet.init(jax.random.key(0), z)
    head = params["only"]
    number = -(-shape[0] * shape[1] // chunk)
    assert head["chunks"].shape == (number, 5) and head["out"]["kernel"].shape == (width, chunk)
    head = {**head, "out": {**head["out"], "offset": latents_of(chunk, seed=1)}}
    made = hypernet.apply({"only": head}, z)["only"]
    assert made.shape == shape
    made = (made - head["base"]).reshape(-1)
    # what each of its chunks is can be told without the others
    z = z / root_mean_square(z) * np.sqrt(13 / 16)
    for at in (0, 3, number - 1):
        x = np.concatenate([z, head["chunks"][at] * np.sqrt(13 / 10)])
        x = jax.nn.gelu(x @ head["hidden_0"]["kernel"] + head["hidden_0"]["bias"])
        x = x / root_mean_square(x) * head["norm"]["scale"]
        own = x @ head["out"]["kernel"] + head["out"]["offset"]
        found = made[at * chunk : (at + 1) * chunk] if chunk == 100 else made[at::number]
        np.testing.assert_allclose(found, own[: len(found)], rtol=1e-4, atol=1e-5)


WHOLE = {144: 72, 768: 96, 2304: 96}
"""The largest numbers from 50 to 100 that divide the tensors of more than 100 entries."""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, lambda s, z, h: z * h + 2 * h + (h + 1) * s),
        ({"base": 0.5}, lambda s, z, h: z * h + 2 * h + (h + 2) * s),
        ({"hidden": ()}, lambda s, z, h: (z + 1) * s),
        (
            {"head": chunked_head(100, embedding=7)},
            lambda s, z, h: (
                z * h + 2 * h + (h + 1) * s
                if s <= 100
                else (z + 7) * h + 2 * h + (h + 1) * WHOLE[s] + 7 * (s // WHOLE[s])
            ),
        ),
    ],
)
def test_parameter_counts_are_as_documented(options, expected):
    params = jax.eval_shape(generator(start, **options).init, jax.random.key(0), jnp.zeros(8))
    sizes = [leaf.size for leaf in jax.tree.leaves(jax.eval_shape(start, jax.random.key(0)))]
    assert count(params) == sum(expected(size, 8, 64) for size in sizes)


def test_the_networks_of_hypino_have_the_published_number_of_parameters():
    """77.314 million in the official model (its own count, arXiv 2509.05117's code).

    It holds some that it does not use: the patch embedding and last norm of its Swin Transformer
    (74,112) and two layers of the target (769); its heads' norms have biases (10,464).
    """
    key, coefficients, grids = jax.random.key(0), jnp.zeros(55), jnp.zeros((224, 224, 5))
    target = modified_mlp()
    embed = grid_embedding(128)
    backbone = swin(depths=(2, 2, 10, 2), heads=(4, 8, 8, 16), window=7, mlp_ratio=2)
    made = {"condition": jax.eval_shape(mlp((), 96).init, key, coefficients)}
    made["statistics"] = jax.eval_shape(mlp((), 32).init, key, jnp.zeros(120))
    made["embed"] = jax.eval_shape(embed.init, key, grids)
    tokens = jax.eval_shape(embed.apply, made["embed"], grids)
    made["backbone"] = jax.eval_shape(backbone.init, key, tokens, jnp.zeros(128))
    maps = jax.eval_shape(backbone.apply, made["backbone"], tokens, jnp.zeros(128))
    assert [x.shape for x in maps] == [(56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 1024)]
    for stage, (heads, x) in enumerate(zip((4, 8, 8, 16), maps, strict=True)):
        rows = jnp.zeros((x.shape[0] * x.shape[1], x.shape[2]))
        made[f"pool_{stage}"] = jax.eval_shape(attention_pool(14, heads=heads).init, key, rows)
    heads = generator(
        lambda key: target.init(key, jnp.zeros((1, 2))),
        latents="per_tensor",
        hidden=lambda entries: (max(32, min(2 * entries, 1920)),),
    )
    made["heads"] = jax.eval_shape(heads.init, key, jnp.zeros((14, 1920)))
    assert count(made) == pytest.approx(77.314e6 - 74_112 - 769 - 10_464, rel=1e-5)


# latents and targets


@pytest.mark.parametrize("form", EVERY_FORM)
def test_a_batch_equals_a_loop_and_a_map(form):
    hypernet = compiled(layer, **FORMS[form])
    z = latents_of(2, 3, 8)
    params = hypernet.init(jax.random.key(0), z)
    batch = hypernet.apply(params, z)
    mapped = jax.vmap(jax.vmap(hypernet.apply, (None, 0)), (None, 0))(params, z)
    alone = hypernet.apply(params, z[1, 2])
    shapes = shapes_of(layer, jax.random.key(0))
    assert jax.tree.map(jnp.shape, alone) == shapes
    for one, other, single in zip(*map(jax.tree.leaves, (batch, mapped, alone)), strict=True):
        assert one.shape == (2, 3, *single.shape)
        np.testing.assert_allclose(one, other, atol=1e-5)
        np.testing.assert_allclose(one[1, 2], single, atol=1e-5)


def test_with_a_latent_per_tensor_each_sees_its_own():
    hypernet = compiled(start, latents="per_tensor")
    z = latents_of(2, 6, 8)
    params = hypernet.init(jax.random.key(0), z)
    made = jax.tree.leaves(hypernet.apply(params, z))
    for number in range(6):
        changed = z.copy()
        changed[:, number] *= -1
        other = jax.tree.leaves(hypernet.apply(params, changed))
        # biases start at zero whatever the latents are
        kernels = [n for n in range(6) if np.any(made[n])]
        different = [n for n in kernels if not np.array_equal(made[n], other[n])]
        assert different == [n for n in kernels if n == number]


@pytest.mark.parametrize(
    "make",
    [
        lambda key: conv_net(5, channels=4, layers=2).init(key, jnp.zeros((1, 8, 8, 1))),
        lambda key: graph_net(8, 1).init(key, GRAPH),
        lambda key: causal_transformer(
            num_outputs=2, width=8, layers=1, heads=2, key_size=4, max_length=4
        ).init(key, jnp.zeros((4, 3))),
        lambda key: modified_mlp().init(key, jnp.zeros((1, 2))),
        lambda key: [jax.random.normal(key, (3,)), (jnp.ones(()),)],
    ],
)
def test_any_network_can_be_the_target(make):
    hypernet = compiled(make, latents="shared", hidden=(16,))
    z = latents_of(8)
    params = hypernet.init(jax.random.key(0), z)
    made = hypernet.apply(params, z)
    assert jax.tree.map(jnp.shape, made) == shapes_of(make, jax.random.key(0))
    assert type(params) is dict and all(type(head) is dict for head in params.values())


def test_computes_in_the_dtype_of_the_params():
    hypernet = compiled(start, base=0.5, head=chunked_head(100))
    params = jax.eval_shape(hypernet.init, jax.random.key(0), latents_of(8))
    half = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, jnp.bfloat16), params)
    made = jax.eval_shape(hypernet.apply, half, latents_of(8))
    assert {leaf.dtype for leaf in jax.tree.leaves(made)} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"latents": "each"}, "latents"),
        ({"hidden": (0,)}, "hidden"),
        ({"hidden": lambda entries: (entries - 3,)}, "hidden"),
        ({"base": 1.5}, "base"),
        ({"latents": "per_tensor", "head": shared_head(100)}, "latents"),
    ],
)
def test_options_out_of_range_are_refused(options, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        generator(start, **options)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: chunked_head(0), "chunk_size"),
        (lambda: chunked_head(9, embedding=0), "embedding"),
        (lambda: low_rank_head(0), "rank"),
    ],
)
def test_sizes_of_heads_out_of_range_are_refused(make, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        make()


def test_wrong_latents_and_targets_are_refused():
    with pytest.raises(ConfigError, match=r"^target = 'steps': "):
        generator(lambda key: {"steps": jnp.zeros(3, jnp.int32)})
    each = generator(start, latents="per_tensor")
    for shape in ((8,), (5, 8)):
        with pytest.raises(ConfigError, match=r"^latents = .*6, size"):
            each.init(jax.random.key(0), jnp.zeros(shape))
    hypernet = generator(start, head=chunked_head(100))
    params = jax.eval_shape(hypernet.init, jax.random.key(0), jnp.zeros(8))
    with pytest.raises(ConfigError, match=r"^latents = 9: "):
        jax.eval_shape(hypernet.apply, params, jnp.zeros(9))
