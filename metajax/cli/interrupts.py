"""Ctrl-C and SIGTERM at any moment of a command: one line, and the exit code that says which."""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
import types
from collections.abc import Iterator, Sequence

KEPT = {
    "train": "what the workdir holds is kept: the last checkpoint, if one was saved",
    "sweep": "what the sweep's folder holds is kept: runs that are done, checkpoints of the others",
    "eval": "the run is unharmed, its eval.json as it was",
    "report": "the run is unharmed, its report may be the old one",
    "solve": "nothing was written, or not all of it",
    "profile": "nothing was kept",
    "data": "sets that are complete are kept; the one under way is not",
    "list": "nothing was kept",
}
"""What is left of each command that was cut short."""


UNHEARD = {"_xla_gc_callback", "__del__"}
"""Functions that the interpreter calls between two steps of others: what they raise is lost."""


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, nothing but the command itself catches it."""


def _stop(signum: int, frame: types.FrameType | None) -> None:
    at = frame
    while at is not None:
        if at.f_code.co_name in UNHEARD:
            threading.Timer(0.02, signal.raise_signal, (signum,)).start()
            return
        at = at.f_back
    raise Terminated if signum == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt and SIGTERM :class:`Terminated`, and neither be lost.

    Where something else takes note of them meanwhile, as a training, that comes first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets the main thread alone handle signals
        return
    signums = signal.SIGINT, signal.SIGTERM
    # one that is ignored, as by nohup, stays so
    old = {signum: signal.getsignal(signum) for signum in signums}
    for signum, handler in old.items():
        if handler is not signal.SIG_IGN:
            signal.signal(signum, _stop)
    try:
        yield
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)


def stopped(error: BaseException, argv: Sequence[str]) -> tuple[str, int]:
    """The line that says how a command was stopped and how to continue, and its exit code."""
    name, code = ("SIGTERM", 75) if isinstance(error, Terminated) else ("SIGINT", 130)
    kept = KEPT.get(argv[0], "nothing was kept") if argv else "nothing was kept"
    return f"stopped by {name}; {kept}. To continue: {command_of(argv)}", code


def command_of(argv: Sequence[str]) -> str:
    """The words that a shell runs this command by."""
    return shlex.join(["metajax", *argv])
