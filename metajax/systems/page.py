"""One self-contained page: text, figures as PNG, tables of settings."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metajax.systems.show import Figure
from metajax.train import write_whole

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6em; line-height: 1.2; }
pre { background: #f5f5f3; padding: 1em; overflow-x: auto; font-size: 12px; line-height: 1.4; }
figure { margin: 2em 0; } img { max-width: 100%; } figcaption { color: #555; }
table { border-collapse: collapse; } td { padding: .1em 1em .1em 0; vertical-align: top; }
td:first-child { overflow-wrap: break-word; }
.scrolled { overflow-x: auto; }
"""
PIXELS_PER_INCH = 72
"""Pixels that an inch of a figure has at least, so that its text can be read."""
FITS = 450
"""Pixels of a figure that is shrunk to a phone's width."""
WIDEST = 800
"""Pixels of a page that a figure may take at a desk."""


def write_page(
    folder: Path,
    title: str,
    subtitle: str,
    text: str,
    figures: Iterable[Figure],
    tables: Mapping[str, Mapping[str, Any]],
) -> Path:
    """Write ``report.html`` and its PNG figures into ``folder``; returns the page's path.

    Args:
      folder: to write into.
      title: of the page.
      subtitle: below it.
      text: shown as it is, line by line.
      figures: to draw, with names and captions.
      tables: by title, values by name.

    Returns:
      The path of ``report.html``.
    """
    parts = [f"<pre>{html.escape(text)}</pre>"]
    for figure in figures:
        path = folder / f"{figure.name}.png"
        canvas, drawn = figure.draw(), io.BytesIO()
        canvas.savefig(drawn, dpi=150, format="png")
        write_whole(path, drawn.getvalue())
        image = base64.b64encode(drawn.getvalue()).decode()
        caption = html.escape(figure.caption)
        least = int(min(PIXELS_PER_INCH * canvas.get_figwidth(), WIDEST))
        # what is wider than a phone is scrolled there, as the table above it is
        wide = f' style="min-width: {least}px"' if least > FITS else ""
        parts.append(
            f'<figure><div class="scrolled"><img alt="{caption}"{wide} '
            f'src="data:image/png;base64,{image}"></div>'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    for heading, values in tables.items():
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(_shown(value))}</code>"
            "</td></tr>"
            for name, value in values.items()
        )
        parts.append(f"<h2>{html.escape(heading)}</h2><table>{rows}</table>")
    title = html.escape(title)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{html.escape(subtitle)}</p>{''.join(parts)}</body></html>\n"
    )
    path = folder / "report.html"
    # a path that is no Unicode stands in it as Python escapes it
    write_whole(path, page.encode(errors="backslashreplace"))
    return path


def _shown(value: Any) -> str:
    """A value as a person reads it; its files hold it to the last digit."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_shown(of)}" for name, of in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value:.8g}" if isinstance(value, float) else str(value)
