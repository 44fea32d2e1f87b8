"""Networks of any width that keep some of one network's units: slimmable, corrected, pruned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Key

from metajax.core import MetaLearner, Network, Params
from metajax.hypernet import shared_implicit
from metajax.learners.conditioned import generated_network, one_network
from metajax.units import Units, keep_first


def slimmable_network(
    network: Network, target: Callable[[Key[Array, ""]], Params], units: Units, name: str
) -> MetaLearner:
    """Train weights of which every width takes the first units (Yu et al. 2019, 1812.08928).

    Args:
      network: of the full width, inputs to logits.
      target: ``target(key) -> params`` of the full network.
      units: the names of its units.
      name: of those whose number varies.

    Returns:
      The learner. Tasks have a width as their support, and images with their classes as their
      query; ``adapted`` is the network's weights, with zeros for units that the width lacks.
    """

    def first(params: Params, width: Any) -> Params:
        return keep_first(params, units, {name: width})

    return generated_network(Network(lambda key, width: target(key), first), network)


def corrected_slimmable(
    network: Network,
    target: Callable[[Key[Array, ""]], Params],
    units: Units,
    name: str,
    *,
    hidden: int = 64,
    depth: int = 3,
    octaves: int | None = None,
) -> MetaLearner:
    """Correct shared weights of all widths by a function of coordinates, after arXiv 2410.11878.

    It starts as :func:`slimmable_network`; see :func:`metajax.hypernet.shared_implicit`.

    Args:
      network: of the full width, inputs to logits.
      target: ``target(key) -> params`` of the full network.
      units: the names of its units.
      name: of those whose number varies.
      hidden: size of the function's layers.
      depth: its residual layers.
      octaves: of the coordinates along these units, at most.

    Returns:
      The learner, with tasks as those of :func:`slimmable_network`.

    Raises:
      ConfigError: an option of the function is rejected.
    """
    function = shared_implicit(target, units, [name], hidden=hidden, depth=depth, octaves=octaves)

    def init(key: Key[Array, ""], width: Any) -> Params:
        return function.init(key, {name: width})

    def apply(params: Params, width: Any) -> Params:
        return function.apply(params, {name: width})

    return generated_network(Network(init, apply), network)


def pruned_network(
    network: Network, units: Units, name: str, keep: Callable[..., Params]
) -> MetaLearner:
    """Train the full network alone, of which a width then keeps some units: a baseline.

    Args:
      network: of the full width, inputs to logits.
      units: the names of its units.
      name: of those whose number varies.
      keep: :func:`metajax.units.keep_first`, or :func:`metajax.units.keep_largest`.

    Returns:
      The learner, with tasks as those of :func:`slimmable_network`.
    """

    def adapt(params: Params, support: Any, key: Key[Array, ""]) -> Params:
        return keep(params, units, {name: support})

    return one_network(network)._replace(adapt=adapt)
