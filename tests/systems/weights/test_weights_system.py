"""The problem of generated weights: conditions, what fits them, and what is measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import build, configure, get_system
from metajax.systems.weights import KINDS, Settings
from metajax.systems.weights.conditions import under
from small import tiny


def test_each_method_has_a_preset_that_it_fits():
    system = get_system("weights")
    for method in system.methods:
        config = tiny("weights", method)
        build(config)  # it raises where they do not fit
        preset = system.presets[system.preset_for(method)]
        assert preset.get("condition", "angles") == config.condition


def test_methods_made_for_another_condition_are_rejected_by_name():
    for preset, method in (("angles", "slimmable"), ("widths", "mip")):
        with pytest.raises(ConfigError) as raised:
            build(configure("weights", preset, method))
        assert raised.value.field == "method" and method in str(raised.value)


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


def test_conditions_share_no_setting_of_their_own():
    """Else the one that stands first would set the other's default."""
    here = Settings.__module__.rpartition(".")[0]
    own = [base for base in Settings.__mro__ if base.__module__.startswith(f"{here}.")]
    names = [name for base in own for name in base.__annotations__]
    assert len(own) >= 4 and len(names) == len(set(names))
    tiny_values = [item for kind in KINDS.values() for item in kind.tiny.items()]
    assert len({name for name, _ in tiny_values}) == len(set(tiny_values))
