"""The nouns of metajax, and helpers over keys and pytrees. Imports jax and optax only."""

from metajax.core.descent import GradientState, gradient
from metajax.core.errors import (
    ConfigError,
    MetajaxError,
    check_positive,
    check_whole,
    one_of,
    shown,
)
from metajax.core.keys import (
    IMPLEMENTATION,
    check_key,
    derive,
    indices_from,
    normals_from,
    random_indices,
    stream,
    task_keys,
)
from metajax.core.mixture import MixedTasks, mixed
from metajax.core.optimizers import optimizer_step, prepare_optimizer, reverse_mode
from metajax.core.precision import enable_x64, float64_on_cpu
from metajax.core.scores import accuracy, correct, valid_labels
from metajax.core.surroundings import apart_from_surroundings
from metajax.core.trees import (
    all_finite,
    cast_floats,
    count,
    digest,
    mean_over_devices,
    norm,
    root,
    wide_dtype,
)
from metajax.core.types import (
    Algorithm,
    Evaluator,
    Examples,
    HostFed,
    MetaLearner,
    Metrics,
    Network,
    Params,
    SequenceNetwork,
    Task,
    TaskDistribution,
)

__all__ = [
    "IMPLEMENTATION",
    "Algorithm",
    "ConfigError",
    "Evaluator",
    "Examples",
    "GradientState",
    "HostFed",
    "MetaLearner",
    "MetajaxError",
    "Metrics",
    "MixedTasks",
    "Network",
    "Params",
    "SequenceNetwork",
    "Task",
    "TaskDistribution",
    "accuracy",
    "all_finite",
    "apart_from_surroundings",
    "cast_floats",
    "check_key",
    "check_positive",
    "check_whole",
    "correct",
    "count",
    "derive",
    "digest",
    "enable_x64",
    "float64_on_cpu",
    "gradient",
    "indices_from",
    "mean_over_devices",
    "mixed",
    "norm",
    "normals_from",
    "one_of",
    "optimizer_step",
    "prepare_optimizer",
    "random_indices",
    "reverse_mode",
    "root",
    "shown",
    "stream",
    "task_keys",
    "valid_labels",
    "wide_dtype",
]
