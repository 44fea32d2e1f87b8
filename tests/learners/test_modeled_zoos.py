"""What a model of a zoo's weights is compared with."""

import functools

import jax.numpy as jnp
import optax
import pytest

from metajax.learners import (
    LatentDiffusion,
    modeled_zoo,
    nearest_network,
    weight_diffusion,
    weight_regression,
    zoo_mean,
)
from metajax.nn import mlp

NETWORK = mlp([2], 2)
CLOSED = ["weight_regression", "nearest_network", "zoo_mean"]


def embed(support):
    return jnp.mean(support.inputs, axis=0)


def rivals(make, **options):
    zoo = modeled_zoo(
        NETWORK,
        embed,
        make,
        ways=2,
        head="Dense_1",
        zoo_steps=1,
        model_steps=1,
        make_optimizer=lambda steps: optax.sgd(0.1),
        **options,
    )
    return [name for name, _ in zoo.rivals]


@pytest.mark.parametrize("make", [weight_regression, nearest_network, zoo_mean])
def test_a_model_is_not_compared_with_itself(make):
    others = [name for name in CLOSED if name != make.__name__]
    assert rivals(make) == ["solved_regression", *others]


def test_a_solved_head_makes_another_model():
    assert rivals(weight_regression, solve_head=True) == CLOSED
    assert rivals(zoo_mean, solve_head=True) == ["solved_regression", *CLOSED]


def test_a_diffusion_is_compared_with_its_variants_too():
    diffusion = LatentDiffusion(2, noise_levels=2, moves=1)
    make = functools.partial(weight_diffusion, NETWORK, diffusion=diffusion)
    assert rivals(make) == ["unmoved", "moved_regression", "solved_regression", *CLOSED]
