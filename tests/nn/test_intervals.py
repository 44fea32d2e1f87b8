"""Interval arithmetic: bounds that hold, and are tight where they can be."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import enable_x64
from metajax.nn import Interval, between, exact, interval_activation, interval_dense, interval_mlp


def draw(rng, *shape, radius=0.3):
    return Interval(
        jnp.asarray(rng.normal(size=shape)), jnp.asarray(radius * rng.uniform(size=shape))
    )


def inside(rng, box):
    return box.center + box.radius * jnp.asarray(rng.uniform(-1, 1, box.center.shape))


def corner(rng, box):
    return box.center + box.radius * jnp.asarray(rng.choice([-1.0, 1.0], box.center.shape))


def layers_of(rng, radius):
    sizes = (4, 6, 5, 3)
    pairs = itertools.pairwise(sizes)
    return [(draw(rng, *pair, radius=radius), draw(rng, pair[1], radius=radius)) for pair in pairs]


def test_every_network_and_input_of_the_boxes_is_within_the_bounds():
    rng = np.random.default_rng(0)
    with enable_x64(True):
        layers, x = layers_of(rng, 0.2), draw(rng, 7, 4)
        bounds = interval_mlp(layers, x, jax.nn.relu)
        for take in [inside, corner] * 200:
            found = take(rng, x)
            for place, (kernel, bias) in enumerate(layers):
                found = jax.nn.relu(found) if place else found
                found = found @ take(rng, kernel) + take(rng, bias)[None]
            assert (found >= bounds.lower - 1e-9).all() and (found <= bounds.upper + 1e-9).all()


def test_bounds_of_one_product_are_reached():
    """The extremes of a product of two intervals lie at its corners."""
    with enable_x64(True):
        for a in (-2.0, -0.1, 0.0, 1.5):
            for c in (-1.0, 0.2, 3.0):
                kernel = Interval(jnp.array([[a]]), jnp.array([[0.5]]))
                x = Interval(jnp.array([[c]]), jnp.array([[0.7]]))
                found = interval_dense(kernel, exact(jnp.zeros(1)), x)
                products = [(a + i) * (c + j) for i in (-0.5, 0.5) for j in (-0.7, 0.7)]
                # center and radius: symmetric about the middle of the product, and sound
                np.testing.assert_allclose(
                    max(abs(value - a * c) for value in products), found.radius[0, 0]
                )


def test_without_radius_bounds_are_the_plain_pass_and_they_grow_with_it():
    rng = np.random.default_rng(1)
    with enable_x64(True):
        layers, x = layers_of(rng, 0.0), exact(draw(rng, 7, 4).center)
        point = interval_mlp(layers, x)
        assert not point.radius.any()
        widths = [
            interval_mlp(
                [
                    tuple(Interval(one.center, jnp.full_like(one.center, radius)) for one in pair)
                    for pair in layers
                ],
                x,
            )
            for radius in (0.01, 0.1)
        ]
        assert (widths[0].lower <= point.center).all() and (point.center <= widths[0].upper).all()
        assert (widths[1].lower < widths[0].lower).all()
        assert (widths[1].upper > widths[0].upper).all()


def test_an_activation_keeps_the_ends():
    box = between(jnp.array([-2.0, -1.0, 1.0]), jnp.array([-1.0, 3.0, 2.0]))
    found = interval_activation(jax.nn.relu, box)
    np.testing.assert_allclose(found.lower, [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(found.upper, [0, 3, 2], atol=1e-6)
