"""The family of learning in sequence: presets, sizes, and what its evaluation adds."""

import jax
import numpy as np
import pytest

from metajax import continual, data
from metajax.systems import build, configure
from metajax.systems.continual.evaluate import class_means, known, without_task
from small import tiny


def drawn(run):
    """The parameters that a run starts from."""
    key = jax.random.key(0)
    state = jax.jit(lambda tasks, key: run.algorithm.init(key, tasks(key)))(run.example_tasks, key)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[-1], run.algorithm.params(state))


def kept(run):
    key = jax.random.key(0)
    state = jax.eval_shape(lambda key: run.algorithm.init(key, run.example_tasks(key)), key)
    shapes = jax.eval_shape(run.algorithm.params, state)
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), shapes)
    return run.method.parts.numbers(params, None, run.problem.num_tasks)["predicting"]


@pytest.mark.parametrize("tasks", ["permuted", "split", "rotated"])
def test_the_presets_hold_images_out_of_the_one_split_of_the_small_set(tasks, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "images.npz",
        images=rng.integers(0, 256, (600, 4, 4), np.uint8),
        labels=np.arange(600) % 10,
    )
    data.prepare("mnist_5k", tmp_path / "images.npz", tmp_path)
    config = configure("continual", f"{tasks}_mnist", method="fine_tuning")
    problem = build(config, tmp_path).problem
    if tasks != "split":
        assert problem.sequence.most == (480, 120)
    assert problem.inputs == 14**2


def test_methods_of_equal_memory_have_no_more_numbers_than_the_hypernetwork():
    sizes = {"chunk_size": 90, "hidden": 12, "width": 16}
    numbers = {
        name: kept(build(tiny("continual", name, **sizes)))
        for name in ("hypernetwork", "recurrent_hypernetwork")
    }
    assert 0.9 < numbers["recurrent_hypernetwork"] / numbers["hypernetwork"] <= 1
    sizes = {name: value for name, value in sizes.items() if name != "width"}
    small = kept(build(tiny("continual", "small_networks", **sizes)))
    assert small <= kept(build(tiny("continual", "hypernetwork", **sizes)))


def test_one_network_for_all_tasks_is_that_of_the_mean_embedding():
    run = build(tiny("continual", "hypernetwork", tasks="rotated"))
    params = drawn(run)
    rows = params["embeddings"]
    learner, problem = run.method.parts, run.problem
    found = without_task(problem, learner, params)["universal"]
    alike = {**params, "embeddings": np.broadcast_to(rows.mean(0, keepdims=True), rows.shape)}
    after = jax.tree.map(lambda leaf: leaf[None], alike)
    assert found == pytest.approx(known(problem, learner.predict, after).matrix[-1].mean())


def test_a_task_that_is_to_come_is_guessed_by_the_means_of_classes():
    problem = build(tiny("continual", "fine_tuning", tasks="split", num_tasks=5)).problem
    found, unknown = class_means(problem)
    told, untold = continual.class_mean_accuracies(problem.sequence)
    np.testing.assert_array_equal(np.triu(found.matrix, 1), np.triu(np.full((5, 5), 0.5), 1))
    for row, learned in enumerate(found.matrix):
        np.testing.assert_allclose(learned[: row + 1], told[: row + 1])
    assert unknown == pytest.approx(np.mean(untold))
