"""Make the tables of the experiments' READMEs of their results, and check the figures in the text.

    python experiments/tables.py             # rewrite the tables; list what the text has otherwise
    python experiments/tables.py --check     # rewrite nothing; exit code 1 where anything differs

A table stands between `<!-- table NAME -->` and `<!-- end -->`. `FAMILY/quoted.py` makes it, and
lists the sentences and cells that quote a figure: each has to be in the README, or in the other
file that it is of, word for word, line breaks and bold type aside. So a figure that a sentence
rounds wrongly, or that a new result has changed, is found. The READMEs of `benchmarks/` and of this
folder are checked too. Table `below` of a family is its methods that a baseline is better than, by
`baselines.py`.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
MARKED = re.compile(r"(<!-- table (?P<name>\S+) -->\n).*?(\n<!-- end -->)", re.DOTALL)
FAMILIES = {
    path.parent.name: path.parent
    for path in (
        *sorted(HERE.glob("*/quoted.py")),
        ROOT / "benchmarks" / "quoted.py",
        HERE / "quoted.py",
    )
}
"""The folders whose README is checked."""


def quoted(family: str) -> Any:
    """What a family's README quotes, of its results as they are."""
    path = FAMILIES[family] / "quoted.py"
    sys.path[:0] = [str(HERE), str(path.parent)]  # for quoting, and for the family's own scripts
    try:
        spec = importlib.util.spec_from_file_location(f"quoted_{family}", path)
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        found = module.quoted()
        baselines = importlib.import_module("baselines")
        if family in baselines.FAMILIES:
            found = found._replace(tables=found.tables | {"below": baselines.said(family)})
        return found
    finally:
        del sys.path[:2]


def rewritten(text: str, tables: dict[str, str]) -> str:
    """A README with its tables as the results give them.

    Raises:
      ValueError: the marks in the text are not those of the tables.
    """
    marked = [match["name"] for match in MARKED.finditer(text)]
    if sorted(marked) != sorted(tables):
        raise ValueError(f"marked are the tables {marked}, made are {list(tables)}")
    return MARKED.sub(lambda match: match[1] + tables[match["name"]] + match[3], text)


def missing(text: str, sentences: list[str]) -> list[str]:
    """The sentences that are not in a text, line breaks and bold type aside."""

    def flat(text: str) -> str:
        return " ".join(text.replace("**", "").split())

    return [sentence for sentence in sentences if flat(sentence) not in flat(text)]


def wrong(family: str, found: Any) -> list[str]:
    """What the results of a family say otherwise than its README, and other texts, do."""
    readme = FAMILIES[family] / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = rewritten(text, found.tables)
    lines = [
        f"{readme}: table {match['name']} differs: python experiments/tables.py"
        for match, other in zip(MARKED.finditer(text), MARKED.finditer(new), strict=True)
        if match[0] != other[0]
    ]
    texts = {readme: found.sentences}
    texts |= {ROOT / path: sentences for path, sentences in found.elsewhere.items()}
    for path, sentences in texts.items():
        text = path.read_text(encoding="utf-8")
        lines += [f"{path}: the results say: {one}" for one in missing(text, sentences)]
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=" ".join(FAMILIES))
    parser.add_argument("--check", action="store_true", help="rewrite nothing")
    options = parser.parse_args()
    lines: list[str] = []
    for family in options.families or FAMILIES:
        path, found = FAMILIES[family] / "README.md", quoted(family)
        if not options.check:
            text = path.read_text(encoding="utf-8")
            path.write_text(rewritten(text, found.tables), encoding="utf-8")
        lines += wrong(family, found)
    print("\n".join(lines) or "every table and sentence is what the results say")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
