"""A pruned network: one of the run's, or a person's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Bool, Int32, Key

from metajax.core import ConfigError, Params, count, derive, described, kind, path_name
from metajax.learners import Preparation
from metajax.systems.base import Use
from metajax.systems.weights.condition_use import whole_number
from metajax.systems.weights.generated import Generated, answering
from metajax.systems.weights.pruning.evaluate import kept_weights, training
from metajax.systems.weights.pruning.problem import NetworkTasks, make_problem
from metajax.units import largest_masks, mlp_units, prune_units, unit_sizes
from metajax.using import FIELD, Told, check_steps, read_arrays, support_pair, tell_labels


@functools.partial(jax.jit, static_argnames=("parts", "steps"))
def _pruned(
    parts: Preparation,
    network: Params,
    size: Int32[Array, ""],
    tasks: NetworkTasks,
    steps: int,
    key: Key[Array, ""],
) -> tuple[Params, dict[str, Bool[Array, " n"]]]:
    """A prepared network after plain training, pruning and ``steps``, and which units it keeps."""

    def train(network: Params, masks: Params, of: str, steps: int) -> Params:
        one = jax.tree.map(lambda leaf: leaf[None], (network, masks))
        trained = training(parts, tasks, derive(key, of), steps)(*one)
        return jax.tree.map(lambda leaf: leaf[0], trained)

    if parts.settle_steps:
        whole = jax.tree.map(jnp.ones_like, network)
        network = train(network, whole, "settle", parts.settle_steps)
    units = mlp_units(network)
    kept = largest_masks(network, units, dict.fromkeys(unit_sizes(network, units), size))
    return train(network, kept_weights(network, size), "tune", steps), kept


def _own(network: Any, like: Params) -> Params:
    """A person's network, of the shapes of the run's.

    Raises:
      ConfigError: it is something else.
    """
    wanted = {path_name(path): leaf.shape for path, leaf in jax.tree.leaves_with_path(like)}
    given = {path_name(path): leaf for path, leaf in jax.tree.leaves_with_path(network)}
    if {name: np.shape(leaf) for name, leaf in given.items()} != wanted:
        expected = ", ".join(f"{name} {list(shape)}" for name, shape in wanted.items())
        found = ", ".join(f"{name} {described(leaf)}" for name, leaf in given.items())
        raise ConfigError("support.network", found or kind(network), expected)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), network)


def _prepared(run: Any, support: Any) -> tuple[Params, int]:
    """The prepared network that is meant, and the units that it is to keep.

    Raises:
      ConfigError: there is none, or a network of a person's own is given to a method that changes
        none.
    """
    of, parts = run.settings, run.method.parts
    pair = isinstance(support, tuple | list)
    network, units = support_pair(support, "(network, units)") if pair else (0, support)
    size = whole_number(units, 1, of.width, "units of each hidden layer")
    if not isinstance(network, Mapping):
        number = whole_number(network, 0, of.unseen_networks - 1, "an unseen network's number")
        return jax.tree.map(lambda leaf: leaf[number], parts.ready(run.params)), size
    if parts.change is None:
        expected = f"a number of the run's networks: {run.config.method} prepares no others"
        raise ConfigError("support.network", kind(network), expected)
    own = _own(network, jax.tree.map(lambda leaf: leaf[0], run.params.networks[0]["networks"]))
    # while the zoo is trained there is no preparation yet
    return parts.change(run.params, own) if run.params.stage > 0 else own, size


def adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> Generated:
    """Prune a network to so many units in each hidden layer, and train what is left.

    Args:
      run: that was trained; its set of images is read, to train on.
      support: units to keep of each hidden layer, of the first unseen network; or a pair of a
        network and these units. A network is the number of an unseen one, or, of a method that
        learns to change networks, the parameters of a person's own, of the same shapes.
      key: of the images that are trained on.
      steps: after pruning; None: the run's ``tune_steps``.

    Returns:
      The small network, which predicts classes of the training.

    Raises:
      ConfigError: there is no such network, it has not so many units, or ``steps`` are below 0.
      MissingDataError: the set of the training is not on disk.
    """
    check_steps(steps)
    network, size = _prepared(run, support)
    of, parts = run.settings, run.method.parts
    problem = make_problem(of, run.training, run.data_dir)
    steps = of.tune_steps if steps is None else steps
    trained, kept = _pruned(parts, network, jnp.int32(size), problem.tasks, steps, key)
    weights = prune_units(trained, mlp_units(trained), kept)
    mean, factor = problem.test.mean, 1 / np.asarray(problem.test.std)
    classes = np.arange(problem.ways)
    return answering(of, problem.narrow(size), weights, mean, factor, classes)


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Prune to the ``units`` of an ``.npz`` file, and predict its images ``queries``.

    It may hold their ``labels``, for the accuracy, and what is pruned: ``network``, the number of
    an unseen network, or the arrays of a network by name, such as ``Dense_0/kernel``.

    Raises:
      ConfigError: the file holds something else.
    """
    if target is not None or path.suffix.lower() != ".npz":
        expected = "an .npz file of `units` and of images `queries`, and no --target"
        raise ConfigError(FIELD, str(path), expected)
    like = run.params.networks[0]["networks"]
    names = [path_name(at) for at, _ in jax.tree.leaves_with_path(like)]
    arrays = read_arrays(path, "units", "queries", optional=("labels", "network", *names))
    queries, labels = arrays["queries"], arrays.get("labels")
    own = traverse_util.unflatten_dict(
        {name: arrays[name] for name in names if name in arrays}, sep="/"
    )
    if own and "network" in arrays:
        raise ConfigError(f"arrays of {FIELD}", list(arrays), "`network` or a network's own arrays")
    pruned = run.adapt((own or arrays.get("network", 0), arrays["units"]), steps=steps)
    found = pruned.predict(queries)
    whole = count(like) // len(jax.tree.leaves(like)[0])
    line = (
        f"{len(queries)} images by a network of {arrays['units']} units a hidden layer, "
        f"{count(pruned.weights):,} of {whole:,} parameters"
    )
    if labels is not None:
        if labels.shape != found.labels.shape:
            raise ConfigError("labels", described(labels), f"{len(queries)} labels")
        line += f"; accuracy {np.mean(found.labels == labels):.3f}"
    return tell_labels(found, queries, line, lambda: pruned)


use = Use(adapt, files)
"""How pruning is used: on a network and the units that it is to keep."""
