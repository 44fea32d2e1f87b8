"""What holds of networks of similarities by construction: symmetries, causality, prefixes, sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, cast_floats
from metajax.nn import (
    causal_channels,
    class_shares,
    discriminant_channels,
    inner_products,
    joined,
    ridge_channels,
    running_mean_square,
    similarity_network,
)

pytestmark = pytest.mark.usefixtures("quick_compile")

RNG = np.random.default_rng(0)
TIME, FEATURES, CLASSES = 14, 6, 3
X = jnp.asarray(RNG.normal(size=(2, TIME, FEATURES)), jnp.float32)
Y = jax.nn.one_hot(RNG.integers(0, CLASSES, (2, TIME)), CLASSES)
TURN = jnp.asarray(np.linalg.qr(RNG.normal(size=(FEATURES, FEATURES)))[0], jnp.float32)
SOLVED = joined(class_shares(), ridge_channels(), discriminant_channels())
SIZES = {"width": 8, "layers": 2, "heads": 2, "key_size": 4}
EVERY = jnp.ones((2, CLASSES))


class Made:
    """A network with parameters, its functions compiled."""

    def __init__(self, **options):
        self.network = similarity_network(**SIZES, **options)
        self.params = self.network.init(jax.random.key(0))
        stream, sets = jax.jit(self.network.stream), jax.jit(self.network.sets)
        self.stream = lambda *args: stream(self.params, *args)
        self.sets = lambda *args: sets(self.params, *args)


@pytest.fixture(scope="module")
def solved():
    return Made(channels=SOLVED)


@pytest.fixture(scope="module")
def plain():
    return Made(num_classes=CLASSES)


def read(made, x, y=Y, support=9):
    """Logits as a stream, and as a set of the first examples with the others as queries."""
    return made.stream(x, y), made.sets(x[:, :support], y[:, :support], x[:, support:], EVERY)


@pytest.mark.parametrize("which", ["solved", "plain"])
def test_maps_that_keep_inner_products_and_units_change_nothing(which, request):
    made = request.getfixturevalue(which)
    wanted = read(made, X)
    for changed in (X @ TURN, X[..., ::-1], 3 * X):
        for found, same in zip(read(made, changed), wanted, strict=True):
            np.testing.assert_allclose(found, same, rtol=1e-5, atol=1e-5)


def test_zero_features_change_nothing(solved):
    wanted = read(solved, X)
    for found, same in zip(read(solved, jnp.pad(X, ((0, 0), (0, 0), (0, 4)))), wanted, strict=True):
        np.testing.assert_allclose(found, same, rtol=1e-5, atol=1e-5)


def test_permuted_classes_permute_the_outputs(solved):
    order = jnp.array([2, 0, 1])
    wanted = read(solved, X)
    for found, same in zip(read(solved, X, Y[..., order]), wanted, strict=True):
        np.testing.assert_allclose(found, same[..., order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("which", ["solved", "plain"])
def test_the_order_of_a_support_has_no_influence(which, request):
    made = request.getfixturevalue(which)
    order = RNG.permutation(9)
    wanted = made.sets(X[:, :9], Y[:, :9], X[:, 9:], EVERY)
    found = made.sets(X[:, order], Y[:, order], X[:, 9:], EVERY)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_no_support_leaves_all_classes_alike(solved):
    none = solved.sets(X[:, :9], jnp.zeros_like(Y[:, :9]), X[:, 9:], EVERY)
    for logits in (none, solved.stream(X, Y)[:, :1]):
        assert np.isfinite(logits).all()
        np.testing.assert_allclose(logits - logits[..., :1], jnp.zeros_like(logits), atol=1e-6)


def test_places_without_labels_and_classes_that_a_task_lacks_are_as_if_not_there(solved):
    wanted = solved.sets(X[:, :5], Y[:, :5], X[:, 9:], EVERY)
    masked = Y[:, :9] * (jnp.arange(9) < 5)[None, :, None].astype(Y.dtype)
    np.testing.assert_allclose(
        solved.sets(X[:, :9], masked, X[:, 9:], EVERY), wanted, rtol=1e-4, atol=1e-4
    )
    more = jnp.pad(Y[:, :5], ((0, 0), (0, 0), (0, 2)))
    found = solved.sets(X[:, :5], more, X[:, 9:], jnp.pad(EVERY, ((0, 0), (0, 2))))
    np.testing.assert_allclose(found[..., :CLASSES], wanted, rtol=1e-4, atol=1e-4)
    assert (found[..., CLASSES:] < -1e29).all()


def test_a_prefix_is_read_as_in_the_whole_sequence(solved):
    whole = solved.stream(X, Y)
    for length in (1, 4, 12):
        np.testing.assert_allclose(
            solved.stream(X[:, :length], Y[:, :length]), whole[:, :length], rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("which", ["solved", "plain"])
def test_no_logit_sees_its_own_label_or_what_comes_later(which, request):
    """The derivatives of logits i by inputs after i, and by labels from i on, are exactly 0."""
    made = request.getfixturevalue(which)

    def whole(x, y):
        return jnp.sum(made.network.stream(made.params, x[None], y[None])[0], axis=-1)

    x, y = X[0], Y[0]
    # channels are not differentiated through: what they see is asked by changes instead
    by_inputs, by_labels = jax.jit(jax.jacrev(whole, (0, 1)))(x, y)
    size = [np.abs(np.asarray(one)).sum(-1) for one in (by_inputs, by_labels)]
    assert (np.triu(size[0], 1) == 0).all() and (np.triu(size[1], 0) == 0).all()
    assert (size[0][5:, 3] > 0).all() and (size[1][5:, 3] > 0).all()
    logits = made.stream(X, Y)
    for place in (0, 3, 9, 12):
        later_x = X.at[:, place + 1 :].mul(-2.0)
        later_y = Y.at[:, place:].set(jnp.roll(Y, 1, -1)[:, place:])
        found = made.stream(later_x, later_y)[:, : place + 1]
        np.testing.assert_allclose(found, logits[:, : place + 1], rtol=1e-5, atol=1e-5)


def test_channels_see_nothing_from_later_positions():
    def of(x, y):
        products = inner_products(x, x)
        return causal_channels(SOLVED, products, running_mean_square(products.left, 10), y)

    by_inputs, by_labels = jax.jit(jax.jacfwd(of, (0, 1)))(X[0], Y[0])
    by_inputs = np.abs(np.asarray(by_inputs)).sum((1, 2, -1))
    by_labels = np.abs(np.asarray(by_labels)).sum((1, 2, -1))
    assert np.triu(by_inputs, 1).max() < 1e-5 and np.triu(by_labels, 0).max() < 1e-5
    assert by_inputs[6, 3] > 1e-2 and by_labels[6, 3] > 1e-2


def test_any_number_of_classes_and_features_by_the_same_parameters(solved):
    x = jnp.asarray(RNG.normal(size=(1, 20, 9)), jnp.float32)
    y = jax.nn.one_hot(jnp.arange(20)[None] % 7, 7)
    logits = solved.network.stream(solved.params, x, y)
    assert logits.shape == (1, 20, 7) and np.isfinite(logits).all()


def test_mapped_sequences_are_read_as_each_alone(solved):
    mapped = jax.vmap(solved.network.stream, (None, 0, 0))(solved.params, X[:, None], Y[:, None])
    np.testing.assert_allclose(mapped[:, 0], solved.stream(X, Y), rtol=1e-5, atol=1e-5)


def test_16_bit_streams_read_float32_solves(solved):
    x, y = X.astype(jnp.bfloat16), Y.astype(jnp.bfloat16)
    products = inner_products(x, x)
    channels = causal_channels(
        SOLVED, products, running_mean_square(products.left, 10), y.astype(jnp.float32)
    )
    assert channels.dtype == jnp.float32
    narrow = solved.network.stream(cast_floats(solved.params, jnp.bfloat16), x, y)
    assert narrow.dtype == jnp.bfloat16
    wide = solved.network.stream(solved.params, x.astype(jnp.float32), Y)
    np.testing.assert_allclose(narrow.astype(jnp.float32), wide, atol=0.1)


def test_a_loss_moves_every_parameter(solved):
    def loss(params):
        return jnp.mean(jax.nn.logsumexp(solved.network.stream(params, X, Y), axis=-1) ** 2)

    grads = jax.jit(jax.grad(loss))(solved.params)
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"width": 0}, "width"),
        ({"layers": 0}, "layers"),
        ({"num_classes": 3, "channels": class_shares()}, "channels"),
    ],
)
def test_impossible_networks_are_rejected_by_name(options, field):
    with pytest.raises(ConfigError) as raised:
        similarity_network(**options)
    assert raised.value.field == field


def test_impossible_kernels_and_ridges_are_rejected_by_name():
    with pytest.raises(ConfigError, match="kernels"):
        ridge_channels([(None, 0.0)])
    with pytest.raises(ConfigError, match="ridges"):
        discriminant_channels([-1.0])
