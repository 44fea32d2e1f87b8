"""The shared loop: many meta-steps per dispatch, parallelism, checkpoints, evaluation."""

from metajax.train.checkpoint import Checkpointer
from metajax.train.cost import Part, Profile, profile, profile_table
from metajax.train.errors import (
    CheckpointError,
    HostDataError,
    Interrupted,
    NonFiniteError,
    ProcessLostError,
    WorkdirError,
)
from metajax.train.finished import Fit, restore_params, save_finished
from metajax.train.loop import fit
from metajax.train.many import train_many
from metajax.train.memory import keep_freed_memory
from metajax.train.metrics import MetricsLog, plain, read_rows, to_json
from metajax.train.origin import provenance, run_summary
from metajax.train.paths import (
    as_path,
    check_writable,
    is_remote,
    write_whole,
)
from metajax.train.populations import MEMBER, PopulationState, member_rows, population
from metajax.train.processes import is_first, join, leave
from metajax.train.signals import signals_noted
from metajax.train.step import MODEL_AXIS, TASKS_AXIS, largest_axis, make_layout
from metajax.train.workdir import check_workdir, in_use, open_workdir, renew_config, write_json
from metajax.train.zoos import Zoo, load_zoo, save_zoo

__all__ = [
    "MEMBER",
    "MODEL_AXIS",
    "TASKS_AXIS",
    "CheckpointError",
    "Checkpointer",
    "Fit",
    "HostDataError",
    "Interrupted",
    "MetricsLog",
    "NonFiniteError",
    "Part",
    "PopulationState",
    "ProcessLostError",
    "Profile",
    "WorkdirError",
    "Zoo",
    "as_path",
    "check_workdir",
    "check_writable",
    "fit",
    "in_use",
    "is_first",
    "is_remote",
    "join",
    "keep_freed_memory",
    "largest_axis",
    "leave",
    "load_zoo",
    "make_layout",
    "member_rows",
    "open_workdir",
    "plain",
    "population",
    "profile",
    "profile_table",
    "provenance",
    "read_rows",
    "renew_config",
    "restore_params",
    "run_summary",
    "save_finished",
    "save_zoo",
    "signals_noted",
    "to_json",
    "train_many",
    "write_json",
    "write_whole",
]
