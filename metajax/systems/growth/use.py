"""A trained network, used on a person's own images."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError, Params
from metajax.systems.base import Use
from metajax.systems.growth.evaluate import in_use
from metajax.systems.growth.methods import Stage
from metajax.systems.growth.problem import make_problem
from metajax.systems.image_sets import image_pools
from metajax.systems.using.adapted import Adapted, Told, check_no_steps
from metajax.systems.using.classes import ImageForm, Labels, tell
from metajax.systems.using.given import FIELD, Given, read_arrays


class _State(NamedTuple):
    """Parameters of the network in use, and the statistics of the training images."""

    params: Params
    mean: Float[Array, ""]
    std: Float[Array, ""]


@functools.lru_cache(maxsize=64)
def _function(stage: Stage) -> Callable[..., Any]:
    """Return ``function(state, images) -> probabilities``, the same one for equal stages."""

    def function(state: _State, images: Array) -> Float[Array, "images ways"]:
        inputs = (images.reshape(images.shape[0], -1) - state.mean) / state.std
        return jax.nn.softmax(stage.logits(state.params, inputs))

    return function


def ready(run: Any, task: int | None) -> Adapted:
    """Return what predicts images by the network that was trained last.

    The set of the training is read, for the mean and the deviation of its images.

    Raises:
      ConfigError: a task is asked for: there is but one.
      MissingDataError: the set is not on disk.
    """
    if task not in (None, 0):
        raise ConfigError("task", task, "None: there is one task")
    settings = run.settings
    problem = make_problem(settings, run.training, run.data_dir)
    train, _ = image_pools(settings, run.data_dir)
    params, _ = in_use(problem, run.method.parts, run.params)
    last = int(params.stage)
    form = ImageForm((settings.image_size, settings.image_size, settings.image_channels), False)
    classes = np.arange(problem.ways)

    def answer(probabilities: Float[np.ndarray, "images ways"]) -> Labels:
        return Labels(probabilities.argmax(1), probabilities, classes)

    return Adapted(
        _function(run.method.parts[last]),
        _State(params.networks[last], jnp.asarray(train.mean), jnp.asarray(train.std)),
        jax.ShapeDtypeStruct(form.image, jnp.float32),
        functools.partial(form.encode, "inputs"),
        answer,
    )


def adapt(run: Any, support: Any, key: Any, steps: int | None) -> Adapted:
    """Reject a support: the classes were learned in training.

    Raises:
      ConfigError: always.
    """
    raise ConfigError("support", type(support).__name__, "none: run.ready() predicts without")


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Predict the images ``queries`` of an ``.npz`` file.

    Raises:
      ConfigError: the file holds something else.
    """
    check_no_steps(steps)
    if target is not None or path.suffix.lower() != ".npz":
        raise ConfigError(FIELD, str(path), "an .npz file of images `queries`, and no --target")
    queries = read_arrays(path, "queries")["queries"]
    found = run.ready().predict(queries)
    names = [str(number) for number in range(len(queries))]
    given = Given((queries[:0], found.labels[:0]), queries, names)
    return tell(given, found, f"{len(queries)} images", run.ready)


def use(config: Any) -> Use:
    """Return how a trained network is used: without a support."""
    return Use(adapt, files, ready=ready)
