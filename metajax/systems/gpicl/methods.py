"""The methods of in-context learning: the paper's Transformer and its baselines, in ``METHODS``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Literal

from metajax import learners, nn
from metajax.core import Count, Number, Params, Positive, ProperFraction, SequenceNetwork, Several
from metajax.learners import SequenceLearner
from metajax.systems.base import Method
from metajax.systems.gpicl.accuracy import correct_by_position
from metajax.systems.gpicl.problem import Problem
from metajax.systems.gpicl.settings import Sizes, Training, TransformerSizes
from metajax.systems.gpicl.tuning import (
    DISCRIMINANT,
    KERNEL_RIDGE,
    LINEAR_RIDGE,
    LOGISTIC,
    candidates,
)


def scored(learner: SequenceLearner, training: Training | None = None) -> Method:
    """Return the method of a sequence learner, scored at every position of a sequence.

    Args:
      learner: what reads the sequences.
      training: how it is moved down its loss; None: it is not meta-trained.
    """
    algorithm = None if training is None else training.descend(learner.meta)
    return Method(algorithm, learner.meta, functools.partial(correct_by_position, learner))


SIZES, SMALL, DIVIDED = Sizes(), Sizes(width=16, key_size=8), TransformerSizes()


def reading(
    problem: Problem, training: Training, network: SequenceNetwork, label_scale: float
) -> Method:
    """Return the method of a network that reads images and labels as tokens."""
    ways = problem.settings.ways
    return scored(learners.in_context(network, ways, label_scale=label_scale), training)


def transformer(
    problem: Problem,
    training: Training,
    *,
    sizes: TransformerSizes = DIVIDED,
    label_scale: Positive = 4.0,
) -> Method:
    """Learn by reading, with a causal Transformer (GPICL; Kirsch et al. 2022, arXiv 2212.04458).

    Args:
      label_scale: Factor on the one-hot label in a token, the paper's is 1; sqrt(pixels) gives
        image and label equal power and shortens the loss plateau.
    """
    of = problem.settings
    network = nn.causal_transformer(num_outputs=of.ways, max_length=of.examples, **vars(sizes))
    return reading(problem, training, network, label_scale)


def lstm(
    problem: Problem, training: Training, *, width: Count = 64, label_scale: Positive = 4.0
) -> Method:
    """Learn by reading, with an LSTM (Hochreiter et al. 2001, doi 10.1007/3-540-44668-0_13).

    Args:
      width: Size of the state, units.
      label_scale: Factor on the one-hot label in a token.
    """
    network = nn.lstm(num_outputs=problem.settings.ways, width=width)
    return reading(problem, training, network, label_scale)


def outer_product_lstm(
    problem: Problem, training: Training, *, width: Count = 64, label_scale: Positive = 4.0
) -> Method:
    """Learn by reading, with an LSTM whose state is a matrix (Kirsch 2022, arXiv 2212.04458).

    Args:
      width: Height and width of the state, units.
      label_scale: Factor on the one-hot label in a token.
    """
    network = nn.outer_product_lstm(num_outputs=problem.settings.ways, width=width)
    return reading(problem, training, network, label_scale)


def vsml(
    problem: Problem,
    training: Training,
    *,
    width: Count = 8,
    messages: Several = 4,
    hidden: Number = 0,
) -> Method:
    """Learn by cells that share weights and send messages (VSML; Kirsch 2021, arXiv 2012.14905).

    Args:
      width: Numbers that each cell's LSTM keeps, twice.
      messages: Numbers of a message between units.
      hidden: Units of a hidden layer between inputs and classes; 0: none.
    """
    of, between = problem.settings, (hidden,) if hidden else ()
    cells = learners.shared_cells(of.ways, width=width, messages=messages, hidden=between)
    return scored(cells, training)


def mlp(problem: Problem, training: Training, *, width: Count = 64) -> Method:
    """Predict each label from its image alone: the baseline without context (arXiv 2212.04458).

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
    network = nn.mlp([width], problem.settings.ways)
    return scored(learners.online_adam(network, inner_lr, learned_init=True), training)


def sgd(
    problem: Problem, training: Training, *, width: Count = 64, inner_lr: Positive = 1e-3
) -> Method:
    """Train from scratch by one Adam step an example (the SGD baseline of arXiv 2212.04458).

    It is not meta-trained.

    Args:
      width: Size of the hidden layer, units.
      inner_lr: Adam learning rate within a sequence, per example.
    """
    network = nn.mlp([width], problem.settings.ways)
    return scored(learners.online_adam(network, inner_lr, learned_init=False))


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


Form = Literal["stream", "set"]


def by_similarity(
    problem: Problem, training: Training, network: nn.SimilarityNetwork, form: Form
) -> Method:
    """Return the method of a network that compares inputs."""
    learner = learners.by_similarity(network, problem.settings.ways, form=form)
    return scored(learner, training)


def similarity(
    problem: Problem, training: Training, *, sizes: Sizes = SIZES, form: Form = "stream"
) -> Method:
    """Pass labels on between inputs that are alike, by a Transformer (after arXiv 2212.04458).

    The attention of GPICL's Transformer is biased by distances and cosines of the inputs, and its
    tokens hold labels alone.

    Args:
      form: stream: an example looks at those before it; set: all of a support look at each other,
        in any order.
    """
    network = nn.similarity_network(num_classes=problem.settings.ways, **vars(sizes))
    return by_similarity(problem, training, network, form)


def symmetric(
    problem: Problem, training: Training, *, sizes: Sizes = SMALL, form: Form = "stream"
) -> Method:
    """Do the same for all classes alike (class symmetry as in VSML, arXiv 2012.14905).

    A Transformer of similarities whose state has an axis of classes that share all weights.

    Args:
      form: stream: an example looks at those before it; set: all of a support look at each other,
        in any order.
    """
    network = nn.similarity_network(channels=nn.class_shares(), **vars(sizes))
    return by_similarity(problem, training, network, form)


def symmetric_ridge(
    problem: Problem,
    training: Training,
    *,
    sizes: Sizes = SMALL,
    discriminants: bool = True,
    directions: bool = False,
    form: Form = "stream",
) -> Method:
    """Let a class-symmetric network read heads solved in context (mesa layer, arXiv 2309.05858).

    The network of `symmetric` also reads, for each class, what kernel ridge regressions and linear
    discriminants on the examples so far predict, and how sure they are.

    Args:
      discriminants: Whether linear discriminants are solved too, not only kernel ridges.
      directions: Whether kernel ridges are also solved on inputs divided by their norms.
      form: stream: an example looks at those before it; set: all of a support look at each other,
        in any order.
    """
    kernels = (*nn.KERNELS, *nn.DIRECTION_KERNELS) if directions else nn.KERNELS
    channels = nn.solved_channels(kernels, discriminants=discriminants)
    network = nn.similarity_network(channels=channels, **vars(sizes))
    return by_similarity(problem, training, network, form)


def class_means(problem: Problem, training: Training) -> Method:
    """Give each query the class whose mean so far is nearest (Rocchio 1971).

    It is not meta-trained.
    """
    return scored(learners.class_means(problem.settings.ways))


def tried(learner: SequenceLearner, several: Sequence[Params]) -> Method:
    """Return a method without training whose settings are to be chosen among several.

    The evaluation chooses those that do best on training tasks (:mod:`.tuning`).
    """
    return scored(learner)._replace(parts=several)


def kernel_ridge(
    problem: Problem,
    training: Training,
    *,
    gamma: Positive | None = None,
    ridge: Positive | None = None,
) -> Method:
    """Regress labels on a Gaussian kernel of the examples so far (Saunders et al. 1998).

    It is not meta-trained.

    Args:
      gamma: Of the kernel exp(-gamma * squared distance), for inputs with mean square norm 1;
        None: what is best on training tasks.
      ridge: Weight of the regularizer; None: what is best on training tasks.
    """
    several = candidates(learners.KernelRidge, KERNEL_RIDGE, gamma=gamma, ridge=ridge)
    return tried(learners.kernel_ridge(problem.settings.ways), several)


def linear_ridge(problem: Problem, training: Training, *, ridge: Positive | None = None) -> Method:
    """Regress labels linearly on the examples so far (ridge regression; Hoerl, Kennard 1970).

    It is not meta-trained.

    Args:
      ridge: Weight of the regularizer; None: what is best on training tasks.
    """
    learner = learners.kernel_ridge(problem.settings.ways, gamma=None)
    several = candidates(learners.KernelRidge, LINEAR_RIDGE, gamma=0.0, ridge=ridge)
    return tried(learner, several)


def lda(problem: Problem, training: Training, *, shrinkage: ProperFraction | None = None) -> Method:
    """Fit Gaussians of one shrunk covariance (LDA; Fisher 1936, Friedman 1989).

    It is not meta-trained.

    Args:
      shrinkage: Weight of the identity in the covariance, between 0 and 1; None: what is best on
        training tasks.
    """
    several = candidates(dict, DISCRIMINANT, shrinkage=shrinkage)
    return tried(learners.discriminant(problem.settings.ways), several)


def logistic(
    problem: Problem, training: Training, *, strength: Positive | None = None, steps_each: Count = 2
) -> Method:
    """Fit a logistic regression as examples come (Cox 1958; bound of Bohning 1992).

    It is not meta-trained.

    Args:
      strength: Weight of the regularizer; None: what is best on training tasks.
      steps_each: Steps of fitting after each example.
    """
    learner = learners.logistic_regression(problem.settings.ways, steps=steps_each)
    return tried(learner, candidates(dict, LOGISTIC, strength=strength))


METHODS: dict[str, Callable[..., Method]] = {
    "transformer": transformer,
    "similarity": similarity,
    "symmetric": symmetric,
    "symmetric_ridge": symmetric_ridge,
    "lstm": lstm,
    "outer_product_lstm": outer_product_lstm,
    "vsml": vsml,
    "mlp": mlp,
    "maml": maml,
    "sgd": sgd,
    "nearest_neighbour": nearest_neighbour,
    "k_nearest": k_nearest,
    "class_means": class_means,
    "linear_ridge": linear_ridge,
    "kernel_ridge": kernel_ridge,
    "lda": lda,
    "logistic": logistic,
}
"""All methods by name, the default first. A new one joins by a line here."""
