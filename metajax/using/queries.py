"""A person's arrays, read as the numpy arrays that a learner takes."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError, Count, check_value, described, kind
from metajax.data import resize_images


class Form(Protocol):
    """How inputs are read.

    Attributes:
      query: the shape and dtype of one query.
    """

    @property
    def query(self) -> jax.ShapeDtypeStruct: ...

    def encode(self, field: str, inputs: Any) -> np.ndarray:
        """Return a person's inputs as arrays; ``field`` is what errors call them."""
        ...


def support_pair(support: Any, names: str) -> tuple[Any, Any]:
    """Return both parts of a support.

    Args:
      support: as a person gave it.
      names: what errors call the parts: ``(x, y)``.

    Raises:
      ConfigError: it is no pair.
    """
    if not isinstance(support, tuple | list) or len(support) != 2:
        raise ConfigError("support", kind(support), f"a pair {names}")
    return support[0], support[1]


def read_numbers(
    field: str, numbers: Any, dimensions: tuple[int, ...], expected: str, *, finite: bool = False
) -> Float[np.ndarray, "..."]:
    """Return a person's numbers as an array.

    Args:
      field: what errors call them.
      numbers: an array, or nested lists.
      dimensions: how many an array may have.
      expected: what they should be, in words.
      finite: whether all have to be finite.

    Returns:
      The array, of the dtype that it came with.

    Raises:
      ConfigError: they are no numbers, of other dimensions, ragged, or not finite.
    """
    try:
        array = np.asarray(numbers)
    except ValueError:
        array = np.empty(0, object)  # ragged
    if array.dtype.kind not in "biuf" or array.ndim not in dimensions:
        raise ConfigError(field, described(array), expected)
    if finite and not np.isfinite(array).all():
        raise ConfigError(field, "numbers that are not finite", "finite numbers")
    return array


def check_form(form: Any) -> None:
    """Raise where a value does not say how inputs are read.

    Args:
      form: as it was given.

    Raises:
      ConfigError: it is no form, or its sizes are not those of an image.
    """
    if isinstance(form, type) or not callable(getattr(form, "encode", None)):
        raise ConfigError(
            "form", kind(form), "an ImageForm((height, width, channels)) or RowForm()"
        )
    if isinstance(form, ImageForm):
        check_value("form.image", tuple[Count, Count, Count], form.image)


class ImageForm(NamedTuple):
    """How images and rows are read: equal ones make one program.

    Attributes:
      image: height, width and channels that images are brought to.
      sequence: whether the learner reads sequences of flattened inputs; else it reads sets of
        images.
    """

    image: tuple[int, int, int]
    sequence: bool = False

    @property
    def query(self) -> jax.ShapeDtypeStruct:
        """One image."""
        return jax.ShapeDtypeStruct(self.image, np.float32)

    def encode(self, field: str, inputs: Any) -> np.ndarray:
        """Return images ``[n, h, w, c]`` of the learner's size, or rows ``[n, features]``.

        Levels of whole numbers are divided by 255.

        Args:
          field: what errors call the inputs.
          inputs: images; rows too where the learner reads a ``sequence``.

        Raises:
          ConfigError: inputs are none of both, or there are none.
        """
        height, width, channels = self.image
        size = f"of {height} x {width}, 1 or more"
        images = f"images [examples, h, w] or [examples, h, w, channels], {size}"
        expected = f"{images}, or rows [examples, features]" if self.sequence else images
        array = read_numbers(field, inputs, (3, 4, 2)[: 2 + self.sequence], expected)
        if not len(array):
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


class RowForm(NamedTuple):
    """How rows of features are read, by learners that take no images.

    Attributes:
      sequence: whether the learner reads sequences of rows; else it reads sets of them.
      features: numbers of a row; None: as many as the support's rows have. Where there is no
        support, they have to be given.
    """

    sequence: bool = False
    features: int | None = None

    @property
    def query(self) -> jax.ShapeDtypeStruct:
        """One row.

        Raises:
          ConfigError: ``features`` are not given.
        """
        if self.features is None:
            raise ConfigError("form.features", None, "a number: there is no support that has it")
        return jax.ShapeDtypeStruct((self.features,), np.float32)

    def encode(self, field: str, inputs: Any) -> Float[np.ndarray, "n features"]:
        """Return rows of numbers; missing ones are NaN.

        Args:
          field: what errors call the inputs.
          inputs: rows.

        Raises:
          ConfigError: they are no rows, or not of so many ``features``.
        """
        expected = f"rows [examples, {self.features or 'features'}]"
        rows = read_numbers(field, inputs, (2,), expected)
        if self.features not in (None, rows.shape[1]):
            raise ConfigError(field, described(rows), expected)
        return rows.astype(np.float32)
