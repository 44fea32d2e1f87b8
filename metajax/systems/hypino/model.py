"""A trained hypernetwork as one small file, and the one that comes with the package."""

from __future__ import annotations

import functools
import os
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import jax

from metajax.core import ConfigError, MetaLearner, Params, Task
from metajax.systems.base import Method, Setup, get_system
from metajax.systems.hypino.network import input_shapes
from metajax.systems.hypino.settings import TRAINING
from metajax.systems.hypino.start import SHIPPED
from metajax.systems.hypino.tasks import Scored
from metajax.systems.loading import load
from metajax.systems.model_file import read_model, write_model
from metajax.systems.setup import build


class Model(NamedTuple):
    """A trained hypernetwork.

    Attributes:
      config: what it was trained with, of :func:`metajax.systems.configure`.
      params: its parameters.
    """

    config: Any
    params: Params

    @property
    def method(self) -> Method:
        """The method of the config: the same for equal ones, so that nothing compiles twice."""
        return _setup(self.config).method

    @property
    def learner(self) -> MetaLearner:
        """The learner whose parameters these are."""
        learner = self.method.learner
        assert learner is not None
        return learner


@functools.lru_cache(maxsize=16)
def _setup(config: Any) -> Setup:
    return build(config)


def save_model(path: Path, model: Model) -> None:
    """Write a model as one file: :func:`metajax.systems.model_file.write_model`.

    Args:
      path: of the file to write.
      model: network and config.

    Raises:
      ConfigError: the file exists already.
    """
    write_model(path, model.config, model.params)


def load_model(path: Path) -> Model:
    """Read what :func:`save_model` wrote.

    Args:
      path: of the file.

    Returns:
      The model.

    Raises:
      ConfigError: no such file, or its parameters do not fit its config.
    """
    # older files do not say how the rate moves: all were trained as published
    found = read_model(get_system("hypino"), path, shapes_of, older=TRAINING)
    return Model(found.config, found.params)


@functools.lru_cache(maxsize=16)
def shapes_of(config: Any) -> Params:
    """The parameters of a config's hypernetwork without their values."""
    learner = _setup(config).method.learner
    assert learner is not None
    nothing: Any = None  # parameters do not depend on what a solution is scored by
    task = Task(input_shapes(config.grid), Scored(*[nothing] * 5))
    return jax.eval_shape(learner.init, jax.random.key(0), task)


def shipped() -> Model:
    """Return the hypernetwork that comes with the package, of preset ``cpu``.

    It is no solver: on new random problems its median relative error is .25, and where all boundary
    data are 0 it answers with nearly 0 whatever the source. The README of this package has the
    figures; :func:`metajax.physics.solver.solve` needs none.

    Returns:
      The model.
    """
    with as_file(files("metajax.systems.hypino") / SHIPPED) as path:
        return load_model(path)


def trained(workdir: str | os.PathLike) -> Model:
    """Return the hypernetwork of a run, :func:`metajax.systems.load`.

    Args:
      workdir: of the run.

    Raises:
      WorkdirError: the folder is not a run, or holds no checkpoint.
      ConfigError: it is one of another system.
    """
    run = load(workdir)
    if run.system.name != "hypino":
        raise ConfigError("model", str(workdir), f"a run of hypino; it is one of {run.system.name}")
    return Model(run.config, run.params)
