"""Modalities as conditions: embeddings by encoders, of which some are never trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key, UInt32

from metajax.core import ConfigError, Examples, Task, derive, random_indices, register_dataclass
from metajax.data import ImagePool, glyph_images
from metajax.hypernet import Pairs
from metajax.systems.weights.modalities.settings import Settings
from metajax.systems.weights.modalities.views import HAND_MADE, random_view
from metajax.systems.weights.problem import Problem, read_images

MODALITIES_SEED = 2509_04606
"""Seed of encoders, texts and supports that are measured: the same for every run."""
GLYPH_VARIANTS = 12
"""Printed variants of each digit in each font."""


@register_dataclass
@dataclass(frozen=True)
class ModalityTasks:
    """Tasks of a random modality each: pairs as support, embeddings with their classes as query.

    Attributes:
      embeddings: of each modality, those of a class side by side.
      first: the first image of each class.
      number: how many images each class has.
      texts: a vector for each class.
      pairs: of each class at least and at most. Static.
      examples: of a query. Static.
    """

    embeddings: Float[Array, "m n features"]
    first: Int32[Array, " classes"]
    number: UInt32[Array, " classes"]
    texts: Float[Array, "classes text"]
    pairs: tuple[int, int] = field(metadata={"static": True})
    examples: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw a task whose support and query have no image in common.

        The number of pairs of a class is between the least and the most, small ones more often.
        """
        classes = len(self.texts)
        modality = random_indices(derive(key, "modality"), (), jnp.uint32(len(self.embeddings)))
        side = jax.random.bernoulli(derive(key, "side")).astype(jnp.int32)
        least, most = self.pairs
        part = jax.random.uniform(derive(key, "pairs"))
        drawn = (least * jnp.exp(part * np.log((most + 1) / least))).astype(jnp.int32)
        labels = jnp.tile(jnp.arange(classes, dtype=jnp.int32), most)
        support = self._rows(derive(key, "support"), labels, side)
        asked = random_indices(derive(key, "labels"), (self.examples,), jnp.uint32(classes))
        query = self._rows(derive(key, "query"), asked, 1 - side)
        of = self.embeddings[modality]
        return Task(
            Pairs(of[support], self.texts[labels], jnp.arange(len(labels)) < drawn * classes),
            Examples(of[query], asked),
        )

    def _rows(
        self, key: Key[Array, ""], labels: Int32[Array, " n"], side: Int32[Array, ""]
    ) -> Int32[Array, " n"]:
        """Draw an image of each class: every other one, from one side or the other."""
        half = random_indices(key, labels.shape, self.number[labels] // 2)
        return self.first[labels] + 2 * half + side


class Measured(NamedTuple):
    """Supports and queries that one kind of modality is measured on, the same for every run.

    Attributes:
      support: embeddings, the first pair of all classes, then the second, and so on.
      query: embeddings with their classes.
    """

    support: Float[Array, "tasks pairs_and_classes features"]
    query: Examples


@register_dataclass
@dataclass(frozen=True)
class Modalities:
    """What is measured of modalities.

    Attributes:
      texts: a vector for each class.
      groups: by name: ``test``, unseen encoders; ``views``, hand-made features; ``glyphs``, printed
        digits by the unseen encoders.
      pairs: of each class that are measured. Static.
    """

    texts: Float[Array, "classes text"]
    groups: dict[str, Measured]
    pairs: tuple[int, ...] = field(metadata={"static": True})

    @property
    def called(self) -> str:
        """Unseen modalities."""
        return f"unseen modalities of {len(self.texts)} classes"

    @property
    def axis(self) -> str:
        """Pairs."""
        return "pairs a class"

    @property
    def points(self) -> list[float]:
        """Numbers of pairs."""
        return [float(pairs) for pairs in self.pairs]


def drawn_tasks(
    seen: list[np.ndarray],
    seen_labels: np.ndarray,
    asked: list[np.ndarray],
    asked_labels: np.ndarray,
    settings: Settings,
) -> Measured:
    """Draw balanced supports of each modality without replacement, and test images.

    Args:
      seen: embeddings that supports are drawn from, by modality.
      seen_labels: their classes.
      asked: embeddings of queries, by modality.
      asked_labels: their classes.
      settings: how many.

    Raises:
      ConfigError: a class has fewer images than a support needs.
    """
    draw = np.random.default_rng(MODALITIES_SEED)
    classes, pairs = int(seen_labels.max()) + 1, settings.most_pairs
    least = int(np.bincount(seen_labels, minlength=classes).min())
    if least < pairs:
        raise ConfigError("most_pairs", pairs, f"at most the images of a class, {least}")
    supports, queries, labels = [], [], []
    for known, unknown in zip(seen, asked, strict=True):
        for _ in range(settings.eval_supports):
            rows = [
                draw.permutation(np.flatnonzero(seen_labels == c))[:pairs] for c in range(classes)
            ]
            supports.append(known[np.stack(rows, axis=1).reshape(-1)])
            some = draw.permutation(len(unknown))[: settings.eval_queries]
            queries.append(unknown[some])
            labels.append(asked_labels[some])
    return Measured(
        jnp.asarray(np.stack(supports)),
        Examples(jnp.asarray(np.stack(queries)), jnp.asarray(np.stack(labels), jnp.int32)),
    )


def make_modalities(
    settings: Settings, train: ImagePool, test: ImagePool
) -> tuple[ModalityTasks, Modalities]:
    """Make the modalities of some settings.

    Args:
      settings: of the problem.
      train: images to train on, and of supports.
      test: images of queries, with the statistics of the others.

    Returns:
      What is trained on, and what is measured.

    Raises:
      ConfigError: a class has too few images.
    """
    key, features = jax.random.key(MODALITIES_SEED), settings.features
    number = np.diff(np.asarray(train.class_starts))
    if number.min() < 2:
        raise ConfigError("train_split", settings.train_split, "two images or more of each class")
    seen, asked = (pool.levels(pool.images) for pool in (train, test))
    labels = [np.asarray(pool.labels).astype(int) for pool in (train, test)]

    @jax.jit
    def encoded(images: Float[Array, "n h w c"], keys: Key[Array, " m"]) -> Array:
        return jax.lax.map(lambda one: random_view(images, features, one), keys)

    texts = jax.random.normal(derive(key, "texts"), (train.num_classes, settings.text_size))
    texts = texts / jnp.sqrt(jnp.mean(jnp.square(texts), axis=1, keepdims=True))
    tasks = ModalityTasks(
        encoded(seen, jax.random.split(derive(key, "train"), settings.modalities)),
        jnp.asarray(train.class_starts[:-1], jnp.int32),
        jnp.asarray(number, jnp.uint32),
        texts,
        (settings.least_pairs, settings.most_pairs),
        settings.examples,
    )
    unseen = jax.random.split(derive(key, "test"), settings.eval_modalities)

    def by_encoders(images: Array) -> list[np.ndarray]:
        return list(np.asarray(encoded(images, unseen)))

    def by_hand(images: Array) -> list[np.ndarray]:
        return [
            np.asarray(jax.jit(view, static_argnums=1)(images, features))
            for view in HAND_MADE.values()
        ]

    groups = {
        "test": drawn_tasks(by_encoders(seen), labels[0], by_encoders(asked), labels[1], settings),
        "views": drawn_tasks(by_hand(seen), labels[0], by_hand(asked), labels[1], settings),
    }
    if settings.glyphs:
        printed = glyph_images("0123456789", settings.image_size, GLYPH_VARIANTS, MODALITIES_SEED)
        printed = np.repeat(printed[..., None], settings.image_channels, axis=-1)
        # fonts of a support are others than those of its query
        sides = [np.swapaxes(printed[place::2], 0, 1) for place in (0, 1)]
        digits = np.repeat(np.arange(10), sides[0].shape[1] * GLYPH_VARIANTS)
        shape = (-1, *sides[0].shape[-3:])
        found = [by_encoders(train.levels(jnp.asarray(side.reshape(shape)))) for side in sides]
        groups["glyphs"] = drawn_tasks(found[0], digits, found[1], digits, settings)
    return tasks, Modalities(texts, groups, settings.eval_pairs)


def make_problem(settings: Settings, training: Any, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = read_images(settings, data_dir)
    tasks, modalities = make_modalities(settings, train, test)
    return Problem(settings, tasks, test, modalities, train.num_classes)
