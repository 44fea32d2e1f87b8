"""Everything follows the dtype of the problem: under x64 no number goes through float32."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from few_shot import WAYS, classification_task, regression_task, smooth
from metajax import learners
from metajax.bilevel import (
    ESTIMATORS,
    OnlineParams,
    descend,
    estimate,
    hypergradient,
    online,
    random_search,
)
from metajax.core import MetaLearner, enable_x64, gradient
from quadratic import arguments, inner_loss, outer_loss

KEY = jax.random.key(0)
SGD = optax.sgd(0.1)
MSE, CE = learners.mean_squared_error, learners.cross_entropy


@pytest.fixture(autouse=True)
def _float64():
    with enable_x64(True):
        yield


def narrow(function, *arguments):
    """Where float64 becomes a narrower float anywhere in a function, as JAX traces it."""
    found, todo = [], [jax.make_jaxpr(function)(*arguments).jaxpr]
    while todo:
        for equation in (jaxpr := todo.pop()).eqns:
            if equation.primitive.name == "convert_element_type":
                old, new = equation.invars[0].aval.dtype, equation.params["new_dtype"]
                if old == jnp.float64 and new in (jnp.float32, jnp.bfloat16):
                    found.append(str(equation))
        todo += _inside(jaxpr)
    return found


def _inside(jaxpr):
    for equation in jaxpr.eqns:
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield inner


def floats_of(tree):
    return {
        leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)
    }


def multi(weights):
    return learners.maml(smooth(), MSE, SGD, steps=2, step_weights=weights, unroll=1)


def of_examples(kind):
    return (regression_task if kind is MSE else classification_task)()


LEARNERS = {
    "maml": (MSE, lambda: learners.maml(smooth(), MSE, SGD, steps=2, unroll=1)),
    "meta_sgd": (MSE, lambda: learners.meta_sgd(smooth(), MSE, SGD, steps=2, unroll=1)),
    "per_step": (
        MSE,
        lambda: learners.maml(smooth(), MSE, SGD, steps=2, rates="per_step", unroll=1),
    ),
    "weighted": (MSE, lambda: multi(jnp.array([0.3, 0.7], jnp.float32))),
    "cavia": (MSE, lambda: learners.cavia(smooth(), MSE, SGD, steps=2, context_size=2, unroll=1)),
    "imaml": (MSE, lambda: learners.imaml(smooth(), MSE, SGD, steps=2, unroll=1)),
    "ridge": (CE, lambda: learners.ridge(smooth(4), CE, ways=WAYS, log_strength=0.1, scale=0.3)),
    "svm": (CE, lambda: learners.svm(smooth(4), ways=WAYS, scale=0.3)),
    "anil_solved": (CE, lambda: learners.anil_solved(smooth(WAYS), CE, inner="layer_1", ways=WAYS)),
    "prototypical": (CE, lambda: learners.prototypical(smooth(4), ways=WAYS, distance="cosine")),
    "matching": (CE, lambda: learners.matching(smooth(4), ways=WAYS)),
}


@pytest.mark.parametrize("name", list(LEARNERS))
def test_a_learner_and_its_meta_gradient_stay_in_float64(name):
    loss, make = LEARNERS[name]
    task, algorithm = of_examples(loss), gradient(make(), optax.adam(0.1))
    state = algorithm.init(KEY, task)
    tasks = jax.tree.map(lambda leaf: leaf[None], task)
    assert floats_of(state) == {jnp.dtype(jnp.float64)}
    new, metrics = jax.eval_shape(algorithm.update, state, tasks, KEY)
    assert floats_of((new, metrics)) == {jnp.dtype(jnp.float64)}
    assert not narrow(algorithm.update, state, tasks, KEY)


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_an_estimator_stays_in_float64(name):
    problem = descend(inner_loss, outer_loss, optax.adam(0.1, eps_root=1e-9))
    options = {"es": {"pairs": 2}, "pes": {"pairs": 2}}.get(name, {})
    if name == "distilled":
        options = {"gamma": 0.3, "theta": 0.7}
    estimator = hypergradient(name, **options)
    given = arguments(4)

    def run(*given):
        return estimate(estimator, problem, *given)

    assert not narrow(run, *given)
    assert floats_of(jax.eval_shape(run, *given)) == {jnp.dtype(jnp.float64)}


def test_theta_made_outside_of_x64_keeps_its_digits_and_its_fit_its_precision():
    with enable_x64(False):
        estimator = hypergradient("distilled", gamma=0.9, theta=0.7)
    problem = descend(inner_loss, outer_loss, SGD)
    memory = estimate(estimator, problem, *arguments(3)).memory
    assert (float(memory.theta), float(memory.gamma)) == (0.7, 0.9)

    def init(key, task):
        return OnlineParams(*arguments(3)[:2])

    def ones(examples, key, num):
        return jnp.ones((num, 3, 1))

    problem = problem._replace(outer_loss=lambda s, h, b: outer_loss(s.params, h, ()))
    for algorithm in (
        online(
            estimator,
            problem,
            SGD,
            init=init,
            inner_batches=ones,
            outer_batches=ones,
            inner_steps=3,
            reptile_rate=0.5,
        ),
        random_search(
            problem,
            init=init,
            inner_batches=ones,
            outer_batches=ones,
            inner_steps=3,
            trial_steps=2,
            reptile_rate=jnp.float32(0.5),
        ),
    ):
        state = algorithm.init(KEY, regression_task())
        tasks = jax.tree.map(lambda leaf: leaf[None], regression_task())
        assert floats_of(state) == {jnp.dtype(jnp.float64)}
        assert not narrow(algorithm.update, state, tasks, KEY)
        new, metrics = jax.eval_shape(algorithm.update, state, tasks, KEY)
        assert floats_of((new, metrics)) == {jnp.dtype(jnp.float64)}


def test_a_mean_loss_keeps_its_digits_and_sixteen_bits_are_summed_in_thirty_two():
    def loss(params, task, key):
        return (params * task, {"seen": task})

    learner = MetaLearner(lambda key, task: jnp.ones((), task.dtype), None, None, loss)
    for dtype, wide in ((jnp.float64, jnp.float64), (jnp.bfloat16, jnp.float32)):
        tasks = jnp.asarray([1 / 3, 1.0], dtype)
        algorithm = gradient(learner, SGD)
        _, metrics = algorithm.update(algorithm.init(KEY, tasks[0]), tasks, KEY)
        expected = np.mean(np.asarray(tasks, np.float64))
        assert metrics["loss"].dtype == metrics["seen"].dtype == wide
        np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-15 if wide == dtype else 1e-7)


def test_annealed_weights_keep_their_digits():
    weights = learners.annealed_weights(1, 3, 3)
    np.testing.assert_allclose(weights, [2 / 9, 2 / 9, 5 / 9], rtol=1e-15)
