"""What devices tell each other in a meta-step split over eight: gradients, and little else."""

import math
import re

import jax
import jax.numpy as jnp
import pytest

from metajax.systems import SYSTEMS, build
from metajax.train import make_layout
from metajax.train.step import LoopState, make_steps
from small import tiny

KEY = jax.random.key(0)
COLLECTIVE = re.compile(
    r"= (.*?) (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|"
    r"collective-broadcast)(?:-start)?\("
)
SHAPE = re.compile(r"\b(?:[a-z]+\d+)\[([\d,]*)\]")


def collectives(program):
    """Kind and numbers of every exchange in a compiled program."""
    found = []
    for line in program.splitlines():
        match = COLLECTIVE.search(line)
        if match:
            sizes = [
                math.prod(map(int, filter(None, s.split(",")))) for s in SHAPE.findall(match[1])
            ]
            found.append((match[2], sum(sizes)))
    return found


@pytest.mark.parametrize(
    ("name", "parallel"),
    [
        ("fewshot", "pmap"),
        *(
            pytest.param(name, "jit", marks=() if name == "fewshot" else pytest.mark.slow)
            for name in SYSTEMS
        ),
    ],
)
def test_a_step_exchanges_its_gradient_and_nothing_else_of_size(name, parallel):
    smallest = tiny(name)
    per_draw = smallest.tasks_per_step // build(smallest).tasks_per_step
    run = build(tiny(name, tasks_per_step=8 * per_draw))
    layout = make_layout(parallel, run.tasks_per_step)
    state = jax.jit(lambda tasks: run.algorithm.init(KEY, tasks(KEY)))(run.example_tasks)
    start = layout.place(LoopState(state, jnp.int32(-1), jnp.int32(0)))
    steps = make_steps(
        run.algorithm,
        run.tasks,
        start,
        tasks_per_step=run.tasks_per_step,
        capacity=2,
        layout=layout,
        on_nonfinite="stop",
    )
    given = (
        start,
        layout.distribute(run.tasks),
        (),
        jax.random.split(KEY),
        jnp.int32(0),
        jnp.int32(2),
    )
    found = collectives(steps.lower(*given).compile().as_text())
    # what is descended: a sequence of tasks also returns the parameters after each of them
    descended = getattr(state, "params", None) or run.algorithm.params(state)
    params = sum(leaf.size for leaf in jax.tree.leaves(descended))
    reductions = [size for kind, size in found if kind == "all-reduce"]
    if stages := getattr(state, "opt_states", None):
        # a program of several stages, of which each step runs one
        assert len(reductions) == len(stages)
        reduced = max(reductions)
    else:
        reduced = sum(reductions)
    other = sum(size for kind, size in found if kind != "all-reduce")
    # the gradient once, less what is always 0 of it, and the metrics, which are numbers
    assert params / 2 < reduced <= params + 64, found
    assert other <= 64, found
