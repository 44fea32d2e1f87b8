"""A trained hypernetwork as one small file, and the one that comes with the package."""

from __future__ import annotations

import dataclasses
import functools
import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import flax.serialization
import jax
import numpy as np

from metajax.core import ConfigError, MetaLearner, Params, Task, count
from metajax.physics.pde import Grids
from metajax.systems.base import Method, Setup
from metajax.systems.configs import config_from_json
from metajax.systems.hypino.network import Inputs
from metajax.systems.hypino.settings import TRAINING
from metajax.systems.hypino.system import SYSTEM
from metajax.systems.hypino.tasks import Scored
from metajax.systems.setup import build

SHIPPED = "cpu.msgpack"
"""File of the trained hypernetwork in this package."""


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
    """Write a model in MessagePack, which holds numbers and text and runs nothing when read.

    Raises:
      ConfigError: the file exists already.
    """
    if path.exists():
        raise ConfigError("path", str(path), "a file that is not there yet")
    state = {
        "config": json.dumps(dataclasses.asdict(model.config)),
        "params": flax.serialization.to_state_dict(jax.device_get(model.params)),
    }
    path.write_bytes(flax.serialization.msgpack_serialize(state))


def load_model(path: Path) -> Model:
    """Read what :func:`save_model` wrote.

    Raises:
      ConfigError: no such file, or its parameters do not fit its config.
    """
    try:
        state = flax.serialization.msgpack_restore(path.read_bytes())
        # older files do not say how the rate moves: all were trained as published
        config = config_from_json(SYSTEM, TRAINING | json.loads(state["config"]))
        like = shapes_of(config)
        params = flax.serialization.from_state_dict(like, state["params"])
    # AttributeError: other msgpack than a model's; RecursionError: its config is nested without end
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError("model", str(path), f"a file of save_model ({error})") from error

    def described(tree):
        return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]

    if described(params) != described(like):
        raise ConfigError("model", str(path), f"{count(like)} parameters of its config's shapes")
    return Model(config, params)


@functools.lru_cache(maxsize=16)
def shapes_of(config: Any) -> Params:
    """The parameters of a config's hypernetwork without their values."""
    learner = _setup(config).method.learner
    assert learner is not None
    number: Any = jax.ShapeDtypeStruct
    inputs = Inputs(number((5,), np.float32), Grids(*[number((config.grid,) * 2, np.float32)] * 5))
    nothing: Any = None  # parameters do not depend on what a solution is scored by
    return jax.eval_shape(learner.init, jax.random.key(0), Task(inputs, Scored(*[nothing] * 5)))


def shipped() -> Model:
    """The hypernetwork that comes with the package, of preset ``cpu``.

    It is no solver: on new random problems its median relative error is .25, and where all boundary
    data are 0 it answers with nearly 0 whatever the source. The README of this package has the
    figures; :func:`metajax.systems.hypino.solve` needs no model.
    """
    with as_file(files("metajax.systems.hypino") / SHIPPED) as path:
        return load_model(path)
