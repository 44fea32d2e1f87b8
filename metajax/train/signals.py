"""Signals that ask a run to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in a list instead of dying; a second one acts as it would have.

    Returns:
      Nothing: it is a context manager, whose value is the list.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted  # Python lets the main thread alone handle signals
        return
    found = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    # None is a handler that was not installed from Python, which could not be put back
    old = {signum: handler for signum, handler in found.items() if handler is not None}

    def note(signum, frame):
        noted.append(signum)
        signal.signal(signum, old[signum])

    for signum in old:
        signal.signal(signum, note)
    try:
        yield noted
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)
