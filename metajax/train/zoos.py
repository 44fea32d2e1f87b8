"""Zoos: the weights of many trained networks, as data to learn from, in one file."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError, Params
from metajax.train.origin import provenance
from metajax.train.paths import as_path, write_whole

FORMAT = "metajax zoo 1"
"""What the file of a zoo calls itself."""
PARAMS = "params/"
"""Prefix of the names of parameters in a file."""


class Zoo(NamedTuple):
    """Trained networks of one shape, with what they were trained for.

    Attributes:
      params: of all networks, nested dicts of arrays with a leading axis ``m``.
      embeddings: a description of each network's task.
      scores: how good each network is on its own task.
    """

    params: Params
    embeddings: Float[Array | np.ndarray, "m d"]
    scores: Float[Array | np.ndarray, " m"]


def save_zoo(
    path: str | os.PathLike,
    zoo: Zoo,
    *,
    notes: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> None:
    """Write a zoo as one ``.npz`` file that says where it comes from.

    Args:
      path: of the file, on this machine or in a store.
      zoo: the networks.
      notes: JSON values that describe the zoo, e.g. the settings that it was made with.
      command: what made it; by default this process' script and arguments.

    Raises:
      ConfigError: the parameters are no nested dicts of NumPy's own floating-point arrays, a name
        has a slash, or the parts are of different numbers of networks.
    """
    arrays: dict[str, np.ndarray] = {}
    for where, leaf in jax.tree_util.tree_flatten_with_path(zoo.params)[0]:
        found = [getattr(entry, "key", None) for entry in where]
        names = [name for name in found if isinstance(name, str) and "/" not in name]
        if not found or names != found:
            shown = jax.tree_util.keystr(where)
            raise ConfigError("params", shown, "nested dicts whose names are texts without slashes")
        arrays[PARAMS + "/".join(names)] = np.asarray(leaf)
    arrays |= {"embeddings": np.asarray(zoo.embeddings), "scores": np.asarray(zoo.scores)}
    _check(arrays)
    about = {"format": FORMAT, "notes": dict(notes or {}), **provenance(command)}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    content = io.BytesIO()
    np.savez_compressed(content, about=text, **arrays)  # type: ignore[arg-type]
    write_whole(as_path(path, "path"), content.getvalue())


def load_zoo(path: str | os.PathLike) -> tuple[Zoo, dict[str, Any]]:
    """Read what :func:`save_zoo` wrote; nothing in the file can run code.

    Args:
      path: of the file.

    Returns:
      The zoo, in NumPy arrays, and what the file says of where it comes from.

    Raises:
      ConfigError: there is no such file, or it is no zoo.
    """
    try:
        with np.load(io.BytesIO(as_path(path, "path").read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(arrays.pop("about").tobytes())
        known = about["format"] == FORMAT
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigError("path", str(path), f"the file of a zoo ({error})") from error
    if not known or not {"embeddings", "scores"} <= arrays.keys():
        raise ConfigError("path", str(path), f"the file of a zoo, {FORMAT}")
    _check(arrays)
    params: dict[str, Any] = {}
    for name, array in arrays.items():
        if name.startswith(PARAMS):
            *parents, last = name.removeprefix(PARAMS).split("/")
            node = params
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = array
    return Zoo(params, arrays["embeddings"], arrays["scores"]), about


def _check(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise where arrays are not those of as many networks."""
    if arrays["embeddings"].ndim != 2 or arrays["scores"].ndim != 1:
        shapes = arrays["embeddings"].shape, arrays["scores"].shape
        raise ConfigError("embeddings, scores", shapes, "shapes [m, d] and [m]")
    number = len(arrays["scores"])
    for name, array in arrays.items():
        if array.dtype.kind != "f" or array.dtype.isbuiltin != 1:
            raise ConfigError(name, array.dtype, "a floating-point type that NumPy has itself")
        if array.shape[:1] != (number,):
            raise ConfigError(name, array.shape, f"a leading axis of the {number} networks")
