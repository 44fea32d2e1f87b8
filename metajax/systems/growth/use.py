"""A trained network, used on a person's own images or texts."""

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
from metajax.data import character_codes, load_text
from metajax.systems.base import Use
from metajax.systems.growth.evaluate import in_use
from metajax.systems.growth.problem import Problem, alphabet_of, make_problem
from metajax.systems.growth.stage import Stage
from metajax.systems.image_sets import image_pools
from metajax.systems.using.adapted import Adapted, Told, check_no_steps
from metajax.systems.using.classes import ImageForm, Labels, tell
from metajax.systems.using.given import FIELD, Given, read_arrays

OTHER = "\N{REPLACEMENT CHARACTER}"
"""What a character is called that is none of the alphabet."""


class _State(NamedTuple):
    """Parameters of the network in use, and the statistics of the training images."""

    params: Params
    mean: Float[Array, ""]
    std: Float[Array, ""]


@functools.lru_cache(maxsize=64)
def _function(stage: Stage) -> Callable[..., Any]:
    """Return ``function(state, queries) -> probabilities``, the same one for equal stages."""

    def function(state: _State, queries: Array) -> Float[Array, "queries ways"]:
        inputs = (queries.reshape(queries.shape[0], -1) - state.mean) / state.std
        return jax.nn.softmax(stage.trained.predict(state.params, inputs))

    return function


class _Form(NamedTuple):
    """How a person's queries are read, and how the answers are called."""

    query: tuple[int, ...]
    encode: Callable[[Any], np.ndarray]
    classes: np.ndarray
    mean: Any = 0.0
    std: Any = 1.0


def _of_images(run: Any, problem: Problem) -> _Form:
    settings = run.settings
    train, _ = image_pools(settings, run.data_dir)
    form = ImageForm((settings.image_size, settings.image_size, settings.image_channels), False)
    encode = functools.partial(form.encode, "inputs")
    return _Form(form.image, encode, np.arange(problem.ways), train.mean, train.std)


def _of_text(run: Any, problem: Problem) -> _Form:
    alphabet, _, _ = alphabet_of(run.settings)
    context = run.settings.context

    def encode(inputs: Any) -> np.ndarray:
        if isinstance(inputs, str) or not all(isinstance(one, str) for one in inputs):
            raise ConfigError("inputs", type(inputs).__name__, "a list of texts")
        # the last characters of each text; before short ones stand spaces
        ends = "".join(one[-context:].rjust(context) for one in inputs)
        codes = character_codes(ends, alphabet).reshape(len(inputs), context)
        return np.asarray(problem.tasks.read(jnp.asarray(codes)))

    return _Form((problem.tasks.features,), encode, np.array([*alphabet, OTHER]))


def ready(run: Any, task: int | None) -> Adapted:
    """Return what predicts by the network that was trained last.

    It predicts classes of images, or the character that follows each of several texts. The data of
    the training are read: the mean and the deviation of its images, or the alphabet of its text.

    Raises:
      ConfigError: a task is asked for: there is but one.
      MissingDataError: the set is not on disk.
    """
    if task not in (None, 0):
        raise ConfigError("task", task, "None: there is one task")
    problem = make_problem(run.settings, run.training, run.data_dir)
    form = (_of_images if run.settings.text is None else _of_text)(run, problem)
    params, _ = in_use(problem, run.method.parts, run.params)
    last = int(params.stage)

    def answer(probabilities: Float[np.ndarray, "queries ways"]) -> Labels:
        return Labels(form.classes[probabilities.argmax(1)], probabilities, form.classes)

    return Adapted(
        _function(run.method.parts[last]),
        _State(params.networks[last], jnp.float32(form.mean), jnp.float32(form.std)),
        jax.ShapeDtypeStruct(form.query, jnp.float32),
        form.encode,
        answer,
    )


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Predict the images ``queries`` of an ``.npz`` file, or what follows each line of a text.

    Raises:
      ConfigError: the file holds something else.
    """
    check_no_steps(steps)
    if run.settings.text is not None:
        if target is not None:
            raise ConfigError("--target", target, "none, for a text")
        queries = np.array(load_text(path, FIELD).splitlines())
        names, what = queries.tolist(), "lines"
    else:
        if target is not None or path.suffix.lower() != ".npz":
            raise ConfigError(FIELD, str(path), "an .npz file of images `queries`, and no --target")
        queries = read_arrays(path, "queries")["queries"]
        names, what = [str(number) for number in range(len(queries))], "images"
    found = run.ready().predict(queries)
    given = Given((queries[:0], found.labels[:0]), queries, names)
    return tell(given, found, f"{len(queries)} {what}", run.ready)


def use(config: Any) -> Use:
    """Return how a trained network is used: without a support."""
    return Use(None, files, ready=ready)
