"""Distances, normals and samples of shapes against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.path import Path
from scipy.special import ellipe

from metajax.core import ConfigError
from metajax.physics.pde import (
    ChosenShape,
    Disk,
    Ellipse,
    Empty,
    Polygon,
    Rectangle,
    Square,
    in_closure,
    nodes,
    on_host,
    sample_boundary,
    sample_interior,
)
from metajax.physics.pde.geometry import NUDGE

pytestmark = pytest.mark.usefixtures("x64")

TRIANGLE = np.array([[-0.5, -0.4], [0.6, -0.2], [0.1, 0.7]])
ARROW = np.array([[0.0, 0.8], [0.8, -0.6], [0.0, -0.1], [-0.8, -0.6]])
RNG = np.random.default_rng(0)
AROUND = np.linalg.norm(ARROW - np.roll(ARROW, 1, 0), axis=1).sum()
PLACES = RNG.uniform(-1.2, 1.2, (500, 2))


# compiled: one operation at a time, every shape would compile dozens of small programs
boundary_of = jax.jit(sample_boundary, static_argnums=2, static_argnames="oversample")
interior_of = jax.jit(sample_interior, static_argnums=2, static_argnames="oversample")


def to_segments(points, vertices):
    """Distance to the nearest of many points laid along the edges."""
    t = np.linspace(0, 1, 2001)[:, None, None]
    edge = (vertices + t * (np.roll(vertices, -1, 0) - vertices)).reshape(-1, 2)
    return np.min(np.linalg.norm(points[:, None] - edge, axis=-1), 1)


def assert_far_ones_close(distance, expected):
    """To points 6e-4 apart, so only far from them to that square over the distance."""
    far = expected > 0.05
    np.testing.assert_allclose(distance[far], expected[far], atol=3e-6)
    np.testing.assert_allclose(distance, expected, atol=4e-4)


def shapes():
    return {
        "square": Square(),
        "disk": Disk((0.2, -0.1), 0.6),
        "triangle": Polygon(TRIANGLE),
        "clockwise": Polygon(TRIANGLE[::-1]),
        "arrow": Polygon(np.concatenate([ARROW, ARROW[-1:], ARROW[-1:]])),
        "holes": Square() - Disk((0.5, 0.5), 0.2) - Polygon(0.5 * ARROW),
        "union": Disk((-0.3, 0), 0.4) | Disk((0.3, 0), 0.4),
        "lens": Disk((-0.3, 0), 0.6) & Disk((0.3, 0), 0.6),
        "corner": Square() - Rectangle((0, 0), (1, 1)),
        "chosen": Square()
        - ChosenShape(1, (Empty(), Disk((0.1, 0), 0.5), Rectangle((0, 0), (1, 1)))),
        "unchosen": Square() - ChosenShape(0, (Empty(), Disk((0.1, 0), 0.5))),
    }


NAMES = (
    "square",
    "disk",
    "triangle",
    "clockwise",
    "arrow",
    "holes",
    "union",
    "lens",
    "corner",
    "chosen",
    "unchosen",
)


@pytest.mark.parametrize("name", ["triangle", "clockwise", "arrow"])
def test_a_polygons_distance_is_that_to_its_edges_and_negative_inside(name):
    vertices = ARROW if name == "arrow" else TRIANGLE
    distance = np.asarray(shapes()[name].distance(PLACES))
    assert_far_ones_close(np.abs(distance), to_segments(PLACES, vertices))
    np.testing.assert_array_equal(distance < 0, Path(vertices).contains_points(PLACES))


def test_distances_of_disks_and_rectangles_and_their_combinations():
    x, y = PLACES.T
    circle = np.hypot(x - 0.2, y + 0.1) - 0.6
    np.testing.assert_allclose(Disk((0.2, -0.1), 0.6).distance(PLACES), circle, atol=1e-14)
    box = Rectangle((-0.5, -1.0), (0.5, 0.25))
    corners = np.array([[-0.5, -1.0], [0.5, -1.0], [0.5, 0.25], [-0.5, 0.25]])
    distance = np.asarray(box.distance(PLACES))
    assert_far_ones_close(np.abs(distance), to_segments(PLACES, corners))
    inside = (np.abs(x) < 0.5) & (np.abs(y + 0.375) < 0.625)
    np.testing.assert_array_equal(distance < 0, inside)
    disk = Disk((0.2, -0.1), 0.6)
    for shape, expected in (
        (box | disk, inside | (circle < 0)),
        (box & disk, inside & (circle < 0)),
        (box - disk, inside & (circle > 0)),
    ):
        np.testing.assert_array_equal(shape.contains(PLACES), expected)


@pytest.mark.parametrize("name", NAMES)
def test_boundary_points_lie_on_the_boundary_with_unit_normals_out_of_the_domain(name):
    shape = shapes()[name]

    @jax.jit
    def measured(shape, key):
        points, normals, piece = sample_boundary(shape, key, 400)
        moves = jnp.array([0, NUDGE, -NUDGE, -0.02])[:, None, None]
        distances = shape.distance((points[None] + moves * normals[None]).reshape(-1, 2))
        slopes = shape.normals(points - 1e-6 * normals)
        return normals, piece, distances.reshape(4, 400), slopes

    normals, piece, distances, slopes = jax.device_get(measured(shape, jax.random.key(0)))
    on, outside, inside, deep = distances
    np.testing.assert_allclose(on, 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-12)
    assert np.all(outside > 0)
    assert np.all(inside < 0)
    # the distance has no gradient where curves meet
    smooth = deep < -0.0199
    assert smooth.mean() > 0.8
    np.testing.assert_allclose(slopes[smooth], normals[smooth], atol=1e-6)
    assert set(np.asarray(piece)) <= set(range(len(shape.pieces)))


def test_an_ellipse_is_a_disk_that_is_stretched_and_turned():
    ellipse = Ellipse((0.1, -0.2), (0.8, 0.3), 0.7)
    cos, sin = np.cos(0.7), np.sin(0.7)
    straight = (PLACES - [0.1, -0.2]) @ [[cos, -sin], [sin, cos]] / [0.8, 0.3]
    inside = (straight**2).sum(1) < 1
    host = on_host(ellipse)  # as the test of both says
    np.testing.assert_array_equal(host.contains(PLACES), inside)
    # 4 a E(1 - b^2 / a^2) is how long it is
    np.testing.assert_allclose(
        host.curves.length, 4 * 0.8 * ellipe(1 - (0.3 / 0.8) ** 2), rtol=1e-12
    )
    points, normals, _ = jax.device_get(boundary_of(ellipse, jax.random.key(0), 400))
    np.testing.assert_allclose(host.distance(points), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(jax.jit(ellipse.normals)(points), normals, atol=1e-9)
    near = np.stack([points.min(0), points.max(0)])
    np.testing.assert_allclose(near, host.bounds, atol=1e-3)
    # no nearer than the points of the boundary are
    nearest = np.min(np.linalg.norm(PLACES[:, None] - points[None], axis=-1), 1)
    assert np.all(np.abs(host.distance(PLACES)) <= nearest)
    closure = jax.jit(in_closure)
    assert np.asarray(closure(Square() - ellipse, points)).all()
    assert not np.asarray(closure(Square() - ellipse, points - 1e-3 * normals)).any()
    for wrong in ({"radii": (1, 0)}, {"radii": 1}, {"angle": (1, 2)}, {"centre": "middle"}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} = "):
            Ellipse(**{"centre": (0, 0), "radii": (1, 2), **wrong})


def test_shapes_compute_the_same_on_the_host_without_jax():
    some = [shapes()[name] for name in ("holes", "lens", "corner", "chosen")]
    for shape in [*some, Ellipse((0.1, -0.2), (0.8, 0.3), 0.7)]:
        host = on_host(shape)
        distance = host.distance(PLACES)
        assert type(distance) is np.ndarray and type(host.bounds) is np.ndarray
        np.testing.assert_allclose(distance, shape.distance(jnp.asarray(PLACES)), atol=1e-14)
        np.testing.assert_allclose(host.bounds, shape.bounds, atol=1e-15)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-14), host.curves, shape.curves
        )


@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_nothing_depends_on_the_size_of_a_shape(size):
    def made(scale):
        return Rectangle((0, 0), (2 * scale, scale)) - Disk((scale, scale / 2), 0.1 * scale)

    large = boundary_of(made(size), jax.random.key(0), 100)
    plain = boundary_of(made(1.0), jax.random.key(0), 100)
    np.testing.assert_allclose(large.points / size, plain.points, rtol=1e-12)
    np.testing.assert_allclose(large.normals, plain.normals, atol=1e-12)
    assert np.asarray(in_closure(made(size), large.points)).all()


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("holes", 8 + 0.4 * np.pi + AROUND / 2),
        ("union", 2 * 0.4 * (2 * np.pi - 2 * np.arccos(0.3 / 0.4))),
        ("lens", 2 * 0.6 * 2 * np.arccos(0.3 / 0.6)),
        ("corner", 8.0),
        ("unchosen", 8.0),
    ],
)
def test_boundary_points_are_evenly_spread_over_its_visible_length(name, length):
    shape = shapes()[name]
    points = np.asarray(boundary_of(shape, jax.random.key(1), 1000, oversample=4).points)
    apart = np.linalg.norm(np.diff(points, axis=0), axis=1)
    # few steps lead from one curve to the next
    assert np.sort(apart)[-12] < 2.5 * length / 1000
    np.testing.assert_allclose(np.median(apart), length / 1000, rtol=0.1)


def test_boundary_points_come_from_the_pieces_asked_for():
    shape = Square() - Disk((0, 0), 0.5)
    on = jnp.array([False, True, False, False, True])
    boundary = boundary_of(shape, jax.random.key(0), 300, on=on)
    share = np.bincount(boundary.piece, minlength=5) / 300
    np.testing.assert_allclose(share, [0, 2 / (2 + np.pi), 0, 0, np.pi / (2 + np.pi)], atol=0.01)


@pytest.mark.parametrize("name", ["holes", "lens", "arrow", "corner"])
def test_interior_points_are_uniform(name):
    shape = shapes()[name]
    points = interior_of(shape, jax.random.key(0), 4000, oversample=8)
    host = on_host(shape)  # as the test of both says
    assert np.all(host.distance(np.asarray(points)) < 0)
    grid = np.asarray(nodes(401)).reshape(-1, 2)
    grid = grid[host.contains(grid)]
    # the first two moments, within 4 standard errors
    for power in (1, 2):
        error = np.mean(np.asarray(points) ** power, 0) - np.mean(grid**power, 0)
        assert np.all(np.abs(error) < 4 * np.std(grid**power, 0) / np.sqrt(4000))


def test_a_batch_of_shapes_equals_a_loop():
    radii, keys = jnp.array([0.2, 0.5, 0.7]), jax.random.split(jax.random.key(0), 3)

    def draw(radius, key):
        shape = Square() - Disk((0.1, 0.0), radius)
        return sample_boundary(shape, key, 20), sample_interior(shape, key, 20)

    batch = jax.jit(jax.vmap(draw))(radii, keys)
    one = jax.jit(draw)
    for number in range(3):
        alone = one(radii[number], keys[number])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a[number], b, atol=1e-14),  # noqa: B023
            batch,
            alone,
        )


def test_a_domain_without_inside_gives_nan():
    nothing = Disk((0, 0), 0.5) - Square()
    assert np.isnan(interior_of(nothing, jax.random.key(0), 5)).all()
    assert np.isnan(boundary_of(nothing, jax.random.key(0), 5).points).all()


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("radius", lambda: Disk((0, 0), 0.0)),
        ("radius", lambda: Disk((0, 0), -1)),
        ("radius", lambda: Disk((0, 0), np.nan)),
        ("centre", lambda: Disk((0, 0, 0), 1)),
        ("upper", lambda: Rectangle((0, 0), (1, 0))),
        ("vertices", lambda: Polygon([[0, 0], [1, 1]])),
        ("vertices", lambda: Polygon([[0, 0], [1, 1], [0, 0]])),
        ("vertices", lambda: Polygon([0, 0, 1])),
        ("second", lambda: Square() - 3),
        ("radius", lambda: Disk((0, 0), "1")),
        ("radius", lambda: Disk((0, 0), [1])),
        ("radius", lambda: Disk((0, 0), True)),
        ("radius", lambda: Disk((0, 0), np.inf)),
        ("radius", lambda: Disk((0, 0), 10**400)),
        ("centre", lambda: Disk("ab", 1)),
        ("centre", lambda: Disk((0, np.nan), 1)),
        ("lower", lambda: Rectangle(None, (1, 1))),
        ("upper", lambda: Rectangle((0, 0), {1: 2})),
        ("vertices", lambda: Polygon([[0, 0], [1], [1, 1]])),
        ("vertices", lambda: Polygon([[0, 0], [1, 0], [np.inf, 1]])),
        ("vertices", lambda: Polygon("abc")),
    ],
)
def test_impossible_shapes_are_refused_by_name(field, make):
    with pytest.raises(ConfigError) as error:
        make()
    assert error.value.field == field


def test_a_polygon_of_many_edges_compiles_and_is_nearly_the_disk_around_it():
    """Unrolled, 300 edges took minutes to compile."""
    turn = 2 * np.pi * np.arange(300) / 300
    polygon = Polygon(0.5 * np.stack([np.cos(turn), np.sin(turn)], 1))
    points = jax.random.uniform(jax.random.key(0), (500, 2), minval=-1.0)
    found = jax.jit(lambda shape, points: shape.distance(points))(polygon, points)
    # an edge's middle is that much nearer to the centre
    sagitta = 0.5 * (1 - np.cos(np.pi / 300))
    np.testing.assert_allclose(found, Disk((0, 0), 0.5).distance(points), atol=sagitta + 1e-6)
    few = Polygon([[-0.5, -0.5], [0.6, -0.2], [0.1, 0.7]])
    split = np.concatenate(
        [
            np.linspace(a, b, 9)[:-1]
            for a, b in zip(few.vertices, np.roll(few.vertices, -1, 0), strict=True)
        ]
    )
    np.testing.assert_allclose(Polygon(split).distance(points), few.distance(points), atol=1e-6)
