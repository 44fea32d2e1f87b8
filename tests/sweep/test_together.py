"""Runs of the systems as one program: what each declares traceable is, to rounding."""

import dataclasses

import jax
import numpy as np
import pytest

from metajax.core import digest
from metajax.sweep import make_population
from metajax.systems import SYSTEMS, build, get_system
from metajax.train import fit

pytestmark = pytest.mark.usefixtures("quick_compile")

STEPS = 4
CASES = [
    (
        "hyperdistill",
        {"width": 8, "inner_steps": 4, "tasks_per_step": 2},
        {"outer_lr": 1e-2, "inner_lr": 0.03, "momentum": 0.5, "gamma": 0.5, "reptile_rate": 0.5},
    ),
    (
        "hyperdistill",
        {"width": 8, "inner_steps": 4, "every": 4, "method": "es", "pairs": 2, "tasks_per_step": 2},
        {"sigma": 0.1},
    ),
    (
        "hyperdistill",
        {
            "bed": "anil",
            "rotations": True,
            "shots": 4,
            "queries": 4,
            "batch_size": 8,
            "inner_steps": 4,
            "layers": 2,
            "channels": 4,
            "tasks_per_step": 2,
            "outer_decay": True,
        },
        {"outer_lr": 1e-2, "inner_lr": 0.03, "gamma": 0.5},
    ),
    (
        "hamiltonian",
        {
            "systems": ("mass_spring", "pendulum"),
            "width": 8,
            "trajectories": 4,
            "points": 20,
            "shots": 4,
            "queries": 4,
            "tasks_per_step": 2,
        },
        {"learning_rate": 1e-2, "inner_lr": 0.05, "clip_norm": 0.1},
    ),
]


def name_of(name, given, changed):
    kinds = [str(given[field]) for field in ("learner", "method", "bed") if field in given]
    return "-".join([name, *kinds])


@pytest.mark.parametrize(
    ("name", "given", "changed"),
    [
        pytest.param(*case, id=name_of(*case), marks=[pytest.mark.slow] if number else [])
        for number, case in enumerate(CASES)
    ],
)
def test_members_of_a_population_are_the_runs_that_they_would_be_alone(name, given, changed):
    system = get_system(name)
    base = system.config(**given, steps=STEPS)
    other = dataclasses.replace(base, **changed, seed=1)
    configs = [base, dataclasses.replace(base, seed=1), other]
    runs = [build(config) for config in configs]
    assert changed.keys() <= set(system.traced + system.of_tasks)
    algorithm, held = make_population(system, configs, runs, tuple(changed))
    options = {"steps": STEPS, "log_every": STEPS, "progress": False}
    state = fit(algorithm, held, tasks_per_step=1, key=jax.random.key(9), **options).state
    np.testing.assert_array_equal(state.failed_at, -1)
    # the changes do change the result
    assert digest(member_of(state, 1)) != digest(member_of(state, 2))
    for index in (0, 2):
        run, config = runs[index], configs[index]
        alone = fit(
            run.algorithm,
            run.tasks,
            tasks_per_step=run.tasks_per_step,
            key=jax.random.key(config.seed),
            **options,
        ).state
        member = member_of(state, index)
        for (path, a), b in zip(
            jax.tree.leaves_with_path(member), jax.tree.leaves(alone), strict=True
        ):
            if jax.tree_util.keystr(path, simple=True, separator=".").endswith("qkv.bias"):
                continue  # a key's bias changes no attention: Adam scales the rounding of a zero
            # float32 sums of another order: some hundred roundings of terms far above their sum.
            # The smallest change above, weight decay over four steps, is 4e-4 of a weight.
            scale = np.max(np.abs(b), initial=1e-8)
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * scale)


def member_of(state, index):
    return jax.tree.map(lambda leaf: leaf[index], state.members)


def test_every_declared_field_is_in_a_case():
    for name in SYSTEMS:
        system = get_system(name)
        if system.config is None:
            continue  # tests/battery tries all of them
        tried = {field for case, _, changed in CASES if case == name for field in changed}
        assert tried == set(system.traced + system.of_tasks)
