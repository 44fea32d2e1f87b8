"""Many networks in one program, and zoos of them in one file."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.core import ConfigError, gradient
from metajax.train import Zoo, fit, load_zoo, save_zoo, train_many

KEYS = jax.vmap(jax.random.key)(jnp.arange(3, dtype=jnp.uint32))
TASKS = [
    toy_problem.LinearTasks(scale * toy_problem.make_tasks().pool, jnp.zeros(2, jnp.uint32))
    for scale in (1.0, 1.5, 2.0)
]
LEARNER = toy_problem.make_learner()


def many(rate, **options):
    algorithm = gradient(LEARNER, optax.sgd(rate))
    shared = {"steps": 6, "tasks_per_step": 2, "progress": False}
    return algorithm, shared, train_many(algorithm, TASKS, keys=KEYS, **shared, **options)


def test_each_network_is_the_one_that_is_trained_alone():
    algorithm, shared, together = many(0.05)
    alone = fit(algorithm, TASKS[1], key=KEYS[1], **shared)
    for one, all_of in zip(
        jax.tree.leaves(alone.params), jax.tree.leaves(together.params), strict=True
    ):
        np.testing.assert_allclose(all_of[1], one, rtol=1e-4, atol=1e-6)
        assert np.abs(all_of[0] - all_of[2]).max() > 1e-3


@pytest.mark.slow
def test_networks_can_start_from_one_initialization():
    algorithm, _, result = many(0.0, start=jax.random.key(7))
    first = algorithm.params(algorithm.init(jax.random.key(7), TASKS[0](KEYS[0])))
    for one, all_of in zip(jax.tree.leaves(first), jax.tree.leaves(result.params), strict=True):
        np.testing.assert_array_equal(all_of, np.stack([one] * 3))


def test_a_key_is_needed_for_each_network():
    with pytest.raises(ConfigError, match="a key for each of the 3 tasks"):
        train_many(
            gradient(LEARNER, optax.sgd(0.1)), TASKS, keys=KEYS[:2], steps=1, tasks_per_step=1
        )


def make_zoo():
    draw = np.random.default_rng(0)
    kernel, bias = draw.normal(size=(3, 4, 2)).astype(np.float32), np.zeros((3, 2), np.float32)
    params = {"Dense_0": {"kernel": kernel, "bias": bias}}
    return Zoo(params, draw.normal(size=(3, 5)), np.float32([0.1, 0.5, 0.9]))


def test_a_zoo_comes_back_from_its_file_with_where_it_comes_from(tmp_path):
    zoo = make_zoo()
    save_zoo(tmp_path / "zoo.npz", zoo, notes={"steps": 6}, command="a command")
    loaded, about = load_zoo(tmp_path / "zoo.npz")
    assert jax.tree.structure(loaded) == jax.tree.structure(zoo)
    for new, old in zip(jax.tree.leaves(loaded), jax.tree.leaves(zoo), strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(new, old)
    assert about["notes"] == {"steps": 6} and about["command"] == "a command"
    assert about["versions"]["jax"] == jax.__version__


def test_what_is_no_zoo_is_rejected(tmp_path):
    zoo, path = make_zoo(), tmp_path / "zoo.npz"
    with pytest.raises(ConfigError, match="without slashes"):
        save_zoo(path, zoo._replace(params={"a/b": zoo.scores}))
    with pytest.raises(ConfigError, match="leading axis of the 3 networks"):
        save_zoo(path, zoo._replace(embeddings=np.zeros((2, 5))))
    with pytest.raises(ConfigError, match="NumPy has itself"):
        save_zoo(path, zoo._replace(params={"a": jnp.zeros((3, 2), jnp.bfloat16)}))
    path.write_bytes(b"not an archive")
    with pytest.raises(ConfigError, match="the file of a zoo"):
        load_zoo(path)
    about = np.frombuffer(json.dumps({"format": "another"}).encode(), np.uint8)
    np.savez(path, about=about)
    with pytest.raises(ConfigError, match="the file of a zoo"):
        load_zoo(path)
    with pytest.raises(ConfigError, match="the file of a zoo"):
        load_zoo(tmp_path / "none.npz")
