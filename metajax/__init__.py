"""metajax: meta-learning in JAX as pure functions over pytrees.

Everything here is also reachable as ``metajax.core.X``, ``metajax.train.X`` and so on; each is
imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metajax.core import (
        Algorithm,
        ConfigError,
        Evaluator,
        Examples,
        HostFed,
        MetajaxError,
        MetaLearner,
        Network,
        SequenceNetwork,
        Staged,
        Task,
        TaskDistribution,
        gradient,
    )
    from metajax.systems import Run, load
    from metajax.train import Fit, fit
    from metajax.using import Adapted, load_exported

__version__ = "0.1.0"

# nothing is imported before it is used: `metajax` on the command line answers Ctrl-C from the start
_CORE = (
    "Algorithm",
    "ConfigError",
    "Evaluator",
    "Examples",
    "HostFed",
    "MetajaxError",
    "MetaLearner",
    "Network",
    "SequenceNetwork",
    "Staged",
    "Task",
    "TaskDistribution",
    "gradient",
)
_LAZY = {
    **dict.fromkeys(("fit", "Fit"), "metajax.train"),
    **dict.fromkeys(("Run", "load"), "metajax.systems"),
    **dict.fromkeys(("Adapted", "load_exported"), "metajax.using"),
    **dict.fromkeys(_CORE, "metajax.core"),
}
_SUBPACKAGES = (
    "bilevel",
    "cli",
    "commands",
    "continual",
    "core",
    "data",
    "hypernet",
    "learners",
    "nn",
    "physics",
    "sweep",
    "systems",
    "train",
    "units",
    "using",
)

__all__ = [
    "Adapted",
    "Algorithm",
    "ConfigError",
    "Evaluator",
    "Examples",
    "Fit",
    "HostFed",
    "MetaLearner",
    "MetajaxError",
    "Network",
    "Run",
    "SequenceNetwork",
    "Staged",
    "Task",
    "TaskDistribution",
    "fit",
    "gradient",
    "load",
    "load_exported",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"metajax.{name}")
    raise AttributeError(f"module 'metajax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES})
