"""Tasks of tuples of classes: what is unseen, and what is drawn."""

import functools

import jax
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import build
from metajax.systems.weights.classes.problem import class_mean_embedding, class_tuples
from small import tiny


def test_no_network_of_the_zoo_has_the_classes_of_an_unseen_tuple_in_any_order():
    seen, unseen = class_tuples(8, 3, 200, 30)
    for tuples, num in ((seen, 200), (unseen, 30)):
        assert len({tuple(one) for one in tuples.tolist()}) == num
        assert all(len(set(one)) == 3 for one in tuples.tolist())
    assert not {frozenset(one) for one in seen.tolist()} & {
        frozenset(one) for one in unseen.tolist()
    }
    again, _ = class_tuples(8, 3, 200, 30)
    np.testing.assert_array_equal(again, seen)
    # 56 sets of classes, 14 of them unseen, each in 6 orders
    with pytest.raises(ConfigError, match="at most 84 tuples"):
        class_tuples(8, 3, 10, 85)
    with pytest.raises(ConfigError, match="at most 252 tuples"):
        class_tuples(8, 3, 253, 30)
    with pytest.raises(ConfigError, match="fewer than the classes"):
        class_tuples(6, 6, 1, 1)


def test_images_are_of_the_class_at_their_place():
    problem = build(tiny("weights", "weight_diffusion", ways=3, shots=4)).problem
    tasks, pool = problem.tasks, problem.conditions.zoo
    images, classes = np.asarray(pool.images), np.repeat(np.arange(10), pool.number)
    drawn = jax.jit(lambda tasks, key: tasks(key))(tasks, jax.random.key(0))
    for examples in drawn:
        inputs, places = (np.asarray(leaf[0]) for leaf in examples)
        for task, classes_of_task in enumerate(np.asarray(tasks.tuples)):
            for image, place in zip(inputs[task], places[task], strict=True):
                found = classes[np.all(images == image[None], axis=1)]
                assert classes_of_task[place] in found
    np.testing.assert_array_equal(drawn.support.targets[0, 0], np.repeat(np.arange(3), 4))


def test_the_embedding_is_made_of_class_means_in_the_order_of_classes():
    problem = build(tiny("weights", "weight_diffusion", ways=3, shots=4)).problem
    shape = problem.conditions.shape

    @jax.jit
    def embedded(key):
        support = jax.tree.map(lambda leaf: leaf[0, 0], problem.tasks(key).support)
        embed = functools.partial(class_mean_embedding, support, 3, shape)
        return support, embed(shape[0]), embed(2)

    support, whole, small = embedded(jax.random.key(0))
    means = [np.mean(np.asarray(support.inputs)[4 * k : 4 * k + 4], axis=0) for k in range(3)]
    np.testing.assert_allclose(whole, np.concatenate(means), atol=1e-5)
    assert small.shape == (12,)


@pytest.mark.parametrize(
    "values", [{"zoo_steps": 700}, {"components": 4}, {"embedding_size": 5}], ids=str
)
def test_settings_that_do_not_fit_are_rejected_by_name(values):
    with pytest.raises(ConfigError) as raised:
        tiny("weights", "weight_diffusion", **{"steps": 600, **values})
    assert raised.value.field == next(iter(values))
