"""A method's options, read from its function: the keyword arguments and what its docstring says."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any


@functools.cache
def options_type(function: Callable[..., Any]) -> type:
    """Make the frozen dataclass of a method's options.

    Its fields are the function's keyword-only arguments, with their annotated types and defaults;
    the function's docstring explains them. An argument whose type is a dataclass is a group that
    several methods share: its fields are options too, explained there, with the defaults that they
    have in this method.

    Args:
      function: ``method(problem, training, *, option=default, ...) -> Method``.

    Returns:
      The class.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    fields, groups = [], []
    for name, default in _defaults(function).items():
        types, values = {name: hints[name]}, {name: default}
        if dataclasses.is_dataclass(default):
            groups.append(hints[name])
            types = typing.get_type_hints(hints[name], include_extras=True)
            values = vars(default)
        fields += [
            (one, types[one], dataclasses.field(default=value)) for one, value in values.items()
        ]
    made = dataclasses.make_dataclass(
        f"{function.__name__}_options", fields, bases=tuple(groups), frozen=True
    )
    made.__doc__ = f"Options of {function.__name__}.\n\n{inspect.getdoc(function)}"
    return made


def grouped(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method's options as its function takes them: those of a group as one argument."""
    given = dict(options)
    for name, default in _defaults(function).items():
        if dataclasses.is_dataclass(default):
            group: Any = type(default)
            given[name] = group(**{one: given.pop(one) for one in vars(default)})
    return given


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only arguments with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


def summary(function: Callable[..., Any]) -> str:
    """Return the first paragraph of a method's docstring as one line: what it is, and its source.

    It ends with the source in brackets, as in ``... (Finn et al. 2017, arXiv 1703.03400).``

    Args:
      function: of a method.
    """
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
