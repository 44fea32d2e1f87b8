"""A generated network that answers a person's images, and its weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Examples, Network, Params, cross_entropy, follow_of
from metajax.learners import maml
from metajax.systems.using.adapted import Adapted, Told
from metajax.systems.using.classes import ImageForm, Labels, tell
from metajax.systems.using.given import Given


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


class _State(NamedTuple):
    """Weights, and how pixels are standardized."""

    weights: Params
    shift: Float[Array, ""]
    factor: Float[Array, ""]


@functools.lru_cache(maxsize=64)
def _function(network: Network) -> Callable[..., Any]:
    """Return ``function(state, queries) -> probabilities``, the same one for equal networks."""

    def function(state: _State, queries: Array) -> Float[Array, "queries ways"]:
        inputs = (queries.reshape(queries.shape[0], -1) - state.shift) * state.factor
        return jax.nn.softmax(network.apply(state.weights, inputs))

    return function


def image_form(settings: Any) -> ImageForm:
    """Return how a person's images are read by networks of some settings.

    Args:
      settings: of the problem.
    """
    size = settings.image_size
    return ImageForm((size, size, settings.image_channels), False)


def answering(
    settings: Any,
    network: Network,
    weights: Params,
    shift: Any,
    factor: Any,
    answer: Callable[[Float[np.ndarray, "queries ways"]], Labels],
) -> Generated:
    """Return what answers images by a generated network.

    Args:
      settings: of the problem.
      network: inputs to logits.
      weights: of the network.
      shift: what is taken from pixels, which are levels divided by 255.
      factor: what they are multiplied by then.
      answer: ``answer(probabilities) -> Labels``.
    """
    form = image_form(settings)
    return Generated(
        _function(network),
        _State(weights, jnp.float32(shift), jnp.float32(factor)),
        jax.ShapeDtypeStruct(form.image, jnp.float32),
        functools.partial(form.encode, "inputs"),
        answer,
        network,
        weights,
        float(shift),
        float(factor),
    )


def by_number(ways: int) -> Callable[[Float[np.ndarray, "queries ways"]], Labels]:
    """Return what answers with the numbers of the classes.

    Args:
      ways: classes.
    """
    classes = np.arange(ways)

    def answer(probabilities: Float[np.ndarray, "queries ways"]) -> Labels:
        return Labels(classes[probabilities.argmax(1)], probabilities, classes)

    return answer


def tell_numbered(queries: Any, found: Labels, line: str, adapted: Adapted) -> Told:
    """Return what is told of queries that are called by their numbers.

    Args:
      queries: of the file.
      found: the answers.
      line: what is printed.
      adapted: what has answered.
    """
    names = [str(number) for number in range(len(queries))]
    given = Given((queries[:0], found.labels[:0]), queries, names)
    return tell(given, found, line, lambda: adapted)


def check_steps(steps: int | None) -> None:
    """Raise where less than 0 steps are asked for.

    Raises:
      ConfigError: they are.
    """
    if steps is not None and steps < 0:
        raise ConfigError("steps", steps, "0 or more")


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
