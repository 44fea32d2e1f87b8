"""The contract of a meta-training algorithm, held against every algorithm there is.

A new algorithm is a new row of ``ALGORITHMS``.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import toy_problem
from metajax import learners
from metajax.bilevel import InnerState, RunParams, hypergradient, online_run
from metajax.core import (
    Algorithm,
    ConfigError,
    MetaLearner,
    Network,
    all_finite,
    digest,
    gradient,
)
from metajax.train import Checkpointer, fit


class Row(NamedTuple):
    """An algorithm under test.

    Attributes:
      name: of the algorithm.
      make: returns it for a learner.
      learner: the learner that it trains, whose params are the algorithm's.
      steps: meta-steps in which the toy problem's loss falls to ``share`` of its first value.
      share: see ``steps``.
      ordered: whether its tasks are the steps of one run, which no devices can share out.
      descends: whether its loss falls from wherever it starts: not that of a trial, nor that of
        one run, whose start may be near its end.
    """

    name: str
    make: Callable[[MetaLearner], Algorithm]
    steps: int = 300
    share: float = 0.5
    learner: Callable[[], MetaLearner] = toy_problem.make_learner
    ordered: bool = False
    descends: bool = True


def online_row(name: str, every: int = 1, **options) -> Row:
    return Row(
        f"online-{name}",
        lambda learner: toy_problem.make_online(name, every, **options),
        steps=60,
        learner=toy_problem.make_inner_learner,
    )


def run_row(name: str, **options) -> Row:
    problem, init, predict = toy_problem.inner_problem()

    def reached(key, task) -> RunParams:
        return RunParams(*init(key, task))

    def answer(params, adapted, inputs):
        return predict(InnerState(adapted, ()), params.hparams, inputs)

    return Row(
        f"online_run-{name}",
        lambda learner: online_run(
            hypergradient(name, **options), problem, optax.adam(1e-2), init=init
        ),
        steps=60,
        ordered=True,
        descends=False,
        learner=lambda: MetaLearner(
            reached, lambda params, support, key: params.params, answer, lambda *_: (0.0, {})
        ),
    )


NETWORK = Network(
    lambda key, inputs: toy_problem.make_learner().init(key, None), toy_problem.network
)
few_shot = functools.partial(
    learners.maml, NETWORK, learners.mean_squared_error, optax.sgd(0.1), steps=2, unroll=1
)


def whole(algorithm: Algorithm) -> Algorithm:
    """The algorithm on tasks none of which is broken."""

    def on_whole(function):
        return lambda state, tasks, *rest: function(
            state, tasks._replace(query=tasks.query[0]), *rest
        )

    stages = {name: on_whole(stage) for name, stage in algorithm.stages.items()}
    return algorithm._replace(update=on_whole(algorithm.update), stages=stages)


def reptile(_) -> Algorithm:
    return whole(
        learners.reptile(
            NETWORK,
            learners.mean_squared_error,
            optax.adam(0.03, b1=0.0),
            optax.sgd(0.5),
            steps=3,
            keep_inner_state=True,
        )
    )


def multi_step(_) -> Algorithm:
    return whole(
        learners.multi_step_gradient(
            lambda weights: few_shot(step_weights=weights),
            optax.adam(1e-2),
            steps=2,
            anneal_steps=200,
        )
    )


ALGORITHMS = [
    Row("gradient-adam", lambda learner: gradient(learner, optax.adam(1e-2))),
    Row(
        "gradient-tasks-in-turn-schedule-clip",
        lambda learner: gradient(
            learner,
            optax.chain(
                optax.clip_by_global_norm(1.0),
                optax.adamw(optax.warmup_cosine_decay_schedule(0.0, 2e-2, 20, 300)),
            ),
            tasks_at_once=4,
        ),
    ),
    Row(
        "average",
        lambda learner: learners.with_average(gradient(learner, optax.adam(1e-2)), 0.9, after=2),
    ),
    online_row("one_step"),
    online_row("distilled", gamma=0.9),
    online_row("unrolled", every=6),
    online_row("pes", every=2, pairs=4, sigma=0.03),
    Row(
        "random_search",
        lambda learner: toy_problem.make_search(),
        steps=60,
        descends=False,
        learner=toy_problem.make_inner_learner,
    ),
    run_row("distilled", gamma=0.9),
    run_row("forward"),
    run_row("pes", pairs=4, sigma=0.03),
    Row("reptile", reptile, steps=100, learner=few_shot),
    Row("maml-multi-step", multi_step, steps=200, learner=few_shot),
    Row(
        "evolution",
        lambda learner: learners.evolution(
            learner, optax.adam(3e-2), sigma=0.05, pairs=2, tasks_at_once=4
        ),
        steps=100,
    ),
]

every_algorithm = pytest.mark.parametrize("row", ALGORITHMS, ids=lambda row: row.name)

KEY = jax.random.key(0)
NUM = 8


class Made(NamedTuple):
    algorithm: Algorithm
    learner: MetaLearner
    update: Callable
    state: Any
    tasks: Any


@functools.cache
def made(row: Row) -> Made:
    learner = row.learner()
    algorithm = row.make(learner)
    tasks = jax.jit(jax.vmap(toy_problem.make_tasks()))(jax.random.split(KEY, NUM))
    state = jax.jit(algorithm.init)(KEY, first(tasks))
    return Made(algorithm, learner, jax.jit(algorithm.update), state, tasks)


def first(tasks):
    """The first of some tasks, on the host: to index there compiles nothing."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], tasks)


def close(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4 * np.max(np.abs(y)))


def avals(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


@every_algorithm
def test_the_state_is_arrays_of_stable_structure(row):
    m = made(row)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(m.state))
    state, metrics = m.update(m.state, m.tasks, KEY)
    again, _ = m.update(state, m.tasks, KEY)
    assert avals(m.state) == avals(state) == avals(again)
    assert metrics["loss"].shape == () and jax.jit(all_finite)((state, metrics))
    assert digest(state) != digest(m.state)


@every_algorithm
def test_update_is_deterministic_and_leaves_its_inputs(row):
    m = made(row)
    before = digest((m.state, m.tasks))
    once, again = m.update(m.state, m.tasks, KEY), m.update(m.state, m.tasks, KEY)
    assert digest(once) == digest(again)
    assert digest((m.state, m.tasks)) == before


# the others take the same estimators or the same run
ONE_OF_EACH = (
    "gradient-adam",
    "online-one_step",
    "random_search",
    "online_run-forward",
    "reptile",
    "maml-multi-step",
    "evolution",
)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if row.name in ONE_OF_EACH else pytest.mark.slow)
        for row in ALGORITHMS
    ],
)
def test_jitted_equals_eager(row):
    m = made(row)
    close(m.update(m.state, m.tasks, KEY), m.algorithm.update(m.state, m.tasks, KEY))


@every_algorithm
def test_split_over_devices_equals_unsplit(row):
    """Or is refused, where the order of the tasks matters."""
    m = made(row)
    if row.ordered:
        with pytest.raises(ConfigError, match="parallel"):
            jax.eval_shape(lambda: m.algorithm.update(m.state, m.tasks, KEY, "d"))
        return
    split = jax.tree.map(lambda x: x.reshape(2, NUM // 2, *x.shape[1:]), m.tasks)
    mapped = jax.jit(
        jax.vmap(lambda tasks: m.algorithm.update(m.state, tasks, KEY, "d"), axis_name="d")
    )(split)
    one, other = (jax.tree.map(lambda leaf, d=d: np.asarray(leaf)[d], mapped) for d in (0, 1))
    assert digest(one) == digest(other)
    close(one, m.update(m.state, m.tasks, KEY))


@every_algorithm
def test_the_stages_are_what_the_update_does(row):
    """Where there are any: the loss and the gradient that the update reports."""
    m = made(row)
    found = {name: stage(m.state, m.tasks, KEY) for name, stage in m.algorithm.stages.items()}
    assert list(found) in ([], ["forward", "backward"])
    if found:
        (loss, _), (grads, _) = found.values()
        _, metrics = m.update(m.state, m.tasks, KEY)
        close((loss, optax.tree.norm(grads)), (metrics["loss"], metrics["grad_norm"]))


@every_algorithm
def test_the_state_survives_a_checkpoint(row, tmp_path):
    m = made(row)
    state, _ = m.update(m.state, m.tasks, KEY)
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    checkpointer.save(1, state, {})
    checkpointer.wait()
    restored, _ = checkpointer.restore(m.state)
    checkpointer.close()
    assert digest(restored) == digest(state)
    assert jax.tree.map(jax.typeof, restored) == jax.tree.map(jax.typeof, state)
    if row is ALGORITHMS[0]:  # compiled once more: restored arrays are bound to their device
        after = m.update(restored, m.tasks, KEY)
        assert digest(after) == digest(m.update(state, m.tasks, KEY))


@every_algorithm
def test_the_learner_takes_its_params(row):
    m = made(row)
    task = first(m.tasks)
    params = m.algorithm.params(m.state)
    assert avals(params) == avals(jax.eval_shape(m.learner.init, KEY, task))

    def answer(params, task):
        adapted = m.learner.adapt(params, task.support, KEY)
        return m.learner.predict(params, adapted, task.query[0].inputs)

    assert jax.eval_shape(answer, params, task).shape == task.query[0].targets.shape


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if row.name in ONE_OF_EACH else pytest.mark.slow)
        for row in ALGORITHMS
        if row.descends
    ],
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_loss_falls(row, seed):
    result = fit(
        made(row).algorithm,
        toy_problem.make_tasks(),
        steps=row.steps,
        tasks_per_step=16,
        key=jax.random.key(seed),
        log_every=row.steps // 10,
        progress=False,
    )
    assert result.history[-1]["loss"] < row.share * result.history[0]["loss"]
