"""The training loop: what it computes, logs, evaluates and refuses."""

import functools
import json
import re
from dataclasses import dataclass

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import (
    Algorithm,
    ConfigError,
    Evaluator,
    HostFed,
    derive,
    digest,
    task_keys,
)
from metajax.train import NonFiniteError, fit, make_layout
from metajax.train.step import LoopState, make_steps

KEY = jax.random.key(4)
STEPS, NUM = 24, 16


def run(algorithm=None, tasks=None, **changes):
    settings = {
        "steps": STEPS,
        "tasks_per_step": NUM,
        "key": KEY,
        "progress": False,
        "log_every": 5,
        **changes,
    }
    return fit(
        toy_problem.make_algorithm() if algorithm is None else algorithm,
        toy_problem.make_tasks() if tasks is None else tasks,
        **settings,
    )


def bare_loop(algorithm, tasks, leave_out=()):
    """The loop's whole contract in a few lines: states before each step, and metrics."""
    task = jax.jit(lambda tasks: tasks(derive(KEY, "tasks")))(tasks)
    state = jax.jit(algorithm.init)(derive(KEY, "init"), task)

    @jax.jit
    def step(state, tasks, i):
        batch = jax.vmap(tasks)(task_keys(derive(KEY, "tasks", i), NUM))
        return algorithm.update(state, batch, derive(KEY, "update", i))

    states, rows = [state], []
    for i in range(STEPS):
        new, metrics = step(state, tasks, i)
        state = state if i in leave_out else new
        states.append(state)
        rows.append(metrics)
    return states, rows


@functools.cache
def bare_default():
    return bare_loop(toy_problem.make_algorithm(), toy_problem.make_tasks())


def close(a, b, rtol=1e-5):
    """Equal but for rounding, which is as large as that of an array's largest entry."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * np.max(np.abs(y)))


@pytest.fixture(scope="module")
def plain():
    """A run of the default settings."""
    return run()


def test_equals_a_bare_loop_and_logs_means_over_windows(plain):
    result = plain
    states, rows = bare_default()
    close(result.state, states[-1])
    assert result.params is result.state.params
    assert result.step == STEPS and result.skipped == 0
    assert [row["step"] for row in result.history] == [5, 10, 15, 20, 24]
    windows = [(0, 5), (5, 10), (10, 15), (15, 20), (20, 24)]
    for row, (first, last) in zip(result.history, windows, strict=True):
        for name in ("loss", "before", "grad_norm"):
            expected = np.mean([float(r[name]) for r in rows[first:last]])
            assert row[name] == pytest.approx(expected, rel=1e-5)


def test_loss_falls():
    long = run(steps=300, log_every=50)
    assert long.history[-1]["loss"] < 0.7 * long.history[0]["loss"]


def test_where_dispatches_are_cut_changes_no_bit():
    digests = {digest(run(log_every=every).state) for every in (1, 7, 100)}
    evaluator = Evaluator("e", 3, lambda params, key: {})
    digests.add(digest(run(log_every=100, evaluators=[evaluator]).state))
    assert len(digests) == 1


def test_another_key_gives_another_run_and_the_same_key_the_same(plain):
    assert digest(run().state) == digest(plain.state)
    assert digest(run(key=jax.random.key(5)).state) != digest(plain.state)


@pytest.mark.parametrize("tasks_at_once", [None, 1])
@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_layouts_agree(parallel, tasks_at_once, plain):
    algorithm = toy_problem.make_algorithm(tasks_at_once=tasks_at_once)
    split = run(algorithm, parallel=parallel)
    close(split.state, plain.state)
    for a, b in zip(split.history, plain.history, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_tasks_in_turn_of_a_layout_stay_on_their_devices():
    """Each works through its own tasks, here two: nothing but sums crosses between them."""
    algorithm = toy_problem.make_algorithm(tasks_at_once=1)
    compiled, _ = lower(algorithm, make_layout("jit", NUM))
    program = compiled.compile().as_text()
    assert "all-reduce" in program
    assert not re.search(r"all-gather|all-to-all|collective-permute", program)


@pytest.mark.parametrize("parallel", ["none", "jit", "pmap"])
def test_devices_are_chosen(parallel):
    devices = jax.devices()[4:6]
    result = run(steps=3, parallel=parallel, devices=devices)
    assert result.params["w"].devices() <= set(devices)
    committed = jax.device_put(KEY, jax.devices()[2])
    again = run(steps=3, parallel=parallel, devices=devices, key=committed)
    assert digest(again.state) == digest(result.state)


def test_tasks_that_do_not_divide_over_the_devices_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"tasks_per_step = 12.*8 devices, e.g. 8 or 16"):
        run(tasks_per_step=12, parallel="jit")
    with pytest.raises(ConfigError, match=r"e.g. 8$"):
        run(tasks_per_step=3, parallel="pmap")
    run(tasks_per_step=3, steps=1)


@pytest.mark.parametrize("parallel", ["none", "pmap"])
def test_evaluators_are_called_at_their_steps_and_the_last_with_one_key(parallel):
    calls = {"a": [], "b": []}

    def measure(name):
        def function(params, key):
            calls[name].append((np.asarray(params["w"]), jax.random.key_data(key).tolist()))
            return {"norm": optax.tree.norm(params), "curve": jnp.arange(2)}

        return function

    evaluators = [Evaluator("a", 10, measure("a")), Evaluator("b", 7, measure("b"))]
    result = run(evaluators=evaluators, parallel=parallel)
    rows = {n: [r for r in result.history if f"{n}/norm" in r] for n in "ab"}
    assert [row["step"] for row in rows["a"]] == [10, 20, 24]
    assert [row["step"] for row in rows["b"]] == [7, 14, 21, 24]
    assert rows["a"][0]["a/curve"] == [0, 1]
    for name in "ab":
        assert len({str(key) for _, key in calls[name]}) == 1
    assert calls["a"][0][1] != calls["b"][0][1]
    states, _ = bare_default()
    close([w for w, _ in calls["b"]], [states[n].params["w"] for n in (7, 14, 21, 24)])


BAD = 13


@functools.cache
def breaking(where):
    """An algorithm and tasks of which one breaks it, and the states of the loop of few lines."""
    algorithm = toy_problem.make_algorithm(where)
    tasks = toy_problem.make_tasks(KEY, BAD, NUM)
    return algorithm, tasks, bare_loop(algorithm, tasks)[0]


@pytest.mark.parametrize(
    ("log_every", "where", "parallel"),
    [
        (1, "loss", "none"),
        (100, "gradient", "none"),
        (1, "gradient", "pmap"),
        (100, "loss", "pmap"),
        # every two of these stand together above
        pytest.param(100, "loss", "none", marks=pytest.mark.slow),
        pytest.param(1, "gradient", "none", marks=pytest.mark.slow),
        pytest.param(100, "gradient", "pmap", marks=pytest.mark.slow),
        pytest.param(1, "loss", "pmap", marks=pytest.mark.slow),
    ],
)
def test_a_step_that_is_not_finite_stops_the_run(where, log_every, parallel, tmp_path):
    algorithm, tasks, states = breaking(where)
    with pytest.raises(NonFiniteError) as caught:
        run(
            algorithm,
            tasks,
            log_every=log_every,
            workdir=tmp_path,
            checkpoint_every=5,
            parallel=parallel,
        )
    assert caught.value.step == BAD + 1
    message = str(caught.value)
    assert f"step {BAD + 1} " in message and "checkpoint of step 10 is kept" in message
    assert ("loss = nan" in message) == (where == "loss")
    assert ("grad_norm = nan" in message) == (where == "gradient")
    close(caught.value.state, states[BAD])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(caught.value.state))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["10", "5"]
    with pytest.raises(NonFiniteError) as again:  # from step 10 on: the same step, the same state
        run(
            algorithm,
            tasks,
            log_every=log_every,
            workdir=tmp_path,
            checkpoint_every=5,
            parallel=parallel,
        )
    assert digest(again.value.state) == digest(caught.value.state)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_left_out(where):
    algorithm = toy_problem.make_algorithm(where)
    tasks = toy_problem.make_tasks(KEY, BAD, NUM)
    result = run(algorithm, tasks, on_nonfinite="skip")
    states, rows = bare_loop(algorithm, tasks, leave_out=[BAD])
    close(result.state, states[-1])
    assert result.skipped == 1
    assert [row["skipped"] for row in result.history] == [0, 0, 1, 1, 1]
    broken = {"loss": "loss", "gradient": "grad_norm"}[where]
    finite = [float(rows[i][broken]) for i in (10, 11, 12, 14)]
    assert result.history[2][broken] == pytest.approx(np.mean(finite), rel=1e-5)


def test_parameters_that_are_not_finite_stop_the_run_though_loss_and_gradient_are():
    """An algorithm without a gradient is guarded too."""
    inner = toy_problem.make_algorithm()

    def update(state, tasks, key, axis_name=None):
        (inner_state, n), (new, metrics) = state, inner.update(state[0], tasks, key, axis_name)
        params = jax.tree.map(lambda p: jnp.where(n == BAD, jnp.inf, p), new.params)
        return (inner_state._replace(params=params), n + 1), {"loss": metrics["loss"]}

    algorithm = Algorithm(
        lambda key, task: (inner.init(key, task), jnp.int32(0)), update, lambda s: s[0].params
    )
    with pytest.raises(NonFiniteError, match=f"step {BAD + 1} ") as caught:
        run(algorithm)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(caught.value.state))
    assert caught.value.state[1] == BAD
    assert run(algorithm, on_nonfinite="skip").skipped == STEPS - BAD


def test_bad_step_without_a_workdir_says_that_nothing_was_saved():
    with pytest.raises(NonFiniteError, match="no checkpoint"):
        run(tasks=toy_problem.make_tasks(KEY, 0, NUM))


def test_the_step_is_traced_and_compiled_once_whatever_the_remainders():
    def traces(**settings):
        inner, count = toy_problem.make_algorithm(), 0

        def update(*args):
            nonlocal count
            count += 1
            return inner.update(*args)

        run(inner._replace(update=update), **settings)
        return count

    assert traces(steps=1) == traces(log_every=7) == traces(log_every=5) <= 2

    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    seen = []
    watch = Evaluator("e", 4, lambda params, key: seen.append(len(compiled)) or {})
    run(evaluators=[watch], log_every=9)
    assert compiled and len(set(seen)) == 1  # nothing compiled between the first and the last


def lower(algorithm, layout, tasks=None):
    tasks = toy_problem.make_tasks() if tasks is None else tasks
    init = jax.jit(lambda tasks: algorithm.init(KEY, tasks(KEY)))
    state = layout.place(LoopState(init(tasks), jnp.int32(-1), jnp.int32(0)))
    steps = make_steps(
        algorithm,
        tasks,
        state,
        tasks_per_step=NUM,
        capacity=10,
        layout=layout,
        on_nonfinite="stop",
    )
    arguments = (
        state,
        layout.distribute(tasks),
        (),
        tuple(jax.random.split(KEY)),
        np.int32(0),
        np.int32(4),
    )
    return steps.lower(*arguments), arguments


def large_constants(text):
    shapes = re.findall(r"stablehlo\.constant dense<[\[\"].*?> : tensor<([0-9x]+)x\w+>", text)
    return [shape for shape in shapes if np.prod([int(n) for n in shape.split("x")]) > 64]


@pytest.mark.parametrize("parallel", ["none", "jit", "pmap"])
def test_arrays_are_arguments_of_the_program_not_constants_in_it(parallel):
    algorithm = toy_problem.make_algorithm()
    layout = make_layout(parallel, NUM)
    assert not large_constants(lower(algorithm, layout)[0].as_text())
    tasks = toy_problem.make_tasks()
    baked = jax.tree_util.Partial(lambda key: tasks(key))
    assert large_constants(lower(algorithm, layout, baked)[0].as_text())  # the check can fail


@pytest.mark.parametrize("parallel", ["none", "jit", "pmap"])
def test_the_state_is_donated_and_the_pool_is_not(parallel):
    lowered, arguments = lower(toy_problem.make_algorithm(), make_layout(parallel, NUM))
    lowered.compile()(*arguments)
    state, tasks = arguments[:2]
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.algorithm))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(tasks))


def test_a_function_is_a_distribution_once_it_is_a_pytree(plain):
    tasks = toy_problem.make_tasks()
    result = run(tasks=jax.tree_util.Partial(lambda tasks, key: tasks(key), tasks))
    assert digest(result.state) == digest(plain.state)


def test_a_state_may_hold_keys_integers_and_what_the_tasks_hold(plain):
    inner = toy_problem.make_algorithm()

    def update(state, tasks, key, axis_name=None):
        new, metrics = inner.update(state["inner"], tasks, key, axis_name)
        draw = jax.random.fold_in(state["key"], 1)
        return {**state, "inner": new, "key": draw, "n": state["n"] + 1}, metrics

    def init(key, task):
        return {"inner": inner.init(key, task), "key": key, "n": jnp.int8(0)}

    algorithm = Algorithm(init, update, lambda state: state["inner"].params)
    for parallel in ("none", "pmap"):
        state = run(algorithm, parallel=parallel).state
        close(state["inner"], plain.state)
        assert state["n"] == STEPS and state["n"].dtype == jnp.int8
        expected = derive(KEY, "init")
        for _ in range(STEPS):
            expected = jax.random.fold_in(expected, 1)
        assert digest(state["key"]) == digest(expected)


def test_progress_bar_shows_steps_and_loss(capsys):
    run(progress=True)
    shown = capsys.readouterr().err
    assert f"{STEPS}/{STEPS}" in shown and "loss" in shown


class Batches:
    """Host batches with a position, as Grain's iterators are."""

    def __init__(self, num=NUM, length=10**6):
        self.num, self.length = num, length

    def __iter__(self):
        self.position = 0
        return self

    def __next__(self):
        if self.position == self.length:
            raise StopIteration
        self.position += 1
        rng = np.random.default_rng(self.position)
        return {"rows": rng.normal(size=(self.num, 12, 4)), "n": np.arange(self.num)}

    def get_state(self):
        return {"position": self.position}

    def set_state(self, state):
        self.position = state["position"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Assemble:
    """A task of the rows that the host read: its map is drawn on the device."""

    shift: jax.Array

    def __call__(self, key, raw):
        task = toy_problem.make_tasks()(key)
        rows = raw["rows"] + self.shift + raw["n"].astype(jnp.float32) / 100
        targets = rows @ jax.random.normal(key, (4, 1))
        support = task.support._replace(inputs=rows[:6], targets=targets[:6])
        query = support._replace(inputs=rows[6:], targets=targets[6:])
        return task._replace(support=support, query=(query, jnp.array(False)))


def host_fed(**settings):
    return HostFed(Batches(**settings), Assemble(jnp.float32(0.5)))


def test_host_fed_equals_a_bare_loop_over_the_same_batches():
    algorithm, tasks = toy_problem.make_algorithm(), host_fed()
    batches = [jax.tree.map(jnp.asarray, raw) for raw, _ in zip(Batches(), range(STEPS))]  # noqa: B905
    first = jax.tree.map(lambda x: x[0], batches[0])
    state = algorithm.init(derive(KEY, "init"), tasks.assemble(derive(KEY, "tasks"), first))

    @jax.jit
    def step(state, raw, i):
        batch = jax.vmap(tasks.assemble)(task_keys(derive(KEY, "tasks", i), NUM), raw)
        return algorithm.update(state, batch, derive(KEY, "update", i))

    for i, raw in enumerate(batches):
        state, _ = step(state, raw, i)
    result = run(algorithm, tasks)
    close(result.state, state)
    assert tasks.batches.position == STEPS  # none is read and thrown away
    cut_elsewhere = run(algorithm, host_fed(), log_every=7)
    assert digest(cut_elsewhere.state) == digest(result.state)


def test_host_fed_layouts_agree():
    single = run(tasks=host_fed())
    for parallel in ("jit", "pmap"):
        close(run(tasks=host_fed(), parallel=parallel).state, single.state)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (host_fed(num=8), "leading axis of tasks_per_step = 16"),
        (host_fed(length=9), "ended after 9 batches.*24 steps"),
        (HostFed([{"rows": 0}], Assemble(jnp.float32(0))), "get_state"),
        (HostFed(Batches(), lambda key, raw: raw), "callable pytree"),
    ],
)
def test_host_batches_that_do_not_serve_are_refused(tasks, message):
    with pytest.raises(ConfigError, match=message):
        run(tasks=tasks)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"steps": 1e4}, "steps = 10000.0: expected a whole number"),
        ({"log_every": 0}, "log_every"),
        ({"checkpoint_every": -1}, "checkpoint_every"),
        ({"keep_last": 0}, "keep_last"),
        ({"keep_every": 0}, "keep_every"),
        ({"tasks_per_step": 0}, "tasks_per_step"),
        ({"tasks_per_step": 2.5}, "tasks_per_step"),
        ({"evaluators": [Evaluator("x", 0, lambda params, key: {})]}, r"evaluators\[x\].every"),
        ({"parallel": "pmapp"}, "did you mean 'pmap'"),
        ({"on_nonfinite": "ignore"}, "on_nonfinite"),
        ({"key": 0}, "typed key"),
        ({"key": np.zeros(2, np.uint32)}, "typed key"),
        ({"key": jax.random.split(KEY, 2)}, "one typed key"),
        ({"tasks": lambda key: key}, "callable pytree"),
        ({"config": {"steps": 3}}, "other names than"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        run(**settings, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_algorithm_without_a_loss_is_refused():
    inner = toy_problem.make_algorithm()

    def update(*args):
        state, metrics = inner.update(*args)
        return state, {"other": metrics["loss"]}

    with pytest.raises(ConfigError, match=r"'loss'"):
        run(inner._replace(update=update))


@pytest.mark.parametrize("parallel", ["none", "pmap"])
def test_tasks_at_once_need_not_divide_the_tasks_of_a_device(parallel):
    """Of 16 tasks, or 8 a device, five at once, then the rest."""
    devices = jax.devices()[:2] if parallel == "pmap" else None
    algorithm = toy_problem.make_algorithm(tasks_at_once=5)
    close(run(algorithm, parallel=parallel, devices=devices).state, run().state)


def test_tensorboard_gets_the_scalars(tmp_path):
    pytest.importorskip("tensorboardX")
    run(workdir=tmp_path, tensorboard=True)
    events = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    assert b"grad_norm" in events
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["step"] == 5
