"""The problem of growth: what training costs, which labels are wrong, and what is measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, cross_entropy
from metajax.systems import build, configure, get_system
from metajax.systems.growth.evaluate import chosen, nearest_mean
from metajax.systems.growth.methods import METHODS, STAGED
from metajax.systems.growth.searching import search_space
from small import fit_setup, tiny


def test_the_operations_of_an_update_are_those_that_xla_counts():
    """Up to biases, activations and the loss, which are left out."""
    problem = build(tiny("growth", "from_scratch", image_size=8, width=64)).problem
    for widths in (problem.small, problem.large):
        network, images = problem.network(widths), jnp.zeros((32, 64))
        params = jax.eval_shape(network.init, jax.random.key(0), images)

        def loss(params, images, network=network):
            targets = jnp.zeros(len(images), jnp.int32)
            return cross_entropy(network.apply(params, images), targets)

        counted = jax.jit(jax.grad(loss)).lower(params, images).cost_analysis()["flops"]
        few = widths == problem.small
        assert 1 <= counted / (32 * problem.update_flops(widths)) < (1.3 if few else 1.05)


EXPERTS = {"moe_tuning", "dense_continued", "read_me", "narrow_network"}
"""Methods that are compared at equal steps."""


def test_no_step_of_a_growing_network_costs_more_than_one_of_the_large_network():
    for method in get_system("growth").methods:
        setup = build(configure("growth", method=method))
        problem, stages = setup.problem, setup.method.parts
        assert sum(stage.trained.steps for stage in stages) == setup.config.steps
        full = stages[-1].budget or problem.update_flops(problem.large)
        if method == "incubation":  # its stages cost less and more, and as much together
            spent = sum(stage.trained.steps * stage.flops for stage in stages)
            assert spent == pytest.approx(setup.config.steps * full, rel=0.01)
            continue
        if method in EXPERTS:
            assert all(stage.trained.updates == 1 for stage in stages)
            continue
        if method == "subnetworks_alone":
            continue  # as many networks as there are architectures
        # networks that are taught also pay for the small one, each time, and a mixture is mixed
        most = {"weak_teacher": 1.06, "mutual_distillation": 1.06, "mixture_of_supernets": 1.2}
        for stage in stages:
            share = stage.trained.updates * stage.flops / full
            assert 0.8 < share <= most.get(method, 1)


def test_wrong_labels_are_as_many_as_asked_for_and_the_same_for_all():
    clean, noisy, other = (
        build(tiny("growth", label_noise=noise, seed=seed)).problem
        for noise, seed in ((0.0, 0), (0.5, 0), (0.5, 1))
    )
    np.testing.assert_array_equal(noisy.tasks.labels, other.tasks.labels)
    np.testing.assert_array_equal(noisy.tasks.images, clean.tasks.images)
    # a tenth of the random classes are right
    wrong = float(np.mean(np.asarray(noisy.tasks.labels) != np.asarray(clean.tasks.labels)))
    assert wrong == pytest.approx(0.45, abs=0.04)
    few = build(tiny("growth", train_images=7, domains=1)).problem
    np.testing.assert_array_equal(few.tasks.images, clean.tasks.images[:7])


def test_the_nearest_mean_of_digits_is_that_of_their_pixels():
    problem = build(tiny("growth", image_size=8, domains=1)).problem
    assert nearest_mean(problem).mean() == pytest.approx(0.913, abs=0.001)


def test_a_network_is_chosen_on_other_images_than_it_is_measured_on():
    """By even images the first is best, by odd ones the second; the third is not finite."""
    right = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0], [np.nan] * 5])
    np.testing.assert_array_equal(chosen(right), np.zeros(5))
    right[0] = [1, 1, 1, 0, 0]
    np.testing.assert_array_equal(chosen(right), [0, 1, 0, 0, 0])


def test_a_search_tries_different_networks_that_are_small_enough():
    """In both searches the same ones; with None, all of the space."""
    setups = [
        build(configure("growth", method=each))
        for each in ("transformation_search", "scratch_search")
    ]
    grown, scratch = (setup.method.parts[-1].members for setup in setups)
    assert (grown.names, grown.flops) == (scratch.names, scratch.flops)
    problem = setups[0].problem
    assert len(set(grown.names)) == 8
    assert max(grown.flops) <= 0.5 * problem.forward_flops(problem.large)
    space = search_space(problem, 0.5)
    assert (16,) in space and (128, 32) in space and (128, 64) not in space
    every = build(configure("growth", method="scratch_search", candidates=None))
    assert len(every.method.parts) == len(space) == 17


@pytest.mark.parametrize(
    ("method", "values", "field"),
    [
        ("scratch_search", {"candidates": 18}, "candidates"),
        ("transformation_search", {"steps": 9}, "steps"),
        ("supernet", {"paths": 65}, "examples"),
        ("supernet", {"small_width": 128}, "sizes"),
        ("supernet", {"layers": 4}, "sizes"),
    ],
)
def test_methods_that_do_not_fit_the_problem_are_rejected(method, values, field):
    with pytest.raises(ConfigError) as raised:
        build(configure("growth", method=method, **values))
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("method", "values", "field"),
    [
        ("net2net", {"small_width": 5}, "small_width"),
        ("net2net", {"steps": 1}, "early_share"),
        ("weak_teacher", {"steps": 3, "teacher_share": 0.9}, "teacher_share"),
        ("read_me", {"dense_share": 0.6, "router_share": 0.4}, "router_share"),
        ("read_me", {"domains": 3}, "examples"),
        ("moe_tuning", {"parts": 3}, "parts"),
        ("incubation", {"steps": 3, "tune_share": 0.9}, "tune_share"),
        ("from_scratch", {"text": "README.md", "domains": 2}, "domains"),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected(method, values, field):
    with pytest.raises(ConfigError) as raised:
        tiny("growth", method, **values)
    assert raised.value.field == field


def test_stages_that_have_no_step_are_rejected():
    with pytest.raises(ConfigError) as raised:
        build(tiny("growth", "incubation", steps=2))
    assert raised.value.field == "steps"


@pytest.mark.slow
def test_methods_whose_training_depends_on_the_number_of_steps_are_in_stages():
    """A finished run of these cannot be given more steps."""
    staged = []
    for name in METHODS:
        parts = build(tiny("growth", name)).method.parts
        if len(parts) > 1 or parts[0].held_out:
            staged.append(name)
    assert staged == list(STAGED)


@pytest.mark.parametrize("domains", [1, 2])
def test_images_that_are_held_out_are_not_trained_on(domains):
    """Not in any domain."""
    setup = build(tiny("growth", "early_stopping", domains=domains))
    problem = setup.problem
    tasks, held_out = problem.kept_apart(0.25)
    np.testing.assert_array_equal(setup.tasks.labels, tasks.labels)
    for whole, parts in (
        (problem.tasks.images, (tasks.images, held_out.inputs)),
        (problem.tasks.labels, (tasks.labels, held_out.targets)),
    ):
        each = [np.asarray(part).reshape(domains, -1, *part.shape[1:]) for part in parts]
        np.testing.assert_array_equal(np.concatenate(each, 1).reshape(whole.shape), whole)
        assert each[1].shape[1] == round(0.25 * len(whole) / domains)
    with pytest.raises(ConfigError) as raised:
        problem.kept_apart(0.9999)
    assert raised.value.field == "held_out_share"


def test_more_training_images_than_there_are_are_rejected():
    with pytest.raises(ConfigError) as raised:
        build(tiny("growth", train_images=5000))
    assert raised.value.field == "train_images"


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["random_transformations", "transformation_search", "moe_tuning"]
)
def test_a_network_that_grows_in_the_loop_keeps_its_function(method):
    """With a learning rate so small that nothing moves, the larger networks compute the same."""
    setup = build(tiny("growth", method, steps=8, learning_rate=1e-12))
    state = fit_setup(setup).state
    stages, params = setup.method.parts, setup.algorithm.params(state)
    inputs = setup.problem.test.inputs
    small, *others = (
        stage.trained.predict(one, inputs)
        for stage, one in zip(stages, params.networks, strict=True)
    )
    assert len(others) == len(stages) - 1 >= 1
    for logits in others:
        np.testing.assert_allclose(logits, small, rtol=1e-5, atol=1e-6)
