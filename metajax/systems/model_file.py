"""A config and the parameters that were trained with it, as one small file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.serialization
import jax

from metajax.core import ConfigError, Params, count
from metajax.systems.base import System
from metajax.systems.configs import config_from_json


class ModelFile(NamedTuple):
    """What a file of :func:`write_model` holds.

    Attributes:
      config: what the parameters were trained with.
      params: the parameters, numpy arrays.
      notes: JSON values by name.
    """

    config: Any
    params: Params
    notes: dict[str, Any]


def write_model(path: Path, config: Any, params: Params, **notes: Any) -> None:
    """Write a model in MessagePack, which holds numbers and text and runs nothing when read.

    Args:
      path: of the new file.
      config: of :func:`metajax.systems.configure`.
      params: what was trained with it.
      **notes: JSON values that are kept with them.

    Raises:
      ConfigError: the file exists already.
    """
    if path.exists():
        raise ConfigError("path", str(path), "a file that does not exist yet")
    texts = {"config": dataclasses.asdict(config), **notes}
    state: dict[str, Any] = {name: json.dumps(value) for name, value in texts.items()}
    state["params"] = flax.serialization.to_state_dict(jax.device_get(params))
    path.write_bytes(flax.serialization.msgpack_serialize(state))


def read_model(
    system: System,
    path: Path,
    shapes_of: Callable[[Any], Params],
    *,
    older: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
) -> ModelFile:
    """Read what :func:`write_model` wrote.

    Args:
      system: the family of the config.
      path: of the file.
      shapes_of: ``shapes_of(config) -> params``, without their values.
      older: settings of files that do not have them.
      notes: names of what else the file holds.

    Raises:
      ConfigError: no such file, or its parameters do not fit its config.
    """
    with _of_a_model(path):
        state = flax.serialization.msgpack_restore(path.read_bytes())
        config = config_from_json(system, {**(older or {}), **json.loads(state["config"])})
        params = _fitting(state, shapes_of(config))
        kept = {name: json.loads(state[name]) for name in notes}
    return ModelFile(config, params, kept)


def read_params(path: Path, like: Params) -> Params:
    """Read the parameters alone of what :func:`write_model` wrote, whatever its config.

    Args:
      path: of the file.
      like: parameters of the same shapes and dtypes, or these alone.

    Raises:
      ConfigError: no such file, or its parameters do not fit.
    """
    with _of_a_model(path):
        return _fitting(flax.serialization.msgpack_restore(path.read_bytes()), like)


@contextlib.contextmanager
def _of_a_model(path: Path) -> Iterator[None]:
    """Name the file in what is raised where it is not a model's."""
    try:
        yield
    # AttributeError: other msgpack than a model's; RecursionError: its config is nested without end
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError("model", str(path), f"a file of save_model ({error})") from error


def _fitting(state: Any, like: Params) -> Params:
    """The parameters of a file's content, which have to be like others."""
    params = flax.serialization.from_state_dict(like, state["params"])

    def described(tree: Params) -> list[Any]:
        return [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]

    if described(params) != described(like):
        raise ValueError(f"its parameters are not the {count(like):,} of these shapes")
    return params
