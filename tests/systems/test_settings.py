"""What each system says of its settings: which concern the evaluation alone, what needs `steps`."""

import dataclasses
import re

import jax
import numpy as np
import pytest

from metajax.core import HostFed
from metajax.systems import SYSTEMS, get_system

SMALL = {
    "gpicl": {"width": 16, "layers": 1, "heads": 2, "key_size": 8, "examples": 6},
    "fewshot": {"width": 8},
    "hyperdistill": {"width": 8, "layers": 1, "inner_steps": 2, "steps": 20},
    "hamiltonian": {
        "width": 4,
        "trajectories": 2,
        "points": 100,
        "duration": 1.0,
        "mechanics": ("mass_spring", "pendulum"),
    },
    "hypino": {"grid": 8, "interior": 8, "boundary": 8, "width": 8, "target_width": 4},
}

OTHER = {
    "eval_every": 7,
    "eval_tasks": 11,
    "eval_steps": 3,
    "eval_queries": 13,
    "eval_optimizer": "adam",
    "eval_lr": 0.3,
    "test_split": "train",
    "other_sets": (),
    "finetune_steps": 4,
    "rounds": (2,),
}

SETTINGS = [
    ("gpicl", {}, False),
    ("gpicl", {"warmup_steps": 5}, False),
    ("gpicl", {"schedule": "cosine"}, True),
    ("gpicl", {"schedule": "cosine", "learner": "sgd"}, None),
    *(
        ("fewshot", {"learner": name}, name == "reptile")
        for name in ("maml", "maml_plus_plus", "reptile", "evolution", "ridge", "imaml")
    ),
    ("hyperdistill", {}, False),
    ("hyperdistill", {"calibrate_every": 2}, False),
    ("hyperdistill", {"method": "pes"}, False),
    ("hyperdistill", {"outer_decay": True}, True),
    ("hyperdistill", {"method": "random_search", "outer_decay": True}, False),
    ("hamiltonian", {}, False),
    pytest.param("hypino", {}, True, marks=pytest.mark.slow),  # a minute of tracing
]


def training(system, config):
    """All that decides a run's result: the programs of init and update, and the tasks' arrays."""
    run = system.build(config)
    key = jax.random.key(config.seed)
    algorithm, tasks = run.algorithm, run.example_tasks
    task = jax.eval_shape(tasks, key)
    state = jax.eval_shape(algorithm.init, key, task)
    batch = jax.eval_shape(jax.vmap(tasks), jax.random.split(key, 2))
    made = [
        jax.make_jaxpr(algorithm.init)(key, task),
        jax.make_jaxpr(algorithm.update)(state, batch, key),
    ]
    text = re.sub(r"0x[0-9a-f]+", "", "\n".join(str(one.jaxpr) for one in made))
    assert not isinstance(run.tasks, HostFed)
    leaves = [np.asarray(leaf) for one in made for leaf in one.consts]
    for leaf in jax.tree.leaves(run.tasks):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        leaves.append(np.asarray(jax.random.key_data(leaf) if is_key else leaf))
    return text, [(leaf.dtype, leaf.shape, leaf.tobytes()) for leaf in leaves]


@pytest.mark.parametrize(("name", "changes", "tied"), SETTINGS)
def test_training_depends_on_steps_where_the_system_says_so(name, changes, tied):
    system = get_system(name)
    config = system.config(**{"steps": 20, **SMALL[name], **changes})
    more = dataclasses.replace(config, steps=2 * config.steps)
    assert bool(system.tied_to_steps(config)) == bool(tied)
    if tied is not None:  # else nothing is trained
        assert (training(system, config) != training(system, more)) == tied


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "hypino" else name for name in SYSTEMS],
)
def test_fields_of_the_evaluation_leave_training_alone(name):
    system = get_system(name)
    config = system.config(**{"steps": 20, **SMALL[name]})
    other = {field: OTHER[field] for field in system.evaluation}
    assert all(getattr(config, field) != value for field, value in other.items())
    assert training(system, config) == training(system, dataclasses.replace(config, **other))
    # and every field called after the evaluation is among them
    fields = {field.name for field in dataclasses.fields(config)}
    assert {field for field in fields if field.startswith("eval_")} <= set(system.evaluation)
