"""A trained network, used on a person's own images or texts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import ConfigError
from metajax.data import character_codes, load_text
from metajax.systems.base import Use
from metajax.systems.growth.evaluate import in_use
from metajax.systems.growth.problem import alphabet_of, make_problem
from metajax.systems.image_sets import image_pools
from metajax.systems.uses import image_form
from metajax.using import (
    FIELD,
    Adapted,
    Told,
    check_no_steps,
    check_no_target,
    known_classes,
    read_queries,
    tell_labels,
)

OTHER = "\N{REPLACEMENT CHARACTER}"
"""What a character is called that is none of the alphabet."""


class _TextForm(NamedTuple):
    """How texts are read: their last characters, as the networks see those."""

    alphabet: str
    context: int
    read: Callable[[Any], Any]
    features: int

    @property
    def query(self) -> jax.ShapeDtypeStruct:
        """One text."""
        return jax.ShapeDtypeStruct((self.features,), jnp.float32)

    def encode(self, field: str, inputs: Any) -> np.ndarray:
        """Return texts as rows; before short ones stand spaces.

        Raises:
          ConfigError: they are no list of texts.
        """
        if isinstance(inputs, str) or not all(isinstance(one, str) for one in inputs):
            raise ConfigError(field, type(inputs).__name__, "a list of texts")
        ends = "".join(one[-self.context :].rjust(self.context) for one in inputs)
        codes = character_codes(ends, self.alphabet).reshape(len(inputs), self.context)
        return np.asarray(self.read(jnp.asarray(codes)))


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
    params, _ = in_use(problem, run.method.parts, run.params)
    last = int(params.stage)
    predict = run.method.parts[last].trained.predict
    known = functools.partial(known_classes, predict, params.networks[last])
    if run.settings.text is None:
        train, _ = image_pools(run.settings, run.data_dir)
        scale = {"shift": train.mean, "factor": 1 / np.asarray(train.std)}
        return known(image_form(run.settings), np.arange(problem.ways), **scale)
    alphabet, _, _ = alphabet_of(run.settings)
    tasks = problem.tasks
    form = _TextForm(alphabet, run.settings.context, tasks.read, tasks.features)
    return known(form, [*alphabet, OTHER])


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Predict the images ``queries`` of an ``.npz`` file, or what follows each line of a text.

    Raises:
      ConfigError: the file holds something else.
    """
    check_no_steps(steps)
    if run.settings.text is not None:
        check_no_target(target, "a text")
        queries = np.array(load_text(path, FIELD).splitlines())
        names, what = queries.tolist(), "lines"
    else:
        queries = read_queries(path, target)["queries"]
        names, what = None, "images"
    found = run.ready().predict(queries)
    return tell_labels(found, queries, f"{len(queries)} {what}", run.ready, names=names)


use = Use(None, files, ready=ready)
"""A trained network is used without a support."""
