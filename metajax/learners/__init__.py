"""Few-shot learners: any network, loss and optax optimiser make a ``MetaLearner``."""

from metajax.learners.context_parameters import cavia, concatenated
from metajax.learners.evolution_strategies import evolution
from metajax.learners.implicit_maml import imaml
from metajax.learners.inner import adaptation_curve, gradient_learner
from metajax.learners.linear_heads import LinearHeadParams, adapt_in_float64, linear_head
from metajax.learners.logistic_head import logistic, logistic_solution
from metajax.learners.losses import cross_entropy, mean_squared_error
from metajax.learners.maml_family import (
    Choice,
    MultiStepState,
    RatedParams,
    anil,
    annealed_weights,
    first_order_maml,
    maml,
    meta_sgd,
    multi_step_gradient,
)
from metajax.learners.metric import Memory, matching, prototypical
from metajax.learners.neighbor_vote import k_nearest
from metajax.learners.reptile_family import ReptileState, reptile
from metajax.learners.ridge_head import RidgeParams, ridge, ridge_solution
from metajax.learners.sequences import (
    SequenceLearner,
    context_free,
    in_context,
    nearest_neighbour,
    online_sgd,
    sequence_learner,
    whole_sequence,
)
from metajax.learners.solved_head import SolvedParams, anil_solved
from metajax.learners.svm_head import SvmParams, svm, svm_weights

__all__ = [
    "Choice",
    "LinearHeadParams",
    "Memory",
    "MultiStepState",
    "RatedParams",
    "ReptileState",
    "RidgeParams",
    "SequenceLearner",
    "SolvedParams",
    "SvmParams",
    "adapt_in_float64",
    "adaptation_curve",
    "anil",
    "anil_solved",
    "annealed_weights",
    "cavia",
    "concatenated",
    "context_free",
    "cross_entropy",
    "evolution",
    "first_order_maml",
    "gradient_learner",
    "imaml",
    "in_context",
    "k_nearest",
    "linear_head",
    "logistic",
    "logistic_solution",
    "maml",
    "matching",
    "mean_squared_error",
    "meta_sgd",
    "multi_step_gradient",
    "nearest_neighbour",
    "online_sgd",
    "prototypical",
    "reptile",
    "ridge",
    "ridge_solution",
    "sequence_learner",
    "svm",
    "svm_weights",
    "whole_sequence",
]
