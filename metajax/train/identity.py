"""Whether a workdir holds the very run that is asked for, and what is done where it does not."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Literal

from metajax.core import ConfigError
from metajax.train.checkpoint import steps_in
from metajax.train.errors import WorkdirError
from metajax.train.fingerprints import changes
from metajax.train.workdir import PREVIOUS, start_over, write_json

log = logging.getLogger("metajax")

FILE = "fingerprint.json"

OnChanged = Literal["raise", "restart", "ignore"]


def run_config(
    steps: int, tasks_per_step: int, key_data: Any, on_nonfinite: str, config: dict[str, Any] | None
) -> dict[str, Any]:
    """What ``config.json`` says of a run: the arguments that decide its result, and ``config``.

    Raises:
      ConfigError: ``config`` has a name of these arguments.
    """
    identity = {
        "steps": steps,
        "tasks_per_step": tasks_per_step,
        "key": key_data.tolist(),
        "on_nonfinite": on_nonfinite,
    }
    if taken := sorted(identity.keys() & (config or {}).keys()):
        raise ConfigError("config", taken, f"other names than {', '.join(identity)}")
    return identity | (config or {})


def newest_step(workdir: Path) -> int | None:
    """The step of a workdir's newest checkpoint, whole or not; None where there is none."""
    folder = workdir / "checkpoints"
    return max(steps_in(folder), default=None) if folder.is_dir() else None


def check_identity(
    workdir: Path, new: dict[str, Any], config: dict[str, Any], on_changed: OnChanged
) -> list[dict[str, Any]]:
    """Compare a run with the one that ``workdir`` holds.

    A workdir keeps the fingerprint of every algorithm that has trained in it: one that was resumed
    by ``ignore`` belongs to none of them alone.

    Args:
      workdir: held by this process.
      new: the :func:`~metajax.train.fingerprints.fingerprint` of this run.
      config: of this run, for a workdir that is started over.
      on_changed: ``raise``, ``restart`` or ``ignore``.

    Returns:
      What :func:`note_identity` is to write once this run has begun there.

    Raises:
      WorkdirError: the run there is another one, and the answer to that is ``raise``; or its
        fingerprint cannot be read.
    """
    step, known = newest_step(workdir), read_fingerprints(workdir)
    if step is not None and not known:
        log.warning(
            "the run in %s was begun by a version that did not note what it trained: it resumes "
            "unchecked",
            workdir,
        )
    if step is None:  # nothing has come of it yet: it is whatever it is called with
        known = []
    changed: list[str] = []
    unsure: list[str] = []
    for old in known:
        certain, likely = changes(old, new)
        changed += certain
        unsure += likely
    changed, unsure = list(dict.fromkeys(changed)), list(dict.fromkeys(unsure))
    if changed and on_changed == "restart":
        start_over(workdir, config)
        known = []
    elif changed:
        finished = "finished run" if step == config.get("steps") else "run"
        what = f"the {finished} in {workdir}, saved at step {step}, is another one:"
        lines = "".join(f"\n  {line}" for line in changed)
        if on_changed == "raise":
            raise WorkdirError(
                f"{what}{lines}\nRepeat its settings to resume it, name another workdir, or give "
                f'on_changed="restart" (--on-changed restart; moves it to {PREVIOUS}/) or "ignore" '
                "(resumes it with what is given now)."
            )
        log.warning("%s%s\nit resumes all the same (on_changed=ignore)", what, lines)
    elif unsure:
        log.warning(
            "the run in %s was trained with other libraries or on another kind of device, and not "
            "all of it can be compared; it resumes:%s",
            workdir,
            "".join(f"\n  {line}" for line in unsure),
        )
    return known if new in known else [*known, new]


def note_identity(workdir: Path, fingerprints: list[dict[str, Any]]) -> None:
    """Write down what has trained in ``workdir``.

    Raises:
      WorkdirError: it cannot be written.
    """
    if fingerprints != read_fingerprints(workdir):
        try:
            write_json(workdir / FILE, fingerprints)
        except OSError as error:
            raise WorkdirError(f"{workdir / FILE} cannot be written: {error}") from error


def read_fingerprints(workdir: Path) -> list[dict[str, Any]]:
    """The fingerprints that a workdir holds, oldest first.

    Raises:
      WorkdirError: they cannot be read.
    """
    path = workdir / FILE
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise WorkdirError(
            f"{path} cannot be read ({error}): whether the run there is this one cannot be told. "
            "Name another workdir, or remove that file to resume unchecked."
        ) from error
