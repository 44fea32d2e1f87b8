"""Who holds a run's folder in a store, which knows no locks.

Each contender writes a claim of its own, ``.lease.HOST.PID.START.json``, and only then looks for
others: of two that come together one at least sees the other and withdraws. The holder renews its
claim while it lives; without a sign of life for ``STALE_SECONDS`` the next run takes over.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from metajax.train.errors import WorkdirError

log = logging.getLogger("metajax")

PREFIX = ".lease."
BEAT_SECONDS = 20.0
STALE_SECONDS = 180.0

_CLAIMING = threading.Lock()


class Claim(NamedTuple):
    """What stands in a claim.

    Attributes:
      host: name of the machine.
      pid: the process.
      started: when it started, in ticks since the machine did; None where that is not known.
      machine: this boot and its process numbers' namespace; None where that is not known.
      since: when it took the folder, in seconds since 1970.
      alive: its last sign of life, likewise.
      holds: whether it has the folder; else it is still looking for others.
    """

    host: str
    pid: int
    started: int | None
    machine: str | None
    since: float
    alive: float
    holds: bool = False

    @property
    def is_live(self) -> bool:
        """Whether its process may still be running."""
        if self.machine is not None and self.machine == _machine():
            return _started(self.pid) == self.started
        return time.time() - self.alive < STALE_SECONDS

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since))
        return (
            f"process {self.pid} on {self.host}, since {since}, last sign of life "
            f"{max(time.time() - self.alive, 0):.0f} s ago"
        )


def _machine() -> str | None:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(stat.rpartition(b")")[2].split()[19])


def _own() -> Claim:
    now = time.time()
    pid = os.getpid()
    return Claim(socket.gethostname(), pid, _started(pid), _machine(), now, now)


def _file(folder: Any, claim: Claim) -> Any:
    host = re.sub(r"[^A-Za-z0-9-]", "-", claim.host)
    return folder / f"{PREFIX}{host}.{claim.pid}.{claim.started or 0}.json"


def _write(folder: Any, claim: Claim) -> None:
    _file(folder, claim).write_bytes(json.dumps(claim._asdict()).encode())


def _read(path: Any) -> Claim | None:
    """The claim in a file; None where it is gone."""
    end = time.monotonic() + 1
    while True:
        try:
            return Claim(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            if time.monotonic() > end:  # until then it may be on its way, where writes show early
                raise WorkdirError(
                    f"{path} is not a claim that can be read ({error}); delete it if no run uses "
                    "the folder"
                ) from error
            time.sleep(0.05)


def claims(folder: Any) -> dict[Any, Claim]:
    """The claims in a folder, by their files."""
    try:
        files = [entry for entry in folder.iterdir() if entry.name.startswith(PREFIX)]
    except FileNotFoundError:
        return {}
    return {file: claim for file in files if (claim := _read(file)) is not None}


def holder(folder: Any) -> str | None:
    """Who holds the folder, in words that say what to do; None where nobody does."""
    for file, claim in claims(folder).items():
        if claim.is_live:
            return _in_use(folder, file, claim)
    return None


def _in_use(folder: Any, file: Any, claim: Claim) -> str:
    return (
        f"workdir {folder} is in use by a live run ({claim}); wait for it or name another workdir. "
        f"Where it is known to have died, delete {file}; after {STALE_SECONDS:.0f} s without a "
        "sign of life the next run takes over by itself."
    )


@contextlib.contextmanager
def held(folder: Any) -> Iterator[None]:
    """Hold a store's folder.

    Raises:
      WorkdirError: another holds it, or it cannot be written.
    """
    try:
        own = _take(folder)
    except WorkdirError:
        raise
    except Exception as error:  # each store's client has errors of its own
        raise WorkdirError(
            f"workdir {folder} cannot be written: {type(error).__name__}: {error}"
        ) from error
    done = threading.Event()
    beats = threading.Thread(
        target=_beat, args=(folder, own, done), name="metajax-lease", daemon=True
    )
    beats.start()
    try:
        yield
    finally:
        done.set()
        beats.join()
        _file(folder, own).unlink(missing_ok=True)


def _take(folder: Any) -> Claim:
    """Claim a folder, and withdraw where another has it."""
    own = _own()
    file = _file(folder, own)
    with _CLAIMING:
        if file.exists():
            raise WorkdirError(_in_use(folder, file, own))
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, own)
    try:
        for other, claim in claims(folder).items():
            if other.name == file.name:
                continue
            if claim.is_live:
                raise WorkdirError(_in_use(folder, other, claim))
            log.warning("taking over %s from %s", folder, claim)
            other.unlink(missing_ok=True)
        own = own._replace(holds=True)
        _write(folder, own)
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return own


def _beat(folder: Any, own: Claim, done: threading.Event) -> None:
    """Renew a claim until it is given up, or lost to a run that took it for dead."""
    while not done.wait(BEAT_SECONDS):
        try:
            if not is_held(folder):
                return
            _write(folder, own._replace(alive=time.time()))
            others = claims(folder).values()
            if any(other.holds and other.since > own.since for other in others):
                _file(folder, own).unlink(missing_ok=True)
        except Exception as error:  # each store's client has errors of its own; tried again
            log.warning("the claim to %s could not be renewed: %s", folder, error)


def is_held(folder: Any) -> bool:
    """Whether this process still holds a folder that it has taken."""
    return _read(_file(folder, _own())) is not None


def check_held(folder: Any) -> None:
    """Stop a run whose folder another has taken.

    Raises:
      WorkdirError: this process no longer holds it.
    """
    if not is_held(folder):
        raise WorkdirError(
            f"workdir {folder} was taken over by another run, which saw no sign of life of this "
            "one; this one stops and writes nothing more there"
        )
