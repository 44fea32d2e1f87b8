"""A method's options, read from its function: the keyword arguments and what its docstring says."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any


@functools.cache
def options_type(function: Callable[..., Any]) -> type:
    """Make the frozen dataclass of a method's options.

    Its fields are the function's keyword-only arguments, with their annotated types and defaults;
    the function's docstring explains them.

    Args:
      function: ``method(problem, training, *, option=default, ...) -> Method``.

    Returns:
      The class.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    fields = [
        (name, hints[name], dataclasses.field(default=parameter.default))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    made = dataclasses.make_dataclass(f"{function.__name__}_options", fields, frozen=True)
    made.__doc__ = f"Options of {function.__name__}.\n\n{inspect.getdoc(function)}"
    return made


def summary(function: Callable[..., Any]) -> str:
    """Return the first paragraph of a method's docstring as one line: what it is, and its source.

    It ends with the source in brackets, as in ``... (Finn et al. 2017, arXiv 1703.03400).``

    Args:
      function: of a method.
    """
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
