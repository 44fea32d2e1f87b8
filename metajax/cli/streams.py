"""Printing that never ends a run: the terminal may be gone, its disk full, its signs few."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


class Lenient:
    """A stream whose failures to write are kept in ``failure``; what follows them is dropped."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        if self.failure is None:
            try:
                self._stream.write(text)
            except OSError as error:
                self._drop(error)
        return len(text)

    def flush(self) -> None:
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._drop(error)

    def _drop(self, error: OSError) -> None:
        self.failure = error
        # Python flushes what is left at its end, and would exit with 120 where that fails
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def lenient_streams() -> Iterator[Lenient]:
    """Make standard output and error lenient; yields standard output.

    Signs that the terminal's encoding lacks are printed as Python escapes them; a stream that is
    closed takes everything and shows nothing.
    """
    old = sys.stdout, sys.stderr
    for stream in old:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    null = io.StringIO()
    out, err = (Lenient(null if stream is None else stream) for stream in old)
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = old
