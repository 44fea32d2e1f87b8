"""`metajax solve`: a PDE from a file, or a benchmark, to a solution, a verdict and a picture."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import ConfigError, float64_on_cpu, local_path, one_of
from metajax.physics.pde import PDE, PROBLEMS, Benchmark, benchmark
from metajax.physics.solver import (
    MOST_SECONDS,
    DoubtfulSolutionWarning,
    PDEProblem,
    Solved,
    animate,
    as_pde,
    as_problem,
    draw,
    maps_of,
    read_problem,
    solve,
)
from metajax.systems.hypino.model import shipped, trained
from metajax.systems.hypino.one_problem import solve as solve_by_networks
from metajax.train import as_path, check_writable, write_json

FAILED = 3
"""Exit code where the verdict is *failed*."""
OF_HYPERNETWORKS = ("refine", "finetune", "head", "model")
"""Options that need a hypernetwork."""
SIDE = 129
"""Default nodes along a side, for problems that hypernetworks solve."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``metajax solve`` takes."""
    parser.description = (
        "Solve a PDE in the plane, in space, or over time, and say whether the solution is "
        "reliable. The solution is a least-squares combination of functions. Functions are added "
        "until equation and data hold to the tolerance at points that were not fitted. The exit "
        "code is 3 where the verdict is failed. --refine, --finetune and --head use a trained "
        "hypernetwork, for linear problems with constant coefficients on the square from -1 to 1."
    )
    parser.add_argument("problem", help=f"a YAML file, or a benchmark: {' '.join(PROBLEMS)}")
    parser.add_argument("--out", type=Path, default=Path("solution"), help="folder to write to")
    parser.add_argument(
        "--tolerance", type=float, help="largest relative residual of equation and data"
    )
    parser.add_argument("--features", type=int, default=2000, help="largest number of functions")
    parser.add_argument(
        "--most-seconds",
        type=float,
        default=MOST_SECONDS,
        help="seconds after which the best solution so far is taken; inf: no end",
    )
    parser.add_argument("--size", type=int, help="nodes along a side (129 by default, 33 in space)")
    parser.add_argument("--seed", type=int, default=0, help="seed of functions and points")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a number for a parameter of the problem; may be repeated",
    )
    parser.add_argument(
        "--animate", action="store_true", help="also write solution.gif, for a problem in time"
    )
    parser.add_argument(
        "--refine",
        type=int,
        metavar="N",
        help="use the hypernetwork's solution, corrected N times by its residuals",
    )
    parser.add_argument(
        "--finetune",
        type=int,
        metavar="N",
        help="train the hypernetwork's networks for N steps of Adam",
    )
    parser.add_argument(
        "--head",
        action="store_true",
        help="solve its output layers by least squares, together with the other functions",
    )
    parser.add_argument(
        "--model", type=Path, help="folder of a run of metajax train hypino; by default the shipped"
    )


def check(options: argparse.Namespace) -> None:
    """Check the options before anything is computed.

    Raises:
      ConfigError: a number is out of range, or the folder is not free.
    """
    options.out = free_folder(options.out, "--out")
    fewest = 0 if options.head else 1
    bounds = {"features": fewest, "size": 2, "refine": 0, "finetune": 0, "seed": 0}
    for name, least in bounds.items():
        value = getattr(options, name)
        if value is not None and not least <= value < 2**31:
            raise ConfigError(f"--{name}", value, f"a whole number of {least} or more, below 2**31")
    if options.tolerance is not None and not 0 < options.tolerance < 1:
        raise ConfigError("--tolerance", options.tolerance, "between 0 and 1")
    if not options.most_seconds > 0:
        raise ConfigError("--most-seconds", options.most_seconds, "above 0")


def run(options: argparse.Namespace) -> int:
    """Solve a problem, print the verdict, and write the solution and a picture of it.

    The exit code is 0 where the verdict is *reliable* or *check*, and 3 where it is *failed*.

    Raises:
      ConfigError: the problem, a setting or the run of ``--model`` is wrong.
    """
    imported = time.process_time()
    check(options)
    known = benchmark(options.problem) if options.problem in PROBLEMS else None
    stated = read_problem(local_path(options.problem, "file")) if known is None else known.pde
    problem = with_parameters(stated, options.set)
    general = as_problem(problem) if isinstance(problem, PDE) else problem
    if options.animate and general.time is None:
        raise ConfigError("--animate", True, "a problem in time: time names one of its coordinates")
    began = time.perf_counter()
    with warnings.catch_warnings():
        # printed below, each on a line of its own
        warnings.simplefilter("ignore", DoubtfulSolutionWarning)
        found = solved(problem, options)
    seconds = time.perf_counter() - began
    tell(found)
    errors = measured(found) | {
        "seconds": round(seconds, 2),
        "import_cpu_seconds": round(imported, 2),
    }
    if known is not None:
        errors["relative_error"] = against(known, found)
        print(f"error against the reference: {errors['relative_error']:.1e} of u")
    print(f"{seconds:.1f} s, after {imported:.1f} s of CPU time to import metajax")
    written = write(found, general, errors, options)
    print(f"written to {options.out}: {', '.join(written)}")
    if found.verdict == "failed":
        print(
            "metajax: error: the verdict is failed: the solution is probably wrong", file=sys.stderr
        )
        return FAILED
    return 0


def with_parameters(problem: PDEProblem | PDE, given: Sequence[str]) -> PDEProblem | PDE:
    """The problem with other values of its parameters.

    Args:
      problem: any.
      given: each ``NAME=VALUE``.

    Raises:
      ConfigError: no such parameter, or no number.
    """
    if not given:
        return problem
    if isinstance(problem, PDE) or not problem.parameters:
        raise ConfigError("--set", given[0], "a problem with parameters; this one has none")
    known = dict(problem.parameters)
    for text in given:
        name, _, value = text.partition("=")
        one_of("--set", name, known)
        try:
            known[name] = float(value)
        except ValueError as error:
            raise ConfigError("--set", text, "NAME=VALUE with a number") from error
        if not np.isfinite(known[name]):
            raise ConfigError("--set", text, "a finite number")
    return dataclasses.replace(problem, parameters=known)


def solved(problem: PDEProblem | PDE, options: argparse.Namespace) -> Solved:
    """Solve a problem, by a hypernetwork where an option asks for it."""
    asked = [name for name in OF_HYPERNETWORKS if getattr(options, name) not in (None, False)]
    tolerance = {} if options.tolerance is None else {"tolerance": options.tolerance}
    if not asked:
        return solve(
            problem,
            features=options.features,
            size=options.size,
            seed=options.seed,
            most_seconds=options.most_seconds,
            progress=sys.stderr.isatty(),
            **tolerance,
        )
    pde = for_networks(problem, f"--{asked[0]}")
    if asked == ["model"]:
        expected = "--refine, --finetune or --head with it"
        raise ConfigError("--model", str(options.model), expected)
    model = trained(as_path(options.model, "--model")) if options.model else shipped()
    return solve_by_networks(
        pde,
        features=options.features,
        size=options.size or SIDE,
        seed=options.seed,
        model=model,
        rounds=options.refine or 0,
        tuning=options.finetune or 0,
        head=options.head,
        most_seconds=options.most_seconds,
        progress=sys.stderr.isatty(),
    )


def for_networks(problem: PDEProblem | PDE, option: str) -> PDE:
    """The problem as hypernetworks read it.

    Raises:
      ConfigError: hypernetworks cannot read it; the error names the option and the field.
    """
    expected = (
        "a linear problem with constant coefficients on the square from -1 to 1, and u or du/dn "
        "on its boundary"
    )
    try:
        pde = as_pde(problem)
    except ConfigError as error:
        raise ConfigError(option, f"for {error.field}", expected) from error
    if not np.array_equal(np.asarray(pde.domain.bounds), [[-1, -1], [1, 1]]):
        raise ConfigError(option, "for domain", expected)
    return pde


def tell(found: Solved) -> None:
    """Print the verdict on a solution, its reasons, and the figures behind it."""
    print(f"verdict: {found.verdict}")
    for text in found.warnings:
        print(f"- {text}")
    print(f"estimated error of u: {found.error:.1e} of its size")
    print("residuals at points that were not fitted, relative to the terms:")
    for one in found.left:
        print(f"  {one.name}: {one.share:.1e}")


def measured(found: Solved) -> dict[str, Any]:
    """What errors.json holds of a solution."""
    numbers = {
        name: None if np.isnan(value) else value
        for name, value in found._asdict().items()
        if isinstance(value, float)
    }
    left = {one.name: one.share for one in found.left}
    return numbers | {
        "left": left,
        "features": found.features,
        "verdict": found.verdict,
        "warnings": list(found.warnings),
    }


def write(
    found: Solved, problem: PDEProblem, errors: dict[str, Any], options: argparse.Namespace
) -> list[str]:
    """Write a solution, its verdict and its pictures, and return the files' names."""
    options.out.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = dict(zip(problem.coordinates, found.axes, strict=True))
    arrays |= {"u": found.u, "residual": found.residual}
    np.savez_compressed(options.out / "solution.npz", **arrays)
    write_json(options.out / "errors.json", errors)
    maps = maps_of(found, problem)
    draw(maps, f"{found.verdict}: error about {found.error:.0e} of u").savefig(
        options.out / "solution.png", dpi=110
    )
    names = ["solution.npz", "errors.json", "solution.png"]
    if options.animate:
        animate(maps, options.out / "solution.gif")
        names.append("solution.gif")
    return names


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


def against(known: Benchmark, found: Solved) -> float:
    """Root mean squared error at the benchmark's nodes, over that of the reference."""
    points = np.asarray(known.points, np.float64)
    reference: Any = known.reference
    if known.solution is not None:
        with float64_on_cpu():  # the stored values are in float32
            reference = known.solution(*points.T)
    reference = np.asarray(reference, np.float64)
    return float(np.sqrt(np.mean((found.at(points) - reference) ** 2) / np.mean(reference**2)))
