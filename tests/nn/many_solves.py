"""A program of many independent mapped solves and their gradients; run by test_hangs.

    python tests/nn/many_solves.py MODE CALLS

MODE is ``solves``, metajax's, or ``lapack``, JAX's batched calls, which hang with jaxlib 0.10 on a
machine with two cores, mostly in the first call; or ``wait``, which computes nothing.
"""

import os
import sys
import threading

if hasattr(os, "sched_setaffinity"):  # before XLA counts the cores for its threads
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])

import jax
import jax.numpy as jnp

from metajax.nn import cholesky, least_squares, triangular_solve


def lapack_triangular_solve(lower, b):
    return jax.scipy.linalg.solve_triangular(lower, b, lower=True)


def lapack_least_squares(design, targets, ridge):
    num = design.shape[1]
    q, r = jnp.linalg.qr(jnp.concatenate([design, ridge * jnp.eye(num)]))
    return jax.scipy.linalg.solve_triangular(r, q[: len(targets)].T @ targets)


SOLVES = {
    "solves": (cholesky, triangular_solve, least_squares),
    "lapack": (jnp.linalg.cholesky, lapack_triangular_solve, lapack_least_squares),
}


def main(mode: str, calls: int) -> None:
    if mode == "wait":
        print("begun", flush=True)
        threading.Event().wait()
    factor, solve, fit = SOLVES[mode]

    def loss(scale, key):
        x = scale * jax.random.normal(key, (40, 16))
        total = jnp.zeros(())
        for shift in (1.0, 2.0, 3.0, 4.0):
            lower = factor(x @ x.T + shift * jnp.eye(40))
            total += jnp.sum(solve(lower, x)) + jnp.sum(fit(shift * x, x[:, :2], shift))
        return total

    def mean(scale, keys):
        return jnp.mean(jax.vmap(loss, (None, 0))(scale, keys))

    def step(scale, key):
        return scale - 1e-6 * jax.grad(mean)(scale, jax.random.split(key, 16)), None

    @jax.jit
    def steps(scale, key):
        return jax.lax.scan(step, scale, jax.random.split(key, 20))[0]

    scale = jnp.ones(())
    print("begun", flush=True)
    for call in range(calls):
        scale = jax.block_until_ready(steps(scale, jax.random.key(call)))
        print(call, scale, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
