"""A projector that is adapted to an encoder of a person's own, from pairs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from metajax.core import ConfigError, Examples, Network, Params, described
from metajax.hypernet import Pairs
from metajax.learners import text_logits
from metajax.systems.base import Use
from metajax.systems.image_sets import image_pools
from metajax.systems.using.adapted import Adapted, Told, support_pair
from metajax.systems.using.given import FIELD, read_arrays
from metajax.systems.weights.generated import by_number, check_steps, tell_numbered, tuned
from metajax.systems.weights.modalities.methods import ModalityParts
from metajax.systems.weights.modalities.problem import class_texts
from metajax.systems.weights.modalities.views import embedded


@dataclass(frozen=True)
class Projector(Adapted):
    """A projector that is adapted to an encoder, ready to classify its embeddings.

    Attributes:
      network: ``apply(weights, embeddings[n, features]) -> vectors[n, text]``, of embeddings as
        ``encode`` gives them.
      weights: of the projector.
      texts: the vectors of the classes; the largest cosine with one is the answer.
    """

    network: Network
    weights: Params
    texts: Float[np.ndarray, "classes text"]


def _rows(field: str, inputs: Any, features: int) -> np.ndarray:
    """Rows of finite numbers, of so many at most.

    Raises:
      ConfigError: they are something else, or there are none.
    """
    array = np.asarray(inputs)
    if array.dtype.kind not in "biuf" or array.ndim != 2 or not 1 <= array.shape[1] <= features:
        raise ConfigError(field, described(array), f"embeddings [n, 1 to {features} numbers]")
    if not len(array) or not np.isfinite(array).all():
        raise ConfigError(field, described(array), "1 or more embeddings of finite numbers")
    return array.astype(np.float32)


def _encode(features: int, numbers: int, inputs: Any) -> Float[np.ndarray, "n features"]:
    """Embeddings of the support's size, as the projector reads them."""
    rows = _rows("inputs", inputs, features)
    if rows.shape[1] != numbers:
        raise ConfigError("inputs", described(rows), f"embeddings of {numbers} numbers, as before")
    return np.asarray(embedded(jnp.asarray(rows), features))


def _texts(
    targets: Any, known: Float[Array, "classes text"]
) -> tuple[Float[Array, "some text"], Int[np.ndarray, " n"]]:
    """The vectors that a support's targets are among, and the place of each target.

    Raises:
      ConfigError: they are neither classes of the training nor vectors of the right size.
    """
    array = np.asarray(targets)
    classes, size = known.shape
    if array.dtype.kind in "iu" and array.ndim == 1:
        if array.size and not (array.min() >= 0 and array.max() < classes):
            value = f"{array.min()} to {array.max()}"
            raise ConfigError("support.targets", value, f"classes from 0 to {classes - 1}")
        return known, array.astype(np.int32)
    if array.dtype.kind != "f" or array.ndim != 2 or array.shape[1] != size:
        expected = f"whole numbers [n], classes of the training, or vectors [n, {size}]"
        raise ConfigError("support.targets", described(array), expected)
    rows = _rows("support.targets", array, size)
    _, first, places = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    # classes are numbered by their first appearance
    order = np.argsort(first)
    ranks = np.argsort(order)[places.reshape(-1)]
    return embedded(jnp.asarray(rows[first[order]]), size), ranks.astype(np.int32)


@functools.partial(jax.jit, static_argnums=(0, 6))
def _adapted(
    parts: ModalityParts,
    params: Params,
    pairs: Pairs,
    places: Int[Array, " n"],
    texts: Float[Array, "classes text"],
    rate: Float[Array, ""],
    steps: int,
    key: Key[Array, ""],
) -> Params:
    """The adapted projector, after so many steps of Adam on the pairs."""
    projector, reader = parts
    weights = reader.adapt(params, pairs, key)

    def logits(weights: Params, inputs: Array) -> Array:
        return text_logits(projector.apply(weights, inputs), texts)

    reading = Network(projector.init, logits)
    return tuned(reading, weights, Examples(pairs.inputs, places), key, steps, rate)


@functools.lru_cache(maxsize=64)
def _function(projector: Network) -> Callable[..., Any]:
    """Return ``function(state, queries) -> probabilities``, the same one for equal networks."""

    def function(state: tuple[Params, Array], queries: Array) -> Float[Array, "n classes"]:
        weights, texts = state
        return jax.nn.softmax(text_logits(projector.apply(weights, queries), texts))

    return function


def adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> Projector:
    """Adapt the projector to an encoder, from pairs of its embeddings with classes or vectors.

    Args:
      run: that was trained; its set of images is read, for the number of its classes.
      support: a pair ``(embeddings, targets)``. Embeddings ``[n, numbers]`` of the encoder are
        scaled to a mean square of 1, and may have fewer numbers than those of the training.
        Targets are classes of the training ``[n]``, or vectors ``[n, text_size]``: then the classes
        are the different vectors, in the order of their first appearance.
      key: not used by the methods of today.
      steps: of Adam on the pairs, after adapting; none by default.

    Raises:
      ConfigError: the support is something else, its parts differ in length, or ``steps`` are
        below 0.
      MissingDataError: the set of the training is not on disk.
    """
    check_steps(steps)
    of, parts = run.settings, run.method.parts
    inputs, targets = support_pair(support, "(embeddings, targets)")
    rows = _rows("support.inputs", inputs, of.features)
    train, _ = image_pools(of, run.data_dir)
    texts, places = _texts(targets, class_texts(train.num_classes, of.text_size))
    if len(rows) != len(places):
        expected = f"{len(rows)} targets, one for each of the inputs"
        raise ConfigError("support.targets", f"{len(places)} targets", expected)
    encode = functools.partial(_encode, of.features, rows.shape[1])
    seen = jnp.asarray(encode(rows))
    pairs = Pairs(seen, texts[places], jnp.ones(len(rows), bool))
    rate = jnp.float32(of.pair_lr)
    weights = _adapted(parts, run.params, pairs, jnp.asarray(places), texts, rate, steps or 0, key)
    return Projector(
        _function(parts.projector),
        (weights, texts),
        jax.ShapeDtypeStruct((of.features,), jnp.float32),
        encode,
        by_number(len(texts)),
        parts.projector,
        weights,
        np.asarray(texts),
    )


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Adapt to the pairs of an ``.npz`` file, and classify its ``queries``.

    Raises:
      ConfigError: the file holds something else.
    """
    if target is not None or path.suffix.lower() != ".npz":
        expected = "an .npz file of `inputs`, `targets` and `queries`, and no --target"
        raise ConfigError(FIELD, str(path), expected)
    arrays = read_arrays(path, "inputs", "targets", "queries")
    support, queries = (arrays["inputs"], arrays["targets"]), arrays["queries"]
    projector = run.adapt(support, steps=steps)
    found = projector.predict(queries)
    line = f"a projector from {len(support[0])} pairs; {len(queries)} queries"
    return tell_numbered(queries, found, line, projector)


USE = Use(adapt, files)
"""How adapters of a projector are used: on pairs of an encoder that is not known."""
