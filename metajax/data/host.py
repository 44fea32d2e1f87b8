"""Sets too large for the device: read on the host by Grain, a meta-step at a time.

Each batch is read by random access, so nothing is held in memory but what is on its way.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metajax.core import ConfigError, needs_extra
from metajax.data.images import ImageSet, OpenSet, open_set, read_examples
from metajax.data.pool import level_statistics

if TYPE_CHECKING:
    import grain


def host_batches(
    name_or_source: str | ImageSet | OpenSet,
    split: str = "train",
    *,
    tasks_per_step: int,
    examples_per_task: tuple[int, ...],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    workers: int = 0,
) -> grain.IterDataset:
    """Return an endless Grain dataset of the raw material of meta-steps.

    Each element is ``{"images": uint8 [tasks_per_step, *examples_per_task, h, w, c], "labels":
    int32 [tasks_per_step, *examples_per_task]}``. Every image of the split is seen once before
    any is seen again, in an order that is shuffled each time, which ``seed`` fixes. The iterators'
    ``get_state`` and ``set_state`` continue exactly: the state is the number of the next
    meta-step. It is what ``batches`` of :class:`metajax.core.HostFed` wants; bring the images to
    floats on the device, with :func:`metajax.data.normalise` and :func:`pool_statistics`.

    Args:
      name_or_source: a set's name, a set in host memory, or an open one.
      split: of the set, where it is named (:func:`metajax.data.load_images`).
      tasks_per_step: tasks of a meta-step.
      examples_per_task: leading shape of a task's examples, such as ``(sequences, length)``.
      size: height and width to resize to; needed where the images of a set differ in size.
      channels: 1 or 3, or None to keep what the set has.
      seed: of the order of the images.
      data_dir: folder of the data sets, where the set is named.
      workers: processes that read ahead; 0 reads ahead by threads of this process. The batches
        are the same whatever their number.

    Raises:
      ConfigError: a count is below 1, or as :func:`metajax.data.load_images` raises.
      MissingDataError: the set is not on disk.
      MissingExtraError: Grain is not installed.
    """
    with needs_extra("feeding batches from the host", "Grain", "grain"):
        import grain

    if tasks_per_step < 1:
        raise ConfigError("tasks_per_step", tasks_per_step, "a whole number of 1 or more")
    if not examples_per_task or min(examples_per_task) < 1:
        raise ConfigError("examples_per_task", examples_per_task, "a shape of at least 1 in each")
    if workers < 0:
        raise ConfigError("workers", workers, "a whole number of 0 or more")
    opened = _open(name_or_source, split, data_dir)
    shape = (tasks_per_step, *examples_per_task)
    read_examples(opened, np.zeros(1, int), size, channels)  # so bad settings are rejected here
    # Grain orders and batches indices, and each batch is then one read: reading example by
    # example takes about twice as long
    steps = (
        grain.MapDataset.range(len(opened.source))
        .shuffle(seed=seed)
        .repeat()
        .batch(math.prod(shape))
        .map(functools.partial(_read_step, opened, shape, size, channels))
    )
    # an element is a whole meta-step: Grain's default of 500 read ahead would fill the memory
    read_ahead = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
    batches = steps.to_iter_dataset(read_ahead)
    if workers:
        from absl import flags

        # Grain's workers read absl flags, which only programs run by absl.app have parsed
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=1)
        batches = batches.mp_prefetch(options)
    return batches


def pool_statistics(
    name_or_source: str | ImageSet | OpenSet,
    split: str = "train",
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    data_dir: str | Path | None = None,
    num_examples: int = 10_000,
) -> tuple[float, float]:
    """Return mean and standard deviation of ``images / 255``, resized, over pixels and examples.

    At most ``num_examples`` examples, evenly spaced over the split, are read; with as many as
    the split holds the numbers are those of a device pool. Arguments and errors as
    :func:`host_batches`.

    Args:
      name_or_source: as :func:`host_batches` takes it.
      split: of the set.
      size: height and width in pixels to resize to.
      channels: 1 or 3, or None to keep what the set has.
      data_dir: folder of the data sets.
      num_examples: most examples to read.
    """
    opened = _open(name_or_source, split, data_dir)
    total = len(opened.source)
    indices = np.arange(min(num_examples, total)) * total // min(num_examples, total)
    images, _ = read_examples(opened, indices, size, channels)
    return level_statistics(images)


class _InMemory:
    """An :class:`ImageSet` under the interface of a TFDS source."""

    def __init__(self, image_set: ImageSet):
        self.image_set = image_set

    def __len__(self) -> int:
        return len(self.image_set.labels)

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        images, labels = self.image_set.images, self.image_set.labels
        return [{"image": images[i], "label": labels[i]} for i in indices]


def _open(
    name_or_source: str | ImageSet | OpenSet, split: str, data_dir: str | Path | None
) -> OpenSet:
    if isinstance(name_or_source, str):
        name_or_source = open_set(name_or_source, split, data_dir)
    elif isinstance(name_or_source, ImageSet):
        num_classes = name_or_source.num_classes
        name_or_source = OpenSet(_InMemory(name_or_source), num_classes)
    if not len(name_or_source.source):
        raise ConfigError("split", split, "a split with at least one example")
    return name_or_source


def _read_step(
    opened: OpenSet,
    shape: tuple[int, ...],
    size: tuple[int, int] | None,
    channels: int | None,
    indices: np.ndarray,
) -> dict[str, np.ndarray]:
    images, labels = read_examples(opened, indices, size, channels)
    return {"images": images.reshape(*shape, *images.shape[1:]), "labels": labels.reshape(shape)}
