"""From settings to training images, test images and networks."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key, UInt8

from metajax.core import ConfigError, Examples, Network, random_indices, register_dataclass
from metajax.data import frequent_characters, load_text, text_windows
from metajax.learners import ActivatedExperts, feed_forward_blocks
from metajax.nn import layer_stack, mlp
from metajax.systems.growth.settings import Blocks, Deep, Settings, Training
from metajax.systems.image_sets import image_pools

DATA_SEED = 1511_05641
"""Seed of the training images that are kept and of wrong labels: the same for every run."""


TESTED = 5000
"""Windows of a text that accuracy is measured on, at most; evenly spread."""


def in_domains(images: UInt8[Array, "n h w c"], domains: int) -> list[UInt8[Array, "n h w c"]]:
    """Return square images as they are, turned by 90 degrees, inverted, and both, for 1 to 4."""
    turned = jnp.rot90(images, axes=(1, 2))
    return [images, turned, 255 - images, 255 - turned][:domains]


def update_operations(products: Sequence[int]) -> int:
    """Return the operations of an update for one image, by the multiplications of each layer.

    Each layer multiplies forward, and backward for its weights and its inputs; the first one needs
    no gradient of its inputs. Biases, activations and the optimizer are left out.
    """
    return 2 * (3 * sum(products) - products[0])


@register_dataclass
@dataclasses.dataclass(frozen=True)
class Parts:
    """Draws of images, or of windows of a text, for several updates, as a task distribution.

    Attributes:
      images: all that are drawn from, normalized, domain by domain; or codes of characters.
      labels: their classes.
      parts: updates. Static.
      num: images of an update. Static.
      domains: each image is once in each. Static.
      codes: how many codes of characters there are; 0: these are images. Static.
    """

    images: Float[Array, "n features"] | UInt8[Array, "n context"]
    labels: Int32[Array, " n"]
    parts: int = dataclasses.field(metadata={"static": True})
    num: int = dataclasses.field(metadata={"static": True})
    domains: int = dataclasses.field(default=1, metadata={"static": True})
    codes: int = dataclasses.field(default=0, metadata={"static": True})

    @property
    def features(self) -> int:
        """Numbers that a network reads."""
        return self.images.shape[1] * (self.codes or 1)

    def read(self, images: Array) -> Float[Array, "*batch features"]:
        """Return what a network reads: images as they are, or one-hot codes."""
        if not self.codes:
            return images
        return jax.nn.one_hot(images, self.codes).reshape(*images.shape[:-1], self.features)

    def __call__(self, key: Key[Array, ""]) -> Examples:
        """Draw images, uniformly with replacement; the first axis is that of the updates.

        The images of an update are of the domains in turn.
        """
        number = len(self.labels) // self.domains
        rows = random_indices(key, (self.parts, self.num), jnp.uint32(number))
        rows += number * (jnp.arange(self.num, dtype=rows.dtype) % self.domains)[None]
        return Examples(self.read(self.images[rows]), self.labels[rows])


class Problem(NamedTuple):
    """Images to learn from, others to be measured on, and the sizes of the networks.

    Attributes:
      settings: what it was made from.
      tasks: what is trained on.
      test: what accuracy is measured on.
      ways: classes.
    """

    settings: Settings
    tasks: Parts
    test: Examples
    ways: int

    @property
    def example_tasks(self) -> Parts:
        """What is trained on."""
        return self.tasks

    @property
    def small(self) -> tuple[int, ...]:
        """Hidden layers of the small network."""
        return (self.settings.small_width,)

    @property
    def large(self) -> tuple[int, ...]:
        """Hidden layers of the large network."""
        return (self.settings.width,) * self.settings.layers

    def part_of_large(self, share: float) -> tuple[int, ...]:
        """Return the hidden layers of a network with a part of the large one's units."""
        return tuple(max(round(share * width), 1) for width in self.large)

    def kept_apart(self, share: float) -> tuple[Parts, Examples]:
        """Return what is trained on and what is held out, where a part of the images is held out.

        The last ones of each domain are: images are in random order, the same for all runs, and a
        text in its own.

        Args:
          share: of the training images that is held out, one image or more.

        Raises:
          ConfigError: no image is left to be trained on.
        """
        domains = self.tasks.domains
        number = len(self.tasks.labels) // domains
        held = max(round(share * number), 1)
        if held >= number:
            expected = f"a part that leaves some of {number} images"
            raise ConfigError("held_out_share", share, expected)

        def part(leaf: Array, places: slice) -> Array:
            each = leaf.reshape(domains, number, *leaf.shape[1:])[:, places]
            return each.reshape(-1, *leaf.shape[1:])

        first, last = slice(-held), slice(-held, None)
        images, labels = self.tasks.images, self.tasks.labels
        rest = dataclasses.replace(
            self.tasks, images=part(images, first), labels=part(labels, first)
        )
        return rest, Examples(self.tasks.read(part(images, last)), part(labels, last))

    def network(self, widths: tuple[int, ...]) -> Network:
        """Return a network with some hidden layers."""
        return mlp(widths, self.ways)

    def deep_network(self, deep: Deep, depth: int) -> Network:
        """Return a network of some layers of the deep one's size."""
        return layer_stack(depth, deep.module_width, self.ways, deep.residual)

    def block_network(self, of: Blocks) -> Network:
        """Return a residual network of feed-forward blocks."""
        return feed_forward_blocks(of.block_width, of.block_hidden, of.blocks, self.ways)

    def products(self, widths: tuple[int, ...]) -> list[int]:
        """Return the multiplications of each layer for one image."""
        sizes = [self.tasks.features, *widths, self.ways]
        return [a * b for a, b in itertools.pairwise(sizes)]

    def forward_flops(self, widths: tuple[int, ...]) -> int:
        """Return the operations by which a network predicts one image."""
        return 2 * sum(self.products(widths))

    def update_flops(self, widths: tuple[int, ...]) -> int:
        """Return the operations of an update of a network for one image."""
        return update_operations(self.products(widths))

    def deep_flops(self, deep: Deep, depth: int) -> int:
        """Return the operations of an update of :meth:`deep_network` for one image."""
        return self.update_flops((deep.module_width,) * (depth + 1))

    def block_flops(self, of: Blocks, copies: int = 1, experts: int = 0) -> int:
        """Return the operations of an update of :meth:`block_network` for one image.

        With copies of each block, as experts that are all evaluated, and their routers.
        """
        block = 2 * copies * of.block_width * of.block_hidden + experts * of.block_width
        stem, head = self.tasks.features * of.block_width, of.block_width * self.ways
        return update_operations([stem, *[block] * of.blocks, head])

    def expert_flops(self, experts: ActivatedExperts) -> int:
        """Return the operations of an update of all experts and their router for one image.

        The network that they are made of votes, so its forward pass is counted too.
        """
        router = [
            self.tasks.features * experts.router_width,
            experts.router_width * experts.domains,
        ]
        flops = experts.domains * self.update_flops(experts.sizes) + update_operations(router)
        return flops + self.forward_flops(experts.widths)

    def updates(self, widths: tuple[int, ...]) -> int:
        """Return how many updates of a network cost no more than one of the large network."""
        return max(self.update_flops(self.large) // self.update_flops(widths), 1)

    def setting(self) -> str:
        """Return the images in a few words."""
        of = self.settings
        noise = f", {of.label_noise:.0%} of the labels random" if of.label_noise else ""
        if of.text is not None:
            return f"{Path(of.text).name}, {len(self.tasks.labels)} training characters{noise}"
        domains = f" in {of.domains} domains" if of.domains > 1 else ""
        return f"{of.base_set}, {len(self.tasks.labels)} training images{domains}{noise}"


def alphabet_of(settings: Settings) -> tuple[str, str, str]:
    """Return the characters that are distinguished, the training text and that of the test.

    Raises:
      ConfigError: the file is no text, or too short.
    """
    text = load_text(settings.text or "", "text")
    cut = len(text) - len(text) // 10
    if len(text) // 10 <= settings.context:
        expected = f"a text of more than {10 * settings.context} characters"
        raise ConfigError("text", settings.text, expected)
    return frequent_characters(text[:cut], settings.symbols), text[:cut], text[cut:]


def relabeled(
    labels: Int32[np.ndarray, " n"], ways: int, settings: Settings, draw: np.random.Generator
) -> Int32[np.ndarray, " n"]:
    """Return labels, of which a part is random."""
    wrong = draw.random(len(labels)) < settings.label_noise
    return np.where(wrong, draw.integers(ways, size=len(labels)), labels).astype(np.int32)


def kept_of(number: int, settings: Settings) -> int:
    """Return how many examples are trained on.

    Raises:
      ConfigError: there are fewer than the settings ask for.
    """
    kept = settings.train_images
    if kept is not None and kept > number:
        raise ConfigError("train_images", kept, f"at most {number}, or None")
    return number if kept is None else kept


def text_problem(settings: Settings, draw: np.random.Generator) -> Problem:
    """Return the problem of a text, whose first windows are trained on, in their order."""
    alphabet, train, test = alphabet_of(settings)
    ways = len(alphabet) + 1
    inputs, labels = text_windows(train, alphabet, settings.context)
    test_inputs, test_labels = text_windows(test, alphabet, settings.context)
    kept, every = kept_of(len(labels), settings), -(-len(test_labels) // TESTED)
    labels = relabeled(labels[:kept], ways, settings, draw)
    tasks = Parts(jnp.asarray(inputs[:kept]), jnp.asarray(labels), 1, settings.examples, codes=ways)
    measured = tasks.read(jnp.asarray(test_inputs[::every]))
    return Problem(settings, tasks, Examples(measured, jnp.asarray(test_labels[::every])), ways)


def image_problem(settings: Settings, data_dir: Path | None, draw: np.random.Generator) -> Problem:
    """Return the problem of a set of images, in random order."""
    train, test = image_pools(settings, data_dir)
    rows = draw.permutation(len(train.labels))[: kept_of(len(train.labels), settings)]
    labels = relabeled(np.asarray(train.labels, np.int32)[rows], train.num_classes, settings, draw)

    def examples(images: UInt8[Array, "n h w c"], labels: Any) -> Examples:
        # with the mean and deviation of the training set
        each = [train.normalise(some) for some in in_domains(images, settings.domains)]
        targets = jnp.tile(jnp.asarray(labels, jnp.int32), settings.domains)
        return Examples(jnp.concatenate(each), targets)

    tasks = Parts(
        *examples(train.images[rows], labels), 1, settings.examples, domains=settings.domains
    )
    return Problem(settings, tasks, examples(test.images, test.labels), train.num_classes)


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set, or the text.
    """
    draw = np.random.default_rng(DATA_SEED)
    if settings.text is None:
        problem = image_problem(settings, data_dir, draw)
    else:
        problem = text_problem(settings, draw)
    tasks = dataclasses.replace(problem.tasks, parts=problem.updates(problem.small))
    return problem._replace(tasks=tasks)
