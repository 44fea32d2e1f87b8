"""Every exported function says what it takes, returns and raises; its examples are run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable
from typing import Any

import jax
import pytest

import metajax

NOUN = r"(A|An|The|One|What|Whether|How|Values?) "
"""How a first line begins that says what something is in place of what it does."""

SECTION = r"^{}:\n((?:[ ].*\n|\n)*)"


def exported() -> dict[str, Callable[..., Any]]:
    """All functions that packages export, each once, by the module that defines it."""
    names = ["metajax", *(i.name for i in pkgutil.walk_packages(metajax.__path__, "metajax."))]
    found = {}
    for package in map(importlib.import_module, (n for n in names if not n.endswith("__main__"))):
        if not hasattr(package, "__path__"):
            continue
        for name in getattr(package, "__all__", ()):
            function = inspect.unwrap(getattr(package, name))
            if inspect.isfunction(function):
                found[f"{function.__module__}.{function.__qualname__}"] = function
    return found


FUNCTIONS = exported()


def section(text: str, name: str) -> str | None:
    """What a docstring has under a heading, or None."""
    match = re.search(SECTION.format(name), text + "\n", flags=re.MULTILINE)
    return match[1] if match else None


def raises(function: Callable[..., Any]) -> bool:
    """Whether it has a ``raise`` with an error, not counting functions within it."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    waiting = list(ast.iter_child_nodes(tree))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def missing(function: Callable[..., Any]) -> list[str]:
    """What a docstring lacks. A first line that begins with "Return" needs no ``Returns``."""
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    first = text.partition("\n")[0]
    found = [] if re.fullmatch(rf"(?!{NOUN})[A-Z].*[.:]", first) else ["a first line: what it does"]
    described = section(text, "Args") or ""
    found += [
        f"Args: {name}"
        for name in signature.parameters
        if not re.search(rf"^ +\**(\w+, )*\**{name}(, \**\w+)*: ", described, re.MULTILINE)
    ]
    returned = section(text, "Returns") or section(text, "Yields") or text.startswith("Return ")
    if signature.return_annotation not in (None, "None") and not returned:
        found.append("Returns")
    if raises(function) and section(text, "Raises") is None:
        found.append("Raises")
    return found


def test_every_exported_function_says_what_it_takes_returns_and_raises():
    lacking = {name: missing(function) for name, function in FUNCTIONS.items()}
    assert not {name: found for name, found in lacking.items() if found}


def test_what_a_docstring_lacks_is_found():
    def function(a: int, b: int = 2) -> int:
        """Add.

        Args:
          a: a number.
        """
        if b < 0:
            raise ValueError
        return a + b

    assert missing(function) == ["Args: b", "Returns", "Raises"]


EXAMPLES = [
    case
    for name, function in sorted(FUNCTIONS.items())
    for case in doctest.DocTestFinder(recurse=False).find(function, name)
    if case.examples
]


def test_the_functions_that_matter_most_have_examples():
    assert len(EXAMPLES) >= 30


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in EXAMPLES])
def test_examples_do_what_they_show(case):
    """As in a reader's process: JAX is not in strict mode there, and nothing is imported."""
    case.globs = {}
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    said: list[str] = []
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        runner.run(case, out=said.append)
    assert runner.failures == 0, "".join(said)
