"""Ways in which a run ends early."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from metajax.core import MetajaxError, Params


class NonFiniteError(MetajaxError):
    """A meta-step's loss, gradient or new parameters were not finite and the policy is to stop.

    Attributes:
      step: the step that was not finite, counted from 1.
      state: the algorithm's state before it, all of it finite work.
      params: that state's meta-parameters.
      history: the rows of metrics up to the step before it.
    """

    def __init__(
        self,
        step: int,
        values: dict[str, float],
        kept: str,
        state: Any,
        params: Params = None,
        history: Sequence[dict[str, Any]] = (),
    ):
        shown = ", ".join(f"{name} = {value}" for name, value in values.items())
        super().__init__(
            f"step {step} is not finite ({shown}). The state before it is unharmed; {kept} "
            "Lower the learning rate, clip gradients, or leave such steps out with "
            "on_nonfinite='skip'."
        )
        self.step, self.state, self.params, self.history = step, state, params, list(history)


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
            "last checkpoint is kept; start all processes again with the same command to resume "
            f"from it. ({said.splitlines()[0] if said else 'no message'})"
        )


class Interrupted(MetajaxError):
    """The run was asked to stop by a signal, and carries what it had done until then.

    Attributes:
      exit_code: what the command line exits with: 75 ("temporary failure, try again") after
        SIGTERM, the notice of a preemption, and 130 after SIGINT (Ctrl-C).
      state: the algorithm's state after ``step`` steps; None where no single run was stopped.
      params: that state's meta-parameters, for a learner's ``adapt`` and ``predict``.
      step: meta-steps done.
      history: the rows of metrics; the last one averages the steps since the row before it.
    """

    def __init__(
        self,
        signum: int,
        done: str,
        kept: str = "the state is saved. Run the same command again to resume it.",
        *,
        state: Any = None,
        params: Params = None,
        step: int = 0,
        history: Sequence[dict[str, Any]] = (),
    ):
        super().__init__(f"stopped by {signal.Signals(signum).name} after {done}; {kept}")
        self.signum = signum
        self.exit_code = 75 if signum == signal.SIGTERM else 130
        self.state, self.params, self.step, self.history = state, params, step, list(history)
