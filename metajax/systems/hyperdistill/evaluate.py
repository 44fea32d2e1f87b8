"""What the sinusoid bed is judged by: error on new tasks after each inner step."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.bilevel import InnerProblem, OnlineParams
from metajax.data import SinusoidTasks


@functools.partial(jax.jit, static_argnames=("problem", "num", "inner_steps"))
def error_by_step(
    problem: InnerProblem,
    params: OnlineParams,
    tasks: SinusoidTasks,
    key: Key[Array, ""],
    num: int,
    inner_steps: int,
) -> Float[Array, "num steps_plus_1"]:
    """Fit ``num`` new tasks from the shared start; return their query errors after each step."""
    hparams, start = params

    def one(key):
        task = tasks(key)

        def step(state, _):
            error = problem.outer_loss(state, hparams, task.query)
            return problem.update(state, hparams, task.support), error

        state, errors = jax.lax.scan(step, problem.init(hparams, start), length=inner_steps)
        last = problem.outer_loss(state, hparams, task.query)
        return jnp.concatenate([errors, last[None]])

    return jax.lax.map(one, jax.random.split(key, num), batch_size=min(num, 100))


def summarise(errors: Float[Array, "num steps_plus_1"]) -> dict[str, Any]:
    """Mean query error after each step with its 95% interval over tasks, and the last median."""
    values = np.asarray(errors, float)
    num = values.shape[0]
    ci95 = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(num)
    return {
        "error": values.mean(axis=0).tolist(),
        "ci95": ci95.tolist(),
        "last": float(values[:, -1].mean()),
        "last_ci95": float(ci95[-1]),
        "last_median": float(np.median(values[:, -1])),
        "n": num,
    }
