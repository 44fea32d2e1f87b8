"""Classes from a few labeled images or rows of a person's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from metajax.core import ConfigError, Examples, MetaLearner, described
from metajax.data import resize_images, shift_and_factor
from metajax.systems.base import Use
from metajax.systems.using.adapted import Adapted, Told, adapt_learner, support_pair
from metajax.systems.using.given import Given, read_classes

NEEDED = 2
"""Classes of a support, at least."""


class Labels(NamedTuple):
    """What queries are, by a learner that has adapted to classes.

    Attributes:
      labels: the likeliest class of each query, as it was called in the support.
      probabilities: of every class.
      classes: the classes' names, in the order of the probabilities.
    """

    labels: np.ndarray
    probabilities: Float[np.ndarray, "queries classes"]
    classes: np.ndarray


class Names(NamedTuple):
    """The classes of a support, and its labels as places among them."""

    classes: np.ndarray
    places: Int[np.ndarray, " examples"]

    def label(self, probabilities: Float[np.ndarray, "queries classes"]) -> Labels:
        """Return the likeliest class of each query, by its name."""
        return Labels(self.classes[probabilities.argmax(axis=1)], probabilities, self.classes)


def name_classes(labels: Any, most: int) -> Names:
    """Code labels of any kind.

    Raises:
      ConfigError: they are no labels, or of too few or too many classes.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "biuUSO" or None in array.tolist():
        expected = "labels [examples], whole numbers or text"
        raise ConfigError("support.targets", described(array), expected)
    array = array.astype(str) if array.dtype.kind == "O" else array
    classes, places = np.unique(array, return_inverse=True)
    if not NEEDED <= len(classes) <= most:
        expected = f"{NEEDED} to {most}, the most that this run tells apart"
        raise ConfigError("classes of the support", len(classes), expected)
    return Names(classes, places.astype(np.int32))


def read_labeled(
    support: Any, encode: Callable[[str, Any], np.ndarray], most: int
) -> tuple[np.ndarray, Names]:
    """Return the inputs of a support as ``encode(field, inputs)`` reads them, and its classes.

    Raises:
      ConfigError: it is no pair, one part of it is not what it should be, or they differ in length.
    """
    inputs, labels = support_pair(support, "(inputs, labels)")
    names, encoded = name_classes(labels, most), encode("support.inputs", inputs)
    if len(encoded) != len(names.places):
        expected = f"{len(encoded)} labels, one for each of the inputs"
        raise ConfigError("support.targets", f"{len(names.places)} labels", expected)
    return encoded, names


class ImageForm(NamedTuple):
    """How images and rows are read: equal ones make one program.

    Attributes:
      image: height, width and channels that images are brought to.
      flat: whether the learner reads sequences of flattened inputs; else it reads sets of images.
    """

    image: tuple[int, int, int]
    flat: bool

    def encode(self, field: str, inputs: Any) -> np.ndarray:
        """Return images ``[n, h, w, c]`` of the learner's size, or rows ``[n, features]``.

        Levels of whole numbers are divided by 255.

        Raises:
          ConfigError: inputs are none of both, or there are none.
        """
        height, width, channels = self.image
        try:
            array = np.asarray(inputs)
        except ValueError:
            array = np.empty(0, object)  # ragged
        size = f"of {height} x {width}, 1 or more"
        images = f"images [examples, h, w] or [examples, h, w, channels], {size}"
        expected = f"{images}, or rows [examples, features]" if self.flat else images
        known = array.dtype.kind in "biuf" and array.ndim in (3, 4, 2)[: 2 + self.flat]
        if not known or not len(array):
            raise ConfigError(field, described(array), expected)
        if array.ndim == 2:
            return array.astype(np.float32)
        array = array[..., None] if array.ndim == 3 else array
        if array.dtype == np.uint8:
            if array.shape[-1] not in (1, 3):
                raise ConfigError(field, described(array), "images of 1 or 3 channels")
            return resize_images(array, (height, width), channels).astype(np.float32) / 255
        if array.shape[1:] != self.image:
            expected = f"images [examples, {height}, {width}, {channels}], or uint8 of any size"
            raise ConfigError(field, described(array), expected)
        return array.astype(np.float32)


def _scale(inputs: Float[np.ndarray, "n ..."]) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from inputs, and by what they are multiplied then.

    All pixels of images share one mean and one deviation, as the learner's own images do; each
    feature of rows has its own. What does not vary is 0.
    """
    shift, factor = shift_and_factor(inputs, 0 if inputs.ndim == 2 else None, 1e-6, 1e-30)
    return shift.astype(np.float32), factor.astype(np.float32)


class _State(NamedTuple):
    """What answers queries: arrays alone; ``company`` is the support of learners of sets."""

    params: Any
    adapted: Any
    shift: Float[Array, "*features"]
    factor: Float[Array, "*features"]
    company: Any = None


def _read(inputs: Array, shift: Array, factor: Array) -> Array:
    """Standardize inputs; missing values are means."""
    shift, factor = (jnp.broadcast_to(each, inputs.shape) for each in (shift, factor))
    return jnp.nan_to_num((inputs - shift) * factor, posinf=0.0, neginf=0.0)


@functools.lru_cache(maxsize=64)
def _function(learner: MetaLearner, classes: int, flat: bool) -> Callable[..., Any]:
    """Return ``function(state, queries) -> probabilities``, the same one for equal arguments."""

    def in_sequence(state: _State, queries: Array) -> Array:
        inputs = queries.reshape(queries.shape[0], -1)[None]
        return learner.predict(state.params, state.adapted, inputs)[0]

    def in_company(state: _State, queries: Array) -> Array:
        # statistics of a batch at hand, which such networks take, are those of the support and the
        # query: those of a query alone would be nothing, those of other queries no part of it
        def one(query: Array) -> Array:
            together = jnp.concatenate([query[None], state.company])
            return learner.predict(state.params, state.adapted, together)[0]

        return jax.lax.map(one, queries)

    def function(state: _State, queries: Array) -> Float[Array, "queries classes"]:
        read = _read(queries, state.shift, state.factor)
        logits = (in_sequence if flat else in_company)(state, read)
        return jax.nn.softmax(logits[:, :classes].astype(jnp.float32))

    return function


def _adapt(form: ImageForm, run: Any, support: Any, key: Any, steps: int | None) -> Adapted:
    """Adapt to images or rows and their labels."""
    encoded, names = read_labeled(support, form.encode, run.settings.ways)
    shift, factor = _scale(encoded)
    read = _read(jnp.asarray(encoded), jnp.asarray(shift), jnp.asarray(factor))
    targets, company = jnp.asarray(names.places), None
    if form.flat:
        # sequences of training are in random order: one class after the other is none
        order_key, key = jax.random.split(key)
        order = jax.random.permutation(order_key, len(encoded))
        read = read.reshape(len(encoded), -1)[order][None]
        targets = targets[order][None]
    else:
        company = read
    adapted = adapt_learner(run.learner, run.params, Examples(read, targets), key, steps)
    return Adapted(
        _function(run.learner, len(names.classes), form.flat),
        _State(run.params, adapted, jnp.asarray(shift), jnp.asarray(factor), company),
        jax.ShapeDtypeStruct(encoded.shape[1:], jnp.float32),
        functools.partial(form.encode, "inputs"),
        names.label,
    )


def _files(form: ImageForm, run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Adapt to the labeled images or rows of a file or folder, and answer the others."""
    given = read_classes(path, target, form.image)
    adapted = run.adapt(given.support, steps=steps)
    found = adapted.predict(given.queries)
    line = (
        f"{len(given.support[1])} labeled examples of {len(found.classes)} classes; "
        f"{len(found.labels)} queries"
    )
    return tell(given, found, line, lambda: adapted)


def tell(given: Given, found: Labels, line: str, adapted: Callable[[], Adapted]) -> Told:
    """Return what ``metajax predict`` tells of queries that have been answered.

    Args:
      given: the queries and their names.
      found: the answers.
      line: what is printed.
      adapted: see :class:`Told`.
    """
    columns = {"query": given.names, "predicted": found.labels}
    for place, name in enumerate(found.classes):
        columns[f"p({name})"] = [f"{share:.4f}" for share in found.probabilities[:, place]]
    return Told([line], columns, functools.partial(draw, given, found), adapted)


def draw(given: Given, found: Labels) -> Any:
    """Draw the probabilities of the first queries, with their images where they are images."""
    from matplotlib.figure import Figure

    shown = min(len(found.labels), 24)
    images = given.queries.ndim > 2
    height = 0.45 if images else 0.28
    canvas = Figure(figsize=(7.5, 1.2 + height * shown), layout="constrained")
    columns = canvas.subplots(1, 2, width_ratios=(1, 5)) if images else [canvas.subplots()]
    axes = columns[-1]
    axes.imshow(found.probabilities[:shown], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shown, len(found.classes)):
        share = found.probabilities[row, column]
        color = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color, fontsize=7)
    axes.set_xticks(range(len(found.classes)), found.classes, rotation=45, ha="right")
    axes.set_yticks(range(shown), given.names[:shown], fontsize=7)
    axes.set_title(f"probabilities of the first {shown} of {len(found.labels)} queries")
    if images:
        columns[0].axis("off")
        # an image next to each row of probabilities
        stacked = np.concatenate(given.queries[:shown]).squeeze()
        columns[0].imshow(stacked, cmap="gray", aspect="auto")
        for row in range(1, shown):
            columns[0].axhline(row * given.queries.shape[1] - 0.5, color="white", linewidth=1.5)
    return canvas


def classes_of_images(settings: Any, *, flat: bool, problem: Callable[[Any], Any]) -> Use:
    """Return the use of learners that tell classes of images apart.

    Args:
      settings: with ``image_size``, ``image_channels`` and ``ways``.
      flat: whether the learner reads sequences of flattened inputs, and so rows too; else it reads
        sets of images, and a query is answered in the company of the support.
      problem: see :class:`Use`.
    """
    size = settings.image_size
    form = ImageForm((size, size, settings.image_channels), flat)
    return Use(functools.partial(_adapt, form), functools.partial(_files, form), problem)
