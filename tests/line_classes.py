"""What the lines of ``metajax/systems`` are for: ideas, settings, drawing, or wiring.

    python tests/line_classes.py [COMMIT ...]
    python tests/line_classes.py --write

Counts each family's lines at some commits, of the working tree by default; ``--write`` writes them
into the table of ``CONTRIBUTING.md``. The rule:

- *settings*: ``settings.py`` (older: ``config.py``) and ``training.py`` but for their checks, and
  in ``methods.py`` and ``*_methods.py`` the signatures and docstrings, which declare the options;
- *drawing*: functions that make or are given matplotlib's ``canvas`` or ``axes``, wherever they
  stand: what a family's figures show is its own;
- *wiring*: checks of settings (``check*``, ``__post_init__``); bodies and registry of
  ``methods.py`` and ``*_methods.py``, and what it replaced (functions ``make_*`` of a config);
  ``evaluate``, ``measure``, ``build``, ``table``, ``figures``, ``objective`` and functions within
  them, wherever they stand; whole: ``__init__.py``, ``system.py``, ``report.py``, the registry of
  conditions (``kinds.py``, ``kind.py``, ``entry.py``), and the files that all families share (also
  in ``using``), but for tasks (``parts.py``) and the reading of YAML;
- *idea*: everything else: tasks, networks, learners, what is measured, solvers.

Blank lines are not counted; docstrings and comments count with what they belong to. An earlier rule
counted drawing, the shared tasks, and ``summarise``, which defines a family's score, as wiring.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

CLASSES = ("idea", "settings", "drawing", "wiring")
HEAD = f"| lines | {' | '.join(CLASSES)} | wiring, % |"
WHOLE = {"__init__.py", "system.py", "report.py", "kind.py", "kinds.py", "entry.py"}
SHARED_IDEAS = {"parts.py", "yaml_files.py"}
ASSEMBLY = {"evaluate", "measure", "build", "table", "figures", "objective"}
DRAWN_ON = {"canvas", "axes"}


def read(commit: str | None) -> dict[PurePosixPath, str]:
    """The modules of ``metajax/systems`` at a commit, or as they are."""
    root = "metajax/systems"
    if commit is None:
        names = subprocess.check_output(["git", "ls-files", root], text=True).split()
        return {PurePosixPath(n): open(n, encoding="utf-8").read() for n in names if py(n)}
    listing = ["git", "ls-tree", "-r", "--name-only", commit, root]
    names = subprocess.check_output(listing, text=True).split()
    return {
        PurePosixPath(n): subprocess.check_output(["git", "show", f"{commit}:{n}"], text=True)
        for n in names
        if py(n)
    }


def py(name: str) -> bool:
    return name.endswith(".py")


def draws(function: ast.FunctionDef) -> bool:
    """Whether a function itself, without those within it, names a canvas or axes."""
    arguments = function.args
    if DRAWN_ON & {a.arg for a in [*arguments.args, *arguments.kwonlyargs]}:
        return True
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.Name) and node.id in DRAWN_ON:
            return True
        if not isinstance(node, ast.FunctionDef):
            left.extend(ast.iter_child_nodes(node))
    return False


def classify(path: PurePosixPath, text: str) -> Counter[str]:
    """The lines of a module by class."""
    lines = text.splitlines()
    family = len(path.parts) > 3 and path.parts[2] != "using"
    of_methods = path.name.endswith("methods.py")
    if path.name in {"settings.py", "config.py", "training.py"}:
        default = "settings"
    elif of_methods or path.name in WHOLE or (not family and path.name not in SHARED_IDEAS):
        default = "wiring"
    else:
        default = "idea"
    kinds = [default] * len(lines)

    def paint(node: ast.AST, kind: str, last: int | None = None) -> None:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        for number in range(first - 1, last or node.end_lineno):
            kinds[number] = kind

    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = [a.arg for a in node.args.args]
        of_config = node.name.startswith("make_") and arguments[:1] == ["config"]
        is_check = node.name == "__post_init__" or node.name.startswith("check")
        checked = default == "settings" or path.name == "parts.py"
        if draws(node):
            paint(node, "drawing")
        elif node.name in ASSEMBLY or of_config or (is_check and checked):
            paint(node, "wiring")
        elif of_methods:
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                paint(node, "settings", body[0].lineno - 1)
    return Counter(kind for kind, line in zip(kinds, lines, strict=True) if line.strip())


def count(commit: str | None) -> dict[str, Counter[str]]:
    """The lines of each family, and of what they share, by class."""
    found: dict[str, Counter[str]] = {}
    for path, text in read(commit).items():
        name = path.parts[2] if len(path.parts) > 3 else "shared"
        found.setdefault(name, Counter()).update(classify(path, text))
    return found


def table() -> str:
    """The table of ``CONTRIBUTING.md``, of the working tree."""
    found = count(None)
    shared = found.pop("shared")
    rows = found | {
        "the twelve families": sum(found.values(), Counter()),
        "their contract (`systems/`)": shared,
        "all": sum([*found.values(), shared], Counter()),
    }
    lines = [HEAD, "|---" * (len(CLASSES) + 2) + "|"]
    for name, row in rows.items():
        numbers = " | ".join(f"{row[kind]:,}" for kind in CLASSES)
        lines.append(f"| {name} | {numbers} | {100 * row['wiring'] / row.total():.0f} |")
    return "\n".join(lines)


def write() -> None:
    """Write the table into ``CONTRIBUTING.md``."""
    path = Path(__file__).parents[1] / "CONTRIBUTING.md"
    before, _, after = path.read_text(encoding="utf-8").partition(HEAD)
    path.write_text(before + table() + "\n\n" + after.partition("\n\n")[2], encoding="utf-8")


def main() -> None:
    if sys.argv[1:] == ["--write"]:
        write()
        return
    for commit in sys.argv[1:] or [None]:
        found = count(commit)
        total = sum(found.values(), Counter())
        print(f"{commit or 'working tree'}: {total.total():,} lines")
        for name, row in [*sorted(found.items()), ("all", total)]:
            shares = "  ".join(f"{kind} {row[kind]:5}" for kind in CLASSES)
            print(f"  {name:14} {shares}  wiring {row['wiring'] / row.total():5.1%}")


if __name__ == "__main__":
    main()
