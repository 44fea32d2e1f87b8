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


class Interrupted(MetajaxError):
    """The run was asked to stop by a signal; its state is saved and the same call goes on.

    ``exit_code`` is what the command line exits with: 75 ("temporary failure, try again") after
    SIGTERM, the notice of a preemption, and 130 after SIGINT (Ctrl-C).
    """

    def __init__(self, signum: int, step: int):
        super().__init__(
            f"stopped by {signal.Signals(signum).name} after step {step}; the state is saved. "
            "Run the same command again to go on from there."
        )
        self.step = step
        self.exit_code = 75 if signum == signal.SIGTERM else 130
