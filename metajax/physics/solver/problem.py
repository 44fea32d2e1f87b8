"""A problem as a person states it: equation, domain and data, in units of their choice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import ConfigError, one_of
from metajax.physics.pde import (
    PDE,
    BoundaryField,
    Condition,
    Function,
    Piece,
    Shape,
    Square,
    as_boundary_field,
    namespace,
    on_host,
)
from metajax.physics.solver.formulas import RESERVED, Formula, read_formula
from metajax.physics.solver.points import covers

Value = Any
"""A number, a formula, a function of the coordinates, or a field."""

COORDINATES = (("x", "y"), ("x", "t"), ("x", "y", "z"), ("x", "y", "t"))
"""Coordinates that a problem may have."""

KINDS = ("dirichlet", "neumann", "robin")
"""Kinds of boundary data."""


class Robin(NamedTuple):
    """``u * u(x) + flux * du/dn(x) = value`` on a piece of the boundary, n out of the domain.

    Attributes:
      u: of the solution.
      flux: of its derivative along the normal.
      value: what both together are.
    """

    u: Value
    flux: Value
    value: Value


class EdgeData(NamedTuple):
    """Data of one kind on some pieces of the boundary.

    Attributes:
      kind: ``dirichlet``, ``neumann`` or ``robin``.
      name: what the person calls the pieces; empty for the whole boundary.
      value: the data.
      pieces: their indices in the domain.
      width: 0 the whole boundary, 1 a whole shape, 2 an edge; None where it is not said by name.
    """

    kind: str
    name: str
    value: Any
    pieces: tuple[int, ...]
    width: int | None


def terms_of(coordinates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all linear terms: u, u_x, u_y, u_xx, u_xy, u_yy in the plane.

    Args:
      coordinates: their names, in order.
    """
    second = itertools.combinations_with_replacement(coordinates, 2)
    return ("u", *first_terms(coordinates), *(f"u_{a}{b}" for a, b in second))


def first_terms(coordinates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the first derivatives."""
    return tuple(f"u_{one}" for one in coordinates)


@dataclass(frozen=True, eq=False)
class PDEProblem:
    """``sum of coefficients * terms + nonlinear = source`` in a domain, with data on its boundary.

    A value is a number, a formula of the coordinates and parameters
    (:func:`metajax.physics.solver.formulas.read_formula`), a function ``f(*coordinates)``, or a
    :class:`metajax.physics.pde.Field`. Where the problem has parameters, functions take one more
    argument, the mapping of them. Boundary data are a value for the whole boundary, or map names of
    pieces to values, as those of :class:`metajax.physics.pde.PDE`. The ends of periodic coordinates
    and of time are no part of the whole boundary: what holds there is stated by ``periodic`` and
    ``initial``.

    Attributes:
      coefficients: by the names of the linear terms (:func:`terms_of`), those left out 0.
      source: the right-hand side.
      nonlinear: a formula of u, its first derivatives, coordinates and parameters, or
        ``nonlinear(u [n], gradient [n, d], coordinates)``, the last of them ``(x [n], y [n])``;
        None: the equation is linear.
      domain: the square from -1 to 1 by default.
      dirichlet: u by pieces of the boundary.
      neumann: du/dn by pieces.
      robin: :class:`Robin` by pieces.
      periodic: coordinates at whose two ends u and its derivative agree.
      time: the coordinate that is time; its lower end is where the initial state is given.
      initial: u at the beginning.
      initial_velocity: its derivative by time there.
      parameters: by name, for formulas and functions.
      regions: shapes by name; in formulas the name holds inside: ``where(core, 5, 1)``. Where
        coefficients jump, u and the flux ``n . A grad u`` are continuous, and A has the
        coefficients of the second derivatives.
      coordinates: their names, in order.

    Raises:
      ConfigError: a field has a wrong value; the error names the field, the value, and what was
        expected.

    Examples:
      >>> from metajax.physics.pde import Rectangle
      >>> from metajax.physics.solver import PDEProblem
      >>> cooling = PDEProblem(
      ...     {"u_t": 1, "u_xx": "-k"},
      ...     domain=Rectangle((0, 0), (10, 2)),
      ...     dirichlet={"left": 20, "right": 80},
      ...     time="t",
      ...     initial="20 + 6 * x",
      ...     parameters={"k": 0.2},
      ...     coordinates=("x", "t"),
      ... )
    """

    coefficients: Mapping[str, Value]
    source: Value = 0.0
    nonlinear: str | Callable[..., Any] | None = None
    domain: Shape = field(default_factory=Square)
    dirichlet: Any = None
    neumann: Any = None
    robin: Any = None
    periodic: tuple[str, ...] = ()
    time: str | None = None
    initial: Value = None
    initial_velocity: Value = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    regions: Mapping[str, Shape] = field(default_factory=dict)
    coordinates: tuple[str, ...] = ("x", "y")

    def __post_init__(self) -> None:
        self._check_names()
        read = self._read
        given = self.coefficients.items()
        self._put(
            coefficients={name: read(f"coefficients[{name!r}]", value) for name, value in given},
            source=read("source", self.source),
            nonlinear=self._read_nonlinear(),
            **{kind: self._read_data(kind) for kind in KINDS},
        )
        self._check_time()
        edges = self.edges
        for one, other in itertools.combinations(edges, 2):
            both = sorted({*one.pieces} & {*other.pieces})
            if one.kind == other.kind or not both or one.width == other.width:
                continue
            if one.width is not None and other.width is not None:
                piece = ".".join(filter(None, self.domain.pieces[both[0]]))
                unclear = f"{piece!r} has {said(one)} and {said(other)}"
                expected = f"both on a piece under the same name, or one of them: {unclear}"
                raise ConfigError(other.kind, other.name or other.value, expected)
        if not edges and not self.periodic and self.time is None:
            raise ConfigError("dirichlet", None, "boundary data here, or in neumann or robin")

    def _put(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check_names(self) -> None:
        """Reject names of coordinates, terms and parameters that cannot be."""
        coordinates = self.coordinates
        if isinstance(coordinates, list):
            coordinates = tuple(coordinates)
        if coordinates not in COORDINATES:
            shown = " or ".join(f"({', '.join(one)})" for one in COORDINATES)
            raise ConfigError("coordinates", coordinates, shown)
        if not isinstance(self.domain, Shape):
            raise ConfigError("domain", self.domain, "a shape, such as Square() - Disk((0, 0), .5)")
        dimensions = self.domain.dimensions
        if dimensions != len(coordinates):
            expected = f"the names of {dimensions} coordinates, as the domain has"
            raise ConfigError("coordinates", coordinates, expected)
        for name in ("coefficients", "parameters", "regions"):
            if not isinstance(getattr(self, name), Mapping):
                raise ConfigError(name, getattr(self, name), "names with values")
        for name in self.coefficients:
            one_of("coefficients", name, terms_of(coordinates))
        if not self.coefficients and self.nonlinear is None:
            raise ConfigError("coefficients", self.coefficients, "one term or more")
        taken = {*coordinates, *terms_of(coordinates), *RESERVED}
        for kind in ("parameters", "regions"):
            for name in getattr(self, kind):
                if not isinstance(name, str) or not name.isidentifier() or name in taken:
                    raise ConfigError(kind, name, "names that nothing else has, such as core")
                taken.add(name)
        for name, shape in self.regions.items():
            if not isinstance(shape, Shape) or shape.dimensions != dimensions:
                expected = f"a shape of {dimensions} coordinates"
                raise ConfigError(f"regions[{name!r}]", shape, expected)
        periodic = self.periodic
        if isinstance(periodic, str) or not isinstance(periodic, tuple | list):
            raise ConfigError("periodic", periodic, "a list of coordinates, such as ('x',)")
        for name in periodic:
            one_of("periodic", name, coordinates)
        if len(set(periodic)) < len(periodic):
            raise ConfigError("periodic", periodic, "each coordinate once")
        self._put(coordinates=coordinates, periodic=tuple(periodic))

    def _check_time(self) -> None:
        """Reject a time without a beginning, and a beginning without time."""
        names = "initial", "initial_velocity"
        if self.time is None:
            for name in names:
                value = getattr(self, name)
                if value is not None:
                    raise ConfigError(name, value, "time to be one of the coordinates")
            return
        one_of("time", self.time, self.coordinates)
        if self.time in self.periodic:
            raise ConfigError("periodic", self.periodic, "coordinates other than time")
        if self.initial is None:
            raise ConfigError("initial", None, f"u at the beginning, as {self.time} is time")
        second = f"u_{self.time * 2}"
        is_second = second in self.coefficients and not is_zero(self.coefficients[second])
        if is_second and self.initial_velocity is None:
            expected = f"u_{self.time} at the beginning, as the equation has {second}"
            raise ConfigError("initial_velocity", None, expected)
        self._put(
            **{
                name: None if getattr(self, name) is None else self._read(name, getattr(self, name))
                for name in names
            }
        )

    def _read(self, name: str, value: Value) -> Value:
        """Return a value with a text read as the formula that it is."""
        variables = (*self.coordinates, *self.parameters)
        return read_value(name, value, variables, tuple(self.regions))

    def _read_nonlinear(self) -> Callable[..., Any] | None:
        """Return the nonlinear part with a text read as the formula that it is."""
        value = self.nonlinear
        if isinstance(value, str):
            names = "u", *first_terms(self.coordinates), *self.coordinates, *self.parameters
            return read_formula("nonlinear", value, names, tuple(self.regions))
        if value is not None and not callable(value):
            expected = "a formula, or a function of u, its gradient and the coordinates"
            raise ConfigError("nonlinear", value, expected)
        return value

    def _read_data(self, kind: str) -> Any:
        """Return boundary data with formulas read, and their names checked."""
        data = getattr(self, kind)
        if data is None or (isinstance(data, Mapping) and not data):
            return None
        if isinstance(data, tuple) and all(isinstance(item, Condition) for item in data):
            return data
        if not isinstance(data, Mapping):
            return self._read_one(kind, kind, data)
        known = sorted({name for names in self.names for name in names})
        for key in data:
            if key not in known:
                raise ConfigError(kind, key, f"pieces of the boundary, of {', '.join(known)}")
        return {key: self._read_one(kind, f"{kind}[{key!r}]", one) for key, one in data.items()}

    def _read_one(self, kind: str, name: str, value: Any) -> Any:
        """Return the data of one piece with formulas read."""
        if kind != "robin":
            return self._read(name, value)
        if not isinstance(value, Robin):
            raise ConfigError(name, value, "a Robin(u, flux, value)")
        return Robin(*(self._read(f"{name}.{key}", one) for key, one in value._asdict().items()))

    def formula_inputs(self, points: Any, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what formulas of this problem are called with at points.

        Args:
          points: in the person's units, ``[n, d]``.
          parameters: of the problem.

        Returns:
          Coordinates, parameters, and for each region which of the points it covers.
        """
        shapes = [one if traced(one) else on_host(one) for one in self.regions.values()]
        # by name: JAX sorts the keys of what it maps
        values = (parameters[name] for name in self.parameters)
        return (*points.T, *values, *(covers(one, points) for one in shapes))

    @property
    def edges(self) -> tuple[EdgeData, ...]:
        """The data on the boundary, kind by kind."""
        return tuple(one for kind in KINDS for one in self._edges_of(kind))

    def _edges_of(self, kind: str) -> list[EdgeData]:
        data, pieces = getattr(self, kind), self.domain.pieces
        if data is None:
            return []
        if isinstance(data, tuple) and not isinstance(data, Robin):
            found = []
            for value, mask in data:
                here = tuple(np.flatnonzero(np.asarray(mask)).tolist())
                name = "" if len(here) == len(pieces) else called(pieces, here)
                found.append(EdgeData(kind, name, value, here, None))
            return found
        if not isinstance(data, Mapping):
            return [EdgeData(kind, "", data, tuple(range(len(pieces))), 0)]
        best = [max(data, key=lambda key: precision(names, key)) for names in self.names]
        found = []
        for key, value in data.items():
            precise = [precision(names, key) for names in self.names]
            here = tuple(i for i, how in enumerate(precise) if how and best[i] == key)
            if not here:
                expected = "a piece that more precise names do not cover entirely"
                raise ConfigError(f"{kind}[{key!r}]", value, expected)
            width = min(2, max(precise[i] for i in here))
            found.append(EdgeData(kind, key, value, here, width))
        return found

    @property
    def names(self) -> list[tuple[str, ...]]:
        """What data may call each piece of the boundary, the least precise name first.

        An edge of the domain's first shape needs its own name only: ``left`` for ``square.left``.
        """
        pieces = self.domain.pieces
        return [
            (*dict.fromkeys((*piece.names, piece.edge)),)
            if piece.edge and piece.shape == pieces[0].shape
            else piece.names
            for piece in pieces
        ]


def called(pieces: tuple[Piece, ...], here: tuple[int, ...]) -> str:
    """What some pieces are called together: by their shape where these are all pieces of it."""
    missed = {piece.shape for index, piece in enumerate(pieces) if index not in here}
    there = [pieces[index] for index in here]
    names = [piece.edge if piece.shape in missed else piece.shape for piece in there]
    return " and ".join(dict.fromkeys(names))


def precision(names: tuple[str, ...], key: str) -> int:
    """How precisely ``key`` names a piece; 0 not at all."""
    return names.index(key) + 1 if key in names else 0


def said(edge: EdgeData) -> str:
    """How data are stated, for errors."""
    return f"{edge.kind} as {repr(edge.name) if edge.name else 'the whole boundary'}"


def traced(shape: Shape) -> bool:
    """Whether the numbers of a shape are not known."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(shape))


def is_zero(value: Value) -> bool:
    """Whether a value is the number 0."""
    return isinstance(value, int | float) and value == 0


def read_value(
    name: str, value: Value, variables: tuple[str, ...], conditions: tuple[str, ...] = ()
) -> Value:
    """Return a value with a text read as the formula that it is.

    Args:
      name: what errors call it.
      value: what a person gave.
      variables: of formulas.
      conditions: what formulas may have as a condition.

    Raises:
      ConfigError: it is no number, formula, function or field.
    """
    expected = f"a finite number, a formula of {', '.join(variables)}, a function or a field"
    if isinstance(value, str):
        return read_formula(name, value, variables, conditions)
    if isinstance(value, Formula | BoundaryField) or callable(value):
        return value
    if isinstance(value, jax.core.Tracer):
        return value
    if isinstance(value, bool | np.bool_ | list | tuple | dict | None) or np.ndim(value):
        raise ConfigError(name, value, expected)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(name, value, expected) from error
    if not math.isfinite(number):
        raise ConfigError(name, value, "a finite number")
    return number


TERMS = ("u", "u_x", "u_y", "u_xx", "u_yy")
"""Terms of a :class:`metajax.physics.pde.PDE`, in the order of its coefficients."""


def as_problem(pde: PDE | PDEProblem) -> PDEProblem:
    """Return a linear problem with constant coefficients as a :class:`PDEProblem`.

    Args:
      pde: not traced; a :class:`PDEProblem` is returned as it is.
    """
    if isinstance(pde, PDEProblem):
        return pde
    numbers = on_host(pde.coefficients).tolist()
    given = {name: number for name, number in zip(TERMS, numbers, strict=True) if number}
    return PDEProblem(
        given,
        pde.source,
        domain=pde.domain,
        dirichlet=pde.dirichlet or None,
        neumann=pde.neumann or None,
    )


def as_pde(problem: PDE | PDEProblem) -> PDE:
    """Return a linear problem with constant coefficients as a :class:`metajax.physics.pde.PDE`.

    What trained hypernetworks read is of this kind.

    Args:
      problem: a :class:`metajax.physics.pde.PDE` is returned as it is.

    Raises:
      ConfigError: the problem has a field that such a problem does not have; the error names the
        first.
    """
    if isinstance(problem, PDE):
        return problem
    if problem.coordinates != COORDINATES[0]:
        raise ConfigError("coordinates", problem.coordinates, f"{COORDINATES[0]} for a PDE")
    for name in ("nonlinear", "robin", "time"):
        if getattr(problem, name) is not None:
            raise ConfigError(name, getattr(problem, name), "none, for a PDE")
    if problem.periodic:
        raise ConfigError("periodic", problem.periodic, "none, for a PDE")
    given = {name: constant(problem, name, one) for name, one in problem.coefficients.items()}
    for name in given:
        one_of("coefficients", name, TERMS)
    num = len(problem.domain.pieces)
    data: dict[str, list[Condition]] = {"dirichlet": [], "neumann": []}
    for edge in problem.edges:
        name = f"{edge.kind}[{edge.name!r}]" if edge.name else edge.kind
        on = jnp.asarray(np.isin(np.arange(num), edge.pieces))
        field = as_boundary_field(name, without_parameters(problem, edge.value))
        data[edge.kind].append(Condition(field, on))
    return PDE(
        [given.get(name, 0.0) for name in TERMS],
        without_parameters(problem, problem.source),
        problem.domain,
        **{kind: tuple(conditions) or None for kind, conditions in data.items()},
    )


def constant(problem: PDEProblem, name: str, value: Value) -> float:
    """A coefficient that is the same everywhere."""
    if isinstance(value, Formula):
        value = value(*problem.formula_inputs(np.zeros((1, 2)), problem.parameters))
    if not isinstance(value, int | float):
        raise ConfigError(f"coefficients[{name!r}]", value, "the same number everywhere, for a PDE")
    return float(value)


def without_parameters(problem: PDEProblem, value: Value) -> Value:
    """A value as a function of x and y alone."""
    if not callable(value) or isinstance(value, BoundaryField):
        return value
    if isinstance(value, Formula) and not problem.parameters and not problem.regions:
        # a field already: JAX need not trace the formula to see that it is one
        return Function(value)
    if isinstance(value, Formula):

        def at(x: Any, y: Any) -> Any:
            points = namespace(x, y).stack([x, y], -1)
            return value(*problem.formula_inputs(points, problem.parameters))

        return at
    if not problem.parameters:
        return value
    return lambda x, y: value(x, y, problem.parameters)
