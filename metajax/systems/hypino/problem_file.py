"""A PDE as a small YAML file: read without running anything that stands in it."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import yaml
from jaxtyping import Array

from metajax.core import ConfigError, one_of
from metajax.physics.pde import PDE, Disk, Polygon, Rectangle, Shape, Square

TERMS = ("u", "u_x", "u_y", "u_xx", "u_yy")
FIELDS = ("coefficients", "source", "domain", "dirichlet", "neumann")
BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(jnp, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "abs")
}
SHAPES: dict[str, tuple[Callable[..., Shape], tuple[str, ...]]] = {
    "disk": (Disk, ("centre", "radius")),
    "rectangle": (Rectangle, ("lower", "upper")),
    "polygon": (Polygon, ("vertices",)),
}


def read_problem(path: Path) -> PDE:
    """Read a problem from a YAML file.

    For example, the heat equation around a hole (y is time)::

        coefficients: {u_y: 1, u_xx: -0.2}
        source: 0
        domain:
          less:
            - disk: {centre: [0.2, 0.1], radius: 0.3, name: hole}
        dirichlet: {square: 0, hole: "1 + x * sin(pi * y)"}

    ``coefficients`` are of u, u_x, u_y, u_xx and u_yy, those left out 0. ``domain`` is the square
    from -1 to 1, ``less`` any disks, rectangles and polygons. ``source`` and boundary data are
    numbers or formulas of x and y with + - * / ** and the usual functions; boundary data name
    pieces of the boundary: ``left``, ``right``, ``bottom``, ``top``, ``square``, or a hole's name.

    Raises:
      ConfigError: the file is missing or no YAML, a field is unknown or ill-formed, or the problem
        is one that :class:`metajax.physics.pde.PDE` refuses.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("file", str(path), f"a readable file ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("file", str(path), f"YAML ({error})") from error
    fields = as_mapping("file", content)
    for name in fields:
        one_of("file", name, FIELDS)
    given = as_mapping("coefficients", fields.get("coefficients"))
    for name, value in given.items():
        one_of("coefficients", name, TERMS)
        number(f"coefficients[{name!r}]", value)
    data = {
        name: {
            str(piece): formula(f"{name}[{piece!r}]", value)
            for piece, value in as_mapping(name, fields.get(name) or {}).items()
        }
        for name in ("dirichlet", "neumann")
    }
    return PDE(
        [float(given.get(name, 0)) for name in TERMS],
        source=formula("source", fields.get("source", 0)),
        domain=as_domain(fields.get("domain") or {}),
        **data,
    )


def as_mapping(name: str, value: Any) -> dict[str, Any]:
    """Return the value, refused unless it maps names to values."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError(name, value, "names with values, as in {left: 0, right: 1}")
    return value


def number(name: str, value: Any) -> float:
    """Return the value as a float, refused unless it is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(name, value, "a number")
    return float(value)


def as_domain(value: Any) -> Shape:
    """Make the square less the shapes that are listed."""
    fields = as_mapping("domain", value)
    for name in fields:
        one_of("domain", name, ("less",))
    domain: Shape = Square()
    for index, item in enumerate(fields.get("less") or []):
        where = f"domain.less[{index}]"
        kinds = as_mapping(where, item)
        if len(kinds) != 1:
            raise ConfigError(where, item, f"one of {', '.join(SHAPES)}")
        ((kind, arguments),) = kinds.items()
        make, names = SHAPES[one_of(where, kind, SHAPES)]
        given = as_mapping(f"{where}.{kind}", arguments)
        if set(given) - {"name"} != set(names):
            raise ConfigError(f"{where}.{kind}", given, f"{', '.join(names)} and perhaps name")
        name = str(given.get("name", f"hole_{index}"))
        domain = domain - make(*(given[key] for key in names), name=name)
    return domain


def formula(name: str, value: Any) -> Any:
    """Return a number, or a function of ``x`` and ``y`` from a formula.

    Nothing is evaluated but arithmetic and the functions in ``FUNCTIONS``.
    """
    if not isinstance(value, str):
        return number(name, value)
    try:
        tree = ast.parse(value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(name, value, "a number or a formula of x and y") from error

    def refuse(node: ast.AST) -> ConfigError:
        known = f"x, y, pi, numbers, + - * / ** and {', '.join(FUNCTIONS)}"
        return ConfigError(name, value, f"a formula of {known}, not {type(node).__name__}")

    def compute(node: ast.AST, x: Any, y: Any) -> Any:
        match node:
            case ast.Constant(value=int() | float() as found) if not isinstance(found, bool):
                return found
            case ast.Name(id="x"):
                return x
            case ast.Name(id="y"):
                return y
            case ast.Name(id="pi"):
                return jnp.pi
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -compute(inner, x, y)
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return compute(inner, x, y)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return BINARY[type(op)](compute(left, x, y), compute(right, x, y))
            case ast.Call(func=ast.Name(id=called), args=[inner], keywords=[]) if (
                called in FUNCTIONS
            ):
                return FUNCTIONS[called](compute(inner, x, y))
        raise refuse(node)

    def function(x: Array, y: Array) -> Any:
        return compute(tree, x, y)

    try:
        compute(tree, jnp.float32(0.5), jnp.float32(0.5))
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(name, value, f"a formula that can be computed ({error})") from error
    return function
