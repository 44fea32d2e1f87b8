"""Synthetic tables: small classification problems of many kinds, drawn by key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float, Int, Key

from metajax.core import ConfigError, Examples, Task

LATENTS = 8
"""Numbers behind a row, at most."""
CENTERS = 3
"""Clusters of a class, at most."""
HIDDEN = 16
"""Hidden units of a random teacher."""
MISSING = -1
"""Target of a row that is not there."""


@register_dataclass
@dataclass(frozen=True)
class TableTasks:
    """Small tables with a column to predict, each of a kind of its own.

    One to eight latent numbers lie behind a row. Its class is the cluster that they were drawn from
    (each class has one to three, of a spread of their own), or is drawn by a random teacher's
    probabilities: linear, of one hidden layer, or made of thresholds. Features are copies or random
    mixes of the latents with noise; some are binary, of few levels, of heavy tails, some say
    nothing and some are constant. In half of the tables labels are replaced at random, up to half
    of them; classes are even or not.

    A draw has inputs ``[rows, features]`` and targets ``[rows]``. Rows beyond the drawn number and
    queries of classes that the support does not hold have the target -1; features beyond the
    drawn number are 0.

    Attributes:
      least: the fewest rows of a support.
      rows: the most; numbers in between are drawn evenly on a logarithmic scale. Static.
      queries: rows to predict. Static.
      features: the most features. Static.
      classes: the most classes. Static.

    Raises:
      ConfigError: a size is too small.
    """

    least: int = field(default=2, metadata={"static": True})
    rows: int = field(default=128, metadata={"static": True})
    queries: int = field(default=32, metadata={"static": True})
    features: int = field(default=40, metadata={"static": True})
    classes: int = field(default=10, metadata={"static": True})

    def __post_init__(self) -> None:
        for name, least in (("least", 2), ("rows", self.least), ("queries", 1)):
            if getattr(self, name) < least:
                raise ConfigError(name, getattr(self, name), f"a whole number of {least} or more")
        for name in ("features", "classes"):
            if getattr(self, name) < 2:
                raise ConfigError(name, getattr(self, name), "a whole number of 2 or more")

    def __call__(self, key: Key[Array, ""]) -> Task:
        sizes, classes, columns, noise = jax.random.split(key, 4)
        total = self.rows + self.queries
        drawn = self._sizes(sizes)
        latents, labels = self._classes(classes, drawn, total)
        inputs = self._features(columns, drawn, latents)
        labels = _with_noise(noise, labels, drawn.prior)
        known = jnp.arange(self.rows) < drawn.rows
        support = jnp.where(known, labels[: self.rows], MISSING)
        seen = jnp.any(support[:, None] == jnp.arange(self.classes)[None], axis=0)
        query = labels[self.rows :]
        query = jnp.where(seen[query], query, MISSING)
        return Task(
            Examples(inputs[: self.rows] * known[:, None], support),
            Examples(inputs[self.rows :], query),
        )

    def _sizes(self, key: Key[Array, ""]) -> _Drawn:
        rows, features, two, classes, latents, even, uneven = jax.random.split(key, 7)
        several = jax.random.randint(classes, (), 2, self.classes + 1)
        count = jnp.where(jax.random.bernoulli(two), 2, several)
        here = jnp.arange(self.classes) < count
        spread = jnp.where(jax.random.bernoulli(even), 0.0, jax.random.uniform(uneven, maxval=1.2))
        leaning = spread * jax.random.normal(jax.random.fold_in(uneven, 1), (self.classes,))
        return _Drawn(
            rows=_log_integer(rows, self.least, self.rows),
            features=_log_integer(features, 2, self.features),
            latents=jax.random.randint(latents, (), 1, LATENTS + 1),
            here=here,
            prior=jax.nn.softmax(leaning, where=here),
        )

    def _classes(
        self, key: Key[Array, ""], drawn: _Drawn, total: int
    ) -> tuple[Float[Array, "total latents"], Int[Array, " total"]]:
        """Draw latents with their labels: of clusters, or by a teacher."""
        kind, clusters, free, teacher, labels = jax.random.split(key, 5)
        is_latent = jnp.arange(LATENTS) < drawn.latents
        at, of_clusters = _clusters(clusters, drawn.prior, total)
        latents = jnp.where(
            jax.random.bernoulli(kind, 0.4), at, jax.random.normal(free, (total, LATENTS))
        )
        latents = latents * is_latent
        logits = _teacher(teacher, latents, drawn) + jnp.log(jnp.maximum(drawn.prior, 1e-9))
        taught = jax.random.categorical(labels, jnp.where(drawn.here, logits, -jnp.inf))
        return latents, jnp.where(jax.random.bernoulli(kind, 0.4), of_clusters, taught)

    def _features(
        self, key: Key[Array, ""], drawn: _Drawn, latents: Float[Array, "total latents"]
    ) -> Float[Array, "total features"]:
        """Make features of latents."""
        keys = jax.random.split(key, 14)
        size = (self.features,)
        total = latents.shape[0]
        chosen = jax.random.randint(keys[0], size, 0, drawn.latents)
        copies = jax.nn.one_hot(chosen, LATENTS, axis=0) * _signs(keys[1], size)
        mixed = jax.random.normal(keys[2], (LATENTS, self.features)) * drawn.latents**-0.5
        maps = jnp.where(jax.random.bernoulli(keys[3]), copies, mixed)
        noise = jnp.exp(jax.random.uniform(keys[4], minval=-3.5, maxval=0.5))
        x = latents @ maps + noise * jax.random.normal(keys[5], (total, self.features))
        x = jnp.where(jax.random.bernoulli(keys[6], 0.2), jnp.tanh(2 * x), x)

        def some(index: int, often: float, most: float) -> Bool[Array, " features"]:
            """Choose features: in ``often`` of the tables a share of them, up to ``most``."""
            whether, share, which = jax.random.split(keys[index], 3)
            part = jax.random.uniform(share, maxval=most) * jax.random.bernoulli(whether, often)
            return jax.random.bernoulli(which, part, size)

        spread = jnp.std(x, axis=0) + 1e-6
        unit = x / spread
        cut = 0.8 * jax.random.normal(keys[7], size)
        levels = 0.5 + 2 * jax.random.uniform(keys[8], size)
        x = jnp.where(some(9, 0.3, 1.0), jnp.exp(1.2 * unit), unit)
        x = jnp.where(some(10, 0.4, 1.0), (unit > cut).astype(x.dtype), x)
        x = jnp.where(some(11, 0.3, 1.0), jnp.round(unit * levels), x)
        x = jnp.where(some(12, 0.6, 0.9), jax.random.normal(keys[13], x.shape), x)
        x = jnp.where(some(13, 0.1, 0.3), 1.0, x)
        return x * (jnp.arange(self.features) < drawn.features)


class _Drawn(NamedTuple):
    """What is decided first of a table: its sizes, and how often its classes are."""

    rows: Int[Array, ""]
    features: Int[Array, ""]
    latents: Int[Array, ""]
    here: Bool[Array, " classes"]
    prior: Float[Array, " classes"]


def _log_integer(key: Key[Array, ""], least: int, most: int) -> Int[Array, ""]:
    """Draw a whole number evenly on a logarithmic scale, both ends included."""
    low, high = jnp.log(least), jnp.log(most + 1)
    drawn = jnp.exp(jax.random.uniform(key, minval=low, maxval=high)).astype(jnp.int32)
    return jnp.clip(drawn, least, most)


def _signs(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    return jax.random.rademacher(key, shape, jnp.float32)


def _clusters(
    key: Key[Array, ""], prior: Float[Array, " classes"], total: int
) -> tuple[Float[Array, "total latents"], Int[Array, " total"]]:
    """Draw classes by their prior, and latents from one of the clusters of each."""
    labels, which, number, centers, spread, apart, noise = jax.random.split(key, 7)
    label = jax.random.categorical(labels, jnp.log(jnp.maximum(prior, 1e-9)), shape=(total,))
    used = 1 + jax.random.randint(number, (), 0, CENTERS) * jax.random.bernoulli(noise, 0.4)
    cluster = jax.random.randint(which, (total,), 0, used)
    classes = prior.shape[0]
    distance = jnp.exp(jax.random.uniform(apart, minval=-1.2, maxval=1.4))
    center = distance * jax.random.normal(centers, (classes, CENTERS, LATENTS))
    size = jnp.exp(0.4 * jax.random.normal(spread, (classes, CENTERS, 1)))
    cloud = jax.random.normal(jax.random.fold_in(noise, 1), (total, LATENTS))
    return center[label, cluster] + size[label, cluster] * cloud, label


def _teacher(
    key: Key[Array, ""], latents: Float[Array, "total latents"], drawn: _Drawn
) -> Float[Array, "total classes"]:
    """Return a random teacher's logits: linear, of a hidden layer, or of thresholds."""
    kind, first, offset, second, linear, power = jax.random.split(key, 6)
    classes = drawn.prior.shape[0]
    scale = drawn.latents**-0.5
    straight = latents @ jax.random.normal(linear, (LATENTS, classes)) * scale
    hidden = latents @ jax.random.normal(first, (LATENTS, HIDDEN)) * scale * 2
    bent = jnp.tanh(hidden + jax.random.normal(offset, (HIDDEN,)))
    # a threshold asks one latent alone
    asked = jax.random.randint(first, (HIDDEN,), 0, drawn.latents)
    stepped = jnp.sign(latents[:, asked] - 0.7 * jax.random.normal(offset, (HIDDEN,)))
    of_hidden = jax.random.normal(second, (HIDDEN, classes)) * HIDDEN**-0.5
    # thresholds that matter are few
    of_few = of_hidden * (jnp.arange(HIDDEN) < 4)[:, None] * 2
    which = jax.random.uniform(kind)
    logits = jnp.where(
        which < 0.4, straight, jnp.where(which < 0.75, bent @ of_hidden, stepped @ of_few)
    )
    # from hardly any signal to labels that follow from the features
    return logits * jnp.exp(jax.random.uniform(power, minval=-1.0, maxval=3.0))


def _with_noise(
    key: Key[Array, ""], labels: Int[Array, " total"], prior: Float[Array, " classes"]
) -> Int[Array, " total"]:
    """Replace some labels by others, drawn by the prior: up to half, in half of the tables."""
    whether, share, which, other = jax.random.split(key, 4)
    rate = jax.random.uniform(share, maxval=0.5) * jax.random.bernoulli(whether)
    drawn = jax.random.categorical(other, jnp.log(jnp.maximum(prior, 1e-9)), shape=labels.shape)
    return jnp.where(jax.random.bernoulli(which, rate, labels.shape), drawn, labels)
