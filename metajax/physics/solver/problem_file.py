"""A PDE as a small YAML file: read without running anything that stands in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import ConfigError, one_of
from metajax.core.yaml_files import read_yaml
from metajax.physics.pde import (
    PDE,
    Disk,
    Function,
    Polygon,
    Rectangle,
    Shape,
    Square,
    unclear_piece,
)
from metajax.physics.solver.formulas import read_formula

TERMS = ("u", "u_x", "u_y", "u_xx", "u_yy")
FIELDS = ("coefficients", "source", "domain", "dirichlet", "neumann")
SQUARE = {name for piece in Square().pieces for name in piece.names}
"""Names of the square's own boundary, which no hole may have."""

MOST_HOLES = 200
"""Shapes that a domain may be less: each adds a level of nesting, and to the time to compile."""


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
    numbers or formulas of x and y (:func:`metajax.physics.solver.formulas.read_formula`). Boundary
    data are one of these for the whole boundary, or map to them names of its pieces: ``left``,
    ``right``, ``bottom``, ``top``, ``square``, or a hole's name. A piece has both kinds where both
    call it by the same name; where one of them names a wider part, the file is rejected, as it may
    mean either.

    Args:
      path: of the file.

    Returns:
      The problem.

    Raises:
      ConfigError: the file is missing or no YAML (:mod:`metajax.core.yaml_files`), a field is
        unknown or ill-formed, or the problem is one that :class:`metajax.physics.pde.PDE` rejects.
    """
    fields = read_yaml("file", path, f"names with values: {', '.join(FIELDS)}")
    for name in fields:
        one_of("file", name, FIELDS)
    given = as_mapping("coefficients", fields.get("coefficients"))
    for name in given:
        one_of("coefficients", name, TERMS)
    coefficients = [number(f"coefficients[{name!r}]", given.get(name, 0)) for name in TERMS]
    source = formula("source", fields.get("source", 0))
    domain = as_domain(fields.get("domain"))
    data = {name: boundary_data(name, fields.get(name)) for name in ("dirichlet", "neumann")}
    if unclear := unclear_piece(data["dirichlet"], data["neumann"], domain):
        expected = f"both on a piece under the same name, or one of them: {unclear}"
        raise ConfigError("neumann", fields["neumann"], expected)
    return PDE(coefficients, source, domain, **data)


def as_mapping(name: str, value: Any) -> dict[str, Any]:
    """Return the value, rejected unless it maps names to values."""
    if not isinstance(value, dict):
        raise ConfigError(name, value, "names with values, as in {left: 0, right: 1}")
    return value


def number(name: str, value: Any) -> float:
    """Return the value as a float, rejected unless it is a number that single precision holds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    largest = float(np.finfo(np.float32).max)
    if not is_number or not abs(value) <= largest:
        raise ConfigError(name, value, f"a finite number, up to {largest:.2g} either way")
    return float(value)


def pair(name: str, value: Any) -> list[float]:
    """Return the value as two coordinates."""
    if not isinstance(value, list) or len(value) != 2:
        raise ConfigError(name, value, "two coordinates, as in [0.5, 0]")
    return [number(f"{name}[{place}]", one) for place, one in enumerate(value)]


def corners(name: str, value: Any) -> list[list[float]]:
    """Return the value as the vertices of a polygon."""
    if not isinstance(value, list) or len(value) < 3:
        raise ConfigError(name, value, "three vertices or more, as in [[0, 0], [1, 0], [0, 1]]")
    return [pair(f"{name}[{place}]", one) for place, one in enumerate(value)]


SHAPES: dict[str, tuple[Callable[..., Shape], dict[str, Callable[[str, Any], Any]]]] = {
    "disk": (Disk, {"centre": pair, "radius": number}),
    "rectangle": (Rectangle, {"lower": pair, "upper": pair}),
    "polygon": (Polygon, {"vertices": corners}),
}
"""How each shape is made, and how its fields are read."""


def as_domain(value: Any) -> Shape:
    """Make the square less the shapes that are listed."""
    fields = {} if value is None else as_mapping("domain", value)
    for name in fields:
        one_of("domain", name, ("less",))
    listed = fields.get("less")
    if listed is not None and not isinstance(listed, list):
        raise ConfigError("domain.less", listed, "a list of shapes, as in [{disk: ...}]")
    if listed and len(listed) > MOST_HOLES:
        raise ConfigError("domain.less", listed, f"at most {MOST_HOLES} shapes, not {len(listed)}")
    domain: Shape = Square()
    for index, item in enumerate(listed or []):
        domain = domain - as_shape(f"domain.less[{index}]", item, f"hole_{index}")
    return domain


def as_shape(where: str, item: Any, unnamed: str) -> Shape:
    """Make a hole; ``unnamed`` is its name where it has none of its own."""
    kinds = as_mapping(where, item)
    if len(kinds) != 1:
        raise ConfigError(where, item, f"one of {', '.join(SHAPES)}")
    ((kind, arguments),) = kinds.items()
    make, readers = SHAPES[one_of(where, kind, SHAPES)]
    given = as_mapping(f"{where}.{kind}", arguments)
    if set(given) - {"name"} != set(readers):
        raise ConfigError(f"{where}.{kind}", given, f"{', '.join(readers)} and perhaps name")
    name = given.get("name", unnamed)
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 80 or name in SQUARE:
        taken = ", ".join(sorted(SQUARE))
        raise ConfigError(f"{where}.{kind}.name", name, f"text of 1 to 80 characters, not {taken}")
    values = {key: read(f"{where}.{kind}.{key}", given[key]) for key, read in readers.items()}
    try:
        return make(**values, name=name)
    except ConfigError as error:
        field = f"{where}.{kind}.{error.field}"
        raise ConfigError(field, error.value, error.expected) from error


def boundary_data(name: str, value: Any) -> Any:
    """Return data of the whole boundary, or of its pieces by their names."""
    if isinstance(value, dict):
        return {piece: formula(f"{name}[{piece!r}]", one) for piece, one in value.items()}
    return None if value is None else formula(name, value)


def formula(name: str, value: Any) -> Any:
    """Return a number, or the function of ``x`` and ``y`` that a text is a formula of."""
    if isinstance(value, str):
        # a field already: JAX need not trace the formula to see that it is one
        return Function(read_formula(name, value))
    if isinstance(value, dict | list):
        raise ConfigError(name, value, "a number or a formula of x and y")
    return number(name, value)
