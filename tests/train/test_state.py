"""The state of a run in a checkpoint: nothing is lost, exchanged or cast on the way."""

import errno
import os
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import Algorithm, ConfigError, Evaluator, digest, gradient, task_keys
from metajax.train import Checkpointer, CheckpointError, fit, population, restore_params
from metajax.train.state import check_names, strong

KEY = jax.random.key(4)


def holding(extra, step=lambda extra: extra):
    """The toy algorithm with more in its state."""
    inner = toy_problem.make_algorithm()

    def update(state, tasks, key, axis_name=None):
        new, metrics = inner.update(state[0], tasks, key, axis_name)
        return (new, step(state[1])), metrics

    return Algorithm(
        lambda key, task: (inner.init(key, task), extra() if callable(extra) else extra),
        update,
        lambda state: {"net": state[0].params, "extra": state[1]},
    )


def run(algorithm, workdir=None, tasks=None, **changes):
    settings = {"steps": 6, "tasks_per_step": 8, "key": KEY, "checkpoint_every": 3, **changes}
    tasks = toy_problem.make_tasks() if tasks is None else tasks
    return fit(algorithm, tasks, workdir=workdir, progress=False, log_every=3, **settings)


def resumed(algorithm, workdir, **changes):
    class Stop(Exception):
        pass

    def stop(params, key):
        raise Stop

    with pytest.raises(Stop):
        run(algorithm, workdir, evaluators=[Evaluator("stop", 4, stop)])
    return run(algorithm, workdir, **changes)


def dtypes(tree):
    return [(leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize(
    "value",
    [jnp.asarray(1.5), 1.5, jnp.asarray(3) * 1.0, np.float32(1.5)],
    ids=["weak", "python", "computed", "strong"],
)
def test_a_resumed_run_computes_in_the_dtype_of_one_never_stopped(value, tmp_path):
    """A weakly typed number times bfloat16 is bfloat16; a strong one is what a file returns."""
    seen = []

    def step(extra):
        product = extra["t"] * jnp.full((3,), 1 / 3, jnp.bfloat16)
        seen.append(product.dtype)
        return {"t": extra["t"], "sum": extra["sum"] + product.astype(jnp.float32).sum()}

    def algorithm():
        return holding(lambda: {"t": value, "sum": jnp.zeros(())}, step)

    with jax.numpy_dtype_promotion("standard"):
        whole = run(algorithm())
        again = resumed(algorithm(), tmp_path / "run")
        assert set(seen) == {jnp.dtype(jnp.float32)}
        assert digest(again.state) == digest(whole.state)
        params, _ = restore_params(
            tmp_path / "run", algorithm(), toy_problem.make_tasks(), jax.random.key(1)
        )
    assert dtypes(params) == dtypes(whole.params) == dtypes(again.params)
    assert not any(weak for _, weak in dtypes(whole.state))


def test_strong_changes_nothing_else():
    state = {"w": jnp.ones(3, jnp.bfloat16), "n": jnp.int8(2), "key": KEY, "none": None, "b": True}
    made = jax.jit(lambda: strong(state))()
    assert digest(made) == digest({**state, "b": jnp.array(True)})


class Pair(NamedTuple):
    a: object
    b: object


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ({"a.b": 1, "a": {"b": 2}}, r"\['a'\]\['b'\], \['a.b'\]"),
        ({"a": Pair(1, 2), "a.a": 3}, r"\['a'\]\.a, \['a.a'\]"),
        ({"a": [1, 2], "a.1": 3}, r"\['a'\]\[1\], \['a.1'\]"),
        ({"a.": 1, "a": {"": 2}}, r"\['a'\]\[''\], \['a.'\]"),
        ({"a": {"b.c": 1}, "a.b": {"c": 2}, "ok": 3}, r"\['a'\]\['b.c'\], \['a.b'\]\['c'\]"),
    ],
)
def test_paths_that_a_checkpoint_would_confuse_are_rejected(state, names, tmp_path):
    state = jax.tree.map(jnp.float32, state)
    in_fit = re.sub(r"^|, ", r"\g<0>\\[1\\]", names)  # within the algorithm's state, a pair
    with pytest.raises(ConfigError, match=in_fit):
        run(holding(state), tmp_path / "run")
    assert not any((tmp_path / "run" / "checkpoints").iterdir())
    with pytest.raises(ConfigError, match=names):
        Checkpointer(tmp_path / "other").save(1, state, {})


NAMES = {
    "a.b": 1.0,
    "a/b": 2.0,
    "c": {"": 3.0},
    "": 4.0,
    "..": 5.0,
    "d": [6.0, {"0": 7.0}],
    "d/0": 8.0,
    "e": {0: 9.0},
    "f": {(1, 2): 10.0},
    "ä ~": 11.0,
}


def test_other_odd_names_keep_their_values(tmp_path):
    state = jax.tree.map(jnp.float32, NAMES)
    check_names(state)
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    checkpointer.save(1, state, {})
    checkpointer.wait()
    assert digest(checkpointer.restore(state)[0]) == digest(state)
    checkpointer.close()


ODD = {
    "none": jnp.zeros((0, 3)),
    "no": jnp.zeros((2, 0), jnp.int8),
    "bf": jnp.zeros(0, jnp.bfloat16),
    "keys": jax.random.split(KEY, 0),
    "complex": jnp.ones(2, jnp.complex64),
    "eight": jnp.ones(3, jnp.float8_e4m3fn),
    "flag": jnp.array(True),
}


@pytest.mark.parametrize("parallel", ["none", "jit", "pmap"])
def test_arrays_of_any_size_and_dtype_are_saved(parallel, tmp_path):
    algorithm = holding(ODD)
    again = resumed(algorithm, tmp_path / "run", parallel=parallel)
    assert digest(again.state[1]) == digest(ODD)
    assert jax.tree.map(lambda x: x.dtype, again.state[1]) == jax.tree.map(lambda x: x.dtype, ODD)
    assert run(algorithm, tmp_path / "run").compile_seconds == 0


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    checkpointer = Checkpointer(directory)
    checkpointer.save(1, STATE, {"step": 1})
    checkpointer.close()
    return directory


STATE = {
    "w": jnp.ones((3, 4)),
    "n": jnp.int32(3),
    "key": jax.random.key(9),
    "none": jnp.zeros((0, 3)),
    "list": [jnp.ones(2), jnp.ones(1)],
    "empty": (),
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"w": jnp.ones((3, 5))}, r"\n  w is float32\[3, 4\] there and float32\[3, 5\] here$"),
        ({"w": jnp.ones((4, 3))}, r"w is float32\[3, 4\] there and float32\[4, 3\] here$"),
        ({"w": jnp.ones((3, 4), jnp.bfloat16)}, r"w is float32\[3, 4\] there and bfloat16\[3, 4\]"),
        ({"n": jnp.float32(3)}, r"n is int32\[\] there and float32\[\] here$"),
        ({"w": {"x": jnp.ones(1)}}, r"w \(.*\) is only there\n  w.x \(.*\) is only here$"),
        ({"none": jnp.zeros((0, 4))}, r"none is .*\[0, 3\] there and float32\[0, 4\] here$"),
        ({"none": jnp.ones((1, 4))}, r"none is .* there and float32\[1, 4\] here$"),
        ({"key": jax.random.key(9, impl="rbg")}, r"key is key<fry>\[\] there and key<rbg>\[\]"),
        ({"key": jnp.zeros(3)}, r"key is .* there and float32\[3\] here$"),
        ({"more": jnp.ones(2)}, r"more \(float32\[2\]\) is only here$"),
    ],
)
def test_what_does_not_fit_is_one_error_that_names_it(change, said, saved, capfd):
    checkpointer = Checkpointer(saved, read_only=True)
    capfd.readouterr()
    with pytest.raises(CheckpointError, match=said):
        checkpointer.restore({**STATE, **change})
    checkpointer.close()
    shown = "".join(capfd.readouterr())
    assert "Traceback" not in shown and "Event loop" not in shown and not shown.strip()


def test_many_differences_are_counted(saved):
    checkpointer = Checkpointer(saved, read_only=True)
    with pytest.raises(CheckpointError, match=r"and 94 more$"):
        checkpointer.restore({**STATE, "x": [jnp.ones(1)] * 106})
    checkpointer.close()


@pytest.mark.parametrize(
    "change",
    [{"list": (jnp.ones(2), jnp.ones(1))}, {"empty": {}}, {"empty": None}],
    ids=["tuple", "dict", "none"],
)
def test_containers_of_the_same_leaves_fit(change, saved):
    checkpointer = Checkpointer(saved, read_only=True)
    state, _ = checkpointer.restore({**STATE, **change})
    assert jax.tree.structure(state) == jax.tree.structure({**STATE, **change})
    assert digest(state) == digest({**STATE, **change})
    bare, _ = checkpointer.restore({k: v for k, v in STATE.items() if k != "empty"})
    assert digest(bare) == digest(STATE)
    checkpointer.close()


def failing(error, tmp_path, monkeypatch):
    def fail(folder):
        raise error

    monkeypatch.setattr("metajax.train.checkpoint.write_seal", fail)
    checkpointer = Checkpointer(tmp_path / "checkpoints")
    checkpointer.save(1, STATE, {})
    with pytest.raises(CheckpointError) as caught:
        checkpointer.wait()
    checkpointer.close()
    return str(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("inner", [OSError, lambda number, text: ValueError(f"[OS error: {text}]")])
def test_room_is_the_advice_where_room_is_missing(number, inner, tmp_path, monkeypatch):
    error = RuntimeError("write failed")
    error.__cause__ = inner(number, os.strerror(number))
    assert "Once there is room" in failing(error, tmp_path, monkeypatch)


def test_room_is_not_the_advice_elsewhere(tmp_path, monkeypatch):
    error = OSError(errno.EACCES, os.strerror(errno.EACCES))
    said = failing(error, tmp_path, monkeypatch)
    assert "Permission denied" in said and "room" not in said


@pytest.mark.parametrize("implementation", ["rbg", "unsafe_rbg"])
def test_keys_whose_draws_depend_on_the_layout_are_rejected(implementation, tmp_path):
    key = jax.random.key(0, impl=implementation)
    said = f"key of {implementation}.*threefry2x32.*depends on which other tasks"
    with pytest.raises(ConfigError, match=said):
        run(toy_problem.make_algorithm(), tmp_path / "run", key=key)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match=said):
        task_keys(key, 3)
    # the reason: a task's draw is not that of its key alone
    keys = jax.random.split(key, 3)
    together = jax.vmap(lambda k: jax.random.bits(k, (4,)))(keys)
    assert not np.array_equal(together[1], jax.random.bits(keys[1], (4,)))
    with pytest.raises(ConfigError, match=said):
        population(
            lambda values: gradient(toy_problem.make_learner(), optax.sgd(0.1)),
            {"x": jnp.ones(2)},
            jax.random.split(key, 2),
            [toy_problem.make_tasks()] * 2,
            tasks_per_step=4,
        )


def test_the_default_implementation_does_not_decide(tmp_path):
    """The configured one is rejected by name, too, and a key of the right one trains the same."""
    expected = digest(run(toy_problem.make_algorithm()).state)
    tasks = toy_problem.make_tasks()
    with jax.default_prng_impl("rbg"):
        with pytest.raises(ConfigError, match="key of rbg"):
            run(toy_problem.make_algorithm(), key=jax.random.key(4))
        key = jax.random.key(4, impl="threefry2x32")
        assert digest(run(toy_problem.make_algorithm(), tasks=tasks, key=key).state) == expected
