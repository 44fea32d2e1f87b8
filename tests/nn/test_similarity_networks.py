"""What holds of networks of similarities by construction: symmetries, causality, prefixes, sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, cast_floats
from metajax.nn import (
    RidgeKernel,
    causal_channels,
    class_shares,
    discriminant_channels,
    inner_products,
    joined,
    ridge_channels,
    running_mean_square,
    similarity_network,
    solved_channels,
)
from metajax.nn.similarity import FIRST

RNG = np.random.default_rng(0)
TIME, FEATURES, CLASSES = 14, 6, 3
X = jnp.asarray(RNG.normal(size=(2, TIME, FEATURES)), jnp.bfloat16).astype(jnp.float32)
Y = jax.nn.one_hot(RNG.integers(0, CLASSES, (2, TIME)), CLASSES)
TURN = jnp.asarray(np.linalg.qr(RNG.normal(size=(FEATURES, FEATURES)))[0], jnp.float32)
SOLVED = solved_channels()
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
    x = jnp.pad(X, ((0, 0), (0, 0), (0, 4)))
    found = solved.sets(x[:, :9], Y[:, :9], x[:, 9:], EVERY)
    np.testing.assert_allclose(found, read(solved, X)[1], rtol=1e-5, atol=1e-5)


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
    masked = Y[:, :9] * (jnp.arange(9) < 5)[None, :, None].astype(Y.dtype)
    wanted = solved.sets(X[:, :9], masked, X[:, 9:], EVERY)
    more = jnp.pad(Y[:, :5], ((0, 0), (0, 0), (0, 2)))
    found = solved.sets(X[:, :5], more, X[:, 9:], jnp.pad(EVERY, ((0, 0), (0, 2))))
    np.testing.assert_allclose(found[..., :CLASSES], wanted, rtol=1e-4, atol=1e-4)
    assert (found[..., CLASSES:] < -1e29).all()


def test_no_logit_sees_its_own_label_or_what_comes_later(plain):
    """The derivatives of logits i by inputs after i, and by labels from i on, are exactly 0."""

    def whole(x, y):
        return jnp.sum(plain.network.stream(plain.params, x[None], y[None])[0], axis=-1)

    by_inputs, by_labels = jax.jit(jax.jacrev(whole, (0, 1)))(X[0], Y[0])
    size = [np.abs(np.asarray(one)).sum(-1) for one in (by_inputs, by_labels)]
    assert (np.triu(size[0], 1) == 0).all() and (np.triu(size[1], 0) == 0).all()
    assert (size[0][5:, 3] > 0).all() and (size[1][5:, 3] > 0).all()


def test_no_solved_channel_sees_its_own_label_or_what_comes_later():
    """The network does not differentiate through its channels: they are asked themselves."""
    channels = joined(
        class_shares(),
        ridge_channels([RidgeKernel(None, 0.1), RidgeKernel(0.5, 0.1, directions=True)]),
        discriminant_channels([1.0]),
    )

    def of(x, y):
        products = inner_products(x, x)
        return causal_channels(channels, products, running_mean_square(products.left), y)

    by_inputs, by_labels = jax.jit(jax.jacfwd(of, (0, 1)))(X[0], Y[0])
    by_inputs = np.abs(np.asarray(by_inputs)).sum((1, 2, -1))
    by_labels = np.abs(np.asarray(by_labels)).sum((1, 2, -1))
    assert np.triu(by_inputs, 1).max() < 1e-5 and np.triu(by_labels, 0).max() < 1e-5
    assert by_inputs[6, 3] > 1e-2 and by_labels[6, 3] > 1e-2


@pytest.mark.parametrize("discriminants", [True, False])
def test_solved_channels_are_those_of_their_parts(discriminants):
    kernels = [RidgeKernel(0.5, 0.1)]
    parts = [class_shares(), ridge_channels(kernels), discriminant_channels()]
    products = inner_products(X, X)

    def of(channels):
        return causal_channels(channels, products, running_mean_square(products.left), Y)

    found = of(solved_channels(kernels, discriminants=discriminants))
    expected = jnp.concatenate([of(part) for part in parts[: 2 + discriminants]], axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("place", [0, 3, FIRST - 1, 12])
def test_other_inputs_and_labels_later_on_change_no_earlier_logit(place, solved):
    later_x = X.at[:, place + 1 :].mul(-2.0)
    later_y = Y.at[:, place:].set(jnp.roll(Y, 1, -1)[:, place:])
    found, logits = solved.stream(later_x, later_y), solved.stream(X, Y)
    np.testing.assert_allclose(found[:, : place + 1], logits[:, : place + 1], rtol=1e-5, atol=1e-5)


def test_mapped_sequences_are_read_as_each_alone(solved):
    mapped = jax.vmap(solved.network.stream, (None, 0, 0))(solved.params, X[:, None], Y[:, None])
    np.testing.assert_allclose(mapped[:, 0], solved.stream(X, Y), rtol=1e-5, atol=1e-5)


def test_16_bit_streams_read_float32_solves(solved):
    """The inputs have 16 bits of their own, so that the rounding is that of the stream alone."""
    x, y = X.astype(jnp.bfloat16), Y.astype(jnp.bfloat16)
    narrow = jax.jit(solved.network.stream)(cast_floats(solved.params, jnp.bfloat16), x, y)
    assert narrow.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.astype(jnp.float32), solved.stream(X, Y), atol=0.06)


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
