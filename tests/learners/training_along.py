"""Parameters of an algorithm, step by step, on a task that does not matter."""

import jax
import jax.numpy as jnp

from metajax.core import Examples, Task

ONES = Examples(jnp.ones((2, 1)), jnp.ones((2, 1)))
TASKS = jax.tree.map(lambda leaf: leaf[None], Task(ONES, ONES))


def params_along(algorithm, steps):
    """Return the parameters after 0 to so many steps."""
    state = algorithm.init(jax.random.key(0), Task(ONES, ONES))
    update = jax.jit(algorithm.update)
    states = [algorithm.params(state)]
    for _ in range(steps):
        state, _ = update(state, TASKS, jax.random.key(1))
        states.append(algorithm.params(state))
    return states
