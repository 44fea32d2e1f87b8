"""``report.html``: one self-contained page per run, with its figures as PNG beside it."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

from metajax.systems import System

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }
pre { background: #f5f5f3; padding: 1em; overflow-x: auto; font-size: 12px; line-height: 1.4; }
figure { margin: 2em 0; } img { max-width: 100%; } figcaption { color: #555; }
table { border-collapse: collapse; } td { padding: .1em 1em .1em 0; vertical-align: top; }
"""


def write_report(
    workdir: Path,
    system: System,
    config: dict[str, Any],
    evaluation: dict[str, Any],
    summary: dict[str, Any],
    history: list[dict[str, Any]],
) -> Path:
    """Write ``report.html`` and its PNG figures into ``workdir``; returns the page's path."""
    parts = [f"<pre>{html.escape(system.table(evaluation))}</pre>"]
    for figure in system.figures(evaluation, history):
        path = workdir / f"{figure.name}.png"
        figure.draw().savefig(path, dpi=150)
        image = base64.b64encode(path.read_bytes()).decode()
        caption = html.escape(figure.caption)
        parts.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{image}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    for title, values in (("Run", summary), ("Settings", config)):
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(json.dumps(value))}</code>"
            "</td></tr>"
            for name, value in values.items()
        )
        parts.append(f"<h2>{title}</h2><table>{rows}</table>")
    title = html.escape(f"{system.name}: {workdir.name}")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{html.escape(system.summary)}</p>{''.join(parts)}</body></html>\n"
    )
    path = workdir / "report.html"
    path.write_text(page)
    return path
