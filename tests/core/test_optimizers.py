"""Every optimizer of optax trains a quadratic through ``gradient``, or is rejected by name."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from metajax.core import (
    Algorithm,
    ConfigError,
    MetaLearner,
    gradient,
    optimizer_step,
    prepare_optimizer,
)

KEY = jax.random.key(0)
CURVATURE = jnp.array([1.0, 3.0, 2.0])[:, None]
TASKS = jnp.stack([jnp.full((3, 2), centre) for centre in (0.0, 1.0, 2.0, 3.0)])
BEST = 7.5
"""The least mean loss: every task has its own minimum."""


def quadratic(params, centre, key):
    fit = jnp.sum(CURVATURE * (params["w"] - centre) ** 2) / 2
    return fit + jnp.sum((params["b"] - 1) ** 2), {}


LEARNER = MetaLearner(
    lambda key, task: {"w": jnp.ones((3, 2)), "b": jnp.zeros(2)},
    lambda params, support, key: params,
    lambda params, adapted, inputs: inputs,
    quadratic,
)


def loss_after(algorithm: Algorithm, steps: int, tasks=TASKS) -> tuple[float, float]:
    """The loss before the first step, and before the last, in one compiled scan."""

    @jax.jit
    def run(state):
        return jax.lax.scan(lambda s, key: algorithm.update(s, tasks, key), state, keys)[1]

    keys = jax.random.split(KEY, steps)
    losses = run(algorithm.init(KEY, tasks[0]))["loss"]
    return float(losses[0]), float(losses[-1])


def _needs_more(grads, state, params=None, *, hessian):
    return grads, state


def _sam() -> optax.GradientTransformation:
    return optax.contrib.sam(
        optax.sgd(0.05),
        optax.chain(optax.contrib.normalize(), optax.sgd(0.01)),
        sync_period=2,
        opaque_mode=True,
    )


MADE = {
    "reduce_on_plateau": lambda: optax.chain(
        optax.sgd(0.05), optax.contrib.reduce_on_plateau(patience=2)
    ),
    "sam": _sam,
    "mechanize": lambda: optax.contrib.mechanize(optax.sgd(0.05)),
    "schedule_free": lambda: optax.contrib.schedule_free(optax.sgd(0.05), 0.05),
    "backtracking": lambda: optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20, store_grad=True)
    ),
    "zoom": lambda: optax.chain(optax.sgd(1.0), optax.scale_by_zoom_linesearch(20)),
    "multi_steps": lambda: optax.MultiSteps(optax.sgd(0.05), 2),
    "dpsgd": lambda: optax.contrib.dpsgd(0.05, 1.0, 0.1, 0),
    "function": lambda: optax.adam,
    "rate": lambda: 1e-3,
    "needs_more": lambda: optax.GradientTransformationExtraArgs(optax.sgd(1.0).init, _needs_more),
    "changes_state": lambda: optax.GradientTransformation(
        lambda params: (), lambda grads, state, params=None: (grads, (0, state))
    ),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.adam)(0.05),
    "apply_if_finite": lambda: optax.apply_if_finite(optax.sgd(0.05), 3),
    "masked": lambda: optax.chain(
        optax.masked(optax.adam(1.0), {"w": True, "b": False}),
        optax.scale(-0.05),
        optax.masked(optax.scale(-1.0), {"w": True, "b": False}),
    ),
    "partition": lambda: optax.partition(
        {"a": optax.adam(0.05), "b": optax.polyak_sgd(0.05)}, {"w": "a", "b": "b"}
    ),
}
REFUSED = {
    "dpsgd": "batch",  # the gradient of every example
    "function": "e.g. optax.adam",
    "rate": "0.001: expected an optax optimizer",
    "needs_more": "hessian",
    "changes_state": "structure of its state",
}


def optimizers() -> dict:
    """Every alias of optax and of its ``contrib`` that a rate makes, or nothing at all."""
    found = {}
    for module in (optax, optax.contrib):
        for name, make in inspect.getmembers(module, inspect.isfunction):
            needed = [
                p
                for p in inspect.signature(make).parameters.values()
                if p.default is p.empty and p.kind is not p.VAR_KEYWORD
            ]
            rated = "learning_rate" in inspect.signature(make).parameters
            returns = str(inspect.signature(make).return_annotation)
            part = name.startswith("scale_by")  # of an optimizer
            if part or not rated or "Transformation" not in returns or len(needed) > 1:
                continue
            found[name] = functools.partial(make, learning_rate=0.05)
    return found | MADE


@pytest.mark.parametrize("name", sorted(optimizers()))
def test_every_optimizer_of_optax_trains_or_is_refused_by_name(name):
    """In the strict modes that this suite runs in; refused before any loss is computed."""
    try:
        optimizer = optimizers()[name]()
        algorithm = gradient(LEARNER, optimizer)
        algorithm.init(KEY, TASKS[0])
    except ConfigError as error:
        assert error.field == "optimizer" and REFUSED[name] in str(error), name
        return
    assert name not in REFUSED
    first, last = loss_after(algorithm, 30)
    assert first == 11.0 and BEST - 1e-3 < last < first, (name, last)
    if name in ("lbfgs", "zoom", "polyak_sgd", "backtracking"):
        assert last < BEST + 1e-2


LOOK_AHEAD = {
    "lbfgs": lambda: optax.lbfgs(),
    "sophia": lambda: optax.contrib.sophia(0.05, update_interval=1),
    "sam": _sam,
    "polyak_sgd": lambda: optax.polyak_sgd(0.05),
}


@pytest.mark.parametrize(
    "layouts",
    [[(1, 2)], pytest.param([(1, 1), (3, 1), (None, 2)], marks=pytest.mark.slow)],
    ids=str,
)
@pytest.mark.parametrize("name", list(LOOK_AHEAD))
def test_what_looks_ahead_sees_all_tasks_of_all_devices_and_parts(name, layouts):
    """Tasks in turn, tasks split over devices, and both: the steps of all tasks at once."""

    def run(tasks_at_once, devices):
        algorithm = gradient(LEARNER, LOOK_AHEAD[name](), tasks_at_once=tasks_at_once)
        state = algorithm.init(KEY, TASKS[0])
        axis = None if devices == 1 else "d"
        split = TASKS.reshape(devices, -1, 3, 2)

        def on_device(tasks):
            def step(s, key):
                return algorithm.update(s, tasks, key, axis)

            return jax.lax.scan(step, state, jax.random.split(KEY, 4))[0].params

        found = jax.jit(jax.vmap(on_device, axis_name="d"))(split)
        for leaf in jax.tree.leaves(found):
            np.testing.assert_array_equal(leaf, leaf[:1] + jnp.zeros_like(leaf))
        return jax.tree.map(lambda leaf: leaf[0], found)

    whole = run(None, 1)
    for layout in layouts:
        for a, b in zip(jax.tree.leaves(run(*layout)), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_loss_that_an_optimizer_calls_is_that_of_its_step_in_the_callers_modes():
    """Its value and slopes, first and second, at other parameters; and the strict modes hold."""
    seen = {}

    def look(grads, state, params, *, value, value_fn, obj_fn, grad_fn, **_):
        other = jax.tree.map(lambda p: p + 1, params)
        along = jax.jvp(jax.grad(obj_fn), (other,), (params,))[1]
        seen.update(
            value=(value, value_fn(params)),
            there=value_fn(other),
            slope=grad_fn(other, 0),
            curved=along,
        )
        return jax.tree.map(jnp.zeros_like, grads), seen["slope"]

    def strict(params, centre, key):
        assert jax.config.jax_numpy_dtype_promotion == "strict"
        return quadratic(params, centre, key)

    optimizer = optax.GradientTransformationExtraArgs(lambda params: params, look)
    algorithm = gradient(LEARNER._replace(loss=strict), optimizer, tasks_at_once=2)
    state = algorithm.init(KEY, TASKS[0])
    algorithm.update(state, TASKS, KEY)

    def mean(params):
        return np.mean([quadratic(params, task, KEY)[0] for task in TASKS])

    params = state.params
    other = jax.tree.map(lambda p: p + 1, params)
    np.testing.assert_allclose(seen["value"], [mean(params)] * 2, rtol=1e-6)
    np.testing.assert_allclose(seen["there"], mean(other), rtol=1e-6)
    np.testing.assert_allclose(seen["slope"]["w"], CURVATURE * (2 - 1.5) + jnp.zeros((3, 2)))
    np.testing.assert_allclose(seen["curved"]["w"], CURVATURE + jnp.zeros((3, 2)))
    np.testing.assert_allclose(seen["curved"]["b"], 2 * params["b"])


def test_state_keeps_its_dtypes_and_a_step_its_parameters_dtype():
    optimizer = optax.GradientTransformation(
        lambda params: jnp.int32(0), lambda grads, state, params=None: (grads, state + 0.5)
    )
    rule = prepare_optimizer(optimizer, has_function=False)
    params = {"w": jnp.ones(2, jnp.bfloat16)}
    state = rule.init(params)
    params, state = optimizer_step(rule, params, state, params, value=jnp.float32(0))
    assert state.dtype == jnp.int32 and params["w"].dtype == jnp.bfloat16
