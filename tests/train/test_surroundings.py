"""What a caller has set around ``fit``: a mesh, a guard, no jit, a debugging mode."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType

import toy_problem
from metajax.core import Evaluator, digest, enable_x64, gradient
from metajax.systems import build
from metajax.train import fit, restore_params
from small import tiny

KEY = jax.random.key(0)
TASKS = toy_problem.make_tasks()
LEARNER = toy_problem.make_learner()
ALGORITHM = gradient(LEARNER, optax.adam(1e-2))


def ambient(kind):
    return jax.set_mesh(jax.make_mesh((8,), ("mine",), axis_types=(kind,)))


AROUND = {
    "auto mesh": lambda: ambient(AxisType.Auto),
    "explicit mesh": lambda: ambient(AxisType.Explicit),
    "transfer guard": lambda: jax.transfer_guard("disallow_explicit"),
    "debug_nans": lambda: jax.debug_nans(True),
    "debug_infs": lambda: jax.debug_infs(True),
    "another device": lambda: jax.default_device(jax.devices()[1]),
    "leaks": jax.checking_leaks,
}
LAYOUTS = [(parallel, around) for parallel in ("jit", "pmap") for around in list(AROUND)[:3]]


def measured(params, key):
    """An evaluator that moves numbers to and from the device without saying so."""
    drawn = jax.random.uniform(key, (2, 4), params["w"].dtype)
    return {"size": float(jnp.sum((drawn + np.ones((2, 4), drawn.dtype)) @ params["w"]))}


def run(parallel="none", **options):
    return fit(
        ALGORITHM,
        TASKS,
        steps=3,
        tasks_per_step=8,
        key=KEY,
        parallel=parallel,
        evaluators=(Evaluator("measured", 2, measured),),
        progress=False,
        **options,
    )


@pytest.fixture(scope="module")
def plain():
    return {parallel: run(parallel) for parallel in ("none", "jit", "pmap")}


@pytest.mark.parametrize(
    ("parallel", "around"), [*(("none", around) for around in AROUND), *LAYOUTS]
)
def test_a_run_is_that_without_them(plain, parallel, around):
    with AROUND[around]():
        result = run(parallel)
    assert digest(result.state) == digest(plain[parallel].state)
    for row, expected in zip(result.history, plain[parallel].history, strict=True):
        if "measured/size" in expected:
            # the evaluator's own operations are compiled one by one, for the devices they find
            assert row == pytest.approx(expected)
        else:
            assert row == expected


@pytest.mark.slow
def test_without_jit_a_run_agrees_up_to_rounding():
    options = {"steps": 1, "tasks_per_step": 2, "key": KEY, "progress": False}
    compiled = fit(ALGORITHM, TASKS, **options)
    with jax.disable_jit():
        result = fit(ALGORITHM, TASKS, **options)
    assert result.step == 1
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(close, result.params, compiled.params)


@pytest.mark.parametrize("around", ["wide", "other draws"])
def test_a_run_of_another_program_trains(around):
    """With numbers of 64 bits, or with the draws of JAX's earlier default."""
    with contextlib.ExitStack() as stack:
        if around == "wide":
            stack.enter_context(enable_x64(True))
            stack.enter_context(jax.numpy_dtype_promotion("standard"))  # the pool is narrow
        else:
            stack.enter_context(
                jax.threefry_partitionable(not jax.config.jax_threefry_partitionable)
            )
        result = run()
        loss = [row["loss"] for row in result.history if "loss" in row][-1]
    assert result.step == 3 and np.isfinite(loss)
    widths = {leaf.dtype for leaf in jax.tree.leaves(result.params)}
    assert widths == {np.dtype(np.float64 if around == "wide" else np.float32)}


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_tasks_and_results_live_in_the_ambient_mesh(tmp_path, kind):
    """Arrays made within it go in, and what comes out is used there; so does what is resumed."""
    expected = digest(run(workdir=tmp_path / "plain").params)
    with ambient(kind):
        tasks = toy_problem.LinearTasks(TASKS.pool + 0, TASKS.broken_key + 0)
        result = fit(
            ALGORITHM,
            tasks,
            steps=3,
            tasks_per_step=8,
            key=KEY,
            workdir=tmp_path / "run",
            progress=False,
        )
        restored, step = restore_params(tmp_path / "run", ALGORITHM, tasks, KEY)
        for params in (result.params, restored):
            used = jax.jit(lambda params: params["w"][1:] * 2)(params)
            assert used.shape == (3, 8)
    assert step == 3
    assert digest(result.params) == digest(restored) == expected


@pytest.mark.parametrize("around", ["explicit mesh", "transfer guard"])
def test_a_system_is_trained_and_evaluated(around):
    config = tiny("fewshot", tasks="sinusoid", steps=2, eval_tasks=4)
    with contextlib.ExitStack() as stack:
        run = build(config)
        stack.enter_context(AROUND[around]())
        result = fit(
            run.algorithm,
            run.tasks,
            steps=2,
            tasks_per_step=2,
            key=KEY,
            progress=False,
            evaluators=run.evaluators,
        )
        found = run.evaluate(result.params, False)
    assert found["rows"]["new_tasks"]["n"] == 4
