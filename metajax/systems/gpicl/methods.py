"""The methods of in-context learning: the paper's Transformer and its baselines, in ``METHODS``."""

from __future__ import annotations

import functools
from collections.abc import Callable

import optax

from metajax import learners, nn
from metajax.core import Count, Positive
from metajax.learners import SequenceLearner
from metajax.systems.base import Method
from metajax.systems.gpicl.accuracy import correct_by_position
from metajax.systems.gpicl.problem import Problem
from metajax.systems.gpicl.settings import Training


def scored(learner: SequenceLearner, training: Training | None = None) -> Method:
    """Return the method of a sequence learner, scored at every position of a sequence.

    Args:
      learner: what reads the sequences.
      training: how it is moved down its loss; None: it is not meta-trained.
    """
    algorithm = None if training is None else training.descend(learner.meta)
    return Method(algorithm, learner.meta, functools.partial(correct_by_position, learner))


def transformer(
    problem: Problem,
    training: Training,
    *,
    width: Count = 64,
    layers: Count = 2,
    heads: Count = 4,
    key_size: Count = 16,
    mlp_ratio: Count = 4,
    label_scale: Positive = 4.0,
) -> Method:
    """Learn by reading, with a causal Transformer (GPICL; Kirsch et al. 2022, arXiv 2212.04458).

    Args:
      width: Size of the residual stream, units.
      layers: Transformer layers.
      heads: Attention heads per layer; must divide the width.
      key_size: Size of a head's queries, keys and values, units.
      mlp_ratio: Hidden size of a layer's MLP over the width.
      label_scale: Factor on the one-hot label in a token, the paper's is 1; sqrt(pixels) gives
        image and label equal power and shortens the loss plateau.
    """
    network = nn.causal_transformer(
        num_outputs=problem.settings.ways,
        width=width,
        layers=layers,
        heads=heads,
        key_size=key_size,
        mlp_ratio=mlp_ratio,
        max_length=problem.settings.examples,
    )
    learner = learners.in_context(network, problem.settings.ways, label_scale=label_scale)
    return scored(learner, training)


def lstm(
    problem: Problem, training: Training, *, width: Count = 64, label_scale: Positive = 4.0
) -> Method:
    """Learn by reading, with an LSTM (Hochreiter et al. 2001, doi 10.1007/3-540-44668-0_13).

    Args:
      width: Size of the state, units.
      label_scale: Factor on the one-hot label in a token.
    """
    ways = problem.settings.ways
    network = nn.lstm(num_outputs=ways, width=width)
    return scored(learners.in_context(network, ways, label_scale=label_scale), training)


def outer_product_lstm(
    problem: Problem, training: Training, *, width: Count = 64, label_scale: Positive = 4.0
) -> Method:
    """Learn by reading, with an LSTM whose state is a matrix (Kirsch 2022, arXiv 2212.04458).

    Args:
      width: Height and width of the state, units.
      label_scale: Factor on the one-hot label in a token.
    """
    ways = problem.settings.ways
    network = nn.outer_product_lstm(num_outputs=ways, width=width)
    return scored(learners.in_context(network, ways, label_scale=label_scale), training)


def mlp(problem: Problem, training: Training, *, width: Count = 64) -> Method:
    """Predict each label from its image alone (the context-free MLP of arXiv 2212.04458).

    Args:
      width: Size of the two hidden layers, units.
    """
    network = nn.mlp([width, width], problem.settings.ways)
    return scored(learners.context_free(network), training)


def maml(
    problem: Problem, training: Training, *, width: Count = 64, inner_lr: Positive = 1e-3
) -> Method:
    """Learn the start of one Adam step an example (MAML; Finn et al. 2017, arXiv 1703.03400).

    Args:
      width: Size of the hidden layer, units.
      inner_lr: Adam learning rate within a sequence, per example.
    """
    return scored(descending(problem, width, inner_lr, learned_init=True), training)


def sgd(
    problem: Problem, training: Training, *, width: Count = 64, inner_lr: Positive = 1e-3
) -> Method:
    """Train from scratch by one Adam step an example (the SGD baseline of arXiv 2212.04458).

    It is not meta-trained.

    Args:
      width: Size of the hidden layer, units.
      inner_lr: Adam learning rate within a sequence, per example.
    """
    return scored(descending(problem, width, inner_lr, learned_init=False))


def descending(
    problem: Problem, width: int, inner_lr: float, *, learned_init: bool
) -> SequenceLearner:
    """Return a two-layer MLP under Adam, one update an example."""
    # MAML differentiates through Adam: without eps_root the root of a zero second moment (a ReLU
    # that was off) has an infinite derivative
    adam = optax.adam(inner_lr, eps_root=1e-12)
    network = nn.mlp([width], problem.settings.ways)
    return learners.online_sgd(network, adam, learned_init=learned_init)


def nearest_neighbour(problem: Problem, training: Training) -> Method:
    """Give each query the label of its nearest example so far (Cover and Hart 1967).

    It is not meta-trained.
    """
    return scored(learners.nearest_neighbour(problem.settings.ways))


def k_nearest(problem: Problem, training: Training, *, neighbors: Count = 5) -> Method:
    """Let the nearest examples so far vote (k nearest neighbors; Cover and Hart 1967).

    It is not meta-trained.

    Args:
      neighbors: How many vote; fewer where fewer have been seen.
    """
    return scored(learners.k_nearest(problem.settings.ways, neighbors))


METHODS: dict[str, Callable[..., Method]] = {
    "transformer": transformer,
    "lstm": lstm,
    "outer_product_lstm": outer_product_lstm,
    "mlp": mlp,
    "maml": maml,
    "sgd": sgd,
    "nearest_neighbour": nearest_neighbour,
    "k_nearest": k_nearest,
}
"""All methods by name, the default first. A new one joins by a line here."""

NOT_TRAINED = ("sgd", "nearest_neighbour")
"""Methods without meta-parameters to train: they are only evaluated."""
