"""`metajax solve`: a PDE from a file, or a benchmark, to a solution with its errors."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import ConfigError, local_path
from metajax.physics.pde import PROBLEMS, REFERENCE_SIZE, Benchmark, benchmark
from metajax.physics.solver import DoubtfulSolutionWarning, Solved, as_pde, read_problem
from metajax.systems.hypino.model import shipped, trained
from metajax.systems.hypino.one_problem import solve
from metajax.train import as_path, check_writable, write_json

CANNOT_BE_RIGHT = 3
"""Exit code where a solution was found that cannot be right."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``metajax solve`` takes."""
    parser.description = (
        "Solve a linear PDE on the square from -1 to 1, and report how well the solution holds at "
        "points that were not fitted. By default by least squares over random features; --refine, "
        "--finetune and --head use the trained hypernetwork that comes with the package, or that "
        "of a run. What speaks against the solution is said; the exit code is 3 where it cannot be "
        "right."
    )
    parser.add_argument(
        "problem", help="a YAML file, or a benchmark: HT HZ HZ-G PS-C PS-L PS-G WV PS-5G"
    )
    parser.add_argument("--out", type=Path, default=Path("solution"), help="folder to write to")
    parser.add_argument("--features", type=int, default=2000, help="random features")
    parser.add_argument(
        "--refine",
        type=int,
        metavar="N",
        help="the hypernetwork's solution, corrected N times by its residuals",
    )
    parser.add_argument(
        "--finetune", type=int, metavar="N", help="train its networks for N steps of Adam"
    )
    parser.add_argument(
        "--head",
        action="store_true",
        help="solve its output layers by least squares, together with the random features",
    )
    parser.add_argument(
        "--model", type=Path, help="folder of a run of metajax train hypino; by default the shipped"
    )
    parser.add_argument("--size", type=int, default=129, help="nodes along a side of the solution")
    parser.add_argument("--seed", type=int, default=0, help="seed of features and points")


def check(options: argparse.Namespace) -> None:
    """Check the options before anything is computed.

    Raises:
      ConfigError: a number is out of range, or the folder is not free.
    """
    options.out = free_folder(options.out, "--out")
    for name, least in (("features", 0), ("size", 2), ("refine", 0), ("finetune", 0), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and not least <= value < 2**31:
            raise ConfigError(f"--{name}", value, f"a whole number of {least} or more, below 2**31")


def run(options: argparse.Namespace) -> int:
    """Solve a problem, print its errors and write solution.npz, solution.png and errors.json.

    Returns 0, also where the solution may be wrong, and 3 where it cannot be right.

    Raises:
      ConfigError: the problem, a setting or the run of ``--model`` is not in order.
    """
    check(options)
    known = benchmark(options.problem) if options.problem in PROBLEMS else None
    if known is not None and options.size != REFERENCE_SIZE:
        raise ConfigError("--size", options.size, f"{REFERENCE_SIZE}, the references' grid")
    path = options.problem
    pde = as_pde(read_problem(local_path(path, "file"))) if known is None else known.pde
    began = time.perf_counter()
    asked = options.refine is not None or options.finetune is not None or options.head
    if options.model and not asked:
        raise ConfigError("--model", str(options.model), "--refine, --finetune or --head with it")
    model = None
    if asked:
        model = trained(as_path(options.model, "--model")) if options.model else shipped()
    with warnings.catch_warnings():
        # printed below, each on a line of its own
        warnings.simplefilter("ignore", DoubtfulSolutionWarning)
        found = solve(
            pde,
            features=options.features,
            size=options.size,
            seed=options.seed,
            model=model,
            rounds=options.refine or 0,
            tuning=options.finetune or 0,
            head=options.head or not asked,
            progress=sys.stderr.isatty(),
        )
    errors: dict[str, Any] = {
        name: None if np.isnan(value) else value
        for name, value in found._asdict().items()
        if isinstance(value, float)
    }
    errors |= {"verdict": found.verdict, "warnings": list(found.warnings)}
    errors["seconds"] = round(time.perf_counter() - began, 2)
    print(f"residual of the equation, root mean square: {found.residual_rms:.2e}", end="")
    print(f" (source {found.source_rms:.2e})" if found.source_rms else "")
    for kind, value in (("Dirichlet", found.dirichlet_rms), ("Neumann", found.neumann_rms)):
        if not np.isnan(value):
            print(f"error of the {kind} data, root mean square: {value:.2e}")
    if known is not None:
        errors["mse"] = against(known, found.u)
        print(f"mean squared error against the reference: {errors['mse']:.2e}")
    used = "" if np.isnan(found.scale) else f", {options.features} features at {found.scale:g}"
    print(f"{errors['seconds']} s{used}")
    options.out.mkdir(parents=True, exist_ok=True)
    line = np.linspace(-1, 1, options.size)
    np.savez_compressed(
        options.out / "solution.npz", x=line, y=line, u=found.u, residual=found.residual
    )
    write_json(options.out / "errors.json", errors)
    draw(found, options.out / "solution.png")
    print(f"written to {options.out}: solution.npz, solution.png, errors.json")
    kind = "error" if found.verdict == "failed" else "warning"
    for text in found.warnings:
        print(f"metajax: {kind}: {text}", file=sys.stderr)
    if found.verdict == "failed":
        print("metajax: error: the solution cannot be right", file=sys.stderr)
        return CANNOT_BE_RIGHT
    return 0


def free_folder(path: Path, field: str) -> Path:
    """A folder to write to that holds nothing yet.

    Raises:
      ConfigError: it is a file, holds something, or cannot be written.
    """
    path = local_path(path, field)
    check_writable(path, field)
    if path.exists() and any(path.iterdir()):
        raise ConfigError(field, str(path), "an empty or new folder")
    return path


def against(known: Benchmark, u: np.ndarray) -> float:
    """Mean squared error at the benchmark's nodes."""
    return float(np.nanmean((u[known.place] - np.asarray(known.reference)) ** 2))


def draw(found: Solved, path: Path) -> None:
    """Draw the solution, and the size of the residual, side by side."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(9, 3.8), layout="constrained")
    # by its exponent: at corners it may be many times that of everywhere else
    size = np.log10(np.maximum(np.abs(found.residual), 1e-16))
    titles = "solution", "residual of the equation, log10"
    for axes, values, title in zip(canvas.subplots(1, 2), (found.u, size), titles, strict=True):
        image = axes.imshow(values, origin="lower", extent=(-1, 1, -1, 1))
        axes.set(title=title, xlabel="x", ylabel="y")
        canvas.colorbar(image, ax=axes)
    canvas.savefig(path, dpi=120)
