"""What teachers add to a loss, where their gradients stop, and what label smoothing is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, cross_entropy, digest
from metajax.learners import (
    in_growing_stages,
    mutual_students,
    smoothed_cross_entropy,
    smoothed_labels,
    soft_cross_entropy,
    taught_student,
    weak_teacher,
)
from metajax.nn import mlp

LARGE, SMALL = mlp((6,), 3), mlp((2,), 3)


@pytest.fixture(scope="module")
def task():
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((12, 4)).astype(np.float32)
    return Examples(inputs, draw.integers(0, 3, 12).astype(np.int32))


def logits(seed):
    return (2 * np.random.default_rng(seed).standard_normal((12, 3))).astype(np.float32)


def gradients(learner, params, task):
    loss = jax.jit(jax.grad(lambda params: learner.loss(params, task, jax.random.key(0))[0]))
    return jax.device_get(loss(params))


def test_a_soft_cross_entropy_is_a_divergence_from_a_constant_teacher():
    student, teacher = logits(2), logits(3)
    mine, goal = (np.asarray(jax.nn.softmax(each / 2), float) for each in (student, teacher))
    expected = 4 * np.mean(np.sum(goal * (np.log(goal) - np.log(mine)), axis=1))
    assert float(soft_cross_entropy(student, teacher, 2.0)) == pytest.approx(expected, rel=1e-5)
    assert float(soft_cross_entropy(student, student, 2.0)) == pytest.approx(0, abs=1e-6)
    moved = jax.jit(jax.grad(soft_cross_entropy, argnums=1))(student, teacher)
    np.testing.assert_array_equal(moved, np.zeros((12, 3)))


def test_the_gradient_keeps_its_size_at_high_temperature():
    """It tends to the difference of the centered logits, divided by classes and examples."""
    student, teacher = logits(2), logits(3)
    found = jax.jit(jax.grad(soft_cross_entropy))(student, teacher, 1000.0)
    apart = student - teacher
    centered = apart - apart.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found, centered / (3 * 12), atol=2e-4)


@pytest.mark.parametrize("weight", [0.3, 4.0])
def test_label_smoothing_is_a_teacher_that_knows_nothing(task, weight):
    """Up to the factor ``1 + weight`` and the entropy of a guess."""

    @jax.jit
    def both(student, weight):
        taught = soft_cross_entropy(student, jnp.zeros((12, 3)))
        plain = cross_entropy(student, task.targets)
        share = weight / (1 + weight)
        return plain + weight * taught, smoothed_cross_entropy(student, task.targets, share)

    taught, smoothed = both(logits(2), weight)
    expected = (1 + weight) * float(smoothed) - weight * np.log(3)
    assert float(taught) == pytest.approx(expected, rel=1e-5)


def test_a_teacher_without_weight_teaches_nothing(task):
    """And with weight its own parameters have no gradient."""
    plain = smoothed_labels(LARGE)
    for weight in (0.0, 1.0):
        learner = taught_student(LARGE, SMALL, weight)
        params = jax.jit(learner.init)(jax.random.key(4), task)
        found = gradients(learner, params, task)
        alone = gradients(plain, params["student"], task)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(found["teacher"]))
        same = all(
            np.allclose(one, other, atol=1e-7)
            for one, other in zip(
                jax.tree.leaves(found["student"]), jax.tree.leaves(alone), strict=True
            )
        )
        assert same == (weight == 0)


def test_no_gradient_crosses_between_networks_that_teach_each_other(task):
    """A network that hears nothing learns as it does alone, whatever it says to the other."""
    params = jax.jit(mutual_students(LARGE, SMALL).init)(jax.random.key(4), task)
    alone = {
        "large": gradients(smoothed_labels(LARGE), params["large"], task),
        "small": gradients(smoothed_labels(SMALL), params["small"], task),
    }
    for to_large, to_small in ((0.0, 0.0), (0.0, 3.0), (3.0, 0.0)):
        found = gradients(mutual_students(LARGE, SMALL, to_large, to_small), params, task)
        for name, heard in (("large", to_large), ("small", to_small)):
            near = [
                np.allclose(one, other, atol=1e-7)
                for one, other in zip(
                    jax.tree.leaves(found[name]), jax.tree.leaves(alone[name]), strict=True
                )
            ]
            assert all(near) == (heard == 0)
    assert digest(params["large"]) != digest(params["small"])


def test_a_weak_teacher_is_trained_first_and_then_stays(task):
    """Weight decay does not reach it, and the student's first loss weighs what it says."""
    totals = []

    def make_optimizer(updates):
        totals.append(updates)
        return optax.adamw(0.1, weight_decay=0.1)

    weight = optax.linear_schedule(3.0, 1.0, 2)
    stages = weak_teacher(SMALL, LARGE, (2, 2), make_optimizer, updates=3, weight=weight)
    assert totals == [6, 2]
    tasks = jax.tree.map(lambda leaf: jnp.stack([leaf[None]] * 3, axis=1), task)
    algorithm = in_growing_stages(stages)
    state = jax.jit(algorithm.init)(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], tasks))
    found, losses = [state], []
    for _ in range(4):
        state, metrics = jax.jit(algorithm.update)(found[-1], tasks, jax.random.key(1))
        found.append(state)
        losses.append(float(metrics["loss"]))
    teachers = [digest(algorithm.params(state).networks[0]) for state in found]
    assert len(set(teachers[:3])) == 3 and len(set(teachers[2:])) == 1
    for state in found[3:]:
        assert digest(algorithm.params(state).networks[1]["teacher"]) == teachers[2]
    student = algorithm.params(found[2]).networks[1]["student"]
    params = {"student": student, "teacher": algorithm.params(found[2]).networks[0]}
    first, _ = taught_student(LARGE, SMALL, 3.0).loss(params, task, jax.random.key(0))
    assert losses[2] == pytest.approx(float(first), rel=1e-5)
    student = algorithm.params(found[3]).networks[1]
    second, _ = taught_student(LARGE, SMALL, 2.0).loss(student, task, jax.random.key(0))
    assert losses[3] == pytest.approx(float(second), rel=1e-5)


def test_a_weak_teacher_has_two_stages():
    with pytest.raises(ConfigError) as raised:
        weak_teacher(SMALL, LARGE, (1, 1, 1), lambda updates: optax.sgd(0.1))
    assert raised.value.field == "steps"
