"""A hook of mkdocs: pages made from files that lie outside docs/.

The notebooks become pages with the outputs that they were committed with; CHANGELOG.md becomes a
page, and the README's picture is copied. Links to them lead to these pages. Nothing is run.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LINKS = [
    (re.compile(r"\]\(\.\./docs/([\w/.-]+\.md)"), r"](../\1"),
    (re.compile(r"\]\((\w+)\.ipynb\)"), r"](\1.md)"),
]
"""Addresses in a notebook, and in the page made of it."""
FROM_REPOSITORY = [
    (re.compile(r"\]\(((?:\.\./)*)\.\./notebooks/(\w+)\.ipynb\)"), r"](\1notebooks/\2.md)"),
    (re.compile(r"\]\(\.\./experiments/gpicl/figures/readme\.png\)"), "](readme.png)"),
]
"""Addresses in the repository, where docs/ is read too, and those of the same on the site."""
ROLE = re.compile(r":(?:func|class|data|meth|attr|mod|exc):<code>(~?)([\w.]+)</code>")
"""A name that a docstring refers to, as :func:`fit`."""


def text_of(value: str | list[str]) -> str:
    """The text of a cell, which a notebook keeps in lines or as a whole."""
    return value if isinstance(value, str) else "".join(value)


def notebook_page(name: str, cells: list[dict[str, Any]]) -> tuple[str, dict[str, bytes]]:
    """A page of a notebook, and its pictures by file name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    title, _, *rest = cells
    heading, *opening = text_of(title["source"]).split("\n")
    badge = next((line for line in opening if "colab-badge" in line), "")
    colab = re.search(r"\((https://colab[^)]*\.ipynb)\)", badge)
    offers = [f"[Open it in Colab]({colab[1]})"] if colab else []
    offers += [f"[download the notebook]({name}.ipynb)"]
    parts.append(heading)
    parts.append("*This page is a notebook: " + " or ".join(offers) + ".*")
    parts.append("\n".join(line for line in opening if line != badge).strip())
    for cell in rest:
        source = text_of(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}-{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode(text_of(data["image/png"]))
                parts.append(f"![Picture {len(pictures)} of the notebook]({picture})")
            elif shown := text_of(output.get("text") or data.get("text/plain", "")).rstrip():
                parts.append(f"``` {{ .text .output }}\n{shown}\n```")
    # lines of code are long: they take the room of the table of contents
    page = "---\nhide: [toc]\n---\n\n" + "\n\n".join(parts) + "\n"
    for pattern, replacement in LINKS:
        page = pattern.sub(replacement, page)
    return page, pictures


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from other files."""

    def add(path: str, content: str | bytes) -> None:
        files.append(File.generated(config, path, content=content))

    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        page, pictures = notebook_page(path.stem, cells)
        add(f"notebooks/{path.stem}.md", page)
        add(f"notebooks/{path.name}", path.read_bytes())
        for name, picture in pictures.items():
            add(f"notebooks/{name}", picture)
    add("readme.png", (ROOT / "experiments" / "gpicl" / "figures" / "readme.png").read_bytes())
    add("changelog.md", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links to notebooks and to the README's picture lead to their copies on the site."""
    for pattern, replacement in FROM_REPOSITORY:
        markdown = pattern.sub(replacement, markdown)
    return markdown


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Make links of the names that docstrings refer to, such as :func:`fit`."""
    package = page.title

    def link(found: re.Match[str]) -> str:
        short, name = found[1], found[2]
        shown = name.rpartition(".")[2] if short else name
        target = name if name.startswith("metajax.") else f"{package}.{name}"
        return f'<autoref optional identifier="{target}"><code>{shown}</code></autoref>'

    return ROLE.sub(link, html)
