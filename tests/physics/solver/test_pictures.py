"""Pictures show the values where they are, the boundary over them, and move with time."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from metajax.core import ConfigError
from metajax.physics.pde import Disk, Rectangle
from metajax.physics.solver import Maps, PDEProblem, animate, draw, maps_of, solve

WIDE = Rectangle((0.0, 0.0), (4.0, 2.0)) - Disk((1.0, 1.0), 0.5)


def plane(domain=WIDE, time=None, names=("x", "y")):
    """Values that differ in both directions, NaN outside."""
    (left, bottom), (right, top) = np.asarray(domain.bounds, float)
    x, y = np.linspace(left, right, 21), np.linspace(bottom, top, 11)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), -1)
    inside = np.asarray(domain.distance(grid)) <= 0
    u = np.where(inside, grid[..., 0] + 10 * grid[..., 1], np.nan)
    return Maps(names, (x, y), {"u": u, "residual": 1e-3 * u}, domain, time)


def shown(axes, x, y):
    """The value that an image has at a point."""
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    values = image.get_array()
    rows, columns = values.shape
    row, column = (y - bottom) / (top - bottom) * rows, (x - left) / (right - left) * columns
    return values[int(row), int(column)]


def test_values_are_drawn_where_they_are_in_the_persons_units():
    figure = draw(plane(), "reliable")
    first, second = (axes for axes in figure.axes if axes.images)
    assert shown(first, 3.0, 0.4) == pytest.approx(7.0)
    assert shown(second, 3.0, 0.4) == pytest.approx(np.log10(7e-3))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    colors = np.asarray(canvas.buffer_rgba())[::-1]
    across, up = first.transData.transform((1.0, 1.0)).astype(int)  # in the hole
    assert colors[up, across].tolist() == [255] * 4
    across, up = first.transData.transform((3.0, 1.0)).astype(int)
    assert colors[up, across].tolist() != [255] * 4
    assert first.get_aspect() == 1.0 and first.get_xlabel() == "x"
    assert figure.get_suptitle() == "reliable"


def test_the_boundary_is_drawn_over_the_values():
    axes = draw(plane()).axes[0]
    (contours,) = (one for one in axes.collections if not getattr(one, "filled", True))
    at = np.concatenate([path.vertices for path in contours.get_paths()])
    hole = at[np.hypot(*(at - 1.0).T) < 0.7]
    np.testing.assert_allclose(np.hypot(*(hole - 1.0).T), 0.5, atol=1e-3)
    around = np.arctan2(*(hole - 1.0).T)
    assert len(np.unique(around.round(1))) > 60  # all around
    assert np.abs(at[:, 0] - 4.0).min() < 1e-3 and np.abs(at[:, 1]).min() < 1e-3


def test_over_time_there_are_snapshots_and_scales_of_their_own():
    maps = plane(Rectangle((0.0, 0.0), (4.0, 2.0)), "t", ("x", "t"))
    figure = draw(maps)
    (lines,) = (axes for axes in figure.axes if axes.lines)
    assert figure.axes[0].get_aspect() == "auto"
    times = [float(text.get_text().partition("= ")[2]) for text in lines.get_legend().texts]
    assert times[0] == 0 and times[-1] == 2
    for line, time in zip(lines.lines, times, strict=True):
        np.testing.assert_allclose(line.get_ydata(), maps.axes[0] + 10 * time, atol=1e-9)


class Ball:
    """Of radius 1, or a cylinder along the last coordinate."""

    def distance(self, points):
        return np.sqrt((np.asarray(points) ** 2).sum(-1)) - 1


@pytest.mark.parametrize(("time", "planes"), [(None, 3), ("t", 4)])
def test_in_three_coordinates_there_are_slices(time, planes):
    line = np.linspace(-1, 1, 9)
    x, y, z = np.meshgrid(line, line, line, indexing="ij")
    u = x + 10 * y + 100 * z
    names = ("x", "y", "t" if time else "z")
    figure = draw(Maps(names, (line,) * 3, {"u": u, "residual": u}, Ball(), time))
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 2 * planes
    places = [axes.get_title() for axes in drawn[:planes]]
    if time:
        assert places[0] == "t = -1" and places[-1] == "t = 1"
        assert shown(drawn[0], 0.5, -0.25) == pytest.approx(0.5 - 2.5 - 100)
    else:
        assert places == ["z = 0", "y = 0", "x = 0"]
        assert shown(drawn[2], 0.5, -0.25) == pytest.approx(5 - 25)


def test_a_film_has_the_times_in_order(tmp_path):
    maps = plane(Rectangle((0.0, 0.0), (4.0, 2.0)), "t", ("x", "t"))
    animate(maps, tmp_path / "film.gif", seconds=1.0)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == len(maps.axes[1])
        frames = []
        for index in (0, 5, 10):
            film.seek(index)
            frames.append(np.asarray(film.convert("L"), float))
    dark = [np.mean(np.nonzero(frame[40:-40] < 160)[0]) for frame in frames]
    assert dark[0] > dark[1] > dark[2]  # the line rises
    with pytest.raises(ConfigError, match="animate"):
        animate(plane(), tmp_path / "other.gif")


def test_the_maps_of_a_solution_are_in_the_order_of_its_coordinates():
    """Heat in a rod, by its closed form; the map of the error has the size of the estimate."""
    problem = PDEProblem(
        {"u_t": 1, "u_xx": -0.1},
        domain=Rectangle((0.0, 0.0), (2.0, 1.0)),
        dirichlet={"left": 0.0, "right": 0.0},
        time="t",
        initial="sin(pi * x / 2) + sin(3 * pi * x)",
        coordinates=("x", "t"),
    )
    found = solve(problem, features=320, size=9, tolerance=1e-12)
    maps = maps_of(found, problem)
    x, t = np.meshgrid(*maps.axes, indexing="ij")
    rates = [0.1 * (np.pi / 2) ** 2, 0.1 * (3 * np.pi) ** 2]
    true = np.exp(-rates[0] * t) * np.sin(np.pi * x / 2)
    true += np.exp(-rates[1] * t) * np.sin(3 * np.pi * x)
    error = np.abs(maps.u - true).max()
    assert x[-1, 0] == 2 and t[0, -1] == 1 and error < 1e-4
    estimated = maps.values["estimated error, log10"]
    assert estimated.shape == true.shape and error < estimated.max() < 1e-2
    size = np.sqrt(np.mean(estimated**2) / np.mean(maps.u**2))
    assert size == pytest.approx(found.error, rel=1e-6)
