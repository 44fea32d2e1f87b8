"""The shared loop: many meta-steps per dispatch, parallelism, checkpoints, evaluation."""

from metajax.train.checkpoint import Checkpointer
from metajax.train.errors import CheckpointError, Interrupted, NonFiniteError, WorkdirError
from metajax.train.loop import Fit, fit, restore_params
from metajax.train.memory import keep_freed_memory
from metajax.train.metrics import MetricsLog, plain, read_rows
from metajax.train.step import TASKS_AXIS, make_layout
from metajax.train.workdir import open_workdir, write_json

__all__ = [
    "TASKS_AXIS",
    "CheckpointError",
    "Checkpointer",
    "Fit",
    "Interrupted",
    "MetricsLog",
    "NonFiniteError",
    "WorkdirError",
    "fit",
    "keep_freed_memory",
    "make_layout",
    "open_workdir",
    "plain",
    "read_rows",
    "restore_params",
    "write_json",
]
