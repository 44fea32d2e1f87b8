"""Problems as a person writes them, at points and as images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from metajax.core import ConfigError
from metajax.physics.pde import (
    PDE,
    Disk,
    Grid,
    Polygon,
    Rectangle,
    Square,
    apply_operator,
    differentiate,
    mark,
    nodes,
    rasterise,
    sample,
)

LAPLACE = [0, 0, 0, 1, 1]


def test_data_of_each_piece_is_what_its_most_precise_name_says():
    domain = Square() - Disk((0, 0), 0.5) - Rectangle((0.6, 0.6), (0.8, 0.8))
    pde = PDE(
        LAPLACE,
        lambda x, y: x + 2 * y,
        domain,
        dirichlet={"square": 1.0, "left": 2.0, "square.top": lambda x, y: x, "disk": 3.0},
        neumann={"disk": 4.0, "rectangle.left": 5.0},
    )
    points = jax.jit(sample, static_argnums=(2, 3))(pde, jax.random.key(0), 50, 3000)
    x, y = np.asarray(points.interior).T
    np.testing.assert_allclose(points.source, x + 2 * y, rtol=1e-6)
    place, normals, piece = points.boundary
    x = np.asarray(place)[:, 0]
    names = [".".join(filter(None, domain.pieces[i])) for i in piece]
    expected = {"square.left": 2, "square.right": 1, "square.bottom": 1, "disk": 3}
    for name, value, on, flux, on_flux, x_here in zip(
        names,
        points.dirichlet,
        points.dirichlet_mask,
        points.neumann,
        points.neumann_mask,
        x,
        strict=True,
    ):
        wanted = x_here if name == "square.top" else expected.get(name)
        assert on == (wanted is not None)
        np.testing.assert_allclose(value, wanted if on else 0.0, rtol=1e-6)
        assert on_flux == (name in ("disk", "rectangle.left"))
        assert flux == {"disk": 4.0, "rectangle.left": 5.0}.get(name, 0.0)
    # what has no data is not sampled
    assert set(names) == {*expected, "square.top", "rectangle.left"}
    # out of the domain is into the disk
    disk = np.array(names) == "disk"
    np.testing.assert_allclose(np.asarray(normals)[disk], -2 * np.asarray(place)[disk], atol=1e-6)


def test_a_grid_is_bilinear_and_has_rows_along_y():
    place = nodes(5)

    def exact(x, y):
        return 1 + 2 * x - y + 3 * x * y

    grid = Grid(exact(place[..., 0], place[..., 1]))
    points = jax.random.uniform(jax.random.key(0), (100, 2), minval=-1.0)
    np.testing.assert_allclose(grid(points), exact(*points.T), atol=1e-5)
    pde = PDE(LAPLACE, grid.values, dirichlet=0.0)
    np.testing.assert_allclose(pde.source(points), grid(points))


@pytest.mark.parametrize("size", [65, 224])
def test_images_mark_the_boundary_within_a_cell_and_nothing_else(size):
    domain = Square() - Disk((0.1, 0.2), 0.4) - Polygon([[-0.8, -0.8], [-0.2, -0.7], [-0.5, -0.3]])
    pde = PDE(
        LAPLACE,
        lambda x, y: x * y,
        domain,
        dirichlet={"square": 0.5, "disk": lambda x, y: x},
        neumann={"polygon": lambda x, y: y},
    )

    def images(pde, key):
        return rasterise(pde, sample(pde, key, 1, 2048), size)

    grids = jax.tree.map(np.asarray, jax.jit(images)(pde, jax.random.key(0)))
    place, cell = np.asarray(nodes(size)), 2 / (size - 1)
    np.testing.assert_allclose(grids.source, place[..., 0] * place[..., 1], atol=1e-6)
    square = np.abs(np.asarray(Square().distance(place)))
    disk, polygon = (
        np.abs(np.asarray(one.distance(place)))
        for one in (Disk((0.1, 0.2), 0.4), Polygon([[-0.8, -0.8], [-0.2, -0.7], [-0.5, -0.3]]))
    )
    for mask, apart in (
        (grids.dirichlet_mask, np.minimum(square, disk)),
        (grids.neumann_mask, polygon),
    ):
        assert set(np.unique(mask)) == {0.0, 1.0}
        assert apart[mask == 1].max() < np.sqrt(2) * cell
        # a curve that passes within .45 of a node enters one of its four cells by .05 or more
        assert mask[apart < 0.45 * cell].mean() > 0.995
    near_disk = (grids.dirichlet_mask == 1) & (disk < square)
    np.testing.assert_allclose(grids.dirichlet[near_disk], place[near_disk][:, 0], atol=2 * cell)
    near_edge = (grids.dirichlet_mask == 1) & (square < disk)
    np.testing.assert_array_equal(grids.dirichlet[near_edge], 0.5)
    on = grids.neumann_mask == 1
    np.testing.assert_allclose(grids.neumann[on], place[on][:, 1], atol=2 * cell)
    for value, mask in (
        (grids.dirichlet, grids.dirichlet_mask),
        (grids.neumann, grids.neumann_mask),
    ):
        assert np.all(value[mask == 0] == 0)
    # the marked ring closes, and what it closes in is the disk up to a cell
    parts, _ = ndimage.label(grids.dirichlet_mask == 0)
    column, row = ((np.array([0.1, 0.2]) + 1) / cell).astype(int)
    within = np.sum(parts == parts[row, column]) * cell**2
    reach = np.sqrt(2) * cell
    assert np.pi * (0.4 - reach) ** 2 < within < np.pi * 0.4**2
    assert np.pi * 0.4**2 < within + near_disk.sum() * cell**2 < np.pi * (0.4 + reach) ** 2


def test_a_node_takes_the_value_of_the_nearest_point():
    place = jnp.array([[0.1, 0.0], [0.3, 0.2], [0.45, 0.45], [-1.0, 1.0]])
    values = jnp.array([1.0, 2.0, 3.0, 4.0])
    mask, value = mark(place, values, jnp.array([True, True, False, True]), 5)
    expected = np.zeros((5, 5))
    expected[2:4, 2:4] = [[1, 2], [2, 2]]
    expected[2, 2], expected[2, 3] = 1, 2
    expected[3:, :2] = 4
    np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(mask, expected > 0)


@pytest.mark.slow
def test_a_problem_is_a_pytree_that_can_be_batched():
    def problem(coefficient, radius, value):
        domain = Square() - Disk((0, 0), radius)
        return PDE([coefficient, 0, 0, 1, 1], value, domain, dirichlet={"disk": value})

    def images(pde, key):
        return rasterise(pde, sample(pde, key, 10, 100), 33)

    values = jnp.array([[1.0, 0.2, 3.0], [-1.0, 0.6, 2.0]])
    keys = jax.random.split(jax.random.key(0), 2)
    pdes = jax.vmap(problem)(*values.T)
    batch = jax.jit(jax.vmap(images))(pdes, keys)
    for number in range(2):
        alone = images(problem(*values[number]), keys[number])
        jax.tree.map(
            lambda many, one: np.testing.assert_allclose(many[number], one, atol=1e-6),  # noqa: B023
            batch,
            alone,
        )


def test_derivatives_of_any_function_and_the_operator():
    def function(x, y):
        return jnp.sin(2 * x) * y**3 + x * y

    x, y = points = jnp.array([[0.3, -0.5], [0.1, 0.9]])
    jet = jax.jit(lambda points: differentiate(function, points))(points.T)
    s, c = np.sin(2 * x), np.cos(2 * x)
    expected = (
        s * y**3 + x * y,
        2 * c * y**3 + y,
        3 * s * y**2 + x,
        -4 * s * y**3,
        6 * c * y**2 + 1,
        6 * s * y,
    )
    for found, wanted in zip(jet, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)
    operator = apply_operator(jnp.array([1.0, 2.0, 3.0, 4.0, 5.0]), jet)
    wanted = sum(c * expected[i] for c, i in zip(range(1, 6), (0, 1, 2, 3, 5), strict=True))
    np.testing.assert_allclose(operator, wanted, rtol=2e-5)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("coefficients", {"coefficients": [1, 2]}),
        ("coefficients", {"coefficients": [0, 0, 0, 0, 0]}),
        ("coefficients", {"coefficients": [0, 0, np.nan, 0, 0]}),
        ("coefficients", {"coefficients": "laplace"}),
        ("dirichlet", {"dirichlet": None}),
        ("dirichlet", {"dirichlet": {}}),
        ("dirichlet", {"dirichlet": {"leeft": 0.0}}),
        ("neumann", {"neumann": {"disk": 0.0}}),
        ("dirichlet['left']", {"dirichlet": {"left": [0.0, 1.0]}}),
        ("source", {"source": "x + y"}),
        ("grid", {"source": [[1.0]]}),
        ("source", {"source": [["a", "b"], ["c", "d"]]}),
        ("domain", {"domain": Square() - Disk((0, 0), 3.0)}),
        ("domain", {"domain": "square"}),
    ],
)
def test_impossible_problems_are_refused_by_name(field, settings):
    with pytest.raises(ConfigError) as error:
        PDE(**{"coefficients": LAPLACE, "dirichlet": 0.0} | settings)
    assert error.value.field == field


def unhashable():
    class Callable:
        __hash__ = None

        def __call__(self, x, y):
            return x + y

    return Callable()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.sin, r"jnp.sin for np.sin"),
        (lambda x, y: np.sin(x) * y, r"jnp.sin for np.sin.*TracerArrayConversionError"),
        (lambda x, y: 1.0 if x > 0 else 0.0, "jnp.where for `if`"),
        (lambda x: x, "takes 1 positional argument"),
        (lambda x, y: (x, y), "a real number a point"),
        (lambda x, y: jnp.stack([x, y], -1), r"float32\[3, 2\]"),
        (jax.lax.complex, "complex64"),
        (lambda x, y: "x", "not a valid JAX type"),
        (unhashable(), "unhashable"),
        ([1.0, 2.0], "a grid of two axes"),
        ([[1.0], [2.0, 3.0]], "a grid of two axes"),
        ({}, "a grid of two axes"),
        (None, "a grid of two axes"),
        (True, "a number, "),
        (1j, "a number, "),
        (10**400, "a number, "),
        (np.array([None, 1]), "a number, "),
        (float("nan"), "a finite number"),
        (np.inf, "a finite number"),
    ],
)
@pytest.mark.parametrize("field", ["source", "dirichlet['left']", "neumann['left']"])
def test_what_is_no_data_is_refused_by_name_when_the_problem_is_made(field, value, words):
    given = {"source": value} if field == "source" else {field.partition("[")[0]: {"left": value}}
    with pytest.raises(ConfigError, match=words) as error:
        PDE(**{"coefficients": LAPLACE, "dirichlet": {"right": 0.0}} | given)
    assert error.value.field == field and error.value.value is value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"dirichlet": 0.0, "neumann": {"left": 1.0}}, "the whole boundary and neumann as 'left'"),
        ({"dirichlet": {"square": 0.0}, "neumann": {"square.left": 1.0}}, "dirichlet as 'square'"),
        ({"dirichlet": {"left": 0.0}, "neumann": 1.0}, "neumann as the whole boundary"),
    ],
)
def test_both_kinds_on_a_piece_by_names_of_other_width_are_warned_of(data, words):
    with pytest.warns(UserWarning, match=f"'square.left' has .*{words}"):
        PDE(LAPLACE, **data)


@pytest.mark.parametrize("more", [["square.left"], ["square", "right", "top", "bottom"]])
def test_data_that_no_piece_takes_are_refused(more):
    with pytest.raises(ConfigError) as error:
        PDE(LAPLACE, dirichlet=dict.fromkeys(["left", *more], 0.0))
    assert error.value.field == f"dirichlet[{more[0]!r}]"


@pytest.mark.filterwarnings("error")
def test_both_kinds_may_stand_on_a_piece_by_the_same_name():
    pde = PDE(
        [0, 0, 0, -1, 1],
        dirichlet={"left": 0.0, "right": 0.0, "bottom": 1.0},
        neumann={"square.bottom": 2.0},
    )
    (neumann,) = pde.neumann
    assert [
        piece.edge for piece, on in zip(pde.domain.pieces, neumann.pieces, strict=True) if on
    ] == ["bottom"]
    assert sum(int(jnp.sum(condition.pieces)) for condition in pde.dirichlet) == 3


@pytest.mark.parametrize("values", ["ab", None, [[1.0, 2.0], [3.0]], [[1j, 0], [0, 0]], {}])
def test_a_grid_of_no_numbers_is_refused(values):
    with pytest.raises(ConfigError, match="grid = "):
        Grid(values)
