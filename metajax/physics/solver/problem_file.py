"""Read a problem from a small YAML file, without running any of its text as code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import and_, or_, sub
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from metajax.core import ConfigError, float64_on_cpu, one_of
from metajax.core.yaml_files import read_yaml
from metajax.physics.pde import Disk, Ellipse, Polygon, Rectangle, Shape, Square
from metajax.physics.solver.problem import COORDINATES, KINDS, PDEProblem, Robin
from metajax.physics.solver.solids import Ball, Box, Extruded

FIELDS = (
    "coefficients",
    "source",
    "nonlinear",
    "domain",
    *KINDS,
    "periodic",
    "time",
    "initial",
    "initial_velocity",
    "parameters",
    "regions",
    "coordinates",
)
EDGES = ("left", "right", "bottom", "top")
TAKEN = {"square", *EDGES, *(f"square.{edge}" for edge in EDGES)}
"""Names of edges, and of the square that a domain is by default: no other shape may have them."""

MOST_SHAPES = 200
"""Shapes of a domain at most: each adds a level of nesting, and to the time to solve."""


def read_problem(path: Path) -> PDEProblem:
    """Read a problem from a YAML file.

    For example, a pipe 3 m long and 4 cm wide with a hole in it, cooled by the air above::

        domain:
          box: {x: [0, 3], y: [0, 0.04]}
          less:
            - disk: {centre: [1, 0.02], radius: 0.01, name: hole}
        parameters: {conductivity: 50, exchange: 20}
        coefficients: {u_xx: conductivity, u_yy: conductivity}
        dirichlet: {left: 90, right: "20 + 1e3 * y", hole: 60}
        neumann: {bottom: 0}
        robin: {top: {u: exchange, flux: conductivity, value: 20 * exchange}}

    ``coefficients`` are the factors of u and of its first and second derivatives, such as u_x and
    u_xy; those left out are 0. These, ``source``, ``initial``, ``initial_velocity`` and boundary
    data are numbers or formulas of the coordinates and ``parameters``
    (:func:`metajax.physics.solver.formulas.read_formula`). ``nonlinear`` is a formula that may also
    contain u and its first derivatives. ``regions`` are shapes by name, which formulas use as
    conditions:
    ``where(core, 5, 1)``. The other fields are those of :class:`PDEProblem`.

    ``domain`` is the square from -1 to 1 by default. It may be a ``box`` with two ends for each
    coordinate, ``disk``, ``ellipse``, ``rectangle`` or ``polygon``. In three coordinates it may
    also be a ``ball`` or a plane domain as ``extruded: {shape: ..., lower: 0, upper: 1}``. It may
    be the ``union`` or ``intersection`` of a list of these; ``less`` subtracts any list of them.

    Boundary data are one value for the whole boundary, or map names of its pieces to values:
    ``left``, ``right``, ``bottom``, ``top``, ``lower`` or ``upper`` of the first shape, or a
    shape's name. A piece may have several kinds of data if all use the same name for it. The file
    is rejected where one of them names a wider part, as it may mean either.

    Args:
      path: of the file.

    Returns:
      The problem.

    Raises:
      ConfigError: the file is missing or is not YAML (:mod:`metajax.core.yaml_files`), a field is
        unknown or ill-formed, or the problem is one that :class:`PDEProblem` rejects.
    """
    fields = read_yaml("file", path, f"names with values: {', '.join(FIELDS)}")
    for name in fields:
        one_of("file", name, FIELDS)
    fields = {name: value for name, value in fields.items() if value is not None}
    given = as_mapping("coefficients", fields.get("coefficients", {}))
    parameters = as_mapping("parameters", fields.get("parameters", {}))
    regions = as_mapping("regions", fields.get("regions", {}))
    values: dict[str, Any] = {
        name: as_value(name, fields[name])
        for name in ("source", "initial", "initial_velocity")
        if name in fields
    }
    for name in ("nonlinear", "time"):
        if name in fields:
            values[name] = as_text(name, fields[name])
    if "periodic" in fields:
        values["periodic"] = names("periodic", fields["periodic"])
    domain = as_domain(fields.get("domain", {}))
    return PDEProblem(
        {term: as_value(f"coefficients[{term!r}]", value) for term, value in given.items()},
        domain=domain,
        coordinates=coordinates_of(fields, domain.dimensions),
        parameters={name: number(f"parameters[{name!r}]", one) for name, one in parameters.items()},
        regions={name: as_domain(one, f"regions[{name!r}]") for name, one in regions.items()},
        **{kind: boundary_data(kind, fields.get(kind)) for kind in KINDS},
        **values,
    )


def coordinates_of(fields: Mapping[str, Any], dimensions: int) -> tuple[str, ...]:
    """Return the names of the coordinates: as listed, or those of the domain's box, or x, y, z."""
    if "coordinates" in fields:
        return names("coordinates", fields["coordinates"])
    domain = fields.get("domain")
    box = domain.get("box") if isinstance(domain, dict) else None
    found = tuple(key for key in box if key != "name") if isinstance(box, dict) else ()
    # the last is t where that is time
    usual = [one for one in COORDINATES if len(one) == dimensions]
    return found if found in COORDINATES else usual[fields.get("time") == "t"]


def as_mapping(name: str, value: Any) -> dict[str, Any]:
    """Return the value, rejected unless it maps names to values."""
    if not isinstance(value, dict):
        raise ConfigError(name, value, "names with values, as in {left: 0, right: 1}")
    return value


def as_text(name: str, value: Any) -> str:
    """Return the value, rejected unless it is text."""
    if not isinstance(value, str):
        raise ConfigError(name, value, "text")
    return value


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return the value, rejected unless it is a list of names."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigError(name, value, "a list of coordinates, as in [x, t]")
    return tuple(value)


def number(name: str, value: Any) -> float:
    """Return the value as a float, rejected unless it is a number that single precision holds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    largest = float(np.finfo(np.float32).max)
    if not is_number or not abs(value) <= largest:
        raise ConfigError(name, value, f"a finite number, up to {largest:.2g} either way")
    return float(value)


def pair(name: str, value: Any) -> list[float]:
    """Return the value as two coordinates."""
    return numbers(2, "two coordinates, as in [0.5, 0]", name, value)


def triple(name: str, value: Any) -> list[float]:
    """Return the value as three coordinates."""
    return numbers(3, "three coordinates, as in [0.5, 0, 1]", name, value)


def numbers(num: int, expected: str, name: str, value: Any) -> list[float]:
    """Return the value as so many numbers."""
    if not isinstance(value, list) or len(value) != num:
        raise ConfigError(name, value, expected)
    return [number(f"{name}[{place}]", one) for place, one in enumerate(value)]


def corners(name: str, value: Any) -> list[list[float]]:
    """Return the value as the vertices of a polygon."""
    if not isinstance(value, list) or len(value) < 3:
        raise ConfigError(name, value, "three vertices or more, as in [[0, 0], [1, 0], [0, 1]]")
    return [pair(f"{name}[{place}]", one) for place, one in enumerate(value)]


class Reader(NamedTuple):
    """How a shape is read.

    Attributes:
      make: of its fields and its name.
      fields: how each is read; all of them must be given.
      more: how those are read that may be left out.
    """

    make: Callable[..., Shape]
    fields: dict[str, Callable[[str, Any], Any]]
    more: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType({})


SHAPES = {
    "disk": Reader(Disk, {"centre": pair, "radius": number}),
    "ellipse": Reader(Ellipse, {"centre": pair, "radii": pair}, {"angle": number}),
    "rectangle": Reader(Rectangle, {"lower": pair, "upper": pair}),
    "polygon": Reader(Polygon, {"vertices": corners}),
    "ball": Reader(Ball, {"centre": triple, "radius": number}),
}
JOINED = {"union": or_, "intersection": and_}
"""What is made of a list of domains."""
KINDS_OF_SHAPES = ("box", *SHAPES, "extruded", *JOINED)


def as_domain(value: Any, where: str = "domain") -> Shape:
    """Make the domain, its numbers in float64."""
    read = DomainReader()
    with float64_on_cpu():
        return jax.tree.map(np.asarray, read.domain(where, value, None))


class DomainReader:
    """Reads shapes, and counts them."""

    def __init__(self) -> None:
        self.shapes = 0

    def domain(self, where: str, value: Any, unnamed: str | None) -> Shape:
        """Make a shape, or the union or intersection of several, perhaps less others.

        Args:
          where: what errors call it.
          value: what the file says.
          unnamed: name of a shape without one; None for the domain's first, which is called as its
            kind is, and is the square where only ``less`` is given.
        """
        fields = as_mapping(where, value)
        given = [kind for kind in fields if kind != "less"]
        for kind in given:
            one_of(where, kind, (*KINDS_OF_SHAPES, "less"))
        if len(given) > 1 or (not given and unnamed is not None):
            raise ConfigError(where, value, f"one of {', '.join(KINDS_OF_SHAPES)}")
        if not given:
            shape: Shape = Square()
        elif given[0] in JOINED:
            listed = self.listed(f"{where}.{given[0]}", fields[given[0]], "part", unnamed is None)
            if not listed:
                raise ConfigError(f"{where}.{given[0]}", fields[given[0]], "one shape or more")
            shape = joined(f"{where}.{given[0]}", JOINED[given[0]], listed)
        elif given[0] == "extruded":
            shape = self.extruded(f"{where}.extruded", fields["extruded"], unnamed)
        else:
            shape = self.shape(f"{where}.{given[0]}", given[0], fields[given[0]], unnamed)
        holes = self.listed(f"{where}.less", fields.get("less"), "hole", False)
        return joined(f"{where}.less", sub, [shape, *holes])

    def listed(self, where: str, value: Any, unnamed: str, first: bool) -> list[Shape]:
        """Make every domain of a list, the first of them perhaps as the domain's first shape."""
        if value is not None and not isinstance(value, list):
            raise ConfigError(where, value, "a list of shapes, as in [{disk: ...}]")
        if value and len(value) > MOST_SHAPES:
            raise ConfigError(where, value, f"at most {MOST_SHAPES} shapes, not {len(value)}")
        return [
            self.domain(f"{where}[{i}]", one, None if first and not i and one else f"{unnamed}_{i}")
            for i, one in enumerate(value or [])
        ]

    def extruded(self, where: str, value: Any, unnamed: str | None) -> Shape:
        """Make a plane domain times an interval."""
        given = as_mapping(where, value)
        if set(given) != {"shape", "lower", "upper"}:
            raise ConfigError(where, given, "shape, lower and upper")
        plane = self.domain(f"{where}.shape", given["shape"], unnamed)
        ends = [number(f"{where}.{key}", given[key]) for key in ("lower", "upper")]
        return named(where, Extruded, plane, *ends)

    def shape(self, where: str, kind: str, value: Any, unnamed: str | None) -> Shape:
        """Make a single shape."""
        self.shapes += 1
        if self.shapes > MOST_SHAPES:
            raise ConfigError("domain", f"{self.shapes} shapes", f"at most {MOST_SHAPES} shapes")
        given = as_mapping(where, value)
        name = given.get("name", kind if unnamed is None else unnamed)
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 80 or name in TAKEN:
            taken = ", ".join(sorted(TAKEN))
            expected = f"text of 1 to 80 characters, not {taken}"
            raise ConfigError(f"{where}.name", name, expected)
        given = {key: one for key, one in given.items() if key != "name"}
        if kind == "box":
            make, values = box_from(where, given)
        else:
            make, fields, more = SHAPES[kind]
            if set(given) - set(more) != set(fields):
                optional = ", ".join((*more, "name"))
                raise ConfigError(where, given, f"{', '.join(fields)} and perhaps {optional}")
            readers = {**fields, **more}
            values = {key: readers[key](f"{where}.{key}", one) for key, one in given.items()}
        return named(where, make, **values, name=name)


def named(where: str, make: Callable[..., Shape], *given: Any, **fields: Any) -> Shape:
    """Make a shape; errors call its fields by their place in the file."""
    try:
        return make(*given, **fields)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error.field}", error.value, error.expected) from error


def joined(where: str, join: Callable[[Shape, Shape], Shape], shapes: Sequence[Shape]) -> Shape:
    """Join shapes of as many coordinates each."""
    found = shapes[0]
    for one in shapes[1:]:
        if one.dimensions != found.dimensions:
            expected = f"shapes of {found.dimensions} coordinates each"
            raise ConfigError(where, [piece.shape for piece in one.pieces], expected)
        found = join(found, one)
    return found


def box_from(where: str, given: dict[str, Any]) -> tuple[Callable[..., Shape], dict[str, Any]]:
    """How the box is made that has two ends for each coordinate."""
    expected = " or ".join(", ".join(one) for one in COORDINATES)
    if tuple(given) not in COORDINATES:
        raise ConfigError(where, given, f"two ends for each of the coordinates, {expected}")
    read = partial(numbers, 2, "its two ends, as in [0, 10]")
    ends = {key: read(f"{where}.{key}", one) for key, one in given.items()}
    for key, one in ends.items():
        if not one[0] < one[1]:
            raise ConfigError(f"{where}.{key}", one, "the lower end before the upper")
    lower, upper = zip(*ends.values(), strict=True)
    return Rectangle if len(lower) == 2 else Box, {"lower": lower, "upper": upper}


def boundary_data(kind: str, value: Any) -> Any:
    """Return data of the whole boundary, or of its pieces by their names."""
    one_value = robin if kind == "robin" else as_value
    if isinstance(value, dict) and set(value) != set(Robin._fields):
        return {piece: one_value(f"{kind}[{piece!r}]", one) for piece, one in value.items()}
    return None if value is None else one_value(kind, value)


def robin(name: str, value: Any) -> Robin:
    """Return Robin data."""
    if not isinstance(value, dict) or set(value) != set(Robin._fields):
        raise ConfigError(name, value, "u, flux and value, as in {u: 2, flux: 1, value: 0}")
    return Robin(**{key: as_value(f"{name}.{key}", one) for key, one in value.items()})


def as_value(name: str, value: Any) -> float | str:
    """Return a number, or a text that should be a formula."""
    if isinstance(value, dict | list):
        raise ConfigError(name, value, "a number or a formula")
    return value if isinstance(value, str) else number(name, value)
