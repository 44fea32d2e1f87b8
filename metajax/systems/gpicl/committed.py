"""Runs that were committed, to be shown next to a run on the same problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("committed.json")


def committed_runs(settings: Any, method: str) -> list[dict[str, Any]]:
    """Return the committed runs of other methods on the problem of some settings.

    Each holds ``title``, ``command``, ``steps``, ``cpu_seconds`` and, of unseen tasks, ``accuracy``
    by position with ``ci95``, ``last``, ``gain``, ``gain_ci95`` and ``n``.

    Args:
      settings: of a problem; all that decide what is evaluated have to agree.
      method: by name, whose own runs are left out.
    """
    runs = json.loads(FILE.read_text(encoding="utf-8"))
    return [
        run
        for run in runs
        if run["method"] != method
        and all(getattr(settings, name) == value for name, value in run["settings"].items())
    ]
