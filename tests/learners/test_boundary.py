"""What few-shot learners say of arrays and parts that they were not made for, by name."""

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from few_shot import WAYS, blobs
from metajax import learners
from metajax.core import ConfigError, Examples, MetaLearner, Network, Task, digest, gradient
from metajax.nn import conv_net, from_equinox, from_linen, from_nnx, mlp

KEY = jax.random.key(0)
SGD = optax.sgd(0.1)
CE, MSE = learners.cross_entropy, learners.mean_squared_error
TASK = jax.jit(blobs)(KEY)
SUPPORT = TASK.support


def make(name, network=None, loss=CE):
    network = mlp([4], WAYS) if network is None else network
    match name:
        case "prototypical" | "matching":
            return getattr(learners, name)(network, ways=WAYS)
        case "ridge":
            return learners.ridge(network, loss, ways=WAYS)
        case "cavia":
            return learners.cavia(network, loss, SGD, steps=1, context_size=2)
        case "anil":
            return learners.anil(network, loss, SGD, steps=1, inner="Dense_1")
        case _:
            return getattr(learners, name)(network, loss, SGD, steps=1)


CLOSED_FORM = ("prototypical", "matching", "ridge")
GRADIENT = ("maml", "first_order_maml", "anil", "meta_sgd", "cavia", "imaml")


@pytest.fixture(scope="module")
def trained():
    made = {name: make(name) for name in (*CLOSED_FORM, *GRADIENT)}
    return {name: (one, jax.jit(one.init)(KEY, TASK)) for name, one in made.items()}


def changed(**parts):
    return SUPPORT._replace(**parts)


x, y = SUPPORT
SUPPORTS = {
    "1-D inputs": (changed(inputs=x[:, 0]), "inputs"),
    "another number of features": (changed(inputs=jnp.ones((6, 5))), "inputs"),
    "raw images": (changed(inputs=np.zeros((6, 28, 28), np.uint8)), "inputs"),
    "float labels": (changed(targets=y.astype(jnp.float32)), "targets"),
    "truths": (changed(targets=y == 0), "targets"),
    "fewer labels": (changed(targets=y[:4]), "support.targets"),
    "one-hot labels": (changed(targets=jax.nn.one_hot(y, WAYS)), "targets"),
    "no examples": (jax.tree.map(lambda leaf: leaf[:0], SUPPORT), "support.inputs"),
    "one number": (changed(inputs=1.0), "support.inputs"),
    "nothing": (changed(inputs=None), "support.inputs"),
    "a ragged list": (changed(inputs=[[1.0, 2.0], [3.0]]), "support.inputs"),
    "words": (changed(targets=["a"] * 6), "support.targets"),
    "a task": (TASK, "support"),
    "an array": (x, "support"),
    "no support": (None, "support"),
}


@pytest.mark.parametrize("case", SUPPORTS)
@pytest.mark.parametrize("name", ["prototypical", "ridge", "maml", "cavia", "imaml"])
def test_a_support_that_does_not_fit_is_named(trained, name, case):
    learner, params = trained[name]
    support, field = SUPPORTS[case]
    with pytest.raises(ConfigError) as raised:
        learner.adapt(params, support, KEY)
    assert raised.value.field.endswith(field)
    # the same from a compiled call: shapes and dtypes are known there too
    if all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(support)):
        with pytest.raises(ConfigError) as raised:
            jax.jit(learner.adapt)(params, support, KEY)
        assert raised.value.field.endswith(field)


@pytest.mark.parametrize("labels", [[5, 6, 7], [-1, 0, 1], [0, 1, 3]])
@pytest.mark.parametrize("name", CLOSED_FORM)
def test_labels_that_are_no_class_are_named(trained, name, labels):
    learner, params = trained[name]
    support = changed(targets=jnp.array(labels * 2))
    with pytest.raises(ConfigError, match="expected labels from 0 to 2") as raised:
        learner.adapt(params, support, KEY)
    assert raised.value.value in set(labels) - set(range(WAYS))
    assert raised.value.field == "support.targets"
    with pytest.raises(ConfigError, match=r"query\.targets"):
        learner.loss(params, Task(SUPPORT, support), KEY)


@pytest.mark.parametrize("name", ["prototypical", "maml"])
@pytest.mark.parametrize(
    "inputs", [jnp.ones((2, 5)), jnp.ones(2), np.zeros((2, 28, 28), np.uint8), [[1.0]], "words"]
)
def test_queries_that_do_not_fit_are_named(trained, name, inputs):
    learner, params = trained[name]
    adapted = jax.jit(learner.adapt)(params, SUPPORT, KEY)
    with pytest.raises(ConfigError, match="inputs = "):
        learner.predict(params, adapted, inputs)


@pytest.mark.parametrize("name", [*CLOSED_FORM, *GRADIENT])
def test_lists_and_numpy_arrays_are_taken(trained, name):
    learner, params = trained[name]
    expected = learner.adapt(params, SUPPORT, KEY)
    answers = learner.predict(params, expected, TASK.query.inputs)
    for turn in (np.asarray, lambda leaf: np.asarray(leaf).tolist()):
        support = Examples(*map(turn, SUPPORT))
        for given in (support, tuple(support)):
            adapted = learner.adapt(params, given, KEY)
            assert digest(adapted) == digest(expected)
        found = learner.predict(params, adapted, turn(TASK.query.inputs))
        assert digest(found) == digest(answers)


@pytest.mark.parametrize("name", [*CLOSED_FORM, *GRADIENT])
def test_what_is_no_parameters_is_named(trained, name):
    """Such as the state of an algorithm, in the place of its ``params``."""
    learner, _ = trained[name]
    for wrong in (gradient(learner, SGD).init(KEY, TASK), {"other": jnp.ones(2)}):
        with pytest.raises(ConfigError, match=r"(params|inner) = "):
            learner.adapt(wrong, SUPPORT, KEY)


def test_another_runs_parameters_are_named(trained):
    learner, _ = trained["maml"]
    other = mlp([4, 4], WAYS).init(KEY, x)
    with pytest.raises(ConfigError, match="params = 'a dict'"):
        learner.adapt(other, SUPPORT, KEY)


@pytest.mark.parametrize(
    ("task", "field"),
    [
        (list(TASK), "task"),
        (SUPPORT, "task"),
        ((SUPPORT, SUPPORT), "task"),
        (Task(SUPPORT, SUPPORT._replace(inputs=None)), "query.inputs"),
        (Task(SUPPORT, changed(inputs=jnp.ones((6, 5)))), "query.inputs"),
        (Task(SUPPORT, changed(targets=y[:, None])), "query.targets"),
    ],
)
def test_a_task_that_is_none_is_named(trained, task, field):
    for name in ("prototypical", "maml"):
        learner, params = trained[name]
        for call, arguments in ((learner.init, (KEY, task)), (learner.loss, (params, task, KEY))):
            with pytest.raises(ConfigError) as raised:
                call(*arguments)
            assert raised.value.field == field


def test_not_finite_inputs_pass_and_are_seen(trained):
    """They are not checked: what is made of them is not finite either."""
    learner, params = trained["prototypical"]
    adapted = learner.adapt(params, changed(inputs=x.at[0, 0].set(jnp.nan)), KEY)
    assert not bool(jnp.all(jnp.isfinite(adapted)))


class LinenNet(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x):
        return flax.linen.Dense(WAYS)(x)


def equinox_linear(key):
    eqx = pytest.importorskip("equinox")
    return eqx.nn.Linear(2, WAYS, key=key)


def a_function(params, inputs):
    return inputs


NETWORKS = {
    "a Flax Linen module LinenNet: from_linen": LinenNet,
    "the class LinenNet: from_linen": lambda: LinenNet,
    "a Flax NNX module Linear: from_nnx": lambda: nnx.Linear(2, WAYS, rngs=nnx.Rngs(0)),
    "the class Linear: from_nnx": lambda: nnx.Linear,
    "an Equinox module Linear: from_equinox": lambda: equinox_linear(KEY),
    "the function a_function: Network": lambda: a_function,
    "a MetaLearner: Network": lambda: make("maml"),
    "a list: Network": lambda: [4, WAYS],
}


@pytest.mark.parametrize("said", NETWORKS)
@pytest.mark.parametrize("name", [*CLOSED_FORM, *GRADIENT, "reptile"])
def test_what_is_no_network_is_named(name, said):
    network = NETWORKS[said]()
    given, expected = said.split(": ")
    with pytest.raises(ConfigError) as raised:
        if name == "reptile":
            learners.reptile(network, CE, SGD, SGD, steps=2)
        else:
            make(name, network)
    assert raised.value.field == "network" and raised.value.value == given
    assert expected in raised.value.expected


@pytest.mark.parametrize("name", ["maml", "prototypical"])
def test_an_equinox_network_that_is_not_mapped_is_named(name):
    network = from_equinox(equinox_linear)
    with pytest.raises(ConfigError, match=r"reads a batch: .*jax.vmap"):
        learner = make(name, network)
        learner.adapt(learner.init(KEY, TASK), SUPPORT, KEY)
    mapped = make(name, Network(network.init, jax.vmap(network.apply, (None, 0))))
    mapped.adapt(mapped.init(KEY, TASK), SUPPORT, KEY)


def test_features_that_another_librarys_network_cannot_read_are_named():
    nets = {
        "linen": from_linen(LinenNet()),
        "nnx": from_nnx(nnx.Linear, 2, WAYS),
        "conv": conv_net(WAYS, channels=2, layers=1),
    }
    for name, network in nets.items():
        learner = make("maml", network)
        task = TASK
        if name == "conv":
            task = jax.tree.map(lambda a: a, TASK)
            images = Examples(jnp.ones((6, 4, 4, 1)), y)
            task = Task(images, images)
        params = learner.init(KEY, task)
        with pytest.raises(ConfigError, match=r"inputs = 'float32\[6, 28, 28\]'"):
            learner.adapt(params, changed(inputs=jnp.zeros((6, 28, 28))), KEY)


def broken_network(params, inputs):
    raise KeyError("a fault of the user's own")


def test_a_fault_of_the_users_own_stays_as_it_is():
    learner = make("maml", Network(lambda key, inputs: {"w": jnp.ones(2)}, broken_network))
    with pytest.raises(KeyError, match="a fault of the user's own"):
        learner.adapt({"w": jnp.ones(2)}, SUPPORT, KEY)


def test_a_loss_that_does_not_fit_is_named():
    learner = make("maml", loss=lambda outputs, targets: jnp.square(outputs[:, 0] - targets))
    params = jax.jit(learner.init)(KEY, TASK)
    with pytest.raises(ConfigError, match=r"loss = .*a scalar, e\.g\. the mean"):
        learner.adapt(params, changed(targets=y.astype(jnp.float32)), KEY)
    regression = make("maml", loss=MSE)
    with pytest.raises(ConfigError, match=r"targets = \(6,\): .*\(6, 3\)"):
        regression.adapt(params, changed(targets=y.astype(jnp.float32)), KEY)
    with pytest.raises(ConfigError, match="loss = "):
        make("maml", loss=None)


def test_what_gradient_is_not_made_of_is_named():
    learner = make("maml")
    for wrong, said in ((SGD, "an optax optimizer"), (mlp([2], 1), "a Network"), (None, "None")):
        with pytest.raises(ConfigError, match=f"learner = '{said}'"):
            gradient(wrong, SGD)
        with pytest.raises(ConfigError, match=f"learner = '{said}'"):
            learners.evolution(wrong, SGD)
    for wrong in (0.1, optax.sgd, gradient(learner, SGD), None):
        for method in (gradient, learners.evolution):
            with pytest.raises(ConfigError, match=r"optimizer = .*optax\.adam"):
                method(learner, wrong)
        with pytest.raises(ConfigError, match=r"optimizer = .*optax\.adam"):
            learners.maml(mlp([4], WAYS), CE, wrong, steps=1)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda loss: loss, r"'float32\[\]': expected \(loss, metrics\)"),
        (lambda loss: (loss, loss), r"'float32\[\], float32\[\]'"),
        (lambda loss: (loss, {}, {}), "a dict, a dict"),
        (lambda loss: (loss[None], {}), r"'float32\[1\]': expected a scalar"),
    ],
)
def test_a_loss_without_metrics_is_named(returned, said):
    learner = MetaLearner(
        lambda key, task: {"w": jnp.ones(2)},
        lambda params, support, key: params,
        lambda params, adapted, inputs: inputs,
        lambda params, task, key: returned(jnp.sum(params["w"])),
    )
    tasks = jax.tree.map(lambda leaf: leaf[None], TASK)
    for method in (gradient, learners.evolution):
        algorithm = method(learner, SGD)
        with pytest.raises(ConfigError, match=said):
            algorithm.update(algorithm.init(KEY, TASK), tasks, KEY)


@pytest.mark.parametrize("name", GRADIENT)
def test_learners_that_descend_name_labels_that_are_no_class_too(trained, name):
    """By their loss: the network's outputs say how many classes there are."""
    learner, params = trained[name]
    for labels in ([5, 6, 7], [-1, 0, 1]):
        support = changed(targets=jnp.array(labels * 2))
        with pytest.raises(ConfigError, match=r"targets = .*0 to 2"):
            learner.adapt(params, support, KEY)
        with pytest.raises(ConfigError, match=r"targets = .*0 to 2"):
            learner.loss(params, Task(SUPPORT, support), KEY)
