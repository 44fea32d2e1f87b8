"""The problem and the methods of experts: domains, operations, and units that stay common."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import Examples
from metajax.learners import ActivatedExperts, feed_forward_blocks, tuned_experts
from metajax.systems import build
from metajax.systems.growth.report import routes, used_together
from small import tiny


def test_domains_take_turns_in_a_draw_and_follow_each_other_in_the_test_images():
    one, four = (
        build(tiny("growth", image_size=8, examples=8, domains=domains)).problem
        for domains in (1, 4)
    )
    usual = np.asarray(one.test.inputs)
    found = np.asarray(four.test.inputs).reshape(4, *usual.shape)
    np.testing.assert_array_equal(found[0], usual)
    square = usual.reshape(-1, 8, 8)
    np.testing.assert_array_equal(found[1].reshape(-1, 8, 8), np.rot90(square, axes=(1, 2)))
    for plain, inverted in ((found[0], found[2]), (found[1], found[3])):
        both = plain + inverted
        np.testing.assert_allclose(both, np.full_like(both, both[0, 0]), atol=1e-5)
    np.testing.assert_array_equal(four.test.targets, np.tile(one.test.targets, 4))
    draw = four.tasks(jax.random.key(0))
    number = len(one.tasks.labels)
    stored = np.asarray(four.tasks.images)
    for part, (image, label) in enumerate(zip(draw.inputs[0], draw.targets[0], strict=True)):
        place = int(np.flatnonzero((stored == np.asarray(image)[None]).all(axis=1))[0])
        assert place // number == part % 4 and four.tasks.labels[place] == label


def test_the_same_images_are_held_out_in_all_domains():
    usual, both = (build(tiny("growth", domains=domains)).problem for domains in (1, 2))
    (rest, held), (both_rest, both_held) = (each.kept_apart(0.25) for each in (usual, both))
    for one, two in ((rest.images, both_rest.images), (held.inputs, both_held.inputs)):
        assert len(two) == 2 * len(one)
        np.testing.assert_array_equal(two[: len(one)], one)
    np.testing.assert_array_equal(both_held.targets, np.tile(held.targets, 2))
    np.testing.assert_array_equal(both_rest.labels, np.tile(rest.labels, 2))


@pytest.mark.parametrize("method", ["moe_tuning", "read_me"])
def test_the_operations_of_experts_are_those_that_xla_counts(method):
    """Up to biases, activations, the loss, gates, and units that are put together."""
    if method == "moe_tuning":
        sizes = {"block_width": 48, "block_hidden": 48}
        learner = tuned_experts(feed_forward_blocks(48, 48, 2, 10), 2, 2)
    else:
        sizes = {"width": 128}
        learner = ActivatedExperts((128, 128), (64, 64), 10, 2, 2).learner()
    setup = build(tiny("growth", method, image_size=8, **sizes))
    task = Examples(jnp.zeros((512, 64)), jnp.zeros(512, jnp.int32))
    params = jax.eval_shape(learner.init, jax.random.key(0), task)

    def slope(params, task):
        return jax.grad(lambda params: learner.loss(params, task, jax.random.key(0))[0])(params)

    counted = jax.jit(slope).lower(params, task).cost_analysis()["flops"]
    assert counted / (512 * setup.method.parts[-1].flops) == pytest.approx(1.1, abs=0.1)


def test_figures_show_shares():
    more = {"used_together": [np.eye(4).tolist()] * 2, "routes": np.eye(3).tolist()}
    blocks = used_together({"more": more}).axes
    assert [axes.get_title() for axes in blocks[:2]] == ["block 1", "block 2"]
    texts = [text.get_text() for text in routes({"more": more}).axes[0].texts]
    assert texts == ["1.00", "0.00", "0.00", "0.00", "1.00", "0.00", "0.00", "0.00", "1.00"]
