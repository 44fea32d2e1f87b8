"""Ways in which a run ends early."""

from __future__ import annotations

import signal
from typing import Any

from metajax.core import MetajaxError


class NonFiniteError(MetajaxError):
    """A meta-step's loss, gradient or new parameters were not finite and the policy is to stop.

    ``step`` counts from 1; ``state`` is the algorithm's state before it, all of it finite work.
    """

    def __init__(self, step: int, values: dict[str, float], kept: str, state: Any):
        shown = ", ".join(f"{name} = {value}" for name, value in values.items())
        super().__init__(
            f"step {step} is not finite ({shown}). The state before it is unharmed; {kept} "
            "Lower the learning rate, clip gradients, or leave such steps out with "
            "on_nonfinite='skip'."
        )
        self.step, self.state = step, state


class WorkdirError(MetajaxError):
    """A workdir is in use, holds another run, or cannot be written."""


class CheckpointError(MetajaxError):
    """A checkpoint could not be written or read."""


class HostDataError(MetajaxError):
    """Batches that the host reads could not be read; the last checkpoint is kept."""


class ProcessLostError(MetajaxError):
    """Another process of a run of several ended, or can not be reached, so this one stops too.

    ``exit_code`` is 75, "temporary failure, try again", as after SIGTERM.
    """

    exit_code = 75

    def __init__(self, index: int, num: int, said: str):
        super().__init__(
            f"process {index} of {num} has lost another one: it ended, or can not be reached. The "
            "last checkpoint is kept; start all processes again, with the same command, to go on "
            f"from there. ({said.splitlines()[0] if said else 'no message'})"
        )


class Interrupted(MetajaxError):
    """The run was asked to stop by a signal; its state is saved and the same call goes on.

    ``exit_code`` is what the command line exits with: 75 ("temporary failure, try again") after
    SIGTERM, the notice of a preemption, and 130 after SIGINT (Ctrl-C).
    """

    def __init__(self, signum: int, done: str):
        super().__init__(
            f"stopped by {signal.Signals(signum).name} after {done}; the state is saved. "
            "Run the same command again to go on from there."
        )
        self.exit_code = 75 if signum == signal.SIGTERM else 130
