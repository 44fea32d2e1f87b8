"""What the systems' learners say of arrays that they were not made for, by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sequence_learners import NAMES, sequence_learner

import pdes
from metajax.core import ConfigError, Examples, Task, digest
from metajax.data import noise_pool
from metajax.physics import Phase
from metajax.systems import build, hamiltonian, replace
from metajax.systems.hamiltonian.tasks import Snapshots
from metajax.systems.setup import make_method
from small import tiny

KEY = jax.random.key(0)
WAYS, LENGTH, FEATURES = 3, 6, 4
SEQUENCES = [name for name in NAMES if name != "mlp"]


def sequences(examples):
    x = np.random.default_rng(0).normal(size=(2, examples, FEATURES))
    labels = np.tile(np.arange(examples) % WAYS, (2, 1))
    return Examples(x.astype(np.float32), labels.astype(np.int32))


SUPPORT, QUERY = sequences(4), sequences(2)


@pytest.fixture(scope="module")
def readers():
    """Sequence learners and their parameters, by name."""
    made = {}
    for name in NAMES:
        learner = sequence_learner(name, ways=WAYS, examples=LENGTH)
        made[name] = learner, jax.jit(learner.meta.init)(KEY, Task(SUPPORT, QUERY))
    return made


@pytest.mark.parametrize("labels", [[5, 6, 7, 0], [-1, 0, 1, 2], [3, 0, 0, 0]])
@pytest.mark.parametrize("name", SEQUENCES)
def test_labels_that_are_no_class_are_named(readers, name, labels):
    learner, params = readers[name]
    support = SUPPORT._replace(targets=np.array([labels, [0] * 4], np.int32))
    with pytest.raises(ConfigError, match=r"support\.targets = -?\d: expected labels from 0 to 2"):
        learner.meta.adapt(params, support, KEY)


@pytest.mark.parametrize("name", NAMES)
def test_labels_that_are_scored_are_checked_too(readers, name):
    learner, params = readers[name]
    query = QUERY._replace(targets=QUERY.targets + 5)
    with pytest.raises(ConfigError, match="targets = 6: expected labels from 0 to 2"):
        learner.meta.loss(params, Task(SUPPORT, query), KEY)


def test_a_traced_label_that_is_no_class_is_seen(readers):
    """Nothing made of it is finite, so that it cannot pass for an example without a label."""
    learner, params = readers["lstm"]
    support = SUPPORT._replace(targets=np.where(np.arange(4) == 1, 7, SUPPORT.targets))

    @jax.jit
    def answer(params, support, inputs):
        return learner.meta.predict(params, learner.meta.adapt(params, support, KEY), inputs)

    assert not np.isfinite(answer(params, support, QUERY.inputs)).any()


x, y = SUPPORT
SUPPORTS = {
    "no sequences": (x[0], y[0], "support.targets"),
    "raw images": (np.zeros((2, 4, 28, 28), np.uint8), y, "support.inputs"),
    "raw pixels": (np.zeros((2, 4, FEATURES), np.uint8), y, "support.inputs"),
    "another number of features": (np.ones((2, 4, 9), np.float32), y, "inputs"),
    "fewer labels": (x, y[:, :2], "support.targets"),
    "float labels": (x, y.astype(np.float32), "support.targets"),
    "one-hot labels": (x, np.eye(WAYS, dtype=np.int32)[y], "support.targets"),
    "too long": (
        np.ones((2, 9, FEATURES), np.float32),
        np.zeros((2, 9), np.int32),
        "max_length",
    ),
    "no room for a query": (
        np.ones((2, LENGTH, FEATURES), np.float32),
        np.zeros((2, LENGTH), np.int32),
        "support",
    ),
}


@pytest.mark.parametrize("case", SUPPORTS)
def test_a_support_that_does_not_fit_is_named(readers, case):
    learner, params = readers["transformer"]
    *support, field = SUPPORTS[case]
    with pytest.raises(ConfigError) as raised:
        learner.meta.adapt(params, Examples(*support), KEY)
    assert raised.value.field == field


@pytest.mark.parametrize("name", NAMES)
def test_queries_that_do_not_fit_are_named(readers, name):
    learner, params = readers[name]
    adapted = jax.jit(learner.meta.adapt)(params, SUPPORT, KEY)
    for inputs in (QUERY.inputs[0], np.zeros((2, 1, 28, 28), np.uint8), [[1.0], [2.0]], None):
        with pytest.raises(ConfigError, match="inputs = "):
            learner.meta.predict(params, adapted, inputs)


def test_lists_and_numpy_arrays_are_taken(readers):
    learner, params = readers["lstm"]
    expected = learner.meta.adapt(params, SUPPORT, KEY)
    for turn in (np.asarray, lambda leaf: np.asarray(leaf).tolist()):
        assert digest(learner.meta.adapt(params, Examples(*map(turn, SUPPORT)), KEY)) == digest(
            expected
        )
    empty = jax.tree.map(lambda leaf: leaf[:, :0], SUPPORT)
    learner.meta.adapt(params, empty, KEY)  # nothing read yet: a sequence may begin with a query


def test_a_hamiltonian_learner_names_what_is_no_motion():
    config = tiny("hamiltonian", "maml")
    learner = make_method(config, hamiltonian.Problem(config, None)).learner
    q = np.random.default_rng(0).standard_normal((5, 2, 2)).astype(np.float32)
    part = Snapshots(Phase(q, q), np.arange(5, dtype=np.float32), np.ones(5, bool))
    task = Task(Examples(part, part), Examples(part, part))
    params = jax.jit(learner.init)(KEY, task)
    flat = part._replace(state=Phase(q[:, 0], q[:, 0]))
    for wrong, field in (
        (Examples(q, q), "support.inputs"),
        (Examples(flat, flat), "support.inputs.state"),
        (Examples(part, part._replace(time=part.time[:3])), "support.targets"),
        (q, "support"),
    ):
        with pytest.raises(ConfigError) as raised:
            learner.adapt(params, wrong, KEY)
        assert raised.value.field == field
    with pytest.raises(ConfigError, match=r"inputs = .*Snapshots\(state, time, counted\)"):
        learner.predict(params, params, q)
    ours = jax.tree.map(jnp.asarray, task.support)
    assert digest(learner.adapt(params, ours, KEY)) == digest(
        learner.adapt(params, task.support, KEY)
    )


@pytest.mark.parametrize("method", ["weights", "pino", "unet"])
def test_a_hypernetwork_names_what_is_no_problem(method):
    learner = build(replace(pdes.CONFIG, method=method)).method.learner
    task = jax.device_get(jax.jit(pdes.quadratics)(KEY))
    params = jax.eval_shape(learner.init, KEY, task)
    inputs = task.support
    small = inputs._replace(grids=jax.tree.map(lambda grid: grid[:4, :4], inputs.grids))
    for wrong, field in (
        (inputs.grids, "support"),
        (tuple(inputs), "support"),
        (inputs._replace(grids=list(inputs.grids)), "support.grids"),
        (inputs._replace(coefficients=jnp.ones(4)), "support.coefficients"),
        (small, "support.grids.source"),
    ):
        with pytest.raises(ConfigError) as raised:
            learner.adapt(params, wrong, KEY)
        assert raised.value.field == field
    for points in (jnp.ones(2), jnp.ones((3, 3)), [1.0, 2.0], [[1.0, 2.0], [3.0]]):
        with pytest.raises(ConfigError, match="points = "):
            learner.predict(params, params, points)
    with pytest.raises(ConfigError, match="task = 'a list'"):
        learner.loss(params, list(task), KEY)
    with pytest.raises(ConfigError, match=r"task\.query = "):
        learner.loss(params, Task(inputs, inputs), KEY)
    listed = inputs._replace(coefficients=np.asarray(inputs.coefficients).tolist())
    shapes = [
        jax.eval_shape(lambda params, given=given: learner.adapt(params, given, KEY), params)
        for given in (inputs, listed, jax.tree.map(np.asarray, inputs))
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_hyperdistill_names_labels_that_are_no_class():
    config = tiny("hyperdistill", testbed="anil", ways=2, channels=2, batch_size=2)
    learner = build(config).method.learner
    images = noise_pool(KEY, 4, (8, 8)).images[..., :1].astype(jnp.float32)
    support = Examples(images, jnp.array([0, 1, 2, 3]))
    right = support._replace(targets=support.targets % 2)
    params = jax.eval_shape(learner.init, KEY, Task(right, right))
    with pytest.raises(ConfigError, match=r"support\.targets = 3: "):
        learner.adapt(params, support, KEY)
