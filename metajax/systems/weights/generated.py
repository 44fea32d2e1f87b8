"""A generated network that answers a person's images, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import optax
from jaxtyping import Array, Float, Key

from metajax.core import Examples, Network, Params, cross_entropy, follow_of
from metajax.learners import maml
from metajax.systems.uses import image_form
from metajax.using import Adapted, known_classes


@dataclass(frozen=True)
class Generated(Adapted):
    """A generated network, ready to answer, and to be used elsewhere.

    Attributes:
      network: ``apply(weights, inputs[n, features]) -> logits``, of images that are flattened,
        divided by 255, and standardized as ``shift`` and ``factor`` say: ``(x - shift) factor``.
      weights: of the network.
      shift: what is taken from pixels.
      factor: what they are multiplied by then.
    """

    network: Network
    weights: Params
    shift: float
    factor: float


def answering(
    settings: Any, network: Network, weights: Params, shift: Any, factor: Any, classes: Any
) -> Generated:
    """Return what answers images by a generated network.

    Args:
      settings: of the problem.
      network: inputs to logits.
      weights: of the network.
      shift: what is taken from pixels, which are levels divided by 255.
      factor: what they are multiplied by then.
      classes: names, in the order of the logits.
    """
    form = image_form(settings)
    known = known_classes(network.apply, weights, form, classes, shift=shift, factor=factor)
    return Generated(
        **vars(known), network=network, weights=weights, shift=float(shift), factor=float(factor)
    )


def tuned(
    network: Network,
    weights: Params,
    support: Examples,
    key: Key[Array, ""],
    steps: int,
    rate: float | Float[Array, ""],
) -> Params:
    """Return weights after steps of Adam on a whole support.

    Args:
      network: inputs to logits.
      weights: that it starts from.
      support: inputs with their classes.
      key: not used: nothing is drawn.
      steps: of Adam; after 0 of them the weights are those that they were.
      rate: of Adam.
    """
    learner = maml(network, cross_entropy, optax.adam(rate), steps=1)
    return follow_of(learner)(weights, support, key, steps, lambda adapted: ())[0]
