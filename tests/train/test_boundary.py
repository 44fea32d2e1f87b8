"""What ``fit`` says of parts that it is not made for, before anything is compiled."""

import jax
import jax.numpy as jnp
import optax
import pytest

import toy_problem
from metajax.core import Algorithm, ConfigError, Evaluator, HostFed, Task, gradient
from metajax.learners import context_free, maml, mean_squared_error, prototypical
from metajax.nn import mlp
from metajax.train import fit

KEY = jax.random.key(0)
LEARNER, TASKS = toy_problem.make_learner(), toy_problem.make_tasks()
ALGORITHM = gradient(LEARNER, optax.sgd(0.1))


def run(algorithm=ALGORITHM, tasks=TASKS, **options):
    options = {"steps": 1, "tasks_per_step": 2, "key": KEY, "progress": False} | options
    return fit(algorithm, tasks, **options)


@pytest.mark.parametrize(
    ("given", "said", "advice"),
    [
        (LEARNER, "a MetaLearner", "gradient(learner, optimizer)"),
        (context_free(mlp([2], 3)), "a SequenceLearner", "gradient(learner, optimizer)"),
        (optax.adam(1e-3), "an optax optimizer", "gradient(learner, optimizer)"),
        (mlp([2], 1), "a Network", "an Algorithm"),
        (Algorithm, "the class Algorithm", "an Algorithm"),
        (gradient, "the function gradient", "an Algorithm"),
        (None, "None", "an Algorithm"),
    ],
)
def test_what_is_no_algorithm_is_named(given, said, advice, tmp_path):
    with pytest.raises(ConfigError) as raised:
        run(given, workdir=tmp_path / "run")
    error = raised.value
    assert (error.field, error.value) == ("algorithm", said) and advice in error.expected
    assert not (tmp_path / "run").exists()


def test_the_learner_inside_a_sequence_learner_is_pointed_at():
    with pytest.raises(ConfigError, match=r"'a SequenceLearner': expected .* learner\.meta"):
        gradient(context_free(mlp([2], 3)), optax.sgd(0.1))


TASK = TASKS(KEY)


@pytest.mark.parametrize(
    "tasks",
    [
        TASK,
        [TASK, TASK],
        TASKS.pool,
        None,
        toy_problem.LinearTasks,
        lambda key: TASK,
        HostFed([], TASK),
    ],
)
def test_what_draws_no_tasks_is_named(tasks):
    with pytest.raises(ConfigError, match=r"tasks = .*a callable pytree"):
        run(tasks=tasks)


@pytest.mark.parametrize(
    "draw",
    [
        lambda key: list(TASK),
        lambda key: TASK.support,
        lambda key: {"support": TASK.support, "query": TASK.query},
        lambda key: jnp.ones(3),
    ],
)
def test_a_distribution_of_something_else_is_named(draw):
    """By the learner, since what a task holds is its business."""
    algorithm = gradient(prototypical(mlp([2], 2), ways=2), optax.sgd(0.1))
    with pytest.raises(ConfigError, match=r"task = .*expected a Task\(support, query\)"):
        run(algorithm, jax.tree_util.Partial(draw))


@pytest.mark.parametrize(
    "evaluators",
    [
        Evaluator("score", 1, lambda params, key: {}),
        [lambda params, key: {}],
        lambda params, key: {},
        None,
    ],
)
def test_what_is_no_evaluator_is_named(evaluators):
    with pytest.raises(ConfigError, match=r"evaluators.* = .*Evaluator"):
        run(evaluators=evaluators)


def with_update(update):
    return Algorithm(lambda key, task: {"w": jnp.ones(2)}, update, lambda state: state)


LOSS = {"loss": jnp.float32(1.0)}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda state: state, "update = 'a dict': expected .*state, metrics"),
        (lambda state: (state, 1.0), "update = 'a tuple'"),
        (lambda state: ({**state, "v": 1.0}, LOSS), "update = .*the structure of the state"),
        (lambda state: ({"w": jnp.ones(3)}, LOSS), r"state\['w'\] = 'float32\[3\]'.*float32\[2\]"),
        (lambda state: ({"w": jnp.ones(2, jnp.bfloat16)}, LOSS), r"state\['w'\] = 'bfloat16\[2\]'"),
        (lambda state: (state, {}), "metrics of the algorithm = .*a scalar 'loss' too"),
        (
            lambda state: (state, {"loss": jnp.ones(2)}),
            r"metrics .*'float32\[2\]'.*a scalar 'loss'",
        ),
    ],
)
def test_an_update_that_breaks_the_contract_is_named(returned, said):
    with pytest.raises(ConfigError, match=said):
        run(with_update(lambda state, tasks, key, axis_name: returned(state)))


def test_a_learners_own_checks_reach_fit():
    """Images where rows of features are expected end in a name, and nothing is trained."""

    def images(key):
        part = TASK.support._replace(inputs=jnp.ones((6, 28, 28)))
        return Task(part, part)

    learner = maml(mlp([2], 1), mean_squared_error, optax.sgd(0.1), steps=1)
    with pytest.raises(ConfigError, match=r"targets = \(6, 1\): .*\(6, 28, 1\)"):
        run(gradient(learner, optax.sgd(0.1)), jax.tree_util.Partial(images))
