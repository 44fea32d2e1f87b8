"""Nothing read from a workdir, a data set or a problem's file can run code: by the sources."""

import ast
from pathlib import Path

import pytest

import metajax

ROOT = Path(metajax.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
"""Modules whose readers run code that is in the file."""
BUILTINS = {"eval", "exec", "compile", "__import__"}
READERS = {
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("torch", "load"),
    ("os", "system"),
    ("os", "popen"),
}
METHODS = {"extractall"}
"""Archives that write where their entries say."""


def breaches(source):
    """What in a source reads files unsafely, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
            yield from (f"{node.lineno}: import {name}" for name in names if name in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield f"{node.lineno}: from {node.module}"
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in BUILTINS:
                yield f"{node.lineno}: {called.id}()"
            if isinstance(called, ast.Attribute):
                owner = called.value.id if isinstance(called.value, ast.Name) else ""
                if (owner, called.attr) in READERS or called.attr in METHODS:
                    yield f"{node.lineno}: {owner}.{called.attr}()"
            for keyword in node.keywords:
                on = not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
                if keyword.arg in ("allow_pickle", "shell") and on:
                    yield f"{node.lineno}: {keyword.arg}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_reads_what_could_run(path):
    assert list(breaches(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "eval('1')",
        "yaml.load(f)",
        "np.load(f, allow_pickle=True)",
        "archive.extractall(folder)",
        "run(c, shell=True)",
        "def f():\n    return __import__('os')",
    ],
)
def test_what_could_run_is_seen(source):
    assert list(breaches(source))


def test_harmless_calls_are_not():
    harmless = "jax.jit(f).lower(x).compile()\nyaml.safe_load(f)\nnp.load(f, allow_pickle=False)"
    assert list(breaches(harmless)) == []
