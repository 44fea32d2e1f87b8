"""The problem of generated weights: conditions, what fits them, and what is measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.cli.arguments import check_words
from metajax.core import ConfigError
from metajax.systems import (
    build,
    config_from_json,
    config_to_json,
    configure,
    field_types,
    get_system,
    methods_with,
    replace,
)
from metajax.systems.weights.conditions import under
from small import tiny


def test_each_method_has_a_preset_that_it_fits():
    system = get_system("weights")
    for method in system.methods:
        build(tiny("weights", method))  # it raises where they do not fit
        preset = system.preset_for(method)
        assert configure(system, preset).system is configure(system, None, method).system


def test_methods_made_for_another_problem_are_rejected_by_name():
    for preset, method in (("angles", "slimmable"), ("widths", "mip")):
        with pytest.raises(ConfigError, match=preset) as raised:
            configure("weights", preset, method)
        assert raised.value.field == "method" and method in str(raised.value)
    with pytest.raises(ConfigError) as raised:
        replace(configure("weights", "angles"), method="slimmable")
    assert raised.value.field == "method"


def test_runs_have_the_settings_of_their_own_problem_alone():
    of_widths = field_types(get_system("weights"), "slimmable")
    assert "eval_widths" in of_widths and "eval_angles" not in of_widths
    assert "slimmable" in methods_with(get_system("weights"), "eval_widths")


def test_a_config_that_named_its_condition_is_read():
    """Once all settings of all problems were in one file, with a setting that said which."""
    config = tiny("weights", "slimmable")
    older = {**config_to_json(config.system, config)["config"], "condition": "widths"}
    older |= {"most_turn": 60.0, "glyphs": False}
    assert config_from_json(get_system("weights"), older) == config
    with pytest.raises(ConfigError, match="preset, its new name"):
        configure("weights", condition="widths")
    with pytest.raises(ConfigError, match=r"'widths': expected --preset instead"):
        check_words(get_system("weights"), config, ["--condition", "widths"])


def test_the_middle_angle_leaves_images_as_they_are_and_ends_mirror_each_other():
    problem = build(tiny("weights", image_size=8)).problem
    one = under(problem.test, problem.conditions, jnp.full(1, 0.5), None)
    np.testing.assert_allclose(one.inputs, problem.test.normalise(problem.test.images), atol=1e-5)
    image = problem.test.images[:3]
    ends = [
        problem.conditions.examples(x.astype(jnp.float32), jnp.zeros(3, jnp.int32), jnp.full(1, z))
        for x, z in ((image, 0.2), (image[:, :, ::-1], 0.8))
    ]
    mirrored = ends[1].inputs.reshape(image.shape)[:, :, ::-1].reshape(3, -1)
    np.testing.assert_allclose(ends[0].inputs, mirrored, atol=1e-2)


@pytest.mark.parametrize(
    "values", [{"train_widths": ()}, {"train_widths": (2, 5)}, {"eval_widths": (3, 9)}]
)
def test_widths_above_the_largest_are_rejected_by_name(values):
    with pytest.raises(ConfigError) as raised:
        tiny("weights", "slimmable", **values)
    assert raised.value.field == next(iter(values))


def test_widths_are_drawn_from_the_trained_ones():
    tasks = build(tiny("weights", "slimmable")).tasks
    drawn = jax.jit(jax.vmap(tasks))(jax.random.split(jax.random.key(0), 64)).support
    assert set(drawn.tolist()) == {2, 4}


def test_a_width_that_is_measured_has_a_network_of_its_own():
    with pytest.raises(ConfigError) as raised:
        tiny("weights", "trained_alone", alone_widths=(2, 4))
    assert raised.value.field == "alone_widths"


def test_smallest_settings_of_one_name_have_one_value():
    """All problems' are in one mapping."""
    kinds = get_system("weights").kinds
    assert len(kinds) >= 4
    values = [item for kind in kinds for item in kind.tiny.items()]
    assert len({name for name, _ in values}) == len(set(values))
