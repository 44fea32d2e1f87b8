"""Orbax checkpoints, each sealed by a digest of its files.

Orbax writes a checkpoint whole or not at all, but does not notice a byte that changed later. So
once a save has finished, every file's SHA-256 goes into ``metajax.sha256`` in its folder: a
checkpoint without that seal is unfinished, one that differs from it is damaged, and either is
passed over, aloud, for the one before.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import jax
from jaxtyping import PyTree

from metajax.train.errors import CheckpointError
from metajax.train.processes import from_first
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
    with temporary.open("w") as file:
        json.dump(_digests(folder), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / SEAL)


def find_fault(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint's folder, in words, or None where it is whole."""
    try:
        sealed = json.loads((folder / SEAL).read_text())
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


def newest_good(directory: Path) -> tuple[int | None, list[tuple[int, str]]]:
    """Return the newest whole checkpoint's step and the faults of the newer ones, newest first."""
    faults: list[tuple[int, str]] = []
    if directory.is_dir():
        steps = (int(path.name) for path in directory.iterdir() if path.name.isdecimal())
        for step in sorted(steps, reverse=True):
            fault = find_fault(directory / str(step))
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


class Checkpointer:
    """Saves and restores ``(state, meta)`` under ``directory``, the newest good one first.

    ``state`` is a pytree of jax arrays, ``meta`` a dict of JSON values. The ``keep_last`` newest
    checkpoints stay, and with ``keep_every`` those at its multiples stay for ever. Faulty ones
    are moved to the folder ``damaged`` beside ``directory``, unless ``read_only``.
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
        self.directory = directory.absolute()
        self._read_only = read_only
        # before Orbax takes stock: it would count a faulty folder as the latest step
        self.good_step: int | None = from_first(self._take_stock)
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                cleanup_tmp_directories=not read_only,
                create=not read_only,
                read_only=read_only,
            ),
        )
        self._keep_last, self._keep_every = keep_last, keep_every
        self._sealing: threading.Thread | None = None
        self._failure: Exception | None = None
        self._failed = False

    def _take_stock(self) -> int | None:
        """Find the newest good checkpoint, and put the faulty ones after it aside."""
        good, faults = newest_good(self.directory)
        instead = "starting from step 0" if good is None else f"using step {good}"
        for step, fault in faults:
            where = "" if self._read_only else f"put aside as {self._put_aside(step)}, "
            log.warning("checkpoint %d %s: %s%s", step, fault, where, instead)
        return good

    def _put_aside(self, step: int) -> Path:
        damaged = self.directory.parent / "damaged"
        damaged.mkdir(exist_ok=True)
        number = 0
        while (target := damaged / f"{step}-{number}").exists():
            number += 1
        os.replace(self.directory / str(step), target)
        return target

    def save(self, step: int, state: PyTree, meta: dict[str, Any]) -> None:
        """Start saving; returns once ``state`` may be donated and ``meta`` changed.

        The write goes on behind; where several processes save together, it ends here.

        Raises:
          ConfigError: two leaves of ``state`` would have one name in the checkpoint.
          CheckpointError: this save, or the one before it, failed.
        """
        check_names(state)
        self.wait()
        args = self._ocp.args.Composite(
            state=self._ocp.args.StandardSave(to_saved(state)),
            # a copy: Orbax turns it into JSON in the background
            meta=self._ocp.args.JsonSave(copy.deepcopy(meta)),
        )
        try:
            self._manager.save(step, args=args, force=True)
        except Exception as error:
            self._failure = error
            self.wait()
        if jax.process_count() > 1:
            self._seal(step)  # its exchanges must not come between those of the training
            self.wait()
            return
        self._sealing = threading.Thread(target=self._seal, args=(step,), name="metajax-seal")
        self._sealing.start()

    def _seal(self, step: int) -> None:
        try:
            self._manager.wait_until_finished()
            from_first(lambda: write_seal(self.directory / str(step)))
            self.good_step = step
            # not by Orbax, which would drop old checkpoints before the new one is sealed
            for old in sorted(self._manager.all_steps())[: -self._keep_last]:
                if self._keep_every is None or old % self._keep_every:
                    self._manager.delete(old)
        except Exception as error:  # handed to the training thread by wait()
            self._failure = error

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
        """Return the newest good checkpoint's state, on one device, and what was saved beside it.

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
        if lines := misfits(restored["state"], like):
            raise self._misfit(lines)
        return from_saved(restored["state"], like), restored["meta"]

    def _saved_shapes(self) -> PyTree:
        """What the newest good checkpoint says of its arrays."""
        handler = self._ocp.StandardCheckpointHandler()
        try:
            return handler.metadata(self.directory / str(self.good_step) / "state").tree
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
