"""What the data tests share. No test touches the user's own data folder."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import jax
import numpy as np
import pytest

import metajax.data as data


@pytest.fixture(autouse=True)
def strict():
    """Mixed types and ranks are errors, so that nothing is promoted by accident."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory) -> Path:
    """A data folder where the digits have been built, by asking for them."""
    folder = tmp_path_factory.mktemp("digits")
    data.load_images("digits", "train", folder)
    return folder


@pytest.fixture(scope="session")
def digits(digits_dir) -> data.ImageSet:
    return data.load_images("digits", "train", digits_dir)


def _idx_bytes(array: np.ndarray) -> bytes:
    """The idx file that holds ``array``, by the format's definition."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def _write_idx_folder(folder: Path, train: int = 60, test: int = 20) -> dict[str, tuple]:
    """Write MNIST-like idx files of random images; return each split's images and labels."""
    rng = np.random.default_rng(0)
    splits = {}
    folder.mkdir(parents=True, exist_ok=True)
    for split, prefix, num in (("train", "train", train), ("test", "t10k", test)):
        images = rng.integers(0, 256, (num, 28, 28), dtype=np.uint8)
        labels = (np.arange(num) % 10).astype(np.uint8)
        for kind, rank, array in (("images", 3, images), ("labels", 1, labels)):
            path = folder / f"{prefix}-{kind}-idx{rank}-ubyte.gz"
            path.write_bytes(gzip.compress(_idx_bytes(array), 1))
        splits[split] = (images[..., None], labels)
    return splits


def _same_examples(image_set: data.ImageSet, images: np.ndarray, labels: np.ndarray) -> bool:
    """Whether two sets hold the same labelled images, in any order: TFDS shuffles on writing."""

    def as_sorted(pixels, classes):
        rows = pixels.reshape(len(pixels), -1)
        return sorted((row.tobytes(), int(label)) for row, label in zip(rows, classes, strict=True))

    return image_set.images.shape[1:] == images.shape[1:] and as_sorted(
        image_set.images, image_set.labels
    ) == as_sorted(images, labels)


@pytest.fixture(scope="session")
def idx_bytes():
    return _idx_bytes


@pytest.fixture(scope="session")
def write_idx_folder():
    return _write_idx_folder


@pytest.fixture(scope="session")
def same_examples():
    return _same_examples
