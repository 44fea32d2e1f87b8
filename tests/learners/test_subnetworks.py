"""Sub-networks with shared weights and alone: what each is trained on, by how many programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Examples, cross_entropy
from metajax.learners import all_subnetworks, lone_subnetworks, shared_subnetworks
from metajax.units import (
    all_architectures,
    architecture_masks,
    choosing_mlp,
    chosen_mlp,
    mask_units,
    mlp_units,
    sandwich,
    supernet,
)

KEY = jax.random.key(3)
SPACE = {"h0": (2, 5), "h1": (3, 4), "activation0": ("relu", "tanh"), "activation1": ("sine",)}
NETWORK = choosing_mlp((5, 4), 3, SPACE)


@pytest.fixture(scope="module")
def task():
    inputs = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
    return Examples(inputs, np.arange(12, dtype=np.int32) % 3)


@pytest.fixture(scope="module")
def units(task):
    return mlp_units(jax.eval_shape(NETWORK.init, KEY, task.inputs))


def drawn(init, task):
    """Random parameters of the shapes that a learner has, biases too."""
    draw = np.random.default_rng(1)
    shapes = jax.eval_shape(init, KEY, task)
    return jax.tree.map(lambda one: draw.normal(size=one.shape).astype(np.float32), shapes)


def known(many, at):
    return {name: int(values[at]) for name, values in many.items()}


def near(found, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected
    )


def test_all_architectures_of_a_supernet_are_applied_in_their_order(task, units):
    net = supernet(NETWORK, units, SPACE)
    params = drawn(lambda key, task: net.init(key, task.inputs), task)
    found = jax.jit(lambda params: all_subnetworks(net, NETWORK, SPACE, params, task.inputs))(
        params
    )
    many = jax.device_get(all_architectures(SPACE))
    assert len(found) == 8
    for at in (0, 3, 7):
        one = known(many, at)
        near(found[at], NETWORK.apply(net.masked(params, one), task.inputs, one))


def test_shared_weights_descend_the_loss_of_the_architectures_that_are_drawn(task, units):
    """That of masked plain weights, each on its part of the task, and of extracted networks."""
    net = supernet(NETWORK, units, SPACE)
    learner = shared_subnetworks(net, NETWORK, SPACE, "sandwich", 4)
    params = drawn(learner.init, task)
    many = jax.device_get(jax.jit(lambda key: sandwich(key, SPACE, 4))(KEY))
    numbers = [known(many, at) for at in range(4)]
    parts = jax.tree.map(lambda leaf: leaf.reshape(4, 3, *leaf.shape[1:]), task)

    def plain(experts, many):
        def of(architecture, part):
            masks = architecture_masks(architecture, SPACE, {"h0": 5, "h1": 4})
            own = mask_units(jax.tree.map(lambda leaf: leaf[0], experts), units, masks)
            logits = NETWORK.apply(own, part.inputs, architecture)
            return cross_entropy(logits, part.targets)

        return jnp.mean(jax.vmap(of)(many, parts))

    @jax.jit
    def run(params, many):
        mine = jax.value_and_grad(lambda params: learner.loss(params, task, KEY)[0])(params)
        alone = []
        for at in range(4):
            small = chosen_mlp(numbers[at], SPACE, 3)
            own = net.extract(params, numbers[at])
            logits = small.apply(own, parts.inputs[at])
            alone.append(cross_entropy(logits, parts.targets[at]))
        return mine, jax.value_and_grad(plain)(params["experts"], many), alone

    (loss, slopes), (expected, others), alone = run(params, many)
    near((loss, slopes["experts"]), (expected, others))
    near(loss, np.mean(jax.device_get(alone)))


def test_sampling_recompiles_nothing(task, units):
    """One program for all architectures; each draw has a loss of its own."""
    net = supernet(NETWORK, units, SPACE, experts=2, by="neuron", hidden=3)
    learner = shared_subnetworks(net, NETWORK, SPACE, "random", 3)
    loss = jax.jit(lambda params, task, key: learner.loss(params, task, key)[0])
    params = drawn(learner.init, task)
    losses = [float(loss(params, task, jax.random.key(seed))) for seed in range(4)]
    assert loss._cache_size() == 1 and len(set(losses)) == 4


def test_lone_networks_are_the_architectures_and_do_not_touch_each_other(task):
    learner = lone_subnetworks(lambda widths: choosing_mlp(widths, 3, SPACE), SPACE)
    params = drawn(learner.init, task)
    every = jax.tree.map(np.asarray, all_architectures(SPACE))

    def own(tree, at):
        return jax.tree.map(lambda leaf: leaf[at % 2], tree[at // 2])

    @jax.jit
    def run(params):
        slopes = jax.grad(lambda params: learner.loss(params, task, KEY)[0])(params)
        logits, pairs = learner.predict(params, (), task.inputs), []
        for at in (3, 6):
            network = chosen_mlp(known(every, at), SPACE, 3)

            def loss(params, network=network):
                found = network.apply(params, task.inputs)
                return cross_entropy(found, task.targets), found

            alone, found = jax.grad(loss, has_aux=True)(own(params, at))
            pairs.append(((logits[at], own(slopes, at)), (found, alone)))
        return logits, pairs

    logits, pairs = run(params)
    assert logits.shape == (8, 12, 3)
    for found, expected in pairs:
        near(found, expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: shared_subnetworks(None, NETWORK, SPACE, "even"), "sampling = 'even'"),
        (lambda: shared_subnetworks(None, NETWORK, SPACE, "sandwich", 2), "num = 2"),
        (lambda: lone_subnetworks(lambda widths: NETWORK, {}), "one choice or more"),
        (lambda: choosing_mlp((3,), 2, {"activation1": ("relu",)}), "space, activation1"),
        (lambda: choosing_mlp((3,), 2, {"activation0": ("gelu",)}), "space, activation0"),
        (lambda: chosen_mlp({"h1": 0}, {"h1": (2,)}, 2), "['h0']"),
    ],
)
def test_what_cannot_be_trained_is_rejected(call, words):
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)


def test_more_architectures_than_examples_are_rejected(task, units):
    net = supernet(NETWORK, units, SPACE)
    learner = shared_subnetworks(net, NETWORK, SPACE, "random", 13)
    with pytest.raises(ConfigError, match="examples"):
        jax.eval_shape(learner.loss, jax.eval_shape(learner.init, KEY, task), task, KEY)
