"""The house: imports run downwards and in no circles, and nothing private crosses a package."""

from __future__ import annotations

import ast
import builtins
import graphlib
import symtable
from pathlib import Path

import pytest

from metajax.commands import COMMANDS
from metajax.systems import SYSTEMS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "metajax"

BELOW: dict[str, set[str]] = {
    "core": set(),
    "nn": {"core"},
    "data": {"core"},
    "train": {"core"},
    "bilevel": {"core", "nn", "data"},
    "hypernet": {"core", "nn", "data", "units"},
    "physics": {"core", "nn", "data"},
    "units": {"core", "nn"},
    "learners": {"core", "nn", "data", "units", "bilevel", "hypernet", "physics"},
    "continual": {"core", "nn", "data", "units", "hypernet"},
    "using": {"core", "data"},
    "systems": {
        "core",
        "nn",
        "data",
        "train",
        "bilevel",
        "units",
        "hypernet",
        "physics",
        "learners",
        "continual",
        "using",
    },
    "sweep": {"core", "train", "systems"},
    "cli": {"core", "data", "train", "physics", "systems", "sweep"},
}
"""The packages that each package may import, besides itself."""

MARKS = "fmt: skip", "fmt: off", "E731"
"""What would have the formatter leave a line alone, or allow a lambda that has a name."""


def imports() -> list[tuple[Path, str, list[str]]]:
    """Every import of the package's own modules: where, from which module, which names."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("metajax"):
                found.append((path, node.module, [alias.name for alias in node.names]))
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.startswith("metajax"):
                        found.append((path, alias.name, []))
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> set[str]:
    return {module_name(path) for path in PACKAGE.rglob("*.py")}


def package_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in BELOW else None


def test_every_package_has_its_place():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(BELOW)


def test_imports_run_downwards():
    wrong = []
    for path, module, names in imports():
        here = package_of(module_name(path))
        there = {package_of(module)} if package_of(module) else {n for n in names if n in BELOW}
        if here is not None and there - BELOW[here] - {here, None}:
            wrong.append(f"{module_name(path)} imports {module} {names}")
    assert not wrong


def test_no_two_files_import_each_other():
    """Not in a longer circle either, nor inside functions."""
    known = modules()
    graph: dict[str, set[str]] = {}
    for path, module, names in imports():
        # a name may be a module of its own, else it is in the module that is named
        targets = {f"{module}.{name}" if f"{module}.{name}" in known else module for name in names}
        # a package's own export list imports its files: files that import it by name are the fault
        graph.setdefault(module_name(path), set()).update(targets or {module})
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_families_stand_on_their_contract():
    """The contract imports no family."""
    top = PACKAGE / "systems"
    folders = {path.parent.name for path in top.glob("*/__init__.py")}
    commands = {command.module for command in COMMANDS.values()}
    assert folders == set(SYSTEMS)
    wrong = []
    for path, module, names in imports():
        if not path.is_relative_to(top) or path == top / "__init__.py":
            continue
        if path.relative_to(top).parts[0] in SYSTEMS or module_name(path) in commands:
            continue  # families, and what stands above them
        parts = module.split(".")
        there = {*parts[2:3], *names} if parts[1:2] == ["systems"] else set()
        if there & folders - {path.parent.name}:
            wrong.append(f"{module_name(path)} imports {module} {names}")
    assert not wrong


def test_nothing_private_crosses_packages():
    wrong = []
    for path, module, names in imports():
        parts = [*module.split("."), *names]
        private = any(part.startswith("_") and not part.startswith("__") for part in parts)
        if private and package_of(module) != package_of(module_name(path)):
            wrong.append(f"{module_name(path)}: {module} {names}")
    assert not wrong


def test_the_formatter_decides():
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        if ".venv" in path.parts or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if any(mark in line for mark in MARKS):
                wrong.append(f"{path.relative_to(ROOT)}:{number}")
    assert not wrong, f"{len(wrong)} places"


def test_dataclasses_are_pytrees_by_our_own_rule():
    """To JAX's rule, trees of different classes may be equal: core's is used instead."""
    jax_rule = [
        path
        for path, module, names in imports()
        if "register_dataclass" in names and module.startswith("jax")
    ]
    called = [
        path for path in PACKAGE.rglob("*.py") if "@jax.tree_util.register_d" in path.read_text()
    ]
    assert not jax_rule + called


def undefined_names(text: str) -> list[str]:
    """Names that a module reads and nothing in it binds, each with the line of its scope."""
    top = symtable.symtable(text, "module", "exec")
    scopes = [top]
    for scope in scopes:
        scopes += scope.get_children()
    bound = {*dir(builtins), "__file__", "__path__"}
    for scope in scopes:
        for symbol in scope.get_symbols():
            made = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            # a walrus in a comprehension and `global` bind names of the module
            if made and (scope is top or symbol.is_global()):
                bound.add(symbol.get_name())
    return [
        f"{symbol.get_name()} in {scope.get_name()}, line {scope.get_lineno()}"
        for scope in scopes
        for symbol in scope.get_symbols()
        if symbol.is_referenced() and (scope is top or symbol.is_global())
        if symbol.get_name() not in bound
    ]


def test_every_name_is_defined():
    """Linter and type checker leave it out, since they take jaxtyping's axes for names."""
    assert undefined_names("def f(x):\n    return g(x)\n") == ["g in f, line 1"]
    folders = [ROOT / name for name in ("metajax", "tests", "experiments", "benchmarks")]
    wrong = {
        str(path.relative_to(ROOT)): names
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
        if (names := undefined_names(path.read_text(encoding="utf-8")))
    }
    assert not wrong
