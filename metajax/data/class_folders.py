"""Reading folders of images, one folder a class, as people keep them on disk."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from metajax.data.errors import BadDataError
from metajax.data.pixels import decode_image, image_header, resize_images
from metajax.data.raw import RawSet

log = logging.getLogger("metajax")

IMAGE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif"),
        *(".tif", ".tiff", ".pbm", ".pgm", ".ppm", ".pnm", ".tga", ".jp2", ".avif"),
    )
)
"""Suffixes of the files that count as images, in lower case."""

SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}
"""A folder's name in lower case, and the split that its class folders belong to."""

MOST_NAMED = 10


def read_class_folders(folder: Path, size: tuple[int, int] | None = None) -> RawSet:
    """Read ``CLASS/*.png`` and the like, or ``train/CLASS/...`` with ``test`` and ``val``.

    Every folder that holds images is a class, at any depth and through links:
    ``alphabet/character/*.png`` has a class for each character. Classes are ordered by their paths
    in Unicode's composed form (NFC), those of all splits together. ``train`` and the other names
    of :data:`SPLIT_FOLDERS` are splits where they hold class folders, and classes where they hold
    images. What is left out is named in a warning: hidden files and folders, files that are no
    images, folders without images. The set is gray if every image is, and otherwise in color.
    Pixels are read as they are asked for.

    Args:
      folder: where the class folders, or the splits' folders, are.
      size: height and width of every image; None takes those of the first image.

    Raises:
      BadDataError: there is no image, a file is none, a class's name cannot be stored, or two
        folders stand for the same split.
    """
    roots = _split_roots(folder)
    left_out: list[str] = []
    files = {split: _labeled_files(root, left_out) for split, root in roots.items()}
    if roots != {"train": folder}:
        others = set(folder.iterdir()) - set(roots.values())
        left_out += [f"{path} (not in a split's folder)" for path in sorted(others)]
    if left_out:
        more = f"\n  and {len(left_out) - MOST_NAMED} more" if len(left_out) > MOST_NAMED else ""
        log.warning("left out of the set:\n  %s%s", "\n  ".join(left_out[:MOST_NAMED]), more)
    for split, pairs in files.items():
        if not pairs:
            raise BadDataError(
                f"{roots[split]} holds no CLASS/IMAGE files; images end in "
                + ", ".join(sorted(IMAGE_SUFFIXES))
            )
    class_names = _class_names(files)
    headers = [image_header(path) for pairs in files.values() for path, _ in pairs]
    height, width = size or headers[0][0]
    channels = 1 if all(gray for _, gray in headers) else 3
    labels = {name: label for label, name in enumerate(class_names)}

    def read(pairs: list[tuple[Path, str]]) -> Iterator[tuple[np.ndarray, int]]:
        for path, name in pairs:
            image = decode_image(path, channels)
            yield resize_images(image[None], (height, width))[0], labels[name]

    splits: dict[str, Iterable[tuple[np.ndarray, int]]] = {
        split: read(pairs) for split, pairs in files.items()
    }
    return RawSet((height, width, channels), class_names, splits, "Read from folders of images.")


class LabeledFolder(NamedTuple):
    """A few labeled images, and others that are not.

    Attributes:
      images: those in a class's folder.
      labels: the names of their folders.
      others: those directly in the folder.
      names: of their files.
    """

    images: UInt8[np.ndarray, "n h w c"]
    labels: list[str]
    others: UInt8[np.ndarray, "m h w c"]
    names: list[str]


def read_labeled_folder(folder: Path, size: tuple[int, int], channels: int) -> LabeledFolder:
    """Read ``CLASS/*.png`` and the like as labeled images, and ``*.png`` as others.

    Args:
      folder: where the class folders, and the other images, are.
      size: height and width that all are resized to.
      channels: 1 (gray) or 3 (color) that all are converted to.

    Returns:
      The labeled images with their classes, and the other images.

    Raises:
      BadDataError: there are no labeled images, or a file is no image.
    """
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    labeled = [
        (path, within.name)
        for within in entries
        if within.is_dir()
        for path in sorted(within.iterdir())
        if _is_image(path)
    ]
    if not labeled:
        raise BadDataError(
            f"{folder} holds no CLASS/IMAGE files; images end in "
            + ", ".join(sorted(IMAGE_SUFFIXES))
        )
    others, names = read_image_folder(folder, size, channels)
    images = _read_images((path for path, _ in labeled), size, channels)
    return LabeledFolder(images, [name for _, name in labeled], others, names)


def read_image_folder(
    folder: Path, size: tuple[int, int], channels: int
) -> tuple[UInt8[np.ndarray, "n h w c"], list[str]]:
    """Read the images that are directly in a folder, in the order of their names.

    Args:
      folder: where they are.
      size: height and width that all are resized to.
      channels: 1 (gray) or 3 (color) that all are converted to.

    Returns:
      The images, of which there may be none, and the names of their files.

    Raises:
      BadDataError: a file is no image.
    """
    paths = sorted(path for path in folder.iterdir() if _is_image(path))
    return _read_images(paths, size, channels), [path.name for path in paths]


def _read_images(
    paths: Iterable[Path], size: tuple[int, int], channels: int
) -> UInt8[np.ndarray, "n h w c"]:
    images = [resize_images(decode_image(path, channels)[None], size, channels) for path in paths]
    return np.concatenate([np.zeros((0, *size, channels), np.uint8), *images])


def _split_roots(folder: Path) -> dict[str, Path]:
    """The folder of each split; the whole folder is ``train`` where there are none."""
    roots: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        split = SPLIT_FOLDERS.get(path.name.lower())
        if split is None or not path.is_dir() or any(map(_is_image, path.iterdir())):
            continue
        if split in roots:
            raise BadDataError(
                f"{roots[split]} and {path} are both the split {split!r}; merge them"
            )
        roots[split] = path
    return roots or {"train": folder}


def _is_image(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.suffix.lower() in IMAGE_SUFFIXES and not hidden and path.is_file()


def _labeled_files(root: Path, left_out: list[str]) -> list[tuple[Path, str]]:
    """The images below ``root``, each with its class's name; adds to what is ``left_out``."""
    pairs: list[tuple[Path, str]] = []

    def visit(folder: Path, above: frozenset[str]) -> int:
        real = os.path.realpath(folder)
        if real in above:
            left_out.append(f"{folder} (a link to a folder that it is in)")
            return 0
        entries = sorted(folder.iterdir())
        images = [path for path in entries if _is_image(path)]
        folders = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
        others = sorted(set(entries) - {*images, *folders})
        if folder == root:
            others += images
            images = []
        if others:
            # a class of thousands of files that cannot be read is one line
            kinds = Counter(path.suffix.lower() or path.name for path in others)
            counts = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common(3))
            what = others[0] if len(others) == 1 else f"{len(others)} in {folder}: {counts}"
            left_out.append(f"{what} (no image in a class's folder)")
        name = unicodedata.normalize("NFC", folder.relative_to(root).as_posix())
        pairs.extend((path, name) for path in images)
        found = len(images) + sum(visit(path, above | {real}) for path in folders)
        if not found and not others and folder != root:
            left_out.append(f"{folder} (no images)")
        return found

    try:
        visit(root, frozenset())
    except OSError as error:
        raise BadDataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return pairs


def _class_names(files: dict[str, list[tuple[Path, str]]]) -> tuple[str, ...]:
    """The classes' names, in order.

    Raises:
      BadDataError: a name is not UTF-8, or holds a line break or outer spaces, which TFDS' list of
        names would lose.
    """
    names = {name: path.parent for pairs in files.values() for path, name in pairs}
    for name, folder in names.items():
        try:
            name.encode()
        except UnicodeEncodeError:
            raise BadDataError(f"the class folder {str(folder)!r} has no UTF-8 name") from None
        if name.splitlines() != [name] or name.strip() != name:
            raise BadDataError(
                f"the class folder {str(folder)!r} has a line break or outer spaces in its name; "
                "rename it"
            )
    return tuple(sorted(names))
