"""Hypernetworks that make a network in chunks, of one size whatever the order of the chunks."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.continual.generated import task_hypernetwork
from metajax.continual.learner import ContinualLearner
from metajax.continual.single import largest_width, network_size
from metajax.core import Network, Params
from metajax.hypernet import generator, shared_head
from metajax.hypernet.shared_heads import Order


def chunk_hypernet(
    network: Network,
    inputs: Float[Array, "n *shape"],
    order: Order = "apart",
    *,
    embedding: int = 24,
    chunk_size: int = 400,
    chunk_embedding: int = 8,
    hidden: int = 24,
) -> Network:
    """Make the hypernetwork that makes a network in chunks, with as few parameters in any order.

    Chunks are made ``apart`` (von Oswald et al. 2020, arXiv 1906.00695) or ``neighbor``, each
    knowing the one before it, by two hidden layers. ``in_a_row`` they are made by an LSTM
    (dependency-preserving hypernetworks, arXiv 2209.07712). It has the largest state with which it
    has no more parameters than the hidden layers of ``apart``.

    Args:
      network: what is made.
      inputs: any inputs of the network, for their shape.
      order: of the chunks.
      embedding: numbers of a task's embedding, which it reads.
      chunk_size: numbers of the network that are made at a time.
      chunk_embedding: numbers of a chunk's embedding.
      hidden: size of the two hidden layers.

    Returns:
      The hypernetwork, for :func:`task_hypernetwork`.

    Raises:
      ConfigError: not even an LSTM of one unit is as small.
    """

    def target(key: Key[Array, ""]) -> Params:
        return network.init(key, inputs)

    def made(order: Order, hidden: tuple[int, ...]) -> Network:
        head = shared_head(chunk_size, embedding=chunk_embedding, order=order)
        return generator(target, hidden=hidden, head=head)

    def size(order: Order, hidden: tuple[int, ...]) -> int:
        return network_size(made(order, hidden), jnp.zeros(embedding))

    layers = hidden, hidden
    if order != "in_a_row":
        return made(order, layers)
    state = largest_width(lambda width: size(order, (width,)), size("apart", layers), 1)
    return made(order, (state,))


def chunked_hypernetwork(
    network: Network,
    inputs: Float[Array, "n *shape"],
    num_tasks: int,
    order: Order = "apart",
    *,
    embedding: int = 24,
    chunk_size: int = 400,
    chunk_embedding: int = 8,
    hidden: int = 24,
    **options: Any,
) -> ContinualLearner:
    """Generate each task's network in chunks, from an embedding of the task.

    :func:`task_hypernetwork` with :func:`chunk_hypernet`.

    Args:
      network: of a task, inputs to logits.
      inputs: any inputs of the network, for their shape.
      num_tasks: of the sequence.
      order: of the chunks.
      embedding: numbers of a task's embedding.
      chunk_size: numbers of the network that are made at a time.
      chunk_embedding: numbers of a chunk's embedding.
      hidden: size of the hypernetwork's two hidden layers, or what an LSTM is as small as.
      **options: more of :func:`task_hypernetwork`.

    Returns:
      The learner.

    Raises:
      ConfigError: not even an LSTM of one unit is as small.
    """
    hypernet = chunk_hypernet(
        network,
        inputs,
        order,
        embedding=embedding,
        chunk_size=chunk_size,
        chunk_embedding=chunk_embedding,
        hidden=hidden,
    )
    return task_hypernetwork(hypernet, network, num_tasks, embedding=embedding, **options)


def chunked_size(
    network: Network,
    inputs: Float[Array, "n *shape"],
    num_tasks: int,
    order: Order = "apart",
    *,
    embedding: int = 24,
    **sizes: int,
) -> int:
    """Return how many numbers :func:`chunked_hypernetwork` keeps to predict; none is drawn.

    They are the hypernetwork's parameters and an embedding of each task.

    Args:
      network: of a task, inputs to logits.
      inputs: any inputs of the network, for their shape.
      num_tasks: of the sequence.
      order: of the chunks.
      embedding: numbers of a task's embedding.
      **sizes: more of :func:`chunk_hypernet`.

    Raises:
      ConfigError: not even an LSTM of one unit is as small.
    """
    hypernet = chunk_hypernet(network, inputs, order, embedding=embedding, **sizes)
    return network_size(hypernet, jnp.zeros(embedding)) + num_tasks * embedding
