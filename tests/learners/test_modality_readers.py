"""Readers of unseen modalities: rotations keep all geometry, and labels of a query stay apart."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import Examples, Task
from metajax.hypernet import Pairs, modality_adapter
from metajax.learners import (
    PairAttention,
    adapted_projector,
    averaged_adapters,
    in_stages,
    modality_reader,
    projector_stages,
    rotated,
    shared_projector,
    text_logits,
    without_generating,
)
from metajax.nn import mlp

DRAW = np.random.default_rng(0)
CLASSES, FEATURES, TEXT, NUM = 3, 6, 4, 9
TEXTS = jnp.asarray(DRAW.normal(size=(CLASSES, TEXT)), jnp.float32)
PROJECTOR = mlp([5], TEXT, jax.nn.gelu)
KEY = jax.random.key(0)


def some_task(dtype=np.float32):
    labels = jnp.tile(jnp.arange(CLASSES), NUM // CLASSES)
    inputs = [jnp.asarray(DRAW.normal(size=(NUM, FEATURES)), dtype) for _ in range(2)]
    support = Pairs(inputs[0], TEXTS[labels], jnp.arange(NUM) < NUM - CLASSES)
    return Task(support, Examples(inputs[1], labels))


def reader(**options):
    adapter = modality_adapter(rank=2, width=8, depth=1, heads=2, ridges=(0.1, 2.0))
    return modality_reader(PROJECTOR, adapter, TEXTS, **options)


@pytest.mark.parametrize(("dtype", "within"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_one_rotation_of_support_and_query_keeps_inner_products_and_distances(dtype, within):
    with jax.enable_x64(dtype == np.float64):
        task = some_task(dtype)
        turned = jax.jit(rotated)(task, KEY)
        both = [
            np.concatenate([each.support.inputs, each.query.inputs]).astype(float)
            for each in (task, turned)
        ]
        assert turned.support.inputs.dtype == dtype
    assert np.abs(both[0] - both[1]).max() > 0.1
    products = [rows @ rows.T for rows in both]
    scale = np.abs(products[0]).max()
    np.testing.assert_allclose(products[1], products[0], atol=within * scale)
    apart = [np.linalg.norm(rows[:, None] - rows[None], axis=-1) for rows in both]
    np.testing.assert_allclose(apart[1], apart[0], atol=within * scale)


def test_logits_are_cosines_with_the_texts():
    outputs = DRAW.normal(size=(5, TEXT))
    found = text_logits(jnp.asarray(outputs, jnp.float32), TEXTS)
    texts = np.asarray(TEXTS, float)
    cosines = (outputs @ texts.T) / np.outer(
        np.linalg.norm(outputs, axis=1), np.linalg.norm(texts, axis=1)
    )
    np.testing.assert_allclose(found, 10 * cosines, atol=1e-4)


def test_the_adapter_is_that_of_the_support_alone():
    """The loss under other query labels is that of the same projector, read again."""
    learner = reader(rotate=False)
    task = some_task()
    params = jax.jit(learner.init)(KEY, task)

    @jax.jit
    def both(params, labels):
        adapted = learner.adapt(params, task.support, KEY)
        logits = learner.predict(params, adapted, task.query.inputs)
        chosen = jax.nn.log_softmax(logits)[jnp.arange(NUM), labels]
        other = task._replace(query=task.query._replace(targets=labels))
        return learner.loss(params, other, KEY)[0], -jnp.mean(chosen)

    found = [both(params, labels) for labels in (task.query.targets, task.query.targets[::-1])]
    for loss, expected in found:
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert abs(found[0][0] - found[1][0]) > 1e-3


def test_the_loss_of_a_solved_adapter_that_does_not_see_the_shared_kernel_is_the_same_rotated():
    """All that it reads of a modality are inner products."""
    task = some_task()
    params = jax.jit(reader().init)(KEY, task)
    first = params["projector"]["Dense_0"]
    params["projector"]["Dense_0"] = {**first, "kernel": jnp.zeros_like(first["kernel"])}
    losses = [jax.jit(reader(rotate=rotate).loss)(params, task, KEY)[0] for rotate in (False, True)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_the_average_of_adapters_is_that_of_their_updates():
    learner, task = reader(), some_task()
    params = jax.jit(learner.init)(KEY, task)
    parts = jnp.stack([jnp.arange(NUM) < CLASSES, jnp.arange(NUM) >= CLASSES])
    mean = jax.jit(lambda *args: averaged_adapters(learner, *args, KEY))(
        params, task.support, parts
    )
    adapt = jax.jit(
        lambda present: learner.adapt(params, task.support._replace(present=present), KEY)
    )
    each = [adapt(part & task.support.present) for part in parts]
    expected = jax.tree.map(lambda a, b: (a + b) / 2, *each)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), mean, expected)


def test_the_shared_projector_is_trained_without_pairs():
    learner = shared_projector(reader())
    task = some_task()
    params = jax.jit(learner.init)(KEY, task)
    slopes = jax.jit(jax.grad(lambda params: learner.loss(params, task, KEY)[0]))(params)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(slopes["adapter"]))
    assert all(np.any(leaf) for leaf in jax.tree.leaves(slopes["projector"]))


SMALL = PairAttention(rank=1, attention_width=4, attention_layers=1, attention_heads=2)


def moved(algorithm, steps):
    """The names of parameters that move in each step."""
    task = some_task()
    batch = jax.tree.map(lambda leaf: leaf[None], task)
    update, state = jax.jit(algorithm.update), jax.jit(algorithm.init)(KEY, task)
    found = []
    for step in range(steps):
        before = algorithm.params(state)
        state, _ = update(state, batch, jax.random.key(step))
        pairs = jax.tree.map(lambda a, b: bool(np.any(a != b)), before, algorithm.params(state))
        found.append(
            {jax.tree_util.keystr(at) for at, any in jax.tree.leaves_with_path(pairs) if any}
        )
    return found


def test_the_projector_is_trained_first_and_then_its_adapter():
    parts = adapted_projector(TEXTS, [5], SMALL)
    stages = projector_stages(parts.reader, [1, 2])
    algorithm = in_stages(stages, lambda stage: optax.adam(0.1))
    first, second, third = moved(algorithm, 3)
    assert first and all(name.startswith("['projector']") for name in first)
    assert second and all(name.startswith("['adapter']") for name in second | third)


def test_a_solved_adapter_can_be_trained_without_what_generates():
    reader = adapted_projector(TEXTS, [5], SMALL, ridges=(0.1, 2.0)).reader
    algorithm = in_stages([without_generating(reader, 2)], lambda stage: optax.adam(0.1))
    found = set().union(*moved(algorithm, 2))
    assert any(name.startswith("['projector']") for name in found)
    assert any(name.startswith("['adapter']") for name in found)
    assert not [name for name in found if "encoder" in name or "heads" in name]
