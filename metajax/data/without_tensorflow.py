"""Running TFDS' builders where TensorFlow is not installed.

TFDS needs TensorFlow for little when it writes array_record: ``tf.image.encode_png`` to store
arrays of pixels, and files (``tf.io.gfile``) to unpack archives, to open what was downloaded and
to shuffle sets of more than a gigabyte. Pillow and Python's own files do the same.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import io
import os
import shutil
import sys
import types
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np


@contextlib.contextmanager
def without_tensorflow(builder: Any) -> Iterator[None]:
    """Let ``builder.download_and_prepare()`` run without TensorFlow inside the block.

    Arrays of uint8 pixels are stored as PNG, or as JPEG at quality 95 where the builder asks for
    it, as TensorFlow would do. Where TensorFlow is installed, files are left to it. Afterwards
    TFDS is as it was.
    """
    with contextlib.ExitStack() as stack:
        for feature in _image_features(builder):
            encode = _encoder(feature)
            stack.enter_context(mock.patch.object(feature, "encode_example", encode))
        if importlib.util.find_spec("tensorflow") is None:
            stand_in = types.SimpleNamespace(
                io=types.SimpleNamespace(gfile=_gfile()),
                compat=types.SimpleNamespace(as_text=_as_text),
                errors=types.SimpleNamespace(ResourceExhaustedError=OSError),
            )
            for module in _modules(builder):
                stack.enter_context(mock.patch.object(module, "tf", stand_in))
        yield


def _image_features(builder: Any) -> list[Any]:
    import tensorflow_datasets as tfds

    features = dict(builder.info.features).values()
    return [feature for feature in features if isinstance(feature, tfds.features.Image)]


def _encoder(feature: Any) -> Any:
    """``feature.encode_example`` with arrays of pixels encoded by Pillow beforehand."""
    from PIL import Image

    original = feature.encode_example

    def encode_example(image: Any) -> Any:
        if not (isinstance(image, np.ndarray) and image.dtype == np.uint8):
            return original(image)  # paths and encoded bytes need no TensorFlow
        fits = len(image.shape) == len(feature.shape) and all(
            want in (None, have) for want, have in zip(feature.shape, image.shape, strict=True)
        )
        if not fits:
            raise ValueError(f"an image of shape {image.shape}, where {feature.shape} is declared")
        pixels = image[..., 0] if image.shape[-1] == 1 else image
        buffer = io.BytesIO()
        # TensorFlow's quality for JPEG; PNG ignores it
        Image.fromarray(pixels).save(buffer, format=feature.encoding_format or "png", quality=95)
        return original(buffer.getvalue())

    return encode_example


def _modules(builder: Any) -> list[types.ModuleType]:
    """Where ``tf`` is used: unpacking, shuffling, and the modules that define the builder."""
    from tensorflow_datasets.core import shuffle
    from tensorflow_datasets.core.download import extractor

    defining = [sys.modules[cls.__module__] for cls in type(builder).__mro__]
    catalogue = [
        module
        for module in defining
        if "tf" in vars(module) and not module.__name__.startswith("tensorflow_datasets.core")
    ]
    return [shuffle, extractor, *dict.fromkeys(catalogue)]


def _as_text(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def _gfile() -> types.SimpleNamespace:
    """The part of ``tf.io.gfile`` that TFDS' image sets use, over local files."""
    return types.SimpleNamespace(
        GFile=lambda path, mode="r": open(path, mode, encoding=None if "b" in mode else "utf-8"),
        copy=lambda source, target, overwrite=False: shutil.copyfile(source, target),
        exists=os.path.exists,
        glob=lambda pattern: sorted(glob.glob(os.fspath(pattern))),
        isdir=os.path.isdir,
        listdir=lambda path: sorted(os.listdir(path)),
        remove=os.remove,
        walk=os.walk,
    )
