"""Every link of the site and the repository leads somewhere; nothing is loaded from elsewhere."""

import re
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
BASE = "http://site/"
LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?([^\"'> ]+)"
    r"|<link\b(?![^>]*\brel=[\"']?(?:canonical|prev|next))[^>]*\bhref=[\"']?([^\"'> ]+)"
)
LINKS = re.compile(r"<a\b[^>]*\bhref=(?:\"([^\"]*)\"|([^\s>\"]+))")


@cache
def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def anchors(path: Path) -> set[str]:
    return set(re.findall(r"\b(?:id|name)=\"?([^\"\s>]+)", read(path)))


@pytest.fixture(scope="module")
def pages(site):
    return {page: BASE + str(page.relative_to(site)) for page in site.rglob("*.html")}


def test_no_link_is_dead(site, pages):
    dead = set()
    for page, address in pages.items():
        if page.name == "404.html":
            continue  # its links are those of a site at the top of its host
        for link in {unescape(a or b) for a, b in LINKS.findall(read(page))}:
            target = urlsplit(urljoin(address, link))
            if f"{target.scheme}://{target.netloc}/" != BASE:
                assert target.scheme in ("https", "http", "mailto"), link
                continue
            path = site / unquote(target.path).lstrip("/")
            if path.is_dir():
                path /= "index.html"
            if not path.is_file() or (
                target.fragment and unquote(target.fragment) not in anchors(path) | {"__tabbed"}
            ):
                dead.add((address, link))
    assert not dead


def test_no_link_is_dead_in_the_repository():
    """Of the pages that a reader reaches from the README, without the site."""
    left, seen, dead = [ROOT / "README.md"], set(), set()
    while left:
        page = left.pop()
        seen.add(page)
        text = re.sub(r"```.*?```|`[^`\n]*`", "", read(page), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if link.startswith(("http", "mailto")):
                continue
            target = (page.parent / link).resolve()
            if not target.exists():
                dead.add((page, link))
            elif target.suffix == ".md" and target not in seen:
                left.append(target)
    assert not dead


def test_nothing_is_loaded_from_other_hosts(pages):
    for page in pages:
        for sources in LOADED.findall(read(page)):
            assert not any(source.startswith(("http", "//")) for source in sources), page
