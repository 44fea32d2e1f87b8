"""Every system's meta-step lowers for CPU, CUDA and TPU, from tasks to update, in one program."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from metajax.systems import get_system

pytestmark = pytest.mark.usefixtures("quick_compile")
KEY = jax.random.key(0)
SMALL: dict[str, dict[str, Any]] = {
    "gpicl": {
        "width": 16, "layers": 1, "heads": 2, "key_size": 8, "examples": 6, "tasks_per_step": 2,
    },
    "hyperdistill": {"inner_steps": 4, "tasks_per_step": 2, "width": 8, "layers": 2},
    "fewshot": {
        "tasks": "images", "shots": 1, "layers": 2, "channels": 4, "tasks_per_step": 2,
        "rotations": True,
    },
    "hamiltonian": {
        "systems": ("mass_spring", "pendulum"), "width": 6, "trajectories": 2,
        "shots": 6, "queries": 5, "points": 12, "duration": 2.0, "tasks_per_step": 2,
    },
    "hypino": {
        "grid": 8, "interior": 4, "boundary": 4, "width": 4, "depths": (1,), "heads": (1,),
        "head_hidden": 2, "target_width": 4, "target_layers": 1, "tasks_per_step": 2,
    },
}  # fmt: skip
PLATFORMS = ("cpu", "cuda", "tpu")


def meta_step(run):
    """Draw the tasks of a step and update, as the loop does."""

    def step(state, tasks, key):
        keys = jax.random.split(key, run.tasks_per_step)
        return run.algorithm.update(state, jax.vmap(lambda k: tasks(k))(keys), key)

    return step


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "gpicl" else pytest.mark.slow) for name in SMALL],
)
def test_the_step_lowers_for_every_platform(name):
    """One program for all three, of 32 bits, that never calls back to the host."""
    system = get_system(name)
    run = system.build(system.config(**SMALL[name]), None)
    tasks = run.example_tasks
    state = jax.eval_shape(lambda key, tasks: run.algorithm.init(key, tasks(key)), KEY, tasks)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tasks)
    exported = jax.export.export(jax.jit(meta_step(run)), platforms=PLATFORMS)(state, shapes, KEY)
    assert exported.platforms == PLATFORMS
    program = exported.mlir_module()
    assert not re.search(r"\bf64\b", program)
    calls = set(re.findall(r"custom_call @(\w+)", program))
    assert not any("callback" in call for call in calls), calls
    for before, after in zip(jax.tree.leaves(state), exported.out_avals, strict=False):
        assert (before.shape, before.dtype) == (after.shape, after.dtype)
        assert after.dtype not in (jnp.float64, jnp.int64)


def test_every_system_is_here():
    from metajax.systems import SYSTEMS

    assert set(SMALL) == set(SYSTEMS)
