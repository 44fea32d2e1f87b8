"""Continual learning: sequences of tasks, learners, and how much they forget."""

from metajax.continual.generated import least_entropy, output_change, task_hypernetwork
from metajax.continual.intervals import (
    IntervalLearner,
    interval_hypernetwork,
    verified,
    worst_logits,
)
from metajax.continual.learner import (
    ContinualLearner,
    Summary,
    accuracy_matrix,
    counted_accuracy,
    in_sequence,
    summarize,
)
from metajax.continual.sequences import (
    AllExamples,
    Batch,
    TaskSequence,
    permuted,
    rotated,
    sequence_tasks,
    split,
    turned,
)
from metajax.continual.single import (
    diagonal_fisher,
    elastic_weights,
    fine_tuning,
    joint_training,
    largest_width,
    separate_networks,
)

__all__ = [
    "AllExamples",
    "Batch",
    "ContinualLearner",
    "IntervalLearner",
    "Summary",
    "TaskSequence",
    "accuracy_matrix",
    "counted_accuracy",
    "diagonal_fisher",
    "elastic_weights",
    "fine_tuning",
    "in_sequence",
    "interval_hypernetwork",
    "joint_training",
    "largest_width",
    "least_entropy",
    "output_change",
    "permuted",
    "rotated",
    "separate_networks",
    "sequence_tasks",
    "split",
    "summarize",
    "task_hypernetwork",
    "turned",
    "verified",
    "worst_logits",
]
