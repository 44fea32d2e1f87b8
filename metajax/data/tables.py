"""Synthetic tables: small classification problems of many kinds, drawn by key."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from metajax.core import ConfigError, Examples, Task, normals_from, register_dataclass

LATENTS = 8
"""Numbers behind a row, at most."""
CENTERS = 3
"""Clusters of a class, at most."""
HIDDEN = 16
"""Hidden units of a random teacher."""
FEW = 4
"""Thresholds that matter, of a teacher made of thresholds."""
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
        """Draw a table."""
        total = self.rows + self.queries
        # one call draws for all purposes: calls are what takes long to compile
        words = _Words(jax.random.bits(key, (self._words(),), jnp.uint32))
        drawn = self._sizes(words)
        latents, labels = self._classes(words, drawn, total)
        inputs = self._features(words, drawn, latents)
        # up to half of the labels are replaced, in half of the tables
        rate = words.uniform(high=0.5) * words.gate(0.5)
        others = _by_prior(words.uniform((total,)), drawn.prior)
        labels = jnp.where(words.uniform((total,)) < rate, others, labels)

        known = jnp.arange(self.rows) < drawn.rows
        support = jnp.where(known, labels[: self.rows], MISSING)
        seen = jnp.any(support[:, None] == jnp.arange(self.classes)[None], axis=0)
        query = labels[self.rows :]
        query = jnp.where(seen[query], query, MISSING)
        return Task(
            Examples(jnp.where(known[:, None], inputs[: self.rows], 0.0), support),
            Examples(inputs[self.rows :], query),
        )

    def _words(self) -> int:
        """Return how many random words a draw takes, or more."""
        total, classes = self.rows + self.queries, self.classes
        by_row = 2 * LATENTS + 2 * self.features + 6
        by_class = 2 + CENTERS * (LATENTS + 1) + LATENTS + HIDDEN
        by_feature = LATENTS + 10
        return (
            total * by_row
            + classes * by_class
            + self.features * by_feature
            + HIDDEN * (LATENTS + 3)
            + 64
        )

    def _sizes(self, words: _Words) -> _Drawn:
        several = words.integer(2, self.classes)
        count = jnp.where(words.chance(0.5), 2, several)
        here = jnp.arange(self.classes) < count
        leaning = words.uniform(high=1.2) * words.gate(0.5) * words.normal((self.classes,))
        return _Drawn(
            rows=words.log_integer(self.least, self.rows),
            features=words.log_integer(2, self.features),
            latents=words.integer(1, LATENTS),
            prior=jax.nn.softmax(leaning, where=here),
        )

    def _classes(
        self, words: _Words, drawn: _Drawn, total: int
    ) -> tuple[Float[Array, "total latents"], Int[Array, " total"]]:
        """Draw latents with their labels: of clusters, or by a teacher."""
        at, of_clusters = _clusters(words, drawn.prior, total)
        by_cluster = words.chance(0.4)
        latents = jnp.where(by_cluster, at, words.normal((total, LATENTS)))
        latents = jnp.where((jnp.arange(LATENTS) < drawn.latents)[None], latents, 0.0)
        logits = _teacher(words, latents, drawn) + jnp.log(jnp.maximum(drawn.prior, 1e-9))[None]
        likely = jax.nn.softmax(logits, where=(drawn.prior > 0)[None])
        taught = _by_prior(words.uniform((total,)), likely)
        return latents, jnp.where(by_cluster, of_clusters, taught)

    def _features(
        self, words: _Words, drawn: _Drawn, latents: Float[Array, "total latents"]
    ) -> Float[Array, "total features"]:
        """Make features of latents."""
        size, total = (self.features,), latents.shape[0]
        chosen = words.below(drawn.latents, size)
        signs = jnp.where(words.uniform(size) < 0.5, -1.0, 1.0)
        copies = jax.nn.one_hot(chosen, LATENTS, axis=0) * signs[None]
        mixed = words.normal((LATENTS, self.features)) * drawn.scale
        noise = jnp.exp(words.uniform(low=-3.5, high=0.5))
        x = latents @ jnp.where(words.chance(0.5), copies, mixed)
        x = x + noise * words.normal((total, self.features))
        x = jnp.where(words.chance(0.2), jnp.tanh(2 * x), x)

        def some(often: float, most: float) -> Bool[Array, "one features"]:
            """Choose features: in ``often`` of the tables a share of them, up to ``most``."""
            share = words.uniform(size)
            return (share < words.uniform(high=most) * words.gate(often))[None]

        x = x / (jnp.std(x, axis=0, keepdims=True) + 1e-6)
        cut, levels = 0.8 * words.normal(size)[None], words.uniform(size, low=0.5, high=2.5)[None]
        odd = jnp.where(some(0.3, 1.0), jnp.exp(1.2 * jnp.clip(x, -4, 4)), x)
        odd = jnp.where(some(0.4, 1.0), (x > cut).astype(x.dtype), odd)
        odd = jnp.where(some(0.3, 1.0), jnp.round(x * levels), odd)
        odd = jnp.where(some(0.6, 0.9), words.normal(x.shape), odd)
        odd = jnp.where(some(0.1, 0.3), 1.0, odd)
        return jnp.where((jnp.arange(self.features) < drawn.features)[None], odd, 0.0)


class _Drawn(NamedTuple):
    """What is decided first of a table: its sizes, and how often its classes are."""

    rows: Int[Array, ""]
    features: Int[Array, ""]
    latents: Int[Array, ""]
    prior: Float[Array, " classes"]

    @property
    def scale(self) -> Float[Array, ""]:
        """What a sum over the latents is multiplied by, so that it has variance 1."""
        return self.latents.astype(jnp.float32) ** -0.5


class _Words:
    """Random words, taken from the front one draw after the other."""

    def __init__(self, words: UInt32[Array, " n"]):
        self.words, self.taken = words, 0

    def take(self, shape: tuple[int, ...]) -> UInt32[Array, "..."]:
        number = math.prod(shape)
        assert self.taken + number <= self.words.shape[0]
        self.taken += number
        return self.words[self.taken - number : self.taken].reshape(shape)

    def uniform(
        self, shape: tuple[int, ...] = (), low: float = 0.0, high: float = 1.0
    ) -> Float[Array, "..."]:
        return low + (high - low) * ((self.take(shape) >> 8).astype(jnp.float32) * 2**-24)

    def normal(self, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return normals_from(self.take(shape))

    def chance(self, of: float) -> Bool[Array, ""]:
        return self.uniform() < of

    def gate(self, of: float) -> Float[Array, ""]:
        """Return 1 as often as ``of`` says, and 0 otherwise."""
        return self.chance(of).astype(jnp.float32)

    def below(self, number: Int[Array, ""], shape: tuple[int, ...]) -> Int[Array, "..."]:
        """Draw whole numbers from 0 on, below a number."""
        return jnp.floor(self.uniform(shape) * number.astype(jnp.float32)).astype(jnp.int32)

    def integer(self, least: int, most: int) -> Int[Array, ""]:
        return least + jnp.floor(self.uniform() * (most - least + 1)).astype(jnp.int32)

    def log_integer(self, least: int, most: int) -> Int[Array, ""]:
        """Draw a whole number evenly on a logarithmic scale, both ends included."""
        exponent = self.uniform(low=math.log(least), high=math.log(most + 1))
        return jnp.clip(jnp.exp(exponent).astype(jnp.int32), least, most)


def _by_prior(
    uniform: Float[Array, " rows"], prior: Float[Array, "... classes"]
) -> Int[Array, " rows"]:
    """Return classes drawn by their probabilities, of one row each or of all."""
    above = uniform[:, None] >= jnp.cumsum(jnp.atleast_2d(prior), axis=1)
    drawn = jnp.sum(above, axis=1)
    # rounding may leave the last sum below 1
    places = jnp.arange(prior.shape[-1])[None]
    last = jnp.max(jnp.where(jnp.atleast_2d(prior) > 0, places, 0), axis=1)
    return jnp.minimum(drawn, last).astype(jnp.int32)


def _clusters(
    words: _Words, prior: Float[Array, " classes"], total: int
) -> tuple[Float[Array, "total latents"], Int[Array, " total"]]:
    """Draw classes by their prior, and latents from one of the clusters of each."""
    classes = prior.shape[0]
    label = _by_prior(words.uniform((total,)), prior)
    several = words.integer(1, CENTERS)
    used = jnp.where(words.chance(0.4), several, 1)
    cluster = words.below(used, (total,))
    distance = jnp.exp(words.uniform(low=-1.2, high=1.4))
    center = distance * words.normal((classes, CENTERS, LATENTS))
    size = jnp.exp(0.4 * words.normal((classes, CENTERS, 1)))
    return center[label, cluster] + size[label, cluster] * words.normal((total, LATENTS)), label


def _teacher(
    words: _Words, latents: Float[Array, "total latents"], drawn: _Drawn
) -> Float[Array, "total classes"]:
    """Return a random teacher's logits: linear, of a hidden layer, or of thresholds."""
    classes = drawn.prior.shape[0]
    straight = latents @ words.normal((LATENTS, classes)) * drawn.scale
    offsets = words.normal((HIDDEN,))
    hidden = latents @ words.normal((LATENTS, HIDDEN)) * drawn.scale * 2
    bent = jnp.tanh(hidden + offsets[None])
    # a threshold asks one latent alone, and few thresholds matter
    asked = words.below(drawn.latents, (HIDDEN,))
    stepped = jnp.sign(latents[:, asked] - 0.7 * offsets[None])
    of_hidden = words.normal((HIDDEN, classes)) * HIDDEN**-0.5
    of_few = jnp.where((jnp.arange(HIDDEN) < FEW)[:, None], 2 * of_hidden, 0.0)
    kind = words.uniform()
    logits = jnp.where(
        kind < 0.4, straight, jnp.where(kind < 0.75, bent @ of_hidden, stepped @ of_few)
    )
    # from hardly any signal to labels that follow from the features
    return logits * jnp.exp(words.uniform(low=-1.0, high=3.0))
