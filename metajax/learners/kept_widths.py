"""Networks of any width that keep some of one network's units: slimmable, corrected, pruned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Key

from metajax.core import MetaLearner, Network, Params
from metajax.hypernet import shared_implicit
from metajax.learners.conditioned import generated_network, one_network
from metajax.units import Units, keep_first


class VariedNetwork(NamedTuple):
    """A network, and those of its units whose number varies.

    Attributes:
      network: of the full width, inputs to logits.
      start: ``start(key) -> params`` of the full network.
      units: the names of its units.
      name: of those whose number varies.
    """

    network: Network
    start: Callable[[Key[Array, ""]], Params]
    units: Units
    name: str


def slimmable_network(varied: VariedNetwork) -> MetaLearner:
    """Train weights of which every width takes the first units (Yu et al. 2019, 1812.08928).

    Args:
      varied: the network, with the units whose number varies.

    Returns:
      The learner. Tasks have a width as their support, and images with their classes as their
      query; ``adapted`` is the network's weights, with zeros for units that the width lacks.
    """

    def first(params: Params, width: Any) -> Params:
        return keep_first(params, varied.units, {varied.name: width})

    return generated_network(Network(lambda key, width: varied.start(key), first), varied.network)


def corrected_slimmable(
    varied: VariedNetwork, *, hidden: int = 64, depth: int = 3, octaves: int | None = None
) -> MetaLearner:
    """Correct shared weights of all widths by a function of coordinates, after arXiv 2410.11878.

    It starts as :func:`slimmable_network`; see :func:`metajax.hypernet.shared_implicit`.

    Args:
      varied: the network, with the units whose number varies.
      hidden: size of the function's layers.
      depth: its residual layers.
      octaves: of the coordinates along these units, at most.

    Returns:
      The learner, with tasks as those of :func:`slimmable_network`.

    Raises:
      ConfigError: an option of the function is rejected.
    """
    network, start, units, name = varied
    function = shared_implicit(start, units, [name], hidden=hidden, depth=depth, octaves=octaves)

    def init(key: Key[Array, ""], width: Any) -> Params:
        return function.init(key, {name: width})

    def apply(params: Params, width: Any) -> Params:
        return function.apply(params, {name: width})

    return generated_network(Network(init, apply), network)


def pruned_network(varied: VariedNetwork, keep: Callable[..., Params]) -> MetaLearner:
    """Train the full network alone, of which a width then keeps some units: a baseline.

    Args:
      varied: the network, with the units whose number varies.
      keep: :func:`metajax.units.keep_first`, or :func:`metajax.units.keep_largest`.

    Returns:
      The learner, with tasks as those of :func:`slimmable_network`.
    """

    def adapt(params: Params, support: Any, key: Key[Array, ""]) -> Params:
        return keep(params, varied.units, {varied.name: support})

    return one_network(varied.network)._replace(adapt=adapt)
