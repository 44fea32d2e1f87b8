"""Orbax checkpoints, each sealed by a digest of its files.

Orbax writes a checkpoint whole or not at all, but does not notice a byte that changed later. So
once a save has finished, every file's SHA-256 goes into ``metajax.sha256`` in its folder. A
checkpoint without that seal is unfinished, and one that differs from it is damaged. Either is
passed over, with a warning, for the one before.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from metajax.train.errors import CheckpointError
from metajax.train.mirror import Mirror, gathered, rekeyed, save_alone
from metajax.train.paths import as_path, is_remote
from metajax.train.processes import from_first, is_first
from metajax.train.state import (
    check_names,
    from_saved,
    misfits,
    saved_like,
    to_saved,
)

log = logging.getLogger("metajax")

SEAL = "metajax.sha256"
SHOWN = 12
"""Differences named of a checkpoint that does not fit."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    digests = {}
    for path in files:
        with path.open("rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(
                file, "sha256"
            ).hexdigest()
    return digests


def write_seal(folder: Path) -> None:
    """Write the digest of every file in a finished checkpoint's folder."""
    temporary = folder.parent / f".{folder.name}.{SEAL}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(_digests(folder), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / SEAL)


def find_fault(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint's folder, in words, or None where it is whole."""
    try:
        sealed = json.loads((folder / SEAL).read_bytes())
    except FileNotFoundError:
        return "was not finished"
    except ValueError:
        return f"is damaged ({SEAL} is not readable)"
    found = _digests(folder)
    for name in sorted({*sealed, *found}):
        if name not in found:
            return f"is damaged ({name} is missing)"
        if name not in sealed:
            return f"is damaged ({name} does not belong to it)"
        if sealed[name] != found[name]:
            return f"is damaged ({name} has changed since it was saved)"
    return None


def newest_good(
    directory: Any, mirror: Mirror | None = None
) -> tuple[int | None, list[tuple[int, str]]]:
    """Return the newest whole checkpoint's step and the faults of the newer ones, newest first.

    Those of a store are judged, and left, in its ``mirror``.
    """
    faults: list[tuple[int, str]] = []
    if directory.is_dir():
        for step in sorted(steps_in(directory), reverse=True):
            fault = find_fault(mirror.fetch(step) if mirror else directory / str(step))
            if fault is None:
                return step, faults
            faults.append((step, fault))
    return None, faults


def _is_no_room(error: BaseException | None) -> bool:
    """Whether a full disk, a quota or a limit on a file's size is behind an error."""
    while error is not None:
        if getattr(error, "errno", None) in NO_ROOM:
            return True
        # of what the array store's own errors hold, the system's words are all that is left
        if any(os.strerror(number) in str(error) for number in NO_ROOM):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def _without_warnings(read_only: bool) -> Iterator[None]:
    """Leave out what Orbax warns of when a folder is to be read alone, as is meant."""
    logger = logging.getLogger("absl")
    before = logger.level
    try:
        logger.setLevel(max(before, logging.ERROR) if read_only else before)
        yield
    finally:
        logger.setLevel(before)


def steps_in(directory: Any) -> list[int]:
    """The steps of a directory's checkpoints, good or not."""
    return [int(path.name) for path in directory.iterdir() if path.name.isdecimal()]


class Checkpointer:
    """Saves and restores ``(state, meta)`` under ``directory``, the newest good one first.

    ``state`` is a pytree of jax arrays, ``meta`` a dict of JSON values. The ``keep_last`` newest
    checkpoints stay, and with ``keep_every`` those at its multiples stay for ever. Faulty ones
    are moved to the folder ``damaged`` next to ``directory``, unless ``read_only``. Those of a
    store are saved to a folder of this machine and sent from there, the seal last.
    """

    def __init__(
        self,
        directory: Path,
        *,
        keep_last: int = 3,
        keep_every: int | None = None,
        read_only: bool = False,
    ):
        import orbax.checkpoint as ocp  # takes seconds: only for runs that save

        self._ocp = ocp
        directory = as_path(directory)
        self._mirror = Mirror(directory, SEAL) if is_remote(directory) else None
        self.directory = directory if self._mirror else directory.absolute()
        self._read_only = read_only
        # before Orbax takes stock: it would count a faulty folder as the latest step
        self.good_step: int | None = from_first(self._take_stock)
        options: dict[str, Any] = {}
        if self._mirror is not None:
            if self.good_step is not None and not is_first():
                self._mirror.fetch(self.good_step)
            index = jax.process_index()
            options["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
                primary_host=index, active_processes={index}
            )
        with _without_warnings(read_only):
            self._manager = ocp.CheckpointManager(
                self._mirror.local if self._mirror else self.directory,
                options=ocp.CheckpointManagerOptions(
                    cleanup_tmp_directories=not read_only,
                    create=not read_only and self._mirror is None,
                    read_only=read_only,
                    **options,
                ),
            )
        self._keep_last, self._keep_every = keep_last, keep_every
        self._sealing: threading.Thread | None = None
        self._failure: Exception | None = None
        self._failed = False

    def _take_stock(self) -> int | None:
        """Find the newest good checkpoint, and put the faulty ones after it aside."""
        good, faults = newest_good(self.directory, self._mirror)
        instead = "starting from step 0" if good is None else f"using step {good}"
        for step, fault in faults:
            where = "" if self._read_only else f"moved to {self._put_aside(step)}, "
            log.warning("checkpoint %d %s: %s%s", step, fault, where, instead)
        return good

    def _put_aside(self, step: int) -> Path:
        damaged = self.directory.parent / "damaged"
        damaged.mkdir(exist_ok=True)
        number = 0
        while (target := damaged / f"{step}-{number}").exists():
            number += 1
        if self._mirror is not None:
            self._mirror.move(step, target)
        else:
            os.replace(self.directory / str(step), target)
        return target

    def save(self, step: int, state: PyTree, meta: dict[str, Any]) -> None:
        """Start saving; returns once ``state`` may be donated and ``meta`` changed.

        The write continues in the background; where several processes save together, it ends here.

        Raises:
          ConfigError: two leaves of ``state`` would have one name in the checkpoint.
          CheckpointError: this save, or the one before it, failed.
        """
        check_names(state)
        self.wait()
        state = to_saved(state)
        if self._mirror is not None and jax.process_count() > 1:
            state = gathered(state)
            if not is_first():
                from_first(lambda: None)  # how the first one's save ended
                self.good_step = step
                return
        args = self._ocp.args.Composite(
            state=self._ocp.args.StandardSave(state),
            # a copy: Orbax turns it into JSON in the background
            meta=self._ocp.args.JsonSave(copy.deepcopy(meta)),
        )
        try:
            if self._mirror is not None and jax.process_count() > 1:
                save_alone(self._manager.directory, step, state, meta)
            else:
                self._manager.save(step, args=args, force=True)
        except Exception as error:
            self._failure = error
            if self._mirror is None:  # else the other processes wait to hear of it
                self.wait()
        if jax.process_count() > 1:
            self._seal(step)  # its exchanges must not come between those of the training
            self.wait()
            return
        self._sealing = threading.Thread(target=self._seal, args=(step,), name="metajax-seal")
        self._sealing.start()

    def _seal(self, step: int) -> None:
        try:
            if (mirror := self._mirror) is not None:
                from_first(lambda: self._send(step, mirror))
                self.good_step = step
                return
            self._manager.wait_until_finished()
            from_first(lambda: write_seal(self.directory / str(step)))
            self.good_step = step
            # not by Orbax, which would drop old checkpoints before the new one is sealed
            for old in self._outdated(self._manager.all_steps()):
                self._manager.delete(old)
        except Exception as error:  # handed to the training thread by wait()
            self._failure = error

    def _outdated(self, steps: Iterable[int]) -> list[int]:
        """The checkpoints that need not stay."""
        older = sorted(steps)[: -self._keep_last]
        return [old for old in older if self._keep_every is None or old % self._keep_every]

    def _send(self, step: int, mirror: Mirror) -> None:
        """Seal a checkpoint and send it to its store; here and there, drop those before it.

        Raises:
          CheckpointError: one of it failed; the other processes of the run learn of it.
        """
        try:
            self._manager.wait_until_finished()
            if self._failure is not None:
                raise self._failure
            write_seal(mirror.local / str(step))
            mirror.send(step)
            for old in self._outdated(steps_in(self.directory)):
                mirror.delete(old)
            for old in self._manager.all_steps():
                if old != step:
                    self._manager.delete(old)
        except Exception as error:  # each store's client has errors of its own
            raise CheckpointError(f"{type(error).__name__}: {error}") from error

    def wait(self) -> None:
        """Return once the save under way is finished and sealed.

        Raises:
          CheckpointError: it failed.
        """
        if self._sealing is not None:
            self._sealing.join()
            self._sealing = None
        if self._failure is not None:
            error, self._failure, self._failed = self._failure, None, True
            kept = "none" if self.good_step is None else f"that of step {self.good_step}"
            advice = "Once there is room" if _is_no_room(error) else "Once the cause is mended"
            raise CheckpointError(
                f"a checkpoint could not be saved: {error}. The last good one: {kept}. {advice}, "
                "run the same command again to resume from it."
            ) from error

    def restore(self, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """Return the newest good checkpoint's state, on one device, and what was saved with it.

        Args:
          like: a pytree of arrays or of ``jax.ShapeDtypeStruct``, as saved.

        Raises:
          CheckpointError: there is no good checkpoint, or it does not fit ``like``.
        """
        if self.good_step is None:
            raise CheckpointError(
                f"{self.directory} holds no finished checkpoint; run the training first"
            )
        saved = self._saved_shapes()
        if lines := misfits(saved, like):  # Orbax would find it too late, or, of dtypes, never
            raise self._misfit(lines)
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        abstract = saved_like(saved, like, here)
        try:
            restored = self._manager.restore(
                self.good_step,
                args=self._ocp.args.Composite(
                    state=self._ocp.args.StandardRestore(abstract),
                    meta=self._ocp.args.JsonRestore(),
                ),
            )
        except Exception as error:
            raise CheckpointError(
                f"checkpoint {self.good_step} in {self.directory} does not restore: {error}"
            ) from error
        state = rekeyed(abstract, restored["state"])
        if lines := misfits(state, like):
            raise self._misfit(lines)
        return from_saved(state, like), restored["meta"]

    def _saved_shapes(self) -> PyTree:
        """What the newest good checkpoint says of its arrays."""
        handler = self._ocp.StandardCheckpointHandler()
        try:
            return handler.metadata(self._manager.directory / str(self.good_step) / "state").tree
        finally:
            handler.close()

    def _misfit(self, lines: list[str]) -> CheckpointError:
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return CheckpointError(
            f"checkpoint {self.good_step} in {self.directory} does not fit this algorithm:\n  "
            + "\n  ".join([*lines[:SHOWN], *more])
        )

    def close(self) -> None:
        """Finish the save under way and release Orbax's threads.

        Raises:
          CheckpointError: the save failed.
        """
        try:
            self.wait()
        finally:
            try:
                self._manager.close()
            except Exception:
                if not self._failed:  # else Orbax says again what wait() has said
                    raise
            finally:
                if self._mirror is not None:
                    self._mirror.close()
