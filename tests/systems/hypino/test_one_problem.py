"""One problem by a hypernetwork's networks, and what is warned of then."""

import jax
import numpy as np
import pytest
from problem_files import HEAT, written

from metajax.core import ConfigError
from metajax.physics.pde import PDE, nodes
from metajax.physics.solver import as_pde, read_problem
from metajax.systems.hypino import Model, one_problem, solve
from metajax.systems.hypino.one_problem import generate
from pdes import CONFIG, METHOD, TARGET, quadratics


def untrained():
    key = jax.random.key(0)
    return Model(CONFIG, jax.jit(METHOD.learner.init)(key, quadratics(key)))


def wrong(found):
    return found.residual_rms**2 + 100 * found.dirichlet_rms**2


@pytest.mark.slow
def test_a_model_solves_as_its_networks_say_and_every_help_makes_it_better(tmp_path):
    pde, model = as_pde(read_problem(written(tmp_path, HEAT))), untrained()
    alone = solve(pde, model=model, head=False, size=9)
    key = jax.random.split(jax.random.key(0), 3)[1]
    weights = jax.tree.map(lambda leaf: leaf[0], generate(model, pde, key, 0, 0).weights)
    direct = TARGET.apply(weights, nodes(9).reshape(-1, 2))[:, 0]
    np.testing.assert_allclose(alone.u.reshape(-1), direct, atol=1e-5)
    assert np.isnan(alone.scale)
    compiled = one_problem.generate_weights._cache_size()
    solve(pde, model=untrained(), head=False, size=9)
    assert one_problem.generate_weights._cache_size() == compiled  # a model of an equal config
    tuned = solve(pde, model=model, head=False, size=9, tuning=60)
    headed = solve(pde, model=model, size=9, features=0, rounds=2)
    assert wrong(tuned) < 0.9 * wrong(alone)
    # twelve hidden units in all, and a constant
    assert wrong(headed) < 0.5 * wrong(alone)
    both = solve(pde, model=model, size=9, features=150, rounds=2)
    assert wrong(both) < 1e-2 * wrong(headed) and both.scale > 0


@pytest.mark.slow
def test_operators_out_of_the_trained_range_are_warned_of(tmp_path):
    pde = as_pde(read_problem(written(tmp_path, HEAT.replace("u_y: 1", "u_y: 8"))))
    with pytest.warns(UserWarning, match="8.0"):
        solve(pde, model=untrained(), head=False, size=3)


def test_what_needs_a_model_is_rejected_without_one():
    pde = PDE([0, 0, 0, 1, 1], dirichlet=0.0)
    for field, value in (("rounds", 1), ("tuning", 1), ("head", False)):
        with pytest.raises(ConfigError, match=field):
            solve(pde, **{field: value})
