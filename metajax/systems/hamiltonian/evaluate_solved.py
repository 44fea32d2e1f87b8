"""What an energy with a solved head is judged by: errors of motion, and by how few points."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from metajax.core import Params
from metajax.physics import get_mechanics
from metajax.systems.base import Method
from metajax.systems.hamiltonian.linear_energy import LinearEnergy
from metajax.systems.hamiltonian.monomials import highest_degree, num_terms
from metajax.systems.hamiltonian.polynomial_energy import choose_degree, fit_and_roll
from metajax.systems.hamiltonian.problem import Problem
from metajax.systems.hamiltonian.roll_out import new_instances, summarise
from metajax.systems.hamiltonian.scored import (
    SHOTS,
    described_roll,
    evaluation_of,
)
from metajax.systems.hamiltonian.solved_roll_out import Rolled, solve_and_roll
from metajax.systems.scores import Evaluation
from metajax.systems.setup import first_params

TITLES = {
    "adapted": "meta-trained features, solved head",
    "with_monomials": "the same with monomials",
    "first_drawn": "features as first drawn, solved head",
    "polynomial": "polynomial energy, ridge regression",
}
"""Rows of an evaluation; that with monomials where the method itself has none."""
SOON = 300
"""Monomials up to which a row with them is evaluated on smaller supports too: each takes a singular
value decomposition for every system."""


def evaluate_solved(problem: Problem, method: Method, params: Params, config: Any) -> Evaluation:
    """Solve for the energies of new systems of the held-out mechanics, and follow them.

    In float64, all rows alike. The row with monomials adds the polynomial's monomials to the
    features, which were trained without them.
    """
    of, how = problem.settings, cast("LinearEnergy", method.parts)
    instances = new_instances(of, of.held_out, of.eval_tasks)
    drawn = first_params(method, problem.tasks, config)
    degree = choose_degree(of, problem.tasks)
    united = how._replace(span=how.span._replace(degree=degree))

    def solved(how: LinearEnergy, params: Params, shots: int) -> Rolled:
        return solve_and_roll(how, params, instances, of.held_out, of.shots, shots)

    def fitted(shots: int) -> Rolled:
        return fit_and_roll(instances, of.held_out, degree, shots, of.shots)

    arms: dict[str, Callable[[int], Rolled]] = {
        "adapted": functools.partial(solved, how, params),
        "with_monomials": functools.partial(solved, united, params),
        "first_drawn": functools.partial(solved, how, drawn),
        "polynomial": fitted,
    }
    if how.span.degree:  # they have monomials anyway
        del arms["with_monomials"]
    particles = get_mechanics(of.held_out).particles
    soon = num_terms(4 * particles, highest_degree(4 * particles, degree)) <= SOON
    found, by_shots = {}, {}
    for name, arm in arms.items():
        found[name] = described_roll(arm(of.shots), instances)
        sizes = [num for num in SHOTS if num < of.shots and (soon or name != "with_monomials")]
        by_shots[name] = {num: summarise(arm(num).coordinates)._asdict() for num in sizes}
        by_shots[name][of.shots] = found[name][0]._asdict()
    return evaluation_of(
        of,
        instances,
        found,
        TITLES,
        points=[0],
        how=f"ridge {how.ridge}",
        degree=degree,
        by_shots=by_shots["adapted"],
        rows_by_shots=by_shots,
    )
