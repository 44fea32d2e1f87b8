"""Tasks that depend on how far training is: every step draws what its number says."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial, register_dataclass

import toy_problem
from metajax.core import (
    Algorithm,
    ConfigError,
    Evaluator,
    HostFed,
    MixedTasks,
    Staged,
    Task,
    at_step,
    derive,
    digest,
    gradient,
    mean_over_devices,
    task_keys,
)
from metajax.train import WorkdirError, fit, population, profile, restore_params

KEY, NUM = jax.random.key(4), 16


@register_dataclass
@dataclass(frozen=True)
class Numbers:
    """A number that grows with the step, and the step."""

    rate: jax.Array

    def __call__(self, key, step):
        assert step.dtype == jnp.int32
        drawn = jax.random.uniform(key) * (1 + self.rate * step.astype(jnp.float32))
        return Task(drawn, step)


@register_dataclass
@dataclass(frozen=True)
class Growing:
    """The toy problem, its inputs larger from step to step."""

    tasks: toy_problem.LinearTasks
    rate: jax.Array

    def __call__(self, key, step):
        support, (query, broken) = self.tasks(key)
        scale = 1 + self.rate * step.astype(jnp.float32)
        grown = (part._replace(inputs=scale * part.inputs) for part in (support, query))
        support, query = grown
        return Task(support, (query, broken))


NUMBERS = Staged(Numbers(jnp.float32(0.5)))


def growing(rate=0.1):
    return Staged(Growing(toy_problem.make_tasks(), jnp.float32(rate)))


def reporter():
    """An algorithm that keeps its first task, and reports the mean of a step's tasks."""

    def update(state, tasks, key, axis_name=None):
        means = jnp.mean(tasks.support), jnp.mean(tasks.query.astype(jnp.float32))
        drawn, step = mean_over_devices(means, axis_name)
        return state, {"loss": drawn, "of_step": step}

    return Algorithm(lambda key, task: {"first": task.support}, update, lambda state: state)


def run(algorithm=None, tasks=None, **changes):
    settings = {
        "steps": 12,
        "tasks_per_step": NUM,
        "key": KEY,
        "progress": False,
        "log_every": 1,
        **changes,
    }
    algorithm = toy_problem.make_algorithm() if algorithm is None else algorithm
    return fit(algorithm, growing() if tasks is None else tasks, **settings)


def drawn(step):
    keys = task_keys(derive(KEY, "tasks", step), NUM)
    return np.mean([NUMBERS(key, step).support for key in keys])


@pytest.mark.parametrize(
    "layout",
    [{}, {"parallel": "jit"}, {"parallel": "pmap"}, {"parallel": "jit", "model_devices": 2}],
    ids=str,
)
def test_step_k_draws_tasks_of_key_k_and_k(layout, tmp_path):
    """In every layout, wherever dispatches are cut, and where the run is resumed."""
    run(reporter(), NUMBERS, steps=5, workdir=tmp_path / "run", **layout)
    result = run(reporter(), NUMBERS, steps=8, workdir=tmp_path / "run", log_every=1, **layout)
    assert [row["of_step"] for row in result.history] == list(range(8))
    np.testing.assert_allclose(
        [row["loss"] for row in result.history], [drawn(step) for step in range(8)], rtol=1e-6
    )
    first = NUMBERS(derive(KEY, "tasks"), 0).support
    np.testing.assert_allclose(result.params["first"], first, rtol=1e-6)


def test_a_resumed_run_ends_in_the_same_bits(tmp_path):
    whole = run()
    evaluator = Evaluator("e", 5, lambda params, key: {})
    options = {"workdir": tmp_path / "run", "checkpoint_every": 5}
    calls = []

    def stop(params, key):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        run(evaluators=[evaluator._replace(function=stop)], **options)
    resumed = run(evaluators=[evaluator], **options)
    assert digest(resumed.state) == digest(whole.state)
    assert [row for row in resumed.history if "loss" in row] == whole.history
    # the step does count
    assert digest(run(tasks=at_step(growing(), 0)).state) != digest(whole.state)
    params, step = restore_params(tmp_path / "run", toy_problem.make_algorithm(), growing(), KEY)
    assert (digest(params), step) == (digest(whole.params), 12)


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_layouts_agree(parallel):
    single, split = run(), run(parallel=parallel)
    for a, b in zip(jax.tree.leaves(split.state), jax.tree.leaves(single.state), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.max(np.abs(b)))


def test_members_of_a_population_are_at_the_step_of_their_own_run():
    def make(values):
        return gradient(toy_problem.make_learner(), optax.sgd(values["rate"]))

    rates, members = (0.05, 0.02), [growing(0.1), growing(0.3)]
    keys = jax.random.split(KEY, 2)
    values = {"rate": jnp.array(rates)}
    algorithm, held = population(make, values, keys, members, tasks_per_step=NUM)
    together = run(algorithm, held, tasks_per_step=1).params
    for index, (rate, tasks) in enumerate(zip(rates, members, strict=True)):
        alone = run(make({"rate": rate}), tasks, key=keys[index]).params
        for name, leaf in alone.items():
            np.testing.assert_allclose(
                together[name][index], leaf, rtol=1e-5, atol=1e-5 * np.max(np.abs(leaf))
            )
    with pytest.raises(ConfigError, match=r"tasks = .*Growing.*two arguments.*Staged\(draw\)"):
        population(make, values, keys, [members[0].draw] * 2, tasks_per_step=NUM)


def test_another_leaf_or_another_course_is_another_run(tmp_path):
    run(steps=2, workdir=tmp_path / "run")
    with pytest.raises(WorkdirError, match=r"tasks\.draw\.rate .*0\.1.* there, .*0\.3.* here"):
        run(tasks=growing(0.3), steps=2, workdir=tmp_path / "run")
    with pytest.raises(WorkdirError, match="a task: the program is another one"):
        run(tasks=Staged(Later(growing().draw)), steps=2, workdir=tmp_path / "run")
    assert run(steps=2, workdir=tmp_path / "run").step == 2


@register_dataclass
@dataclass(frozen=True)
class Later:
    """What ``draw`` gives one step later."""

    draw: Growing

    def __call__(self, key, step):
        return self.draw(key, step + 1)


def two(key, step):
    return NUMBERS(key, step)


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (two, r"'the function two, of two arguments'.*Staged\(draw\)"),
        (Partial(two), r"'a Partial, of two arguments'.*Staged\(draw\)"),
        (NUMBERS.draw, r"'a Numbers, of two arguments'.*Staged\(draw\)"),
        (Staged(two), "'Staged of the function two'.*a callable pytree, whose arrays"),
        (Staged(None), "'Staged of None'.*a callable pytree"),
        (Staged(toy_problem.make_tasks()), r"'Staged of a LinearTasks'.*draw\(key, step\)"),
        (Staged(NUMBERS), r"'Staged of a Staged'.*draw\(key, step\)"),
        (HostFed([], NUMBERS), r"'HostFed with a Staged'.*assemble\(key, raw\)"),
        (Staged(HostFed([], two)), "'Staged of a HostFed'.*a callable pytree"),
        (Staged, "'the class Staged'.*a callable pytree"),
        (Partial(lambda: None), r"'a Partial': .*tasks\(key\)"),
    ],
)
def test_what_does_not_take_a_key_and_a_step_is_named(tasks, said):
    with pytest.raises(ConfigError, match=f"tasks = {said}"):
        run(reporter(), tasks)
    if not isinstance(tasks, HostFed):
        with pytest.raises(ConfigError, match=f"tasks = {said}"):
            profile(reporter(), tasks, tasks_per_step=2, key=KEY)


def test_other_signatures_of_a_key_alone_pass():
    def optional(key, scale=2.0):
        return NUMBERS(key, 0)

    for tasks in (Partial(optional), Partial(two, step=3), Partial(jax.jit(optional))):
        assert run(reporter(), tasks, steps=1).step == 1


def test_a_mix_is_staged_as_a_whole():
    with pytest.raises(ConfigError, match=r"parts\[1\] = 'a Staged'.*Staged goes around the mix"):
        MixedTasks((toy_problem.make_tasks(), growing()), (1, 1))

    def mix(parts, key, step):
        return MixedTasks(tuple(at_step(part, step) for part in parts), (1, 2))(key)

    tasks = Staged(Partial(mix, (toy_problem.make_tasks(), growing())))
    first, second = tasks(KEY, 0).support[1].inputs, tasks(KEY, 10).support[1].inputs
    np.testing.assert_allclose(second, 2 * first, rtol=1e-6)
