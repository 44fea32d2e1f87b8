"""Hamiltonian meta-learners: tasks, motion, rivals, and a run through the shared loop."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.core import ConfigError, enable_x64
from metajax.data import MissingDataError
from metajax.physics import Phase, get_physics, symplectic_gradient
from metajax.systems import get_system
from metajax.systems.hamiltonian import (
    Config,
    adapt_and_roll,
    build,
    cka,
    fit_and_roll,
    fit_polynomial,
    make_learner,
    make_motion,
    make_tasks,
    new_instances,
    polynomial,
    prepare,
    residual_mean,
    residual_sum,
    simulate,
)
from metajax.systems.hamiltonian import evaluate as evaluation
from metajax.systems.hamiltonian import tasks as motions
from metajax.train import fit

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = Config(
    systems=("mass_spring", "pendulum"),
    width=6,
    rounds=0,
    shots=6,
    queries=5,
    trajectories=3,
    points=12,
    duration=2.0,
    steps=2,
    tasks_per_step=2,
    eval_every=1,
    eval_instances=3,
    eval_steps=3,
)
BODIES = dataclasses.replace(TINY, systems=("mass_spring", "two_body"), rounds=1)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def tasks():
    return make_tasks(BODIES, BODIES.systems, KEY, 3)


@pytest.fixture(scope="module")
def task(tasks):
    """One of two bodies."""
    return tasks.parts[1](KEY)


def some_params(config, task):
    return jax.jit(make_motion(config).init)(KEY, task.support.inputs)


def test_a_task_is_of_one_trajectory_without_a_point_twice(tasks):
    drawn = jax.jit(jax.vmap(lambda key, tasks: tasks(key), (0, None)))(
        jax.random.split(KEY, 20), tasks
    )
    for part, support, query in zip(tasks.parts, *drawn, strict=True):
        states = np.concatenate([support.inputs.state.q, query.inputs.state.q], 2)
        times = np.concatenate([support.inputs.time, query.inputs.time], 2)
        trajectories = np.asarray(part.state.q)
        for points, moments in zip(states[:, 0], times[:, 0], strict=True):
            assert len(np.unique(moments)) == 11
            where = np.searchsorted(np.asarray(part.times), moments)
            inside = (trajectories[0, :, where] == points[:, None]).all((0, -1, -2))
            assert inside.sum() == 1


def test_the_rates_are_those_of_the_true_motion():
    """Against central differences along a finely sampled trajectory."""
    config = dataclasses.replace(TINY, points=401)
    truth = simulate(get_physics("pendulum"), KEY, 2, config)
    spacing = truth.times[1] - truth.times[0]
    for states, rates in zip(truth.states, truth.rates, strict=True):
        found = (states[:, 2:] - states[:, :-2]) / (2 * spacing)
        np.testing.assert_allclose(found, rates[:, 1:-1], atol=2e-5)


def test_prepared_motions_are_read_back(tmp_path, monkeypatch, capsys):
    """Real array_record sets, of one type and few trajectories; twice prepared is once."""
    simulated = []
    monkeypatch.setattr(motions, "SIX", ("mass_spring",))
    monkeypatch.setattr(
        motions, "simulate", lambda *given: simulated.append(simulate(*given)) or simulated[-1]
    )
    config = dataclasses.replace(TINY, points=200, duration=10.0, prepared=True)
    names = ("mass_spring",)
    with pytest.raises(MissingDataError, match="metajax data prepare hamiltonian"):
        make_tasks(config, names, KEY, 3, tmp_path)
    (folder,) = prepare(tmp_path, 4)
    assert prepare(tmp_path, 4) == [folder] and "left as it is" in capsys.readouterr().out
    (part,) = make_tasks(config, names, KEY, 3, tmp_path).parts
    assert part.state.q.shape == (1, 3, 200, 1, 2)
    (truth,) = simulated

    def off(q):
        return np.abs(truth.states.q - q).max((1, 2, 3))

    order = [off(q).argmin() for q in np.asarray(part.state.q[0])]
    assert len(set(order)) == 3
    for found, wanted in zip((part.state, part.rate), (truth.states, truth.rates), strict=True):
        np.testing.assert_allclose(found.q[0], wanted.q[order], atol=1e-6)
        np.testing.assert_allclose(found.p[0], wanted.p[order], atol=1e-6)
    with pytest.raises(ConfigError, match=r"points.*200"):
        make_tasks(dataclasses.replace(config, points=100), names, KEY, 3, tmp_path)
    with pytest.raises(ConfigError, match=r"num.*at most 4"):
        make_tasks(config, names, KEY, 5, tmp_path)


def test_noisy_points_have_estimated_rates_near_the_true_ones():
    config = dataclasses.replace(TINY, points=100, noise=1e-3, duration=5.0)
    clean = dataclasses.replace(config, noise=0.0)
    noisy, exact = (make_tasks(c, ("mass_spring",), KEY, 20) for c in (config, clean))
    noisy, exact = noisy.parts[0], exact.parts[0]
    assert 0 < np.std(noisy.state.q - exact.state.q) < 1.5e-3
    wrong, size = np.std(noisy.rate.p - exact.rate.p), np.std(exact.rate.p)
    assert 0 < wrong < 0.05 * size


@pytest.mark.parametrize("structure", ["port", "driven", "direct"])
def test_structures_start_as_they_should(structure, task):
    """A force starts from none; a damping takes energy out; no energy, no symmetry of motion."""
    config = dataclasses.replace(BODIES, structure=structure)
    params = some_params(config, task)
    points = task.support.inputs
    motion = jax.jit(make_motion(config).apply)
    later = points._replace(time=points.time + 1)
    found, same = motion(params, points), motion(params, later)
    for one, other in zip(found, same, strict=True):
        np.testing.assert_array_equal(one, other)
    if structure == "direct":
        return
    # damping pulls against the velocity dH/dp = dq/dt
    free = jax.jit(make_motion(dataclasses.replace(config, structure="hamiltonian")).apply)
    undamped = free({"graph": params["graph"]}, points)
    np.testing.assert_allclose(found.q, undamped.q, atol=1e-6)
    damping = np.log1p(np.exp(-3.0))
    np.testing.assert_allclose(found.p, undamped.p - damping * undamped.q, atol=1e-6)
    if structure == "driven":
        forced = {**params, "force": params["force"].at[0, 1, 0].set(0.5)}
        push = motion(forced, points).p - found.p
        wave = np.cos(2 * np.pi / config.duration * np.asarray(points.time))
        np.testing.assert_allclose(push[..., 0], np.stack([2 * wave] * 2, 1), atol=1e-5)
        assert not push[..., 1].any()


def test_the_sum_is_the_mean_times_the_number_of_residuals(task):
    targets = task.query.targets
    targets = targets._replace(counted=targets.counted.at[0].set(False))
    outputs = jax.tree.map(lambda leaf: leaf + jnp.float32(0.3), targets.state)
    num = (5 - 1) * 2 * 4
    expected = np.log(np.cosh(0.3)) * num
    assert float(residual_sum(outputs, targets)) == pytest.approx(expected, rel=1e-5)
    assert float(residual_mean(outputs, targets)) == pytest.approx(expected / num, rel=1e-5)


@pytest.mark.parametrize("learner", ["maml", "joint"])
def test_training_descends_the_mean_over_the_query_or_over_all(learner, task):
    """One inner step by hand; joint training takes none and learns from support and query."""
    config = dataclasses.replace(BODIES, learner=learner, reduction="sum", inner_lr=0.01)
    network = make_motion(config)
    params = some_params(config, task)

    @jax.jit
    def by_hand(params):
        def inner(params):
            found = network.apply(params, task.support.inputs)
            return residual_sum(found, task.support.targets)

        moved = jax.tree.map(lambda p, g: p - 0.01 * g, params, jax.grad(inner)(params))
        here = params if learner == "joint" else moved
        query = residual_mean(network.apply(here, task.query.inputs), task.query.targets)
        seen = residual_mean(network.apply(here, task.support.inputs), task.support.targets)
        return query if learner == "maml" else (5 * query + 6 * seen) / 11

    loss = jax.jit(lambda p: make_learner(config).loss(p, task, KEY)[0])(params)
    assert float(loss) == pytest.approx(float(by_hand(params)), rel=1e-5)


def test_a_polynomial_is_fitted_exactly_where_energy_is_one():
    """Two coupled oscillators with a quartic term, from 30 points, in float64."""
    with enable_x64(True):
        degree, rng = 4, np.random.default_rng(0)

        def energy(s, _):
            return jnp.sum(s.p**2) / 2 + s.q[0, 0] ** 2 * s.q[0, 1] + jnp.sum(s.q**4) / 4

        states = Phase(*jnp.asarray(rng.normal(size=(2, 30, 1, 2))))
        rates = jax.vmap(symplectic_gradient(energy), (0, None))(states, None)
        found = fit_polynomial(states, rates, degree, ridge=1e-14)
        fitted = symplectic_gradient(polynomial(1, 2, degree))
        new = Phase(*jnp.asarray(rng.normal(size=(2, 1, 2))))
        wanted = symplectic_gradient(energy)(new, None)
        for one, other in zip(fitted(new, found), wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_polynomial_of_a_spring_follows_it():
    """Springs are quadratic: the roll-out is as good as its integrator, energy exact."""
    config = dataclasses.replace(TINY, held_out="mass_spring", points=100, shots=20)
    instances = new_instances(config, "mass_spring", 3)
    coordinates, energy, _ = fit_and_roll(instances, "mass_spring", 2, 20)
    assert coordinates.max() < 2e-3 and energy.max() <= 1e-4 * 1.01


def test_fewer_shots_are_the_first_of_more(task):
    """Masked points are no points: adapting to 4 of 6 equals a config of 4."""
    params = some_params(TINY, task)
    instances = new_instances(TINY, "pendulum", 2)
    masked = adapt_and_roll(TINY, params, instances, (0, 3), 4)
    fewer = adapt_and_roll(dataclasses.replace(TINY, shots=4), params, instances, (0, 3), 4)
    for one, other in zip(jax.tree.leaves(masked), jax.tree.leaves(fewer), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(masked.cka[:, 0], 1.0, atol=1e-5)
    with pytest.raises(ConfigError, match=r"shots.*1 to 6"):
        adapt_and_roll(TINY, params, instances, (0,), 0)


def test_a_seed_a_rate_or_how_it_was_trained_compiles_nothing_anew(task, monkeypatch):
    """Nor does another number of systems to simulate; a rate that is not baked in still counts."""
    params = some_params(TINY, task)
    instances = new_instances(TINY, "pendulum", 2)
    traced = []
    cka = evaluation.cka
    monkeypatch.setattr(evaluation, "cka", lambda *given: traced.append(given) or cka(*given))
    monkeypatch.setattr(
        motions, "trajectory", lambda *given: pytest.fail("simulating was traced again")
    )
    short = dataclasses.replace(TINY, eval_steps=2)  # a program of this test's own
    by_rate = {
        rate: adapt_and_roll(
            dataclasses.replace(short, seed=seed, learner=learner, steps=9, eval_lr=rate),
            params,
            instances,
            (0, 2),
            6,
        )
        for seed, learner, rate in [(0, "maml", 0.1), (1, "joint", 0.2), (2, "maml", 1e-9)]
    }
    assert len(traced) == 1
    losses = {rate: np.asarray(found.loss) for rate, found in by_rate.items()}
    assert (losses[0.2][:, 1] < losses[0.1][:, 1]).all()
    assert (losses[0.1][:, 1] < losses[0.1][:, 0]).all()
    np.testing.assert_allclose(losses[1e-9][:, 2], losses[1e-9][:, 0], rtol=1e-5)
    assert new_instances(TINY, "pendulum", 3).order.shape == (3, TINY.points)


def test_cka_does_not_see_rotations_and_scales():
    x = np.random.default_rng(0).normal(size=(40, 5))
    turned = 3.0 * x @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    other = np.random.default_rng(2).normal(size=(40, 5))
    with enable_x64(True):
        assert float(cka(jnp.asarray(x), jnp.asarray(turned + 7.0))) == pytest.approx(1.0)
        assert float(cka(jnp.asarray(x), jnp.asarray(other))) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(TINY, eval_instances=2),
        dataclasses.replace(BODIES, learner="anil", held_out="two_body"),
        dataclasses.replace(TINY, learner="meta_sgd", structure="port", noise=0.01),
        dataclasses.replace(TINY, learner="joint", structure="direct"),
        dataclasses.replace(TINY, learner="first_order_maml", eval_optimizer="adam"),
        dataclasses.replace(
            TINY,
            structure="driven",
            held_out="driven_pendulum",
            systems=("driven_spring", "driven_pendulum"),
        ),
    ],
    ids=lambda config: f"{config.learner}-{config.structure}",
)
def test_a_run_trains_evaluates_and_reports(config):
    run = build(config)
    result = fit(
        run.algorithm,
        run.tasks,
        steps=run.steps,
        tasks_per_step=run.tasks_per_step,
        key=KEY,
        evaluators=run.evaluators,
        progress=False,
    )
    evaluation = json.loads(json.dumps(run.evaluate(result.params, False)))
    assert evaluation["adapted"]["steps"] == [0, 3]
    assert evaluation["adapted"]["coordinates"]["n"] == config.eval_instances
    assert evaluation["adapted"]["one_minus_cka_by_step"][0] == pytest.approx(0, abs=1e-5)
    system = get_system("hamiltonian")
    assert config.learner in system.table(evaluation)
    for figure in system.figures(evaluation, result.history):
        figure.draw()
    check_non_finite(system, config, run, result.params, result.history)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shots", 0),
        ("points", 60),
        ("eval_lr", 0.0),
        ("noise", -1.0),
        ("rounds", -1),
        ("systems", ("pendulum",)),
        ("systems", ("pendulum", "two_body", "two_body")),
        ("tasks_per_step", 7),
        ("clip_norm", 0.0),
        ("eval_instances", 1),
        ("seed", -1),
    ],
)
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        Config(**{field: value})


def test_a_polynomial_of_too_many_terms_is_refused():
    with pytest.raises(ConfigError, match="degree"):
        polynomial(4, 2, 6)
