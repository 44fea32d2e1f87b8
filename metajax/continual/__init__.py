"""Continual learning: sequences of tasks, learners, and how much they forget."""

from metajax.continual.class_sums import (
    ClassSums,
    merge,
    merge_clients,
    no_sums,
    observe,
    prototype_logits,
    prototypes,
    sent_bytes,
)
from metajax.continual.generated import least_entropy, output_change, task_hypernetwork
from metajax.continual.growing_head import head_logits, stage_heads
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
from metajax.continual.missions import MissionDraws, Missions, mission_draws
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
    "ClassSums",
    "ContinualLearner",
    "IntervalLearner",
    "MissionDraws",
    "Missions",
    "Summary",
    "TaskSequence",
    "accuracy_matrix",
    "counted_accuracy",
    "diagonal_fisher",
    "elastic_weights",
    "fine_tuning",
    "head_logits",
    "in_sequence",
    "interval_hypernetwork",
    "joint_training",
    "largest_width",
    "least_entropy",
    "merge",
    "merge_clients",
    "mission_draws",
    "no_sums",
    "observe",
    "output_change",
    "permuted",
    "prototype_logits",
    "prototypes",
    "rotated",
    "sent_bytes",
    "separate_networks",
    "sequence_tasks",
    "split",
    "stage_heads",
    "summarize",
    "task_hypernetwork",
    "turned",
    "verified",
    "worst_logits",
]
