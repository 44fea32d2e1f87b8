"""A generator with what comes after it: the pieces that one call puts together."""

import jax
import jax.numpy as jnp
import optax
import pytest

from metajax.core import ConfigError, Task
from metajax.hypernet import edit_hypernetwork
from metajax.learners import (
    edited_generator,
    generator_stages,
    in_stages,
    tuned_generator,
    weight_edits,
)
from metajax.nn import conv_autoencoder

KEY, IMAGES = jax.random.key(0), jnp.zeros((2, 6, 6, 1))
TASK = Task(IMAGES, IMAGES)
AUTOENCODER = conv_autoencoder((6, 6, 1), latents=2, channels=3)
EDITED = edited_generator(AUTOENCODER, 2, passes=2, channels=2, hidden=6)


def test_the_editor_is_that_of_the_decoder():
    shapes = jax.eval_shape(AUTOENCODER.decoder.init, KEY, jnp.zeros((1, 2)))
    hypernet = edit_hypernetwork(shapes, channels=2, hidden=6)
    learner = weight_edits(AUTOENCODER, hypernet, passes=2)
    assert jax.eval_shape(EDITED.learner.init, KEY, TASK) == jax.eval_shape(learner.init, KEY, TASK)
    with pytest.raises(ConfigError, match="passes"):
        edited_generator(AUTOENCODER, 2, passes=0)


@pytest.mark.parametrize("edited", [EDITED, tuned_generator(AUTOENCODER)])
def test_there_is_a_stage_of_the_generator_and_one_of_what_comes_after_it(edited):
    stages = generator_stages(edited, [2, 3], noise=0.2)
    assert [stage.steps for stage in stages] == [2, 3]
    algorithm = in_stages(stages, lambda stage: optax.sgd(0.1))
    state = jax.eval_shape(algorithm.init, KEY, TASK)
    assert set(algorithm.params(state)) == {"encoder", "decoder", edited.trained}
