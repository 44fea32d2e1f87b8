"""What decides a run's result, and what does not."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import Algorithm, gradient
from metajax.train.fingerprints import changes, fingerprint
from metajax.train.programs import digest_of, program_of

KEY = jax.random.key(4)


def of(algorithm=None, tasks=None, raw=(), key=KEY, tasks_per_step=4):
    algorithm = toy_problem.make_algorithm() if algorithm is None else algorithm
    tasks = toy_problem.make_tasks() if tasks is None else tasks
    found = fingerprint(algorithm, tasks, list(raw), tasks_per_step=tasks_per_step, key=key)
    return json.loads(json.dumps(found))  # as a file will return it


def changed(algorithm=None, tasks=None, **options):
    return "\n".join(changes(of(), of(algorithm, tasks, **options))[0])


def with_optimizer(optimizer):
    return gradient(toy_problem.make_learner(), optimizer)


def test_the_same_run_is_the_same():
    assert of() == of()
    assert changes(of(), of()) == ([], [])


@pytest.mark.parametrize(
    ("optimizer", "said"),
    [
        (optax.sgd(0.5, momentum=0.9), "an update: constants differ: .* -0.05 there, .* -0.5 here"),
        (optax.sgd(0.05, momentum=0.8), r"float32 0.9 there, float32 0.8 here"),
        (optax.sgd(0.05), r"state: .*trace.*is float32\[4, 8\] there and missing here"),
        (optax.sgd(0.05, momentum=0.9, nesterov=True), "an update: the program is another one"),
        (optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.05, 0.9)), "state: "),
        (optax.sgd(optax.cosine_decay_schedule(0.05, 100), 0.9), "an update: the program"),
    ],
    ids=["rate", "momentum", "no momentum", "nesterov", "clipped", "schedule"],
)
def test_another_optimizer_is_named(optimizer, said):
    assert re.search(said, changed(with_optimizer(optimizer)))


def test_inner_steps_and_rates_are_seen():
    found = changed(gradient(toy_problem.make_learner(inner_lr=0.2), optax.sgd(0.05, momentum=0.9)))
    assert "float32 0.1 there, float32 0.2 here" in found
    inner = toy_problem.make_learner()
    twice = inner._replace(
        loss=lambda params, task, key: inner.loss(inner.adapt(params, task.support, key), task, key)
    )
    assert "an update: the program is another one" in changed(gradient(twice, optax.sgd(0.05, 0.9)))


def shifted(by):
    """The toy algorithm with a value closed over, of whatever kind."""
    inner = toy_problem.make_algorithm()

    def update(state, tasks, key, axis_name=None):
        new, metrics = inner.update(state, tasks, key, axis_name)
        shift = by() if callable(by) else by
        params = {**new.params, "b": new.params["b"] + shift}
        return new._replace(params=params), metrics

    return inner._replace(update=update)


def drawn_by(key):
    return lambda: jax.random.uniform(key, (8,))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (0.25, 0.5),
        (np.float32(0.25), np.float32(0.5)),
        (np.arange(8, dtype=np.float32), np.arange(8, dtype=np.float32)[::-1]),
        (jnp.arange(8.0), jnp.arange(8.0) + 1e-6),
        (drawn_by(jax.random.key(1)), drawn_by(jax.random.key(2))),
        (drawn_by(jax.random.key(1)), drawn_by(jax.random.key(1, impl="rbg"))),
        (optax.linear_schedule(0.1, 0.2, 10)(3), optax.linear_schedule(0.1, 0.2, 10)(4)),
    ],
    ids=["number", "numpy number", "numpy", "jax", "key", "kind of key", "schedule"],
)
def test_values_closed_over_are_seen(old, new):
    a, b = of(shifted(old)), of(shifted(new))
    assert a == of(shifted(old))
    lines, unsure = changes(a, b)
    assert lines and not unsure and all("an update" in line for line in lines)


def test_constants_that_change_places_are_seen():
    def make(first, second):
        return Algorithm(
            lambda key, task: {"a": jnp.zeros(()), "b": jnp.zeros(())},
            lambda s, t, k, n=None: ({"a": s["a"] + first, "b": s["b"] + second}, {"loss": s["a"]}),
            lambda state: state,
        )

    assert changes(of(make(0.5, 2.0)), of(make(2.0, 0.5)))[0] == [
        "an update: the same constants stand in other places"
    ]


def test_tasks_are_seen_by_leaf_and_by_program():
    tasks = toy_problem.make_tasks()
    other = toy_problem.LinearTasks(tasks.pool.at[599, 3].add(1e-3), tasks.broken_key)
    assert changed(tasks=other).startswith("tasks.pool (float32[600, 4]) has other values")
    fewer = toy_problem.LinearTasks(tasks.pool[:300], tasks.broken_key)
    assert "tasks.pool is float32[600, 4] there and float32[300, 4] here" in changed(tasks=fewer)
    partial = jax.tree_util.Partial(lambda tasks, key: tasks(key), tasks)
    moved = jax.tree_util.Partial(lambda tasks, key: tasks(jax.random.fold_in(key, 1)), tasks)
    lines, _ = changes(of(tasks=partial), of(tasks=moved))
    assert any("a task: the program is another one" in line for line in lines)
    on_host = np.asarray(tasks.pool, np.float64), np.asarray(tasks.broken_key)
    assert changed(tasks=toy_problem.LinearTasks(*on_host)) == ""


def test_what_the_host_feeds_is_seen_by_its_first_batch():
    tasks = jax.tree_util.Partial(lambda key, rows: toy_problem.make_tasks()(key))
    a, b = (of(tasks=tasks, raw=[np.full(3, value)]) for value in (1.0, 2.0))
    assert changes(a, a) == ([], [])
    assert "first host-fed batch[0] (float32[3]) has other values" in changes(a, b)[0][0]


def test_the_first_state_and_the_random_bits_are_seen(monkeypatch):
    inner = toy_problem.make_algorithm()
    scaled = inner._replace(
        init=lambda key, task: jax.tree.map(lambda x: 2 * x, inner.init(key, task))
    )
    assert "the first state: the program is another one" in changed(scaled)
    old = of()
    with jax.threefry_partitionable(not jax.config.jax_threefry_partitionable):
        assert "partitionable" in changes(old, of())[0][0]


def test_refactorings_do_not_count():
    """Names, jit, checkpoint, the order of lines, dead code, printing, metrics, sides of a sum."""

    def plain(x, y, by):
        def body(carry, row):
            return carry * by + jnp.sin(carry * y), row + carry

        first, last = jax.lax.scan(body, jax.nn.softplus(x) + y, jnp.ones((3, 4)))
        return first, last.sum()

    def rewritten(a, b, factor):
        @jax.jit
        def another_name(total, each):
            jax.debug.print("{}", total)
            sines = jnp.sin(total * b)
            unused = jnp.cos(total)  # noqa: F841
            return sines + total * factor, total + each

        @jax.checkpoint
        def start(a):
            return b + jax.jit(jax.nn.softplus)(a)

        first, last = jax.lax.scan(another_name, start(a), jnp.ones((3, 4)), unroll=3)
        return first, last.sum()

    x, y, by = jnp.arange(4.0), jnp.ones(4), jnp.full(4, 0.5)
    assert program_of(plain, x, y, by)[0].full == program_of(rewritten, x, y, by)[0].full

    learner = toy_problem.make_learner()

    def loss(params, task, key):
        value, metrics = jax.jit(learner.loss)(params, task, key)
        return value, {**metrics, "twice": 2 * value}

    again = gradient(learner._replace(loss=loss), optax.sgd(0.05, momentum=0.9))
    assert changed(again) == ""


def test_functions_within_functions_are_told_apart():
    """The argument of an inner function is not that of the outer one."""

    def nested(which):
        def outer(carry, row):
            def inner(inner_carry, _):
                return inner_carry + (carry if which == "outer" else inner_carry), None

            return jax.lax.scan(inner, row, None, length=2)[0], None

        return lambda x, rows: jax.lax.scan(outer, x, rows)[0]

    arguments = jnp.float32(1), jnp.ones(3)
    outer, inner = (program_of(nested(which), *arguments)[0] for which in ("outer", "inner"))
    assert outer.form != inner.form


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            lambda x: jax.lax.fori_loop(0, 3, lambda i, x: x * 2, x),
            lambda x: jax.lax.fori_loop(0, 4, lambda i, x: x * 2, x),
        ),
        (
            lambda x: jax.lax.while_loop(lambda x: x < 3.0, lambda x: x + 1, x),
            lambda x: jax.lax.while_loop(lambda x: x < 4.0, lambda x: x + 1, x),
        ),
        (
            lambda x: jax.lax.cond(x > 0, jnp.sin, jnp.cos, x),
            lambda x: jax.lax.cond(x > 0, jnp.cos, jnp.sin, x),
        ),
        (lambda x: x - 2 * x, lambda x: 2 * x - x),
        (lambda x: jax.pure_callback(np.sin, x, x), lambda x: jax.pure_callback(np.cos, x, x)),
        (
            lambda x: jnp.dot(x[None], x[None]),
            lambda x: jnp.dot(x[None], x[None], precision="highest"),
        ),
        (
            lambda x: jax.lax.custom_linear_solve(lambda y: 2 * y, x, lambda _, b: b / 2),
            lambda x: jax.lax.custom_linear_solve(lambda y: 3 * y, x, lambda _, b: b / 3),
        ),
    ],
    ids=["fori", "while", "cond", "sides", "callback", "precision", "linear solve"],
)
def test_programs_that_differ_are_told_apart(old, new):
    x = jnp.float32(0.5)
    assert program_of(old, x)[0].full == program_of(old, x)[0].full
    assert program_of(old, x)[0].full != program_of(new, x)[0].full


def test_other_libraries_may_lower_a_function_otherwise_but_not_change_its_values():
    old = of()
    newer = {**of(), "software": {**old["software"], "jax": "99.0"}}
    assert changes(old, newer) == ([], [])
    lowered = json.loads(json.dumps(newer))
    lowered["programs"]["an update"].update(form="0", full="1")
    assert changes(old, lowered) == ([], ["an update: the program differs"])
    rate = {**of(with_optimizer(optax.sgd(0.5, momentum=0.9))), "software": newer["software"]}
    assert "float32 -0.05 there, float32 -0.5 here" in changes(old, rate)[0][0]
    arrays = [of(shifted(np.arange(8, dtype=np.float32) + i)) for i in range(2)]
    arrays[1]["software"]["jax"] = "99.0"
    arrays[1]["programs"]["an update"]["form"] = "0"
    assert changes(*arrays)[0] == ["an update: an array float32[8] has other values"]


def test_rounding_of_another_machine_in_the_tasks_is_no_change():
    old = of()
    for factor, certain in ((1 + 1e-6, False), (1.1, True)):
        tasks = toy_problem.make_tasks()
        new = of(tasks=toy_problem.LinearTasks(tasks.pool * factor, tasks.broken_key))
        new["software"]["on"] = "tpu"
        assert [bool(lines) for lines in changes(old, new)] == [certain, not certain]


def test_large_arrays_are_hashed_at_the_speed_of_memory():
    array = jnp.ones(2**24)  # 64 MB
    digest_of(array)
    start = time.process_time()
    digest_of(array)
    assert time.process_time() - start < 2


def test_it_is_the_same_in_another_process():
    """No address, no hash of one process alone.

    Both are new: programs that this one compiled for other tests, by their flags, round otherwise.
    """
    script = (
        "import sys, json; sys.path[:0] = sys.argv[1:]\n"
        "from test_fingerprints import of; print(json.dumps(of()))"
    )
    tests = Path(__file__).parent

    def found(seed):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tests), str(tests.parent)],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        return json.loads(done.stdout)

    here, there = found("1"), found("2")
    assert here == there
    assert changes(here, there) == ([], [])
