"""Models of a zoo's weights, used on a person's own labeled images: they give a network."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax.core import ConfigError, Examples, Params
from metajax.data import shift_and_factor
from metajax.learners import WeightModel
from metajax.systems.base import Use
from metajax.systems.image_sets import blank_pool
from metajax.systems.uses import image_form
from metajax.systems.weights.classes.problem import (
    TUNE_RATE,
    ClassTuples,
    TupleProblem,
    tuple_tasks,
)
from metajax.systems.weights.generated import Generated, answering, tuned
from metajax.using import Told, check_steps, read_labeled, tell_classes


@functools.partial(jax.jit, static_argnums=0)
def _generated(
    model: WeightModel, params: Params, support: Examples, key: Key[Array, ""]
) -> Params:
    return model.generate(params.networks[0], params.networks[-1], support, key)


_tuned = jax.jit(tuned, static_argnums=(0, 4))


def adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> Generated:
    """Give a network for the classes of labeled images.

    All pixels are standardized by the mean and the deviation of the support's. ``steps`` are of
    Adam 1e-3 on the whole support, from the generated weights; none by default.

    Raises:
      ConfigError: they are no images with labels, of more or fewer classes than the networks of
        the zoo have, or ``steps`` are below 0.
    """
    settings, parts = run.settings, run.method.parts
    check_steps(steps)
    encoded, names = read_labeled(support, image_form(settings).encode, settings.ways)
    if len(names.classes) != settings.ways:
        expected = f"{settings.ways}, as the networks of the run's zoo have"
        raise ConfigError("classes of the support", len(names.classes), expected)
    shift, factor = shift_and_factor(encoded, None, 1e-6, 1e-30)
    inputs = ((encoded - shift) * factor).reshape(len(encoded), -1).astype(np.float32)
    examples = Examples(jnp.asarray(inputs), jnp.asarray(names.places))
    weights = _generated(parts.model, run.params, examples, key)
    if steps:
        weights = _tuned(parts.network, weights, examples, key, steps, TUNE_RATE)
    return answering(settings, parts.network, weights, shift, factor, names.classes)


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Give a network for the labeled images of a file or folder, and answer the others.

    Raises:
      ConfigError: the file or folder holds something else.
    """
    line = "a network for {classes} classes, from {examples} labeled images; {queries} queries"
    adapt = functools.partial(run.adapt, steps=steps)
    return tell_classes(adapt, path, image_form(run.settings), target, line)


def blank(settings: Any) -> TupleProblem:
    """Return a problem of the same shapes, of blank images: no set is read.

    Args:
      settings: of the problem.
    """
    ways = settings.ways
    pool = blank_pool(settings, ways)

    def tasks(num: int) -> Any:
        tuples = np.tile(np.arange(ways, dtype=np.int32), (num, 1))
        return tuple_tasks(pool, tuples, settings.shots, settings.examples)

    zoo, unseen = tasks(settings.networks), tasks(settings.eval_tasks)
    tuples = ClassTuples(zoo, zoo, unseen, unseen, image_form(settings).image)
    return TupleProblem(settings, zoo, pool, tuples, ways)


use = Use(adapt, files, blank)
"""How a model of a zoo's weights is used: on labeled images."""
