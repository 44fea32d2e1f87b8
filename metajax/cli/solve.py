"""`metajax solve`: a PDE from a file, or a benchmark, to a solution and what it is worth."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import ConfigError


def solve_command(argv: list[str]) -> int:
    """Solve a problem, print its errors and write solution.npz, solution.png and errors.json."""
    parser = argparse.ArgumentParser(
        prog="metajax solve",
        description="Solve a linear PDE on the square from -1 to 1 by least squares over random "
        "features, and report how well it holds at points that were not fitted.",
    )
    parser.add_argument("problem", help="a YAML file, or a benchmark: HT HZ HZ-G PS-C PS-L PS-G WV")
    parser.add_argument("--out", type=Path, default=Path("solution"), help="folder to write to")
    parser.add_argument("--features", type=int, default=2000, help="random features")
    parser.add_argument("--size", type=int, default=129, help="nodes along a side of the solution")
    parser.add_argument("--seed", type=int, default=0, help="of features and points")
    options = parser.parse_args(argv)
    if options.out.exists() and any(options.out.iterdir()):
        raise ConfigError("--out", str(options.out), "a folder that is empty or not there")

    from metajax.physics.pde import PROBLEMS, benchmark
    from metajax.systems.hypino import read_problem, solve
    from metajax.train import write_json

    known = benchmark(options.problem) if options.problem in PROBLEMS else None
    pde = read_problem(Path(options.problem)) if known is None else known.pde
    began = time.perf_counter()
    found = solve(pde, features=options.features, size=options.size, seed=options.seed)
    errors: dict[str, Any] = {
        name: None if np.isnan(value) else value
        for name, value in found._asdict().items()
        if isinstance(value, float)
    }
    errors["seconds"] = round(time.perf_counter() - began, 2)
    print(f"residual of the equation, root mean square: {found.residual_rms:.2e}", end="")
    print(f" (source {found.source_rms:.2e})" if found.source_rms else "")
    for kind, value in (("Dirichlet", found.dirichlet_rms), ("Neumann", found.neumann_rms)):
        if not np.isnan(value):
            print(f"error of the {kind} data, root mean square: {value:.2e}")
    if known is not None:
        errors["mse"] = against(known, found.u)
        print(f"mean squared error against the reference: {errors['mse']:.2e}")
    print(f"{errors['seconds']} s, {options.features} features at scale {found.scale:g}")
    options.out.mkdir(parents=True, exist_ok=True)
    line = np.linspace(-1, 1, options.size)
    np.savez_compressed(
        options.out / "solution.npz", x=line, y=line, u=found.u, residual=found.residual
    )
    write_json(options.out / "errors.json", errors)
    draw(found, options.out / "solution.png")
    print(f"written to {options.out}: solution.npz, solution.png, errors.json")
    return 0


def against(known: Any, u: np.ndarray) -> float:
    """Mean squared error at the benchmark's nodes, which a grid of 129 a side holds."""
    if u.shape[0] != 129:
        raise ConfigError("--size", u.shape[0], "129, the grid of the references")
    where = np.round((np.asarray(known.points) + 1) * 64).astype(int)
    found = u[where[:, 1], where[:, 0]]
    return float(np.nanmean((found - np.asarray(known.reference)) ** 2))


def draw(found: Any, path: Path) -> None:
    """Draw the solution and the residual side by side."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, values, title in zip(
        canvas.subplots(1, 2), (found.u, found.residual), ("solution", "residual"), strict=True
    ):
        image = axes.imshow(values, origin="lower", extent=(-1, 1, -1, 1))
        axes.set(title=title, xlabel="x", ylabel="y")
        canvas.colorbar(image, ax=axes)
    canvas.savefig(path, dpi=120)
