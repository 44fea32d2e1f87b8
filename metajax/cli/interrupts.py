"""Ctrl-C and SIGTERM at any moment of a command: one line, and the exit code that says which."""

from __future__ import annotations

import contextlib
import shlex
import signal
import threading
import types
from collections.abc import Iterator, Sequence

from metajax.commands import COMMANDS

KEPT = {
    "train": "what the workdir holds is kept: the last checkpoint, if one was saved",
    "sweep": "what the sweep's folder holds is kept: runs that are done, checkpoints of the others",
    "compare": "what the comparison's folder holds is kept: runs that are done, checkpoints of the "
    "others",
    "eval": "the run is unharmed, its eval.json as it was",
    "report": "the run is unharmed, its report may be the old one",
    "profile": "nothing was kept",
    "data": "sets that are complete are kept; the one under way is not",
    "list": "nothing was kept",
    "methods": "nothing was kept",
    **{name: command.kept for name, command in COMMANDS.items()},
}
"""What is left of each command that was cut short."""


UNHEARD = {"_xla_gc_callback", "__del__", "_find_and_load"}
"""What a signal waits for. The interpreter calls some functions between two steps of others, and
drops what they raise; some packages print a traceback of whatever ends their import."""


class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, nothing but the command itself catches it."""


@contextlib.contextmanager
def interruptible(heard: list[int]) -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt and SIGTERM :class:`Terminated`, and neither be lost.

    Where something else takes note of them meanwhile, as a training, that comes first.

    Args:
      heard: takes the signals that came. What is raised may be another error in the end: some
        packages make an ImportError of whatever ends their import.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets the main thread alone handle signals
        return

    def stop(signum: int, frame: types.FrameType | None) -> None:
        at = frame
        while at is not None:
            if at.f_code.co_name in UNHEARD:
                main = threading.main_thread().ident  # what it waits for is cut short too
                threading.Timer(0.005, signal.pthread_kill, (main, signum)).start()
                return
            at = at.f_back
        heard.append(signum)
        raise Terminated if signum == signal.SIGTERM else KeyboardInterrupt

    signums = signal.SIGINT, signal.SIGTERM
    old = {signum: signal.getsignal(signum) for signum in signums}
    for signum, handler in old.items():
        if handler is not signal.SIG_IGN:  # as nohup has it: one that is ignored stays so
            signal.signal(signum, stop)
    try:
        yield
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)


def stopped(signum: int, argv: Sequence[str]) -> tuple[str, int]:
    """The line that says how a command was stopped and how to continue, and its exit code."""
    kept = KEPT.get(argv[0], "nothing was kept") if argv else "nothing was kept"
    said = f"stopped by {signal.Signals(signum).name}; {kept}. To continue: {command_of(argv)}"
    return said, 75 if signum == signal.SIGTERM else 130


def command_of(argv: Sequence[str]) -> str:
    """The words that a shell runs this command by."""
    return shlex.join(["metajax", *argv])
