"""``report.html``: one self-contained page per run, with its figures as PNG next to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metajax.systems import System, write_page


def write_report(
    workdir: Path,
    system: System,
    config: dict[str, Any],
    evaluation: dict[str, Any],
    summary: dict[str, Any],
    history: list[dict[str, Any]],
) -> Path:
    """Write ``report.html`` and its PNG figures into ``workdir``; returns the page's path."""
    return write_page(
        workdir,
        f"{system.name}: {workdir.name}",
        system.summary,
        system.said(evaluation),
        system.figures(evaluation, history),
        {"Run": summary, "Settings": config},
    )
