"""A population of runs in one program: each member is the run that it would be alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import ConfigError, Evaluator, HostFed, gradient
from metajax.learners import GrowthStage, in_growing_stages
from metajax.train import MEMBER, NonFiniteError, fit, member_rows, population

RATES, SEEDS = (0.05, 0.01, 0.05), (4, 4, 7)
STEPS, NUM = 24, 8


def make(values):
    return gradient(toy_problem.make_learner(), optax.sgd(values["rate"], momentum=0.9))


def alone(rate, seed, tasks):
    return fit(
        make({"rate": rate}),
        tasks,
        steps=STEPS,
        tasks_per_step=NUM,
        key=jax.random.key(seed),
        log_every=5,
        progress=False,
    )


def together(tasks, **options):
    algorithm, held = population(
        make,
        {"rate": jnp.array(RATES)},
        jax.vmap(jax.random.key)(jnp.array(SEEDS)),
        tasks,
        tasks_per_step=NUM,
    )
    return fit(
        algorithm,
        held,
        steps=STEPS,
        tasks_per_step=1,
        key=jax.random.key(0),
        log_every=5,
        progress=False,
        **options,
    ), held


def pool(scale):
    tasks = toy_problem.make_tasks()
    return toy_problem.LinearTasks(scale * tasks.pool, tasks.broken_key)


def test_each_member_is_the_run_that_it_would_be_alone():
    tasks = [pool(1.0), pool(1.0), pool(1.5)]
    result, held = together(tasks)
    assert len(held.differing) == len(held.shared) == 1  # the pools differ, the broken keys do not
    for index, setting in enumerate(zip(RATES, SEEDS, tasks, strict=True)):
        single = alone(*setting)
        member = jax.tree.map(lambda leaf, i=index: leaf[i], result.state.members)
        for a, b in zip(jax.tree.leaves(member), jax.tree.leaves(single.state), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.max(np.abs(b)))
        rows = member_rows(result.history, index)
        assert [row.keys() for row in rows] == [row.keys() for row in single.history]
        for row, wanted in zip(rows, single.history, strict=True):
            np.testing.assert_allclose(row["loss"], wanted["loss"], rtol=1e-4)
    assert not np.allclose(result.params["w"][0], result.params["w"][1])
    np.testing.assert_array_equal(result.state.failed_at, [-1, -1, -1])


def test_a_member_that_fails_keeps_its_last_finite_state_and_the_others_go_on():
    whole = [pool(1.0)] * 3
    broken = toy_problem.make_tasks(jax.random.key(SEEDS[0]), broken_step=9, num_tasks=NUM)
    result, _ = together([whole[0], broken, whole[2]])
    np.testing.assert_array_equal(result.state.failed_at, [-1, 9, -1])
    healthy, _ = together(whole)
    for a, b in zip(jax.tree.leaves(result.params), jax.tree.leaves(healthy.params), strict=True):
        np.testing.assert_array_equal(a[::2], b[::2])
        assert np.isfinite(a[1]).all() and not np.array_equal(a[1], b[1])
    assert all(np.isfinite(row["loss"]) for row in result.history)
    assert member_rows(result.history, 1)[1]["loss"] is None


def staged(values):
    """Two stages of other rates, of which the second begins from the double of the first."""
    learner = toy_problem.make_learner()

    def doubled(before, own, key):
        return own._replace(params=jax.tree.map(lambda leaf: 2 * leaf, before.params))

    def stage(steps, rate, change=None):
        return GrowthStage(lambda done: learner, optax.sgd(rate), steps, change=change)

    return in_growing_stages([stage(3, values["rate"]), stage(1, values["rate"] / 2, doubled)])


class Parts(NamedTuple):
    """Tasks with an axis of one part."""

    tasks: Any

    def __call__(self, key):
        return jax.tree.map(lambda leaf: leaf[None], self.tasks(key))


def test_stages_of_members_are_taken_one_by_one_and_each_member_is_the_run_alone():
    tasks, seeds, steps = Parts(pool(1.0)), (4, 7, 1), 6
    broken = Parts(toy_problem.make_tasks(jax.random.key(1), broken_step=1, num_tasks=NUM))
    keys = jax.vmap(jax.random.key)(jnp.array(seeds))
    rates = {"rate": jnp.array(RATES)}
    algorithm, held = population(staged, rates, keys, [tasks, tasks, broken], tasks_per_step=NUM)
    state = jax.jit(algorithm.init)(keys[0], held)
    batch = jax.tree.map(lambda leaf: leaf[None], held)
    program = str(jax.make_jaxpr(algorithm.update)(state, batch, keys[0]))
    # one of both stages, and the first step of the second: no step computes both and selects
    assert program.count(" cond[") == 2
    update = jax.jit(algorithm.update)
    for _ in range(steps):
        state, _ = update(state, batch, keys[0])
    np.testing.assert_array_equal(state.failed_at, [-1, -1, 1])
    np.testing.assert_array_equal(state.members.done, [steps, steps, 1])
    single = fit(
        staged({"rate": jnp.float32(RATES[1])}),
        tasks,
        steps=steps,
        tasks_per_step=NUM,
        key=keys[1],
        progress=False,
    )
    member = jax.tree.map(lambda leaf: leaf[1], state.members)
    for a, b in zip(jax.tree.leaves(member), jax.tree.leaves(single.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.max(np.abs(b)))


def test_training_stops_where_no_member_is_left():
    broken = [
        toy_problem.make_tasks(jax.random.key(seed), broken_step=step, num_tasks=NUM)
        for seed, step in zip(SEEDS, (3, 3, 5), strict=True)
    ]
    with pytest.raises(NonFiniteError) as caught:
        together(broken)
    assert caught.value.step == 6
    np.testing.assert_array_equal(caught.value.state.failed_at, [3, 3, -1])


def test_a_population_resumes_and_evaluates_all_members(tmp_path):
    tasks = [pool(1.0)] * 3
    norms = Evaluator(MEMBER + "norm", 10, lambda params, key: {"w": jnp.sum(params["w"], (1, 2))})
    options = {"evaluators": [norms], "checkpoint_every": 10}
    whole, _ = together(tasks, **options)
    assert len(member_rows(whole.history, 2)[2]) == 2  # the step, and norm/w
    assert member_rows(whole.history, 2)[-1]["norm/w"] == pytest.approx(
        float(np.sum(whole.params["w"][2])), rel=1e-6
    )
    calls = []

    def interrupt(params, key):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return norms.function(params, key)

    with pytest.raises(KeyboardInterrupt):
        together(
            tasks,
            workdir=tmp_path,
            checkpoint_every=10,
            evaluators=[norms._replace(function=interrupt)],
        )
    resumed, _ = together(tasks, workdir=tmp_path, **options)
    assert resumed.history == whole.history
    for a, b in zip(jax.tree.leaves(resumed.state), jax.tree.leaves(whole.state), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "tasks",
    [[], [HostFed([], None)] * 3, [pool(1.0), toy_problem.LinearTasks(jnp.ones(3), jnp.ones(2))]],
)
def test_what_cannot_be_one_program_is_refused(tasks):
    with pytest.raises(ConfigError, match="tasks"):
        together(tasks)
