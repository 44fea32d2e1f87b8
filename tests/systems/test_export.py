"""Every system's meta-step lowers for CPU, CUDA and TPU, from tasks to update, in one program."""

import re

import jax
import jax.numpy as jnp
import pytest
from jax import export

from metajax.systems import SYSTEMS, build
from small import tiny

KEY = jax.random.key(0)
PLATFORMS = ("cpu", "cuda", "tpu")


def meta_step(run):
    """Draw the tasks of a step and update, as the loop does."""

    def step(state, tasks, key):
        keys = jax.random.split(key, run.tasks_per_step)
        return run.algorithm.update(state, jax.vmap(lambda k: tasks(k))(keys), key)

    return step


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "gpicl" else pytest.mark.slow) for name in SYSTEMS],
)
def test_the_step_lowers_for_every_platform(name):
    """One program for all three, of 32 bits, that never calls back to the host."""
    run = build(tiny(name))
    tasks = run.example_tasks
    state = jax.eval_shape(lambda key, tasks: run.algorithm.init(key, tasks(key)), KEY, tasks)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tasks)
    exported = export.export(jax.jit(meta_step(run)), platforms=PLATFORMS)(state, shapes, KEY)
    assert exported.platforms == PLATFORMS
    program = exported.mlir_module()
    assert not re.search(r"\bf64\b", program)
    calls = set(re.findall(r"custom_call @(\w+)", program))
    assert not any("callback" in call for call in calls), calls
    for before, after in zip(jax.tree.leaves(state), exported.out_avals, strict=False):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert after.dtype not in (jnp.float64, jnp.int64)
