"""A learner of tables with its parameters, and the trained one that comes with the package."""

from __future__ import annotations

import functools
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from metajax.core import MetaLearner, Params
from metajax.systems.base import get_system
from metajax.systems.configs import configure, split
from metajax.systems.model_file import read_model, write_model
from metajax.systems.setup import build

SHIPPED = "cpu.msgpack"
"""File of the trained reader in this package."""


class Maker(NamedTuple):
    """What a learner of tables is made of; unlike a learner it can be compared and pickled.

    Attributes:
      method: of the family.
      options: of the method, names and values.
      classes: length of the learner's outputs.
    """

    method: str
    options: tuple[tuple[str, Any], ...]
    classes: int


class Model(NamedTuple):
    """A learner of tables by one of the family's methods, with its parameters.

    Attributes:
      config: what it was trained with, of :func:`metajax.systems.configure`.
      params: its parameters; they fit any number of classes.
      origin: where it comes from: the command, the seed, versions and machine.
    """

    config: Any
    params: Params
    origin: dict[str, Any]

    def maker(self, classes: int) -> Maker:
        """Return what makes the learner for so many classes."""
        return Maker(self.config.method, tuple(split(self.config).options.items()), classes)


@functools.lru_cache(maxsize=32)
def learner_of(maker: Maker) -> MetaLearner:
    """Return the learner, always the same one, so that nothing compiles twice."""
    sizes = {"classes": maker.classes, **dict(maker.options)}
    learner = build(configure("tables", None, maker.method, **sizes)).method.learner
    assert learner is not None
    return learner


def save_model(path: Path, model: Model) -> None:
    """Write a model as one file: :func:`metajax.systems.model_file.write_model`.

    Args:
      path: of the file to write.
      model: reader and config.

    Raises:
      ConfigError: the file exists already.
    """
    write_model(path, model.config, model.params, origin=model.origin)


def load_model(path: Path) -> Model:
    """Read what :func:`save_model` wrote.

    Args:
      path: of the file.

    Returns:
      The model.

    Raises:
      ConfigError: no such file, or its parameters do not fit its config.
    """
    found = read_model(get_system("tables"), path, shapes_of, notes=("origin",))
    return Model(found.config, jax.tree.map(jnp.asarray, found.params), found.notes["origin"])


def shapes_of(config: Any) -> Params:
    """Return the parameters of a config's reader without their values."""
    setup = build(config)
    learner = setup.method.learner
    assert learner is not None
    return jax.eval_shape(learner.init, jax.random.key(0), _one_table(setup))


def _one_table(setup: Any) -> Any:
    return jax.eval_shape(setup.problem.new, jax.random.key(0))


@functools.lru_cache(maxsize=1)
def shipped() -> Model:
    """Return the reader of tables that comes with the package, of preset ``cpu``.

    Some thousands of numbers, trained on synthetic tables alone. Its ``origin`` holds the command;
    experiments/tables/README.md has its results on real tables.
    """
    with as_file(files("metajax.systems.tables") / SHIPPED) as path:
        return load_model(path)
