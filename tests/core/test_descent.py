"""The gradient algorithm: the gradient of the mean loss over tasks, however it is computed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import ConfigError, MetaLearner, all_finite, gradient, task_keys

KEY = jax.random.key(0)


@jax.jit
def drawn(key):
    tasks = jax.vmap(toy_problem.make_tasks())(jax.random.split(key, 8))
    return tasks, jax.tree.map(lambda x: x[0], tasks)


TASKS, ONE = drawn(jax.random.key(1))
LR = 0.5


def gradient_of(learner, **options):
    """The gradient that one step of plain descent took, and the metrics of that step."""
    algorithm = gradient(learner, optax.sgd(LR), **options)
    state = algorithm.init(KEY, ONE)
    new, metrics = jax.jit(algorithm.update)(state, TASKS, KEY)
    taken = jax.tree.map(lambda a, b: (a - b) / LR, state.params, new.params)
    return taken, metrics, state, new


def numpy_loss(params, tasks, inner_lr=0.1):
    """The mean over tasks of the loss after one inner step, by hand in float64."""
    p = {name: np.asarray(value, np.float64) for name, value in params.items()}
    tasks = jax.tree.map(np.asarray, tasks)
    losses = []
    for n in range(tasks.support.inputs.shape[0]):
        x, y = (np.asarray(leaf[n], np.float64) for leaf in tasks.support)
        hidden = np.tanh(x @ p["w"] + p["b"])
        error = 2 * (hidden @ p["v"] - y) / y.size
        back = (error @ p["v"].T) * (1 - hidden**2)
        fast = {
            "w": p["w"] - inner_lr * x.T @ back,
            "b": p["b"] - inner_lr * back.sum(0),
            "v": p["v"] - inner_lr * hidden.T @ error,
        }
        x, y = (np.asarray(leaf[n], np.float64) for leaf in tasks.query[0])
        losses.append(np.mean((np.tanh(x @ fast["w"] + fast["b"]) @ fast["v"] - y) ** 2))
    return np.mean(losses)


def test_equals_float64_finite_differences_of_the_mean_loss_through_the_inner_step():
    taken, metrics, state, _ = gradient_of(toy_problem.make_learner())
    np.testing.assert_allclose(metrics["loss"], numpy_loss(state.params, TASKS), rtol=1e-5)
    params = {name: np.asarray(value, np.float64) for name, value in state.params.items()}
    for name, value in params.items():
        for index in list(np.ndindex(value.shape))[::3]:
            value[index] += 1e-5
            up = numpy_loss(params, TASKS)
            value[index] -= 2e-5
            down = numpy_loss(params, TASKS)
            value[index] += 1e-5
            np.testing.assert_allclose(taken[name][index], (up - down) / 2e-5, rtol=1e-3, atol=1e-4)


def test_equals_a_hand_unrolled_second_order_gradient_and_not_the_first_order_one():
    taken, metrics, state, _ = gradient_of(toy_problem.make_learner())

    def unrolled(params, second_order):
        total = 0.0
        for n in range(8):
            task = jax.tree.map(lambda x, n=n: x[n], TASKS)
            grads = jax.grad(toy_problem.mean_square)(params, task.support)
            if not second_order:
                grads = jax.lax.stop_gradient(grads)
            fast = {name: params[name] - 0.1 * grads[name] for name in params}
            total = total + toy_problem.mean_square(fast, task.query[0]) / 8
        return total

    loss, grads = jax.jit(jax.value_and_grad(unrolled), static_argnums=1)(state.params, True)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], optax.tree.norm(grads), rtol=1e-5)
    for name, grad in grads.items():
        np.testing.assert_allclose(taken[name], grad, rtol=1e-4, atol=1e-5)
    first_order = jax.jit(jax.grad(unrolled), static_argnums=1)(state.params, False)
    distance = optax.tree.norm(jax.tree.map(jnp.subtract, first_order, taken))
    assert distance > 0.01 * optax.tree.norm(grads)


@pytest.mark.parametrize("tasks_at_once", [1, 2, 3, 8, 9])
def test_tasks_at_once_change_nothing_but_rounding(tasks_at_once):
    """One that does not divide the 8 tasks, and one above them, included."""
    whole, whole_metrics, _, _ = gradient_of(toy_problem.make_learner())
    parts, metrics, _, _ = gradient_of(toy_problem.make_learner(), tasks_at_once=tasks_at_once)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-4, atol=1e-5)
    assert metrics.keys() == whole_metrics.keys() == {"loss", "before", "grad_norm"}
    for name in metrics:
        np.testing.assert_allclose(metrics[name], whole_metrics[name], rtol=1e-5)


def noisy_learner():
    """Its loss is the random draw of its key, times a parameter."""
    return MetaLearner(
        init=lambda key, task: {"scale": jnp.float32(1)},
        adapt=lambda params, support, key: (),
        predict=lambda params, adapted, inputs: inputs,
        loss=lambda params, task, key: (params["scale"] * jax.random.normal(key), {}),
    )


@pytest.mark.parametrize("tasks_at_once", [None, 2, 3])
def test_each_task_has_a_key_of_its_own_the_same_in_any_part(tasks_at_once):
    taken, metrics, _, _ = gradient_of(noisy_learner(), tasks_at_once=tasks_at_once)
    draws = jax.vmap(jax.random.normal)(task_keys(KEY, 8))
    np.testing.assert_allclose(metrics["loss"], draws.mean(), rtol=1e-5)
    np.testing.assert_allclose(taken["scale"], draws.mean(), rtol=1e-4)


@pytest.mark.parametrize("tasks_at_once", [None, 1])
def test_split_over_an_axis_equals_unsplit(tasks_at_once):
    algorithm = gradient(toy_problem.make_learner(), optax.adam(1e-2), tasks_at_once=tasks_at_once)
    state = algorithm.init(KEY, ONE)
    expected, expected_metrics = jax.jit(algorithm.update)(state, TASKS, KEY)
    split = jax.tree.map(lambda x: x.reshape(4, 2, *x.shape[1:]), TASKS)
    update = jax.vmap(
        lambda tasks: algorithm.update(state, tasks, KEY, "devices"), axis_name="devices"
    )
    got, metrics = jax.jit(update)(split)
    for name in metrics:
        np.testing.assert_allclose(metrics[name], [expected_metrics[name]] * 4, rtol=1e-5)
    for name, value in expected.params.items():
        np.testing.assert_allclose(got.params[name][3], value, rtol=1e-4, atol=1e-6)


def test_bfloat16_compute_keeps_a_float32_state_and_a_close_gradient():
    seen = []
    learner = toy_problem.make_learner()

    def loss(params, task, key):
        seen.append((params["w"].dtype, task.support.inputs.dtype))
        return learner.loss(params, task, key)

    full, _, _, _ = gradient_of(learner)
    half, metrics, old, new = gradient_of(
        learner._replace(loss=loss), compute_dtype=jnp.bfloat16, tasks_at_once=4
    )
    assert {dtype for pair in seen for dtype in pair} == {jnp.dtype(jnp.bfloat16)}
    assert jax.tree.map(lambda x: x.dtype, new) == jax.tree.map(lambda x: x.dtype, old)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((half, metrics)))
    distance = optax.tree.norm(jax.tree.map(jnp.subtract, half, full))
    assert 0 < distance < 0.05 * optax.tree.norm(full)


def test_integer_metrics_and_any_optax_schedule_pass_the_strict_modes():
    learner = toy_problem.make_learner()

    def loss(params, task, key):
        return learner.loss(params, task, key)[0], {"hits": jnp.arange(3)}

    schedule = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 3, 10)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule))
    algorithm = gradient(learner._replace(loss=loss), optimizer, tasks_at_once=4)
    state = algorithm.init(KEY, ONE)
    state, metrics = jax.jit(algorithm.update)(state, TASKS, KEY)
    np.testing.assert_allclose(metrics["hits"], [0, 1, 2])
    assert all_finite(state)


@pytest.mark.parametrize("tasks_at_once", [0, -1, 2.5])
def test_no_tasks_at_once_are_rejected_at_once(tasks_at_once):
    with pytest.raises(ConfigError, match=f"tasks_at_once = {tasks_at_once}: expected a whole"):
        gradient(toy_problem.make_learner(), optax.sgd(1.0), tasks_at_once=tasks_at_once)
