"""Checked descent: what it falls to is known, and no loss rises, whatever its scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.learners import checked_descent

START = jnp.array([3.0, -2.0, 0.5])
GOAL = np.array([-1.0, 4.0, 2.0])
CURVATURES = np.array([0.5, 4.0, 30.0])


def quadratic(at):
    goal, curvatures = (jnp.asarray(each, at.dtype) for each in (GOAL, CURVATURES))
    return 0.5 * jnp.sum(curvatures * jnp.square(at - goal))


@pytest.mark.parametrize("pull", [0.0, 1.0])
def test_a_quadratic_loss_is_brought_to_the_minimum_that_is_known(pull):
    wanted = (CURVATURES * GOAL + pull * np.asarray(START)) / (CURVATURES + pull)
    with enable_x64(True):
        start = jnp.asarray(START, jnp.float64)
        found = jax.jit(lambda start: checked_descent(quadratic, start, 1000, pull=pull))(start)
        assert found.dtype == jnp.float64
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e8])
def test_the_loss_falls_at_any_scale_and_more_steps_leave_no_more_of_it(scale):
    def loss(at):
        return scale * (jnp.sum(jnp.square(at)) + jnp.sum(jnp.sin(5 * at)))

    def after(steps):
        return float(jax.jit(lambda start: loss(checked_descent(loss, start, steps)))(START))

    few, many = after(5), after(20)
    # pulled to the start, a loss of 1e-12 is a plateau, where the start is the best there is
    assert many <= few <= float(loss(START))
    assert scale < 1 or many < few < float(loss(START))


def test_no_step_goes_where_the_loss_is_not_a_number():
    # at the border the slope is 1 / sqrt(0), and beyond it there is no value
    def loss(at):
        return jnp.sum(jnp.sqrt(at))

    found = jax.jit(lambda start: checked_descent(loss, start, 40, pull=0.0))(jnp.full(2, 0.5))
    assert np.all(np.isfinite(found)) and 0 <= float(loss(found)) < float(loss(jnp.full(2, 0.5)))
    nowhere = checked_descent(lambda at: jnp.nan * jnp.sum(at), START, 3)
    np.testing.assert_array_equal(nowhere, START)


def test_no_step_and_a_flat_loss_leave_the_start_as_it_is():
    assert checked_descent(quadratic, START, 0) is START
    flat = checked_descent(lambda at: 0 * jnp.sum(at), START, 4)
    np.testing.assert_array_equal(flat, START)
    with pytest.raises(ConfigError, match="0 or more"):
        checked_descent(quadratic, START, -1)
