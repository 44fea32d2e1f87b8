"""Draw a solution, its residual and its estimated error, and make films over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from metajax.core import ConfigError, float64_on_cpu
from metajax.physics.pde import Shape, on_host
from metajax.physics.solver.estimate import error_field
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.solution import Solution
from metajax.physics.solver.solved import Solved

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 4.4
"""Width of a map in inches."""
SNAPSHOTS, SLICES, FRAMES = 6, 4, 50
"""Times that are drawn together: as lines, as maps, and in a film."""
LONGEST = 4.0
"""Longer side of a map over its shorter one, above which its axes have scales of their own."""
WIDE = 0.5
"""Height of a map over its width below which maps are one above another."""
MARGIN = 0.02
"""Margin of a map around the domain, as a share of its extent."""
OUTLINE = 401
"""Nodes along a side at which the boundary is looked for."""
SMALLEST = 1e-16
"""Share of the largest value below which a value is drawn as 0 would be."""
DECADES = 8
"""Powers of ten that the colors of a map tell apart."""
BOTH_SIGNS = 0.15
"""Share of the largest size that values of the other sign have where 0 is the middle color."""


class Maps(NamedTuple):
    """What is drawn of a solution.

    Attributes:
      coordinates: their names.
      axes: the nodes along each coordinate, in the person's units.
      values: titles and values; ``[x, y]``, ``[x, t]``, ``[x, y, z]`` or ``[x, y, t]``, NaN outside
        the domain. The first is the solution; of the others the size is drawn by its exponent.
      domain: whose boundary is drawn.
      time: the coordinate that is time; None without.
    """

    coordinates: tuple[str, ...]
    axes: tuple[Float[np.ndarray, " nodes"], ...]
    values: Mapping[str, Float[np.ndarray, "*nodes"]]
    domain: Shape
    time: str | None = None

    @property
    def u(self) -> Float[np.ndarray, "*nodes"]:
        """The solution."""
        return next(iter(self.values.values()))


class Cut(NamedTuple):
    """A plane through the values, in which two coordinates vary.

    Attributes:
      along: the places of these two among the coordinates.
      fixed: the index of the node of a third coordinate; None in the plane.
      label: what is fixed, in words.
    """

    along: tuple[int, int]
    fixed: int | None = None
    label: str = ""

    def of(self, values: Float[np.ndarray, "*nodes"]) -> Float[np.ndarray, "a b"]:
        """Return the values in the plane."""
        if self.fixed is None:
            return values
        (other,) = {0, 1, 2} - set(self.along)
        return np.take(values, self.fixed, other)


def maps_of(solved: Solved, problem: PDEProblem) -> Maps:
    """Return the maps of a solution: u, its residual and its estimated error.

    The estimated error is where the solution differs from the previous one, which has fewer
    features. It is not drawn for the first solution, nor over windows of time.

    Args:
      solved: the solution.
      problem: that it solves.
    """
    values = {"u": solved.u, "residual, log10": solved.residual}
    before, solution = solved.rounds.before, solved.solution
    if before is not None and isinstance(solution, Solution):
        points = np.stack(np.meshgrid(*solved.axes, indexing="ij"), -1)
        known = np.isfinite(solved.u.T)
        earlier = solution._replace(features=before.features, weights=before.head.weights)
        before_last = np.full(known.shape, np.nan)
        before_last[known] = earlier.at(points[known])
        values["estimated error, log10"] = error_field(solved.u, before_last.T, solved.error)
    drawn = {name: value.T for name, value in values.items()}
    return Maps(problem.coordinates, solved.axes, drawn, problem.domain, problem.time)


def draw(maps: Maps, title: str = "") -> Figure:
    """Draw a solution, its residual and its estimated error.

    In the plane each of them is one map; if one coordinate is time, there are also snapshots. In
    space there are three slices through the middle. A plane over time is shown at four times.

    Args:
      maps: what is drawn.
      title: above all of it.

    Returns:
      The figure.
    """
    from matplotlib.figure import Figure

    if len(maps.coordinates) == 2 and maps.time is not None:
        figure = over_time(maps)
    else:
        planes = cuts(maps)
        count, high = len(maps.values), shape_of(maps, planes[0])
        # a row of planes for each kind of values; a single plane's kinds are side by side
        wide = len(planes) == 1 and high < WIDE
        width = PANEL * (2 if wide else 1)
        rows, columns = (1, count) if len(planes) == 1 and not wide else (count, len(planes))
        size = columns * width, rows * (width * 0.85 * min(max(high, 0.25), 1.6) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).reshape(count, len(planes))
        for row, (name, values) in enumerate(maps.values.items()):
            for axes, plane in zip(grid[row], planes, strict=True):
                image = draw_map(axes, maps, plane, values, plain=row == 0)
                axes.set_title(plane.label if row == 0 else "")
                if rows > 1 and row < rows - 1:
                    axes.set_xlabel("")
            bar = figure.colorbar(image, ax=grid[row])
            if len(planes) == 1:
                grid[row, 0].set_title(name)
            else:
                bar.set_label(name)
    figure.suptitle(title)
    return figure


def over_time(maps: Maps) -> Figure:
    """Draw a solution over one coordinate of space and time: maps, and snapshots."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    count = len(maps.values) + 1
    columns = 2 if count == 4 else count
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * PANEL * 1.1, rows * PANEL * 0.8 + 0.4), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    (plane,) = cuts(maps)
    for number, (name, values) in enumerate(maps.values.items()):
        axes = places[number and number + 1]
        image = draw_map(axes, maps, plane, values, plain=number == 0)
        axes.set_title(name)
        figure.colorbar(image, ax=axes)
    axes, clock = places[1], time_place(maps)
    space, times = maps.coordinates[1 - clock], maps.axes[clock]
    chosen = np.linspace(0, len(times) - 1, SNAPSHOTS).round().astype(int)
    for shade, index in zip(np.linspace(0, 0.9, SNAPSHOTS), chosen, strict=True):
        line = np.take(maps.u, index, clock)
        label = f"{maps.time} = {times[index]:.3g}"
        axes.plot(maps.axes[1 - clock], line, color=colormaps["viridis"](shade), label=label)
    axes.set(title="solution at six times", xlabel=space)
    axes.legend(fontsize="small", framealpha=0.6)
    return figure


def cuts(maps: Maps) -> tuple[Cut, ...]:
    """The planes in which a solution is drawn."""
    if len(maps.coordinates) == 2:
        return (Cut((0, 1)),)
    if maps.time is not None:
        clock = time_place(maps)
        along = tuple(place for place in range(3) if place != clock)
        last = len(maps.axes[clock]) - 1
        chosen = np.linspace(0, last, SLICES).round().astype(int)
        return tuple(cut(maps, (along[0], along[1]), index) for index in chosen)
    return tuple(
        cut(maps, along, len(maps.axes[other]) // 2)
        for along, other in (((0, 1), 2), ((0, 2), 1), ((1, 2), 0))
    )


def cut(maps: Maps, along: tuple[int, int], index: int) -> Cut:
    """The plane at a node of the coordinate that is not ``along``."""
    (other,) = {0, 1, 2} - set(along)
    return Cut(along, int(index), f"{maps.coordinates[other]} = {maps.axes[other][index]:.3g}")


def time_place(maps: Maps) -> int:
    """The place of time among the coordinates."""
    assert maps.time is not None
    return maps.coordinates.index(maps.time)


def shape_of(maps: Maps, plane: Cut) -> float:
    """How high a map is, over its width."""
    width, height = (np.ptp(maps.axes[place]) for place in plane.along)
    return float(height / width) if in_scale(maps, plane) else 0.8


def in_scale(maps: Maps, plane: Cut) -> bool:
    """Whether both axes of a map have one scale."""
    width, height = (np.ptp(maps.axes[place]) for place in plane.along)
    timely = maps.time in [maps.coordinates[place] for place in plane.along]
    return not timely and max(width, height) <= LONGEST * min(width, height)


def colors(values: Float[np.ndarray, "*nodes"]) -> dict[str, Any]:
    """The colors of a solution: with 0 in the middle where it has both signs."""
    known = values[np.isfinite(values)]
    if not known.size:
        return {}
    low, high = float(known.min()), float(known.max())
    largest = max(abs(low), abs(high))
    if min(-low, high) > BOTH_SIGNS * largest:
        return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis", "vmin": low, "vmax": high}


def exponents(
    values: Float[np.ndarray, "*nodes"],
) -> tuple[Float[np.ndarray, "*nodes"], dict[str, Any]]:
    """The exponents of ten of the sizes of values, and their colors."""
    size = np.abs(values)
    largest = np.max(size, where=np.isfinite(size), initial=0.0)
    found = np.log10(np.maximum(size, max(largest * SMALLEST, np.finfo(float).tiny)))
    known = found[np.isfinite(found)]
    # single nodes where the sign changes do not count
    low, high = np.percentile(known, [1, 99.9]) if known.size else (0.0, 1.0)
    return found, {"cmap": "magma", "vmin": max(low, high - DECADES), "vmax": max(high, low + 1)}


def draw_map(
    axes: Axes, maps: Maps, plane: Cut, values: Float[np.ndarray, "*nodes"], plain: bool
) -> Any:
    """Draw values in a plane with the boundary over them, and return the image.

    Args:
      axes: to draw on.
      maps: what the values are of.
      plane: which values.
      values: of the whole grid.
      plain: as they are; otherwise their size, by its exponent.
    """
    shown, look = (values, colors(values)) if plain else exponents(values)
    first, second = (maps.axes[place] for place in plane.along)
    # nodes are at the middles of cells
    ends = [
        end
        for line in (first, second)
        for end in (line[0] - (line[1] - line[0]) / 2, line[-1] + (line[-1] - line[-2]) / 2)
    ]
    scale = "equal" if in_scale(maps, plane) else "auto"
    look |= {"origin": "lower", "extent": ends, "aspect": scale, "interpolation": "bilinear"}
    image = axes.imshow(filled(plane.of(shown)).T, **look)
    draw_boundary(axes, maps, plane)
    across, along = (maps.coordinates[place] for place in plane.along)
    axes.set(xlabel=across, ylabel=along)
    margins = [MARGIN * np.ptp(line) for line in (first, second)]
    axes.set(
        xlim=(first[0] - margins[0], first[-1] + margins[0]),
        ylim=(second[0] - margins[1], second[-1] + margins[1]),
    )
    return image


def filled(values: Float[np.ndarray, "a b"]) -> Float[np.ndarray, "a b"]:
    """Give nodes without a value that of the nearest one that has one."""
    unknown = ~np.isfinite(values)
    if unknown.all() or not unknown.any():
        return values
    nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return values[tuple(nearest)]


def draw_boundary(axes: Axes, maps: Maps, plane: Cut) -> None:
    """Draw the domain's boundary in a plane, and white over all that is outside."""
    lines = [
        np.linspace(line[0] - MARGIN * np.ptp(line), line[-1] + MARGIN * np.ptp(line), OUTLINE)
        for line in (maps.axes[place] for place in plane.along)
    ]
    points = np.empty((OUTLINE, OUTLINE, len(maps.coordinates)))
    for place, grid in zip(plane.along, np.meshgrid(*lines, indexing="ij"), strict=True):
        points[..., place] = grid
    if plane.fixed is not None:
        (other,) = {0, 1, 2} - set(plane.along)
        points[..., other] = maps.axes[other][plane.fixed]
        if maps.time == maps.coordinates[other]:
            # the ends of time are no boundary of the plane
            line = maps.axes[other]
            points[..., other] = np.clip(
                points[..., other], line[0] + 1e-6 * np.ptp(line), line[-1] - 1e-6 * np.ptp(line)
            )
    with float64_on_cpu():
        distance = np.asarray(on_host(maps.domain).distance(points))
    if (distance > 0).any():
        axes.contourf(*lines, distance.T, levels=[0.0, np.inf], colors="white")
    if (distance < 0).any() and (distance > 0).any():
        axes.contour(*lines, distance.T, levels=[0.0], colors="black", linewidths=1.2)


def animate(maps: Maps, path: Path, seconds: float = 5.0) -> None:
    """Write a film of a solution over time, as GIF.

    Args:
      maps: of a problem in time.
      path: of the file.
      seconds: that it lasts.

    Raises:
      ConfigError: no coordinate is time.
    """
    from matplotlib.animation import FuncAnimation, PillowWriter

    if maps.time is None:
        raise ConfigError("animate", True, "a problem in time: time names one of its coordinates")
    last = len(maps.axes[time_place(maps)]) - 1
    frames = np.unique(np.linspace(0, last, FRAMES).round().astype(int))
    figure, show = (line_film if len(maps.coordinates) == 2 else map_film)(maps)
    film = FuncAnimation(figure, show, frames=[int(frame) for frame in frames])
    film.save(path, writer=PillowWriter(fps=max(round(len(frames) / seconds), 1)), dpi=90)


def line_film(maps: Maps) -> tuple[Figure, Any]:
    """A line over space, and what moves it to a time."""
    from matplotlib.figure import Figure

    clock = time_place(maps)
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    (line,) = axes.plot(maps.axes[1 - clock], np.take(maps.u, 0, clock))
    low, high = np.nanmin(maps.u), np.nanmax(maps.u)
    room = 0.05 * max(high - low, 1e-12)
    axes.set(xlabel=maps.coordinates[1 - clock], ylabel="u", ylim=(low - room, high + room))

    def show(index: int) -> None:
        line.set_ydata(np.take(maps.u, index, clock))
        axes.set_title(f"{maps.time} = {maps.axes[clock][index]:.3f}")

    return figure, show


def map_film(maps: Maps) -> tuple[Figure, Any]:
    """A map of the plane, and what moves it to a time."""
    from matplotlib.figure import Figure

    clock = time_place(maps)
    along = tuple(place for place in range(3) if place != clock)
    plane = cut(maps, (along[0], along[1]), 0)
    height = PANEL * min(max(shape_of(maps, plane), 0.4), 1.6)
    figure = Figure(figsize=(PANEL + 1.3, height + 0.4), layout="constrained")
    axes = figure.subplots()
    image = draw_map(axes, maps, plane, maps.u, plain=True)
    figure.colorbar(image, ax=axes)

    def show(index: int) -> None:
        image.set_data(filled(cut(maps, plane.along, index).of(maps.u)).T)
        axes.set_title(f"{maps.time} = {maps.axes[clock][index]:.3f}")

    return figure, show
