"""Ctrl-C and SIGTERM at any moment of a command: one line, and the exit code that says which."""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
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


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, nothing but the command itself catches it."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM raise :class:`Terminated`, where nothing else takes note of it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets the main thread alone handle signals
        return

    def stop(signum, frame):
        raise Terminated

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def stopped(error: BaseException, argv: Sequence[str]) -> tuple[str, int]:
    """The line that says how a command was stopped and how to continue, and its exit code."""
    name, code = ("SIGTERM", 75) if isinstance(error, Terminated) else ("SIGINT", 130)
    kept = KEPT.get(argv[0], "nothing was kept") if argv else "nothing was kept"
    command = shlex.join(["metajax", *argv])
    return f"stopped by {name}; {kept}. To continue: {command}", code
