"""How well images of domains are classified, after a look at some of them without labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import MetaLearner, Params, accuracy
from metajax.data import Domains
from metajax.learners.closed_forms import center_scores, class_centers


class DomainAccuracies(NamedTuple):
    """Accuracies of a learner by domain.

    Attributes:
      own: after adapting to the domain's own support.
      opposite: after adapting to the same images as the domain half the way around has them; None:
        the learner adapts nothing.
      unadapted: before the first step; None: the learner takes none.
    """

    own: Float[Array, " domains"]
    opposite: Float[Array, " domains"] | None = None
    unadapted: Float[Array, " domains"] | None = None


def domain_accuracies(
    learner: MetaLearner,
    params: Params,
    domains: Domains,
    key: Key[Array, ""],
    *,
    shots: int,
    supports: int,
) -> DomainAccuracies:
    """Measure a learner on each domain, on all of its images that are not in the support.

    The support of the opposite domain is a control: what it lacks is what a domain's own images
    give.

    Args:
      learner: that adapts without labels.
      params: meta-trained.
      domains: whose images are classified.
      key: of the supports and of adapting.
      shots: images of a support.
      supports: of each domain.

    Returns:
      Accuracies, means over the supports.
    """

    def one(domain: Array, key: Array) -> DomainAccuracies:
        rows_key, adapt_key = jax.random.split(key)
        rows = jax.random.permutation(rows_key, domains.num_images).astype(jnp.int32)
        support, query = (domains.take(domain, some) for some in (rows[:shots], rows[shots:]))

        def accuracy_of(adapted: Any) -> Array:
            return accuracy(learner.predict(params, adapted, query.inputs), query.targets)

        adapted = learner.adapt(params, support, adapt_key)
        found = DomainAccuracies(accuracy_of(adapted))
        if jax.tree.leaves(adapted):
            opposite = (domain + domains.num_domains // 2) % domains.num_domains
            support_there = domains.take(opposite, rows[:shots])
            adapted_there = learner.adapt(params, support_there, adapt_key)
            found = found._replace(opposite=accuracy_of(adapted_there))
        if learner.follow is not None:
            start, _ = learner.follow(params, support, adapt_key, 0, lambda _: jnp.zeros(()))
            found = found._replace(unadapted=accuracy_of(start))
        return found

    each = jnp.repeat(jnp.arange(domains.num_domains, dtype=jnp.int32), supports)
    found = jax.lax.map(lambda args: one(*args), (each, jax.random.split(key, len(each))))
    return jax.tree.map(lambda leaf: jnp.mean(leaf.reshape(-1, supports), 1), found)


def domain_mean_accuracies(
    sources: Domains, targets: Domains, ways: int
) -> Float[Array, " domains"]:
    """Measure the nearest class mean of all source images, the baseline without training.

    Args:
      sources: whose images are averaged.
      targets: whose images are classified.
      ways: classes.

    Returns:
      Accuracies by target domain.
    """
    centers = class_centers(jnp.mean(sources.images, axis=0), sources.labels, ways)

    def on(images: Array) -> Array:
        return accuracy(center_scores(images, centers), targets.labels)

    return jax.lax.map(on, targets.images)
