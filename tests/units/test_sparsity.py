"""The penalty that empties units: its gradient, and that it prepares a network for pruning."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from cases import make_cases
from jax.flatten_util import ravel_pytree

from metajax.core import ConfigError, prepare_optimizer
from metajax.nn import mlp
from metajax.units import group_penalty, keep_largest, mlp_units, unit_norms

CASE = make_cases()["mlp"]


def test_the_weakest_unit_shrinks_so_many_times_as_fast_as_the_strongest():
    """Of a network with one name, each unit by its factor along its own weights."""
    params = {name: CASE.params[name] for name in ("Dense_0", "Dense_1")}
    units = mlp_units(params)
    norms = np.asarray(unit_norms(params, units)["h0"])
    slope = jax.jit(jax.grad(lambda params: group_penalty(params, units, 8.0)))(params)
    found = np.asarray(unit_norms(slope, units)["h0"])
    weakest, strongest = np.argmin(norms), np.argmax(norms)
    np.testing.assert_allclose(found[[weakest, strongest]], [8.0, 1.0], rtol=1e-4)
    one = slope["Dense_0"]["kernel"][:, 0] / found[0] * norms[0]
    np.testing.assert_allclose(one, params["Dense_0"]["kernel"][:, 0], rtol=1e-4, atol=1e-6)
    with pytest.raises(ConfigError, match="ratio"):
        group_penalty(params, units, 0.5)


@pytest.mark.slow
def test_a_network_is_pruned_with_less_loss_after_it():
    """Compared with as many more steps without the penalty, over three data sets."""
    network, teacher = mlp([24], 1), mlp([3], 1)

    def run(key):
        keys = jax.random.split(key, 3)
        inputs = jax.random.normal(keys[0], (256, 4))
        goal = 3 * teacher.apply(teacher.init(keys[1], inputs), inputs)
        params = network.init(keys[2], inputs)
        units = mlp_units(params)
        rule = prepare_optimizer(optax.adam(1e-2), has_function=False)

        def loss(params):
            return jnp.mean(jnp.square(network.apply(params, inputs) - goal))

        def descended(params, strength):
            def total(params):
                return loss(params) + strength * group_penalty(params, units)

            def step(carried, _):
                params, state = carried
                value, slope = jax.value_and_grad(total)(params)
                changes, state = rule.update(slope, state, params, value=value, grad=slope)
                return (optax.apply_updates(params, changes), state), None

            return jax.lax.scan(step, (params, rule.init(params)), None, length=600)[0][0]

        params = descended(params, 0.0)
        ends = jax.vmap(descended, (None, 0))(params, jnp.array([0.0, 1e-3]))
        return jax.vmap(lambda params: loss(keep_largest(params, units, {"h0": 6})))(ends)

    losses = np.asarray(jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 3)))
    assert np.all(losses[:, 1] < 0.5 * losses[:, 0])


def test_its_gradient_is_that_of_float64_differences_with_fixed_factors():
    """And the squared one's is the weight itself times the sum of its units' factors."""
    with jax.enable_x64():
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), CASE.params)
        flat, back = ravel_pytree(wide)
        along, step = np.random.default_rng(2).standard_normal(flat.size), 1e-5

        @jax.jit
        def found(flat):
            ends = jnp.stack([flat, flat + step * along, flat - step * along])
            norms = jax.vmap(lambda one: unit_norms(back(one), CASE.units))(ends)

            def penalty(flat, squared):
                return group_penalty(back(flat), CASE.units, squared=squared)

            return norms, [jax.grad(penalty)(flat, squared) for squared in (False, True)]

        norms, slopes = jax.tree.map(np.asarray, found(flat))
        factors = {
            name: 16.0 ** ((one[0].max() - one[0]) / np.ptp(one[0])) for name, one in norms.items()
        }
        for power, slope in zip((1, 2), slopes, strict=True):
            penalties = sum(norms[name] ** power @ factors[name] / power for name in norms)
            difference = (penalties[1] - penalties[2]) / (2 * step)
            np.testing.assert_allclose(slope @ along, difference, rtol=1e-7)
        both = factors["h0"][:, None] + factors["h1"][None]
        kernel = np.asarray(wide["Dense_1"]["kernel"])
        np.testing.assert_allclose(
            np.asarray(back(slopes[1])["Dense_1"]["kernel"]), both * kernel, rtol=1e-9
        )
