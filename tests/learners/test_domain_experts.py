"""Experts of domains: who sees what, what is never read, and the meta-gradient."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from metajax import learners
from metajax.core import ConfigError, Examples, Network, Task, digest, enable_x64
from metajax.data import DomainInputs
from metajax.nn import mlp, token_set_encoder

PIXELS, EXPERTS, WAYS, OWN = 6, 3, 4, 1
KEY = jax.random.key(0)


def network(width, features=4):
    return learners.FeatureNetwork(mlp((width,), features, jnp.tanh), mlp((), WAYS))


VOTERS = learners.Experts(network(5), EXPERTS)
PARTS = learners.DistilledExperts(
    VOTERS, token_set_encoder(num_outputs=4, width=4, heads=2), network(7)
)
ADAPTS = PARTS.distilled(0.05)


def examples(num, seed, own=OWN):
    draw = np.random.default_rng(seed)
    images = draw.normal(size=(num, PIXELS)).astype(np.float32)
    nearest = np.tile(np.array([[0, 2]], np.int32), (num, 1))
    inputs = DomainInputs(images, np.full(num, own, np.int32), nearest)
    return Examples(inputs, draw.integers(0, WAYS, num).astype(np.int32))


TASK = Task(examples(5, 0), examples(6, 1))


@functools.cache
def params():
    drawn = jax.jit(PARTS.init)(KEY, TASK)
    # biases start at zero, where a wrong use of them would not show
    leaves, tree = jax.tree.flatten(drawn)
    draw = np.random.default_rng(2)
    moved = [
        np.asarray(leaf + 0.1 * draw.normal(size=leaf.shape), leaf.dtype)
        for leaf in map(np.asarray, leaves)
    ]
    return jax.tree.unflatten(tree, moved)


@jax.jit
def adapts(params, task):
    """The adapted student, and the meta-gradient."""
    adapted = ADAPTS.adapt(params, task.support, KEY)
    return adapted, jax.value_and_grad(ADAPTS.loss, has_aux=True)(params, task, KEY)


def with_expert(index, value):
    """The parameters, with those of one expert replaced."""

    def replaced(leaf):
        here = np.arange(len(leaf)).reshape(-1, *[1] * (leaf.ndim - 1)) == index
        return np.where(here, np.asarray(value, leaf.dtype), leaf)

    return params()._replace(experts=jax.tree.map(replaced, params().experts))


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_the_expert_of_the_own_domain_has_no_influence(value):
    usual = adapts(params(), TASK)
    assert digest(adapts(with_expert(OWN, value), TASK)) == digest(usual)
    assert digest(adapts(with_expert(0, 3.0), TASK)) != digest(usual)
    # on a domain of no expert, all of them are asked
    target = jax.tree.map(lambda leaf: leaf, TASK)
    target = Task(
        *(part._replace(inputs=part.inputs._replace(own=-part.inputs.own)) for part in target)
    )
    assert digest(adapts(with_expert(OWN, 3.0), target)) != digest(adapts(params(), target))


def test_experts_stay_as_they_are_while_a_student_learns_to_adapt():
    _, (_, slope) = adapts(params(), TASK)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(slope.experts))
    for part in (slope.aggregator, slope.student):
        assert any(np.any(leaf) for leaf in jax.tree.leaves(part))


def test_each_stage_trains_the_parts_that_its_loss_moves():
    stages = PARTS.stages((4, 5, 6), ADAPTS)
    assert [stage.steps for stage in stages] == [4, 5, 6] and stages[-1].learner is ADAPTS
    assert len(PARTS.stages((4, 5))) == 2
    for stage in stages:
        slope = jax.grad(lambda at, of=stage.learner: of.loss(at, TASK, KEY)[0])(params())
        trained = stage.trained(params())._asdict()
        for name, part in slope._asdict().items():
            moves = any(np.any(leaf) for leaf in jax.tree.leaves(part))
            assert (
                moves == all(jax.tree.leaves(trained[name])) == any(jax.tree.leaves(trained[name]))
            )


def test_an_expert_learns_from_its_own_domain_alone():
    loss = jax.jit(jax.grad(lambda experts: VOTERS.own_loss(experts, TASK.query)[0]))
    slope = loss(params().experts)
    for leaf in jax.tree.leaves(slope):
        moved = np.any(np.asarray(leaf).reshape(EXPERTS, -1) != 0, axis=1)
        np.testing.assert_array_equal(moved, np.arange(EXPERTS) == OWN)


def test_labels_of_a_support_are_never_read():
    usual = adapts(params(), TASK)
    other = TASK._replace(support=TASK.support._replace(targets=(TASK.support.targets + 1) % WAYS))
    assert digest(adapts(params(), other)) == digest(usual)
    query = TASK.query._replace(targets=(TASK.query.targets + 1) % WAYS)
    assert digest(adapts(params(), TASK._replace(query=query))) != digest(usual)


def test_with_rate_0_adapting_is_ordinary_training():
    student = jax.jit(jax.value_and_grad(PARTS.distilled(0.0).loss, has_aux=True))
    (loss, _), slope = student(params(), TASK, KEY)

    def plain(student):
        logits = PARTS.student.apply(student, TASK.query.inputs.images)
        return learners.cross_entropy(logits, TASK.query.targets)

    expected, along = jax.jit(jax.value_and_grad(plain))(params().student)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    for found, other in zip(jax.tree.leaves(slope.student), jax.tree.leaves(along), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-4, atol=1e-7)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(slope.aggregator))


def test_the_rate_is_of_squares_summed_over_features_and_averaged_over_images():
    start, support = params().student["features"], TASK.support.inputs
    found = np.asarray(jax.jit(PARTS.student.features.apply)(start, support.images))
    goal = np.asarray(jax.jit(PARTS.aggregate)(params(), support))
    distance = jax.jit(PARTS.distance)(start, params(), support)
    np.testing.assert_allclose(distance, ((found - goal) ** 2).sum(1).mean(), rtol=1e-5)
    slope = jax.jit(jax.grad(PARTS.distance))(start, params(), support)
    adapted, _ = adapts(params(), TASK)
    for before, after, along in zip(*map(jax.tree.leaves, (start, adapted, slope)), strict=True):
        np.testing.assert_allclose(after, before - 0.05 * along, rtol=1e-4, atol=1e-6)


def test_the_meta_gradient_matches_central_differences_in_float64():
    with enable_x64(True):

        def wide(tree):
            return jax.tree.map(lambda x: np.float64(x) if x.dtype == np.float32 else x, tree)

        held, task = wide(params()), wide(TASK)
        moving = (held.aggregator, held.student)
        flat, unravel = jax.flatten_util.ravel_pytree(moving)

        @jax.jit
        def loss(flat):
            aggregator, student = unravel(flat)
            at = held._replace(aggregator=aggregator, student=student)
            return ADAPTS.loss(at, task, KEY)[0]

        slope = jax.jit(jax.grad(loss))(flat)
        draw, step = np.random.default_rng(3), 1e-5
        for direction in draw.normal(size=(3, flat.size)):
            ahead, behind = (loss(flat + sign * step * direction) for sign in (1, -1))
            expected = (ahead - behind) / (2 * step)
            np.testing.assert_allclose(slope @ direction, expected, rtol=1e-6, atol=1e-9)


def test_experts_vote_by_the_mean_of_their_probabilities():
    @jax.jit
    def probabilities(experts, images):
        return jax.nn.softmax(jax.vmap(VOTERS.network.apply, (0, None))(experts, images))

    shares = np.asarray(probabilities(params().experts, TASK.query.inputs.images))
    for voters, chosen in (("all", [0, 2]), ("nearest", [0, 2])):
        learner = learners.expert_vote(VOTERS, voters)
        found = jax.jit(learner.predict)(params().experts, (), TASK.query.inputs)
        np.testing.assert_allclose(np.exp(found), shares[chosen].mean(0), rtol=1e-4)
    target = TASK.query.inputs._replace(own=np.full(6, -1, np.int32))
    found = jax.jit(learners.expert_vote(VOTERS, "all").predict)(params().experts, (), target)
    np.testing.assert_allclose(np.exp(found), shares.mean(0), rtol=1e-4)


def test_pooled_training_uses_all_labels_and_does_not_adapt():
    learner = learners.pooled_training(network(7))
    held = jax.jit(learner.init)(KEY, TASK)
    assert learner.adapt(held, TASK.support, KEY) == ()
    images = np.concatenate([TASK.support.inputs.images, TASK.query.inputs.images])
    labels = np.concatenate([TASK.support.targets, TASK.query.targets])
    loss = jax.jit(lambda held: learners.cross_entropy(network(7).apply(held, images), labels))
    expected = loss(held)
    np.testing.assert_allclose(jax.jit(learner.loss)(held, TASK, KEY)[0], expected, rtol=1e-6)


def test_a_context_is_the_mean_code_of_the_support():
    encoder = mlp((), 3)
    learner = learners.context_student(mlp((), WAYS), encoder)
    held = jax.device_get(jax.jit(learner.init)(KEY, TASK))
    code = np.asarray(jax.jit(learner.adapt)(held, TASK.support, KEY))
    codes = np.asarray(jax.jit(encoder.apply)(held["encoder"], TASK.support.inputs.images))
    np.testing.assert_allclose(code, codes.mean(0), rtol=1e-5)
    kernel = held["network"]["Dense_0"]["kernel"]
    images = TASK.query.inputs.images
    expected = images @ kernel[:PIXELS] + (code @ kernel[PIXELS:])[None]
    found = jax.jit(learner.predict)(held, code, TASK.query.inputs)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    swapped = TASK.support._replace(targets=TASK.support.targets[::-1])
    slope = jax.jit(jax.grad(learner.loss, has_aux=True))
    other = TASK._replace(support=swapped)
    assert digest(slope(held, TASK, KEY)) == digest(slope(held, other, KEY))


def test_an_aggregator_of_other_features_is_rejected():
    wrong = PARTS._replace(aggregator=Network(PARTS.aggregator.init, lambda *_: jnp.zeros((5, 9))))
    with pytest.raises(ConfigError, match="as many outputs as the student has features, 4"):
        jax.eval_shape(wrong.init, KEY, TASK)
