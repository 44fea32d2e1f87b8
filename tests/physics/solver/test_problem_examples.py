"""The problems in experiments/solve/problems: benchmarks as they are in Python, and new kinds."""

from pathlib import Path

import jax
import numpy as np
import pytest

from metajax.physics.pde import PROBLEMS, benchmark
from metajax.physics.solver import as_pde, as_problem, collocate, read_problem

FOLDER = Path(__file__).parents[3] / "experiments" / "solve" / "problems"


def blocks_of(name, seed=0, interior=64, boundary=64):
    found = collocate(read_problem(FOLDER / f"{name}.yaml"), seed, interior, boundary)
    return {block.name: block for block in found.blocks}, found


def close(one, other):
    """Up to single precision, in which a problem in Python has some of its constants."""
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_benchmark_is_an_example_that_says_the_same(name):
    written, stated = read_problem(FOLDER / f"{name}.yaml"), as_problem(benchmark(name).pde)
    for problem in (written, as_problem(as_pde(written))):
        one, other = collocate(problem, 1, 128, 128), collocate(stated, 1, 128, 128)
        for mine, theirs in zip(one.blocks, other.blocks, strict=True):
            parts = (mine.parts, mine.target), (theirs.parts, theirs.target)
            jax.tree.map(close, *parts)
            assert mine.name.split(" ")[0] == theirs.name.split(" ")[0]


def test_every_example_is_a_problem():
    found = {path.stem: blocks_of(path.stem)[0] for path in sorted(FOLDER.glob("*.yaml"))}
    assert set(found) > {*PROBLEMS, "allen_cahn", "burgers", "heat_pipe", "advection"}
    for blocks in found.values():
        for block in blocks.values():
            assert len(block.target) and np.isfinite(block.target).all()
    rings = ["equation", "initial", "periodic x", "periodic x, slope"]
    assert list(found["allen_cahn"]) == list(found["advection"]) == rings
    assert found["allen_cahn"]["equation"].nonlinear is not None
    edges = ["dirichlet on left", "neumann on right", "neumann on bottom", "robin on top"]
    assert list(found["heat_pipe"]) == ["equation", *edges]
    space = ["dirichlet on outside", "neumann on inside"]
    assert list(found["ball"]) == ["equation", *space]
    plate = [f"dirichlet on {edge}" for edge in ("right", "bottom", "top")]
    assert list(found["cooling_plate"]) == ["equation", *plate, "neumann on left", "initial"]
    # what is inside the union is none of the boundary
    inside = found["stadium"]["dirichlet on the boundary"].parts[0].points * [1.5, 0.5]
    assert (np.hypot(np.maximum(np.abs(inside[:, 0]) - 1, 0), inside[:, 1]) > 0.5 - 1e-9).all()


def test_an_annulus_and_an_advected_wave_hold_at_their_closed_forms():
    blocks, found = blocks_of("annulus")
    where = found.box.places(blocks["dirichlet on inside"].parts[0].points)
    np.testing.assert_allclose(np.hypot(*where.T), 1, rtol=1e-12)
    where = found.box.places(blocks["dirichlet on outside"].parts[0].points)
    np.testing.assert_allclose(np.hypot(*where.T), 2, rtol=1e-12)
    blocks, found = blocks_of("advection")
    part = blocks["equation"].parts[0]
    x, t = found.box.places(part.points).T
    slope = 2 * np.pi / 10 * np.cos(2 * np.pi * (x - 2.5 * t) / 10)
    gradient = np.stack([slope, -2.5 * slope], 1) * found.box.half
    np.testing.assert_allclose((part.operator.gradient * gradient).sum(1), 0, atol=1e-12)
    lower, upper = (part.points for part in blocks["periodic x"].parts)
    np.testing.assert_allclose(lower - upper, np.tile([2.0, 0], (len(lower), 1)), atol=1e-12)
    np.testing.assert_allclose(
        blocks["initial"].target * found.units.u,
        np.sin(2 * np.pi * found.box.places(blocks["initial"].parts[0].points)[:, 0] / 10),
        atol=1e-12,
    )
