"""Measure networks by the units that are kept of them, and what they are compared with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key

from metajax.core import Network, Params, correct, derive
from metajax.data import ImagePool
from metajax.learners import GrowthParams, Preparation, train_masked
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Row, chance_row, interval
from metajax.systems.weights.pruning.problem import KeptUnits, NetworkTasks, PruningProblem
from metajax.units import keep_first, largest_masks, mask_units, mlp_units, unit_sizes

EVAL_KEY = 2506_12041
"""Seed of the images of training in the evaluation: the same for every run."""

Scores = dict[str, Float[Array, "networks points"]]


class Measured(NamedTuple):
    """Accuracies of one run.

    Attributes:
      rows: by row of the evaluation, by network and size.
      whole: of the networks before any unit is left out, by row.
      parameters: of a network, by size.
      products: multiplications that a network takes for one image, by size.
    """

    rows: Scores
    whole: dict[str, Float[Array, " networks"]]
    parameters: Int[Array, " points"]
    products: Int[Array, " points"]


def kept_weights(params: Params, size: Int[Array, ""]) -> Params:
    """Return 1 for each weight of the units with the largest norms, 0 for the others.

    Args:
      params: of a multi-layer perceptron.
      size: units to keep in each hidden layer.
    """
    units = mlp_units(params)
    sizes = dict.fromkeys(unit_sizes(params, units), size)
    return mask_units(_ones(params), units, largest_masks(params, units, sizes))


def largest_weights(params: Params, number: Int[Array, ""]) -> Params:
    """Return 1 for each of so many weights of the largest magnitudes, 0 for the others.

    Single weights are left out, not units: a baseline that makes no layer smaller (Han et al.
    2015, arXiv 1506.02626).

    Args:
      params: of a network.
      number: weights to keep.
    """
    flat, back = ravel_pytree(params)
    places = jnp.argsort(jnp.argsort(-jnp.abs(flat)))
    return back((places < number).astype(flat.dtype))


def narrow_starts(
    narrow: Callable[[int], Network], like: Params, kept: tuple[int, ...], key: Key[Array, ""]
) -> tuple[Params, Params]:
    """Return starts of small networks, padded with zeros, and 1 for each weight that is theirs.

    Args:
      narrow: ``narrow(units of each hidden layer) -> Network``.
      like: parameters of the large network.
      kept: units of each hidden layer of each small one.
      key: of the starts.

    Returns:
      Both with a leading axis of sizes.
    """
    units = mlp_units(like)
    inputs = jnp.zeros((1, like["Dense_0"]["kernel"].shape[0]))

    def padded(small: Array, large: Array) -> Array:
        ends = [(0, many - few) for few, many in zip(small.shape, large.shape, strict=True)]
        return jnp.pad(small, ends)

    starts, masks = [], []
    for number, size in enumerate(kept):
        start = narrow(size).init(derive(key, "small", number), inputs)
        starts.append(jax.tree.map(padded, start, like))
        masks.append(keep_first(_ones(like), units, dict.fromkeys(unit_sizes(like, units), size)))
    return _stacked(starts), _stacked(masks)


def _ones(params: Params) -> Params:
    return jax.tree.map(jnp.ones_like, params)


def _stacked(trees: list[Params]) -> Params:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _sums(masks: Params, name: str | None = None) -> Int[Array, " points"]:
    """Numbers of weights that masks with a leading axis keep; of arrays of one name, or of all."""
    found = [
        jnp.sum(leaf.reshape(len(leaf), -1), axis=1)
        for path, leaf in jax.tree_util.tree_leaves_with_path(masks)
        if name is None or path[-1].key == name
    ]
    return jnp.sum(jnp.stack(found), axis=0).astype(jnp.int32)


def kept_at(params: Params, sizes: Int[Array, " points"]) -> Params:
    """Return the masks of :func:`kept_weights` for several sizes, on a leading axis."""
    return jax.vmap(lambda size: kept_weights(params, size))(sizes)


def training(
    parts: Preparation, tasks: NetworkTasks, key: Key[Array, ""], steps: int
) -> Callable[[Params, Params], Params]:
    """Return ``train(networks, masks) -> networks``, of several networks with masks of their own.

    Args:
      parts: of the method.
      tasks: images of training.
      key: of the images.
      steps: of each network.
    """
    train = functools.partial(
        train_masked,
        parts.zoo.network,
        draw=tasks.some,
        optimizer=parts.zoo.make_optimizer(steps),
        key=key,
        steps=steps,
    )
    return jax.vmap(train)


@functools.partial(jax.jit, static_argnames="parts")
def accuracies(parts: Preparation, networks: Params, test: ImagePool) -> Float[Array, " n"]:
    """Return the accuracy of networks on all test images, one network after the other."""
    images, labels = test.normalise(test.images), test.labels.astype(jnp.int32)

    def one(params: Params) -> Float[Array, ""]:
        return jnp.mean(correct(parts.zoo.network.apply(params, images), labels))

    return jax.lax.map(one, networks)


def before_pruning(
    parts: Preparation, params: GrowthParams, tasks: NetworkTasks, steps: int
) -> tuple[Params, Params]:
    """Return networks that are ready to be pruned, and the same ones without preparation.

    Args:
      parts: of the method.
      params: trained by it.
      tasks: images of training.
      steps: plain steps of those without preparation.
    """
    key = derive(jax.random.key(EVAL_KEY), "settle")

    def plainly(networks: Params, steps: int) -> Params:
        if steps == 0:
            return networks
        return training(parts, tasks, key, steps)(networks, _ones(networks))

    ready = plainly(parts.ready(params), parts.settle_steps)
    return ready, plainly(parts.unprepared(params), steps)


@functools.partial(jax.jit, static_argnames=("parts", "narrow", "steps"))
def measured(
    parts: Preparation,
    narrow: Callable[[int], Network],
    params: GrowthParams,
    conditions: KeptUnits,
    tasks: NetworkTasks,
    test: ImagePool,
    steps: int,
) -> Measured:
    """Measure prepared networks and others at all sizes, with ``steps`` of training after it."""
    ready, plain = before_pruning(parts, params, tasks, parts.plain_steps)
    sizes, key = jnp.asarray(conditions.kept, jnp.int32), jax.random.key(EVAL_KEY)
    num, points = conditions.unseen, len(conditions.kept)

    def cut(networks: Params) -> Params:
        return jax.vmap(kept_at, (0, None))(networks, sizes)

    units_of_plain = cut(plain)
    first = jax.tree.map(lambda leaf: leaf[0], units_of_plain)
    parameters, products = _sums(first), _sums(first, "kernel")
    single = jax.vmap(
        lambda one: jax.vmap(lambda number: largest_weights(one, number))(parameters)
    )(plain)
    names = ("test", "unprepared", "single_weights")
    masks = _stacked([cut(ready), units_of_plain, single])
    networks = jax.tree.map(
        lambda leaf: jnp.repeat(leaf[:, :, None], points, axis=2), _stacked([ready, plain, plain])
    )

    def flat(tree: Params, axes: int) -> Params:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[axes:]), tree)

    networks, masks = flat(networks, 3), flat(masks, 3)

    def scores(networks: Params) -> Float[Array, "rows networks points"]:
        return accuracies(parts, networks, test).reshape(-1, num, points)

    pruned = scores(jax.tree.map(jnp.multiply, networks, masks))
    tuned = scores(training(parts, tasks, derive(key, "tune"), steps)(networks, masks))
    rows = dict(zip(names, pruned, strict=True))
    rows |= dict(zip((f"{name}_tuned" for name in names), tuned, strict=True))

    like = jax.tree.map(lambda leaf: leaf[0], plain)
    keys = jax.random.split(derive(key, "starts"), num)
    starts, own = jax.vmap(lambda one: narrow_starts(narrow, like, conditions.kept, one))(keys)
    whole_steps = parts.zoo.steps + parts.plain_steps + steps
    begin = training(parts, tasks, derive(key, "scratch"), whole_steps)
    small = begin(flat(starts, 2), flat(own, 2))
    rows["small"] = scores(small)[0]
    whole = {"test": accuracies(parts, ready, test), "unprepared": accuracies(parts, plain, test)}
    return Measured(rows, whole, parameters, products)


BASELINES = {
    "unprepared": ("test", "no preparation, pruned"),
    "unprepared_tuned": ("test_tuned", "no preparation, pruned and trained on"),
    "single_weights": ("test", "single weights by magnitude, pruned"),
    "single_weights_tuned": ("test_tuned", "single weights by magnitude, pruned and trained on"),
    "small": ("test", "a small network from scratch, all steps"),
}
"""Baselines of the table: the row that each is compared with, and its title."""
TITLES = {
    "test": "{}, pruned",
    "test_tuned": "{}, pruned and trained on",
    "mean": "{}, mean over sizes",
}
"""Rows of the method."""


def evaluate(
    problem: PruningProblem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure accuracy by kept units on test images; intervals are over networks.

    Every network is pruned by the norms of its units, and then trained for ``tune_steps``.
    Networks without preparation have plain training in its place. ``more`` has the accuracy before
    pruning, and the parameters and multiplications of each size.
    """
    conditions = problem.conditions
    assert isinstance(conditions, KeptUnits) and isinstance(problem.tasks, NetworkTasks)
    steps = problem.settings.tune_steps
    given = params, conditions, problem.tasks, problem.test, steps
    found = jax.device_get(measured(method.parts, problem.narrow, *given))
    scores = {**found.rows, "mean": np.mean(found.rows["test_tuned"], axis=1)}
    rows = {
        name: Row(title.format(config.method), interval(scores[name]))
        for name, title in TITLES.items()
    }
    for name, (against, title) in BASELINES.items():
        score = interval(found.rows[name])
        rows[name] = Row(title, score, baseline=True, compared_with=against)
    rows["chance"] = chance_row([1 / problem.ways], conditions.unseen)
    return Evaluation(
        rows,
        axis=conditions.axis,
        points=conditions.points,
        more={
            "whole": {name: interval(each)._asdict() for name, each in found.whole.items()},
            "parameters": found.parameters.tolist(),
            "products": found.products.tolist(),
            "tune_steps": steps,
        },
    )


@functools.partial(jax.jit, static_argnames="parts")
def pruned_now(
    parts: Preparation,
    params: GrowthParams,
    conditions: KeptUnits,
    tasks: NetworkTasks,
    test: ImagePool,
) -> Float[Array, " networks"]:
    """Return the accuracy right after pruning, mean over sizes."""
    ready, _ = before_pruning(parts, params, tasks, 0)
    sizes = jnp.asarray(conditions.kept, jnp.int32)

    def cut(params: Params) -> Params:
        masks = kept_at(params, sizes)
        return jax.tree.map(lambda leaf, mask: leaf[None] * mask, params, masks)

    pruned = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.vmap(cut)(ready))
    return jnp.mean(accuracies(parts, pruned, test).reshape(conditions.unseen, -1), axis=1)


def on_pruned(
    problem: PruningProblem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy right after pruning, mean over sizes."""
    assert isinstance(problem.conditions, KeptUnits)
    found = pruned_now(method.parts, params, problem.conditions, problem.tasks, problem.test)
    return interval(found).last()
