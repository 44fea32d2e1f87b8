"""The nouns of metajax, and helpers over keys and pytrees. Imports jax and optax only."""

from metajax.core.descent import GradientState, gradient
from metajax.core.errors import (
    ConfigError,
    MetajaxError,
    check_positive,
    check_whole,
    one_of,
)
from metajax.core.keys import (
    derive,
    indices_from,
    normals_from,
    random_indices,
    stream,
    task_keys,
)
from metajax.core.mixture import MixedTasks, mixed
from metajax.core.paths import local_path, split_scheme
from metajax.core.precision import enable_x64, float64_on_cpu
from metajax.core.trees import all_finite, cast_floats, count, digest, mean_over_devices
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
    "all_finite",
    "cast_floats",
    "check_positive",
    "check_whole",
    "count",
    "derive",
    "digest",
    "enable_x64",
    "float64_on_cpu",
    "gradient",
    "indices_from",
    "local_path",
    "mean_over_devices",
    "mixed",
    "normals_from",
    "one_of",
    "random_indices",
    "split_scheme",
    "stream",
    "task_keys",
]
