"""The contract of a meta-learner, held against every learner there is.

A new learner is a new row of ``LEARNERS``. Learners that the contract does not fit have tests of
their own in ``tests/learners``:

- ``pruning_metanetwork`` and ``shared_projector`` train a part of their parameters. The rest has no
  gradient. The first also draws networks in its loss alone.
- ``image_generator``, ``weight_edits`` and ``shared_edit`` reconstruct the support, and read no
  query.
- ``modality_reader`` turns tasks in its loss alone unless ``rotate`` is off, as here.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sequence_learners import sequence_learner

import pdes
import toy_problem
from few_shot import blobs
from metajax import learners
from metajax.bilevel import minibatches
from metajax.core import MetaLearner, Task, digest
from metajax.data import DomainInputs, noise_pool, sinusoid_tasks
from metajax.hypernet import Pairs, magnitude_invariant, modality_adapter
from metajax.nn import mlp
from metajax.systems import build, replace
from metajax.systems.gpicl import projection_tasks
from metajax.units import mlp_units


class Row(NamedTuple):
    """A learner under test.

    Attributes:
      name: of the learner.
      make: returns the learner and a distribution of tasks for it.
      query_axis: the axis of ``task.query``'s inputs along which queries lie.
      query_inputs: picks these inputs out of a task.
      draws: whether ``adapt`` and ``loss`` draw from their key.
      adapts: whether predictions depend on the support.
      trained: whether the loss depends on the meta-parameters, and so they are trained.
      likelihood: whether the loss is one worth reading, not only the accuracy beside it.
      steps: that ``adapt`` takes, of a learner that can be followed.
    """

    name: str
    make: Callable[[], tuple[MetaLearner, Any]]
    query_axis: int
    query_inputs: Callable[[Any], Any]
    draws: bool = False
    adapts: bool = True
    trained: bool = True
    likelihood: bool = True
    steps: int | None = None


def gpicl(learner: str, **flags) -> Row:
    def make():
        pool = noise_pool(jax.random.key(0), 3, (2, 2))
        tasks = projection_tasks(pool, jax.random.key(1), num_tasks=2**20, length=6, sequences=2)
        return sequence_learner(learner, ways=3, examples=6, inner_lr=0.05).meta, tasks

    return Row(f"gpicl-{learner}", make, 1, lambda task: task.query.inputs, **flags)


def few_shot_row(name: str, make_learner, tasks, **flags) -> Row:
    return Row(name, lambda: (make_learner(), tasks), 0, lambda task: task.query.inputs, **flags)


def classify(make_learner, **options) -> Callable[[], MetaLearner]:
    """With a network whose last layer is not linear: distances do not see a shift of all."""
    network = mlp([6], 3, jnp.tanh)
    smooth = network._replace(apply=lambda params, x: jnp.tanh(network.apply(params, x)))
    return lambda: make_learner(smooth, **options)


def regress(make_learner, *args, **options) -> Callable[[], MetaLearner]:
    network = mlp([6], 1, jnp.tanh)
    return lambda: make_learner(network, learners.mean_squared_error, *args, **options)


def hypino_row(method: str) -> Row:
    """Its predictions are values and derivatives, of which the battery reads the values.

    What makes the target's biases starts at zero, and hides the layers before it from the loss:
    a little noise shows them.
    """

    def make():
        learner = build(replace(pdes.CONFIG, method=method)).method.learner

        def init(key, task):
            params = learner.init(key, task)
            noise = optax.tree.random_like(key, params, jax.random.normal)
            return jax.tree.map(lambda p, n: p + jnp.float32(0.03) * n, params, noise)

        def predict(params, adapted, x):
            return learner.predict(params, adapted, x).u

        tasks = jax.tree_util.Partial(pdes.quadratics)
        return learner._replace(init=init, predict=predict), tasks

    return Row(f"hypino-{method}", make, 0, lambda task: task.query.points.interior)


def of_domain(images):
    return DomainInputs(
        images, jnp.zeros(len(images), jnp.int32), jnp.zeros((len(images), 2), jnp.int32)
    )


def context_row() -> Row:
    """Its inputs are images with their domain, of which the battery reads the images."""

    def make():
        learner = learners.context_student(mlp([6], 3, jnp.tanh), mlp([4], 2))

        def tasks(key):
            return Task(*(part._replace(inputs=of_domain(part.inputs)) for part in blobs(key)))

        def predict(params, adapted, images):
            return learner.predict(params, adapted, of_domain(images))

        return learner._replace(predict=predict), tasks

    return Row("context-student", make, 0, lambda task: task.query.inputs.images)


def generated_row() -> Row:
    """The support is what the weights depend on: the mean of a support's first input, here."""

    def make():
        network = mlp([6], 3)
        sizes = jnp.zeros((1, blobs(KEY).query.inputs.shape[-1]))
        hypernet = magnitude_invariant(lambda key: network.init(key, sizes), hidden=(4, 6))

        def tasks(key):
            task = blobs(key)
            return task._replace(support=jax.nn.sigmoid(jnp.mean(task.support.inputs, axis=1))[:1])

        return learners.generated_network(hypernet, network), tasks

    return Row("generated-network", make, 0, lambda task: task.query.inputs)


def sparse_row() -> Row:
    """Each network has a set of queries of its own, of which the battery reads the first."""

    def make():
        network, num = mlp([6], 3, jnp.tanh), 2
        sizes = jnp.zeros((1, blobs(KEY).query.inputs.shape[-1]))
        units = mlp_units(jax.eval_shape(network.init, KEY, sizes))

        def tasks(key):
            task = blobs(key)
            query = jax.tree.map(lambda leaf: jnp.stack(num * [leaf]), task.query)
            return task._replace(query=query)

        return learners.sparse_networks(network, units, num, strength=0.1), tasks

    return Row("sparse-networks", make, 0, lambda task: task.query.inputs[0], adapts=False)


def alone_row() -> Row:
    """The support is a width, which says what network answers."""

    def make():
        def tasks(key):
            width = jax.random.randint(key, (), 0, 2) * 2 + 3
            return blobs(key)._replace(support=width)

        return learners.networks_alone(lambda width: mlp([width], 3), (3, 5)), tasks

    return Row("networks-alone", make, 0, lambda task: task.query.inputs)


def modality_row() -> Row:
    """What makes the change starts at zero, and hides the layers before it: noise shows them."""

    def make():
        adapter = modality_adapter(rank=2, width=8, depth=1, heads=2)
        texts = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
        learner = learners.modality_reader(mlp([6], 4, jnp.tanh), adapter, texts, rotate=False)

        def init(key, task):
            params = learner.init(key, task)
            noise = optax.tree.random_like(key, params, jax.random.normal)
            return jax.tree.map(lambda p, n: p + jnp.float32(0.1) * n, params, noise)

        def tasks(key):
            task = blobs(key)
            inputs, labels = task.support
            pairs = Pairs(inputs, texts[labels], jnp.ones(len(labels), bool))
            return task._replace(support=pairs)

        return learner._replace(init=init), tasks

    return Row("modality-reader", make, 0, lambda task: task.query.inputs)


SINES, SGD = sinusoid_tasks(4, 3), optax.sgd(0.1)

LEARNERS = [
    Row(
        "one-step-maml",
        lambda: (toy_problem.make_learner(), toy_problem.make_tasks()),
        0,
        lambda task: task.query[0].inputs,
    ),
    Row(
        "inner-optimisation",
        lambda: (toy_problem.make_inner_learner(), toy_problem.make_tasks()),
        0,
        lambda task: task.query[0].inputs,
        steps=6,
    ),
    gpicl("transformer"),
    gpicl("lstm"),
    gpicl("outer_product_lstm"),
    gpicl("mlp", adapts=False),
    gpicl("maml"),
    gpicl("sgd", draws=True, trained=False),
    gpicl("nearest_neighbour", trained=False, likelihood=False),
    few_shot_row(
        "maml-of-the-head-minibatches-rates-per-step",
        classify(
            learners.anil,
            loss=learners.cross_entropy,
            optimizer=optax.sgd(1.0, momentum=0.9),
            inner="Dense_1",
            steps=3,
            rates="per_step",
            rate=0.1,
            batches=minibatches(3),
            unroll=1,
        ),
        blobs,
        draws=True,
        steps=3,
    ),
    few_shot_row(
        "cavia", regress(learners.cavia, SGD, steps=2, context_size=3, unroll=1), SINES, steps=2
    ),
    few_shot_row("imaml", regress(learners.imaml, SGD, steps=3, unroll=1), SINES, steps=3),
    few_shot_row("prototypical", classify(learners.prototypical, ways=3), blobs),
    few_shot_row("matching", classify(learners.matching, ways=3), blobs),
    few_shot_row(
        "ridge", classify(learners.ridge, loss=learners.cross_entropy, ways=3, scale=5.0), blobs
    ),
    few_shot_row("anil_solved", regress(learners.anil_solved, inner="Dense_1"), SINES),
    few_shot_row("svm", classify(learners.svm, ways=3, scale=5.0), blobs),
    few_shot_row("table-reader", lambda: learners.table_reader(3, width=6, row_width=4), blobs),
    pytest.param(context_row(), marks=pytest.mark.slow),
    pytest.param(generated_row(), marks=pytest.mark.slow),
    pytest.param(sparse_row(), marks=pytest.mark.slow),
    pytest.param(alone_row(), marks=pytest.mark.slow),
    pytest.param(modality_row(), marks=pytest.mark.slow),
    *(
        pytest.param(hypino_row(name), marks=pytest.mark.slow)
        for name in ("weights", "unet", "pino")
    ),
]

every_learner = pytest.mark.parametrize("row", LEARNERS, ids=lambda row: row.name)

KEY, OTHER_KEY = jax.random.key(3), jax.random.key(4)
NUM = 4


class Made(NamedTuple):
    """A learner with its functions compiled, and things to call them with."""

    learner: MetaLearner
    init: Callable
    adapt: Callable
    predict: Callable
    loss: Callable
    params: Any
    tasks: Any
    task: Any


@functools.cache
def made(row: Row) -> Made:
    learner, distribution = row.make()
    tasks = jax.jit(jax.vmap(distribution))(jax.random.split(KEY, NUM))
    task = nth(tasks, 0)
    init = jax.jit(learner.init)
    loss = jax.jit(jax.value_and_grad(learner.loss, has_aux=True))
    return Made(
        learner,
        init,
        jax.jit(learner.adapt),
        jax.jit(learner.predict),
        loss,
        init(KEY, task),
        tasks,
        task,
    )


def nth(tree, n):
    """The nth of what is stacked, on the host: to index there compiles nothing."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[n], tree)


def finite(tree):
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


def same(a, b):
    return digest(a) == digest(b)


def close(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@every_learner
def test_init_gives_float32_arrays_decided_by_the_key_alone(row):
    m = made(row)
    assert same(m.params, m.init(KEY, m.task))
    assert same(m.params, m.init(KEY, nth(m.tasks, 1)))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(m.params))
    assert finite(m.params)
    if jax.tree.leaves(m.params):
        assert not same(m.params, m.init(OTHER_KEY, m.task))


@every_learner
def test_the_same_inputs_give_the_same_bits_and_are_left_as_they_were(row):
    m = made(row)

    def everything(params, task):
        adapted = m.learner.adapt(params, task.support, KEY)
        outputs = m.learner.predict(params, adapted, row.query_inputs(task))
        return adapted, outputs, m.learner.loss(params, task, KEY)

    def identities(tree):
        return jax.tree.structure(tree), [id(leaf) for leaf in jax.tree.leaves(tree)]

    before = identities((m.params, m.task))
    jax.eval_shape(lambda: everything(m.params, m.task))  # Python runs, nothing is computed
    assert identities((m.params, m.task)) == before
    inputs = digest((m.params, m.task))
    first, second = (
        (m.adapt(m.params, m.task.support, KEY), m.loss(m.params, m.task, KEY)) for _ in range(2)
    )
    assert same(first, second)
    adapted = digest(first[0])
    outputs = [m.predict(m.params, first[0], row.query_inputs(m.task)) for _ in range(2)]
    assert same(*outputs)
    assert digest(first[0]) == adapted and digest((m.params, m.task)) == inputs


@every_learner
def test_keys_are_drawn_from_or_ignored(row):
    m = made(row)
    adapted = [m.adapt(m.params, m.task.support, key) for key in (KEY, OTHER_KEY)]
    losses = [m.loss(m.params, m.task, key)[0] for key in (KEY, OTHER_KEY)]
    assert same(*adapted) == same(*losses) == (not row.draws)


@every_learner
def test_followed_through_its_steps_it_ends_where_adapt_does(row):
    m = made(row)
    assert (m.learner.follow is not None) == (row.steps is not None)
    if row.steps is None:
        return
    follow = functools.partial(m.learner.follow, num_steps=row.steps, note=lambda adapted: adapted)
    adapted, notes = jax.jit(follow)(m.params, m.task.support, KEY)
    close(adapted, m.adapt(m.params, m.task.support, KEY))
    assert all(len(leaf) == row.steps + 1 for leaf in jax.tree.leaves(notes))
    close(nth(notes, -1), adapted)
    assert not same(nth(notes, 0), nth(notes, -1))


@every_learner
def test_mapped_over_tasks_equals_one_by_one(row):
    m = made(row)
    keys = jax.random.split(KEY, NUM)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, 0, 0))
    def mapped(params, task, key):
        adapted = m.learner.adapt(params, task.support, key)
        outputs = m.learner.predict(params, adapted, row.query_inputs(task))
        return outputs, jax.value_and_grad(m.learner.loss, has_aux=True)(params, task, key)

    outputs, losses = mapped(m.params, m.tasks, keys)
    for n in range(NUM):
        task = nth(m.tasks, n)
        adapted = m.adapt(m.params, task.support, keys[n])
        close(nth(outputs, n), m.predict(m.params, adapted, row.query_inputs(task)))
        close(nth(losses, n), m.loss(m.params, task, keys[n]))


@every_learner
def test_each_query_is_answered_alone_from_the_support(row):
    """Permuted queries give permuted answers, and company changes none of them."""
    m = made(row)
    adapted = m.adapt(m.params, m.task.support, KEY)
    axis = row.query_axis
    queries = [row.query_inputs(nth(m.tasks, n)) for n in range(NUM)]
    inputs = np.concatenate(queries, axis)
    size = inputs.shape[axis]
    outputs = np.asarray(m.predict(m.params, adapted, inputs))
    assert finite(outputs)
    order = np.random.default_rng(0).permutation(size)
    permuted = m.predict(m.params, adapted, np.take(inputs, order, axis))
    close(permuted, np.take(outputs, order, axis))
    alone = m.predict(m.params, adapted, queries[0])
    close(alone, np.take(outputs, np.arange(size // NUM), axis))
    assert not np.allclose(np.take(outputs, 0, axis), np.take(outputs, size - 1, axis))
    other = m.adapt(m.params, nth(m.tasks, 1).support, KEY)
    assert np.allclose(outputs, m.predict(m.params, other, inputs)) == (not row.adapts)


@every_learner
def test_the_loss_is_a_finite_scalar_that_scores_the_query(row):
    m = made(row)
    (loss, metrics), _ = m.loss(m.params, m.task, KEY)
    assert loss.shape == () and loss.dtype == jnp.float32 and np.isfinite(loss)
    assert all(isinstance(name, str) for name in metrics) and finite(metrics)
    assert "loss" not in metrics and "grad_norm" not in metrics  # the algorithm's own names
    if not row.likelihood:
        return
    swapped = m.task._replace(query=nth(m.tasks, 1).query)
    assert m.loss(m.params, swapped, KEY)[0][0] != loss


@every_learner
def test_the_gradient_is_finite_and_shaped_as_the_parameters(row):
    m = made(row)
    _, grads = m.loss(m.params, m.task, KEY)
    assert jax.tree.structure(grads) == jax.tree.structure(m.params)
    for grad, param in zip(jax.tree.leaves(grads), jax.tree.leaves(m.params), strict=True):
        assert grad.shape == param.shape and grad.dtype == param.dtype
    assert finite(grads)
    moves = [bool(np.any(np.asarray(grad) != 0)) for grad in jax.tree.leaves(grads)]
    assert all(moves) if row.trained else not any(moves)
