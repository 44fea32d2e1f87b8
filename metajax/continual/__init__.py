"""Continual learning: sequences of tasks, learners, and how much they forget."""

from metajax.continual.adaptation import Adaptation, adapting, residual_bytes, tent
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
from metajax.continual.meta_parts import (
    MetaNetworks,
    MetaPass,
    ecotta,
    meta_networks,
    warm_up,
    warmed,
)
from metajax.continual.online import Online, ShiftStream, Streamed, run_stream, shift_stream
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
from metajax.continual.shifts import SHIFTS, shift_images
from metajax.continual.single import (
    diagonal_fisher,
    elastic_weights,
    fine_tuning,
    joint_training,
    largest_width,
    separate_networks,
)
from metajax.continual.source import (
    SourceImages,
    SourceParams,
    WarmUp,
    frozen,
    source_training,
)

__all__ = [
    "SHIFTS",
    "Adaptation",
    "AllExamples",
    "Batch",
    "ContinualLearner",
    "IntervalLearner",
    "MetaNetworks",
    "MetaPass",
    "Online",
    "ShiftStream",
    "SourceImages",
    "SourceParams",
    "Streamed",
    "Summary",
    "TaskSequence",
    "WarmUp",
    "accuracy_matrix",
    "adapting",
    "counted_accuracy",
    "diagonal_fisher",
    "ecotta",
    "elastic_weights",
    "fine_tuning",
    "frozen",
    "in_sequence",
    "interval_hypernetwork",
    "joint_training",
    "largest_width",
    "least_entropy",
    "meta_networks",
    "output_change",
    "permuted",
    "residual_bytes",
    "rotated",
    "run_stream",
    "separate_networks",
    "sequence_tasks",
    "shift_images",
    "shift_stream",
    "source_training",
    "split",
    "summarize",
    "task_hypernetwork",
    "tent",
    "turned",
    "verified",
    "warm_up",
    "warmed",
    "worst_logits",
]
