"""Runs of one program share what a system says they have in common."""

import pytest

from metajax.sweep.together import build_all
from metajax.systems import get_system
from small import tiny

CHANGES = [{"seed": 0}, {"seed": 1}, {"seed": 1, "strength": 2.0}, {"width": 9}]


def test_runs_share_the_problem_and_evaluation_in_which_they_are_alike():
    configs = [tiny("continual", steps=4, **change) for change in CHANGES]
    first, other_seed, stronger, wider = build_all(get_system("continual"), configs)
    assert first is not other_seed and first.problem is other_seed.problem is stronger.problem
    assert first.evaluate is other_seed.evaluate is stronger.evaluate
    assert wider.problem is not first.problem and wider.evaluate is not first.evaluate
    assert [run.config for run in (first, other_seed, stronger, wider)] == configs
    assert first.method.parts is not stronger.method.parts


@pytest.mark.parametrize("family", ["domains", "federated", "growth", "shift", "weights"])
def test_seeds_are_measured_by_one_evaluation(family):
    first, second = build_all(get_system(family), [tiny(family, seed=seed) for seed in (0, 1)])
    assert first.problem is second.problem and first.evaluate is second.evaluate
    assert (first.config.seed, second.config.seed) == (0, 1)


def test_runs_share_nothing_where_the_problem_may_depend_on_the_seed():
    configs = [tiny("gpicl", seed=seed) for seed in (0, 1)]
    first, second = build_all(get_system("gpicl"), configs)
    assert first.problem is not second.problem
