"""Hamiltonian meta-learners: tasks, motion, baselines, and a run through the shared loop."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from non_finite import check_non_finite

from metajax.cli.arguments import parse_train
from metajax.core import ConfigError, enable_x64
from metajax.data import MissingDataError
from metajax.physics import Phase, get_mechanics, symplectic_gradient
from metajax.systems import Training, build, config_from_json, configure, get_system, replace
from metajax.systems.hamiltonian import (
    Problem,
    adapt_and_roll,
    architecture_of,
    fit_and_roll,
    make_tasks,
    new_instances,
    prepare,
    roll_out,
    summarise,
)
from metajax.systems.hamiltonian import tasks as motions
from metajax.systems.hamiltonian.network import make_motion
from metajax.systems.hamiltonian.polynomial_energy import fit_polynomial, polynomial
from metajax.systems.hamiltonian.problem import make_problem
from metajax.systems.hamiltonian.residuals import residual_mean, residual_sum
from metajax.systems.hamiltonian.roll_out import cka
from metajax.systems.hamiltonian.tasks import simulate
from metajax.systems.setup import make_method
from metajax.train import fit
from small import tiny

TINY = tiny("hamiltonian", "maml", steps=2, eval_every=1)
BODIES = replace(TINY, mechanics=("mass_spring", "two_body"), rounds=1)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def tasks():
    return make_tasks(BODIES, BODIES.mechanics, KEY, 3)


@pytest.fixture(scope="module")
def task(tasks):
    """One of two bodies."""
    return tasks.parts[1](KEY)


def method_of(config, tasks=None):
    """The method of a config, of a problem whose tasks are not drawn from."""
    return make_method(config, Problem(config, tasks))


def some_params(config, task):
    return jax.jit(make_motion(architecture_of(config)).init)(KEY, task.support.inputs)


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
    config = replace(TINY, points=200, duration=1.0)
    truth = simulate(get_mechanics("pendulum"), KEY, 2, config)
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
    config = replace(TINY, points=200, duration=10.0, prepared=True)
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
        make_tasks(replace(config, points=100), names, KEY, 3, tmp_path)
    with pytest.raises(ConfigError, match=r"num.*at most 4"):
        make_tasks(config, names, KEY, 5, tmp_path)


def test_noisy_points_have_estimated_rates_near_the_true_ones():
    config = replace(TINY, points=200, noise=1e-3, duration=10.0)
    clean = replace(config, noise=0.0)
    noisy, exact = (make_tasks(c, ("mass_spring",), KEY, 20) for c in (config, clean))
    noisy, exact = noisy.parts[0], exact.parts[0]
    assert 0 < np.std(noisy.state.q - exact.state.q) < 1.5e-3
    wrong, size = np.std(noisy.rate.p - exact.rate.p), np.std(exact.rate.p)
    assert 0 < wrong < 0.05 * size


@pytest.mark.parametrize("structure", ["port", "driven", "direct"])
def test_structures_start_as_they_should(structure, task):
    """A force starts from none; a damping takes energy out; no energy, no symmetry of motion."""
    config = replace(BODIES, structure=structure)
    params = some_params(config, task)
    points = task.support.inputs
    motion = jax.jit(make_motion(architecture_of(config)).apply)
    later = points._replace(time=points.time + 1)
    found, same = motion(params, points), motion(params, later)
    for one, other in zip(found, same, strict=True):
        np.testing.assert_array_equal(one, other)
    if structure == "direct":
        return
    # damping pulls against the velocity dH/dp = dq/dt
    free = jax.jit(make_motion(architecture_of(config)._replace(structure="hamiltonian")).apply)
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


@pytest.mark.parametrize("method", ["maml", "joint"])
def test_training_descends_the_mean_over_the_query_or_over_all(method, task):
    """One inner step by hand; joint training takes none and learns from support and query."""
    given = {} if method == "joint" else {"reduction": "sum", "inner_lr": 0.01}
    config = replace(BODIES, method=method, **given)
    network = make_motion(architecture_of(config))
    params = some_params(config, task)

    @jax.jit
    def by_hand(params):
        def inner(params):
            found = network.apply(params, task.support.inputs)
            return residual_sum(found, task.support.targets)

        moved = jax.tree.map(lambda p, g: p - 0.01 * g, params, jax.grad(inner)(params))
        here = params if method == "joint" else moved
        query = residual_mean(network.apply(here, task.query.inputs), task.query.targets)
        seen = residual_mean(network.apply(here, task.support.inputs), task.support.targets)
        return query if method == "maml" else (5 * query + 6 * seen) / 11

    loss = jax.jit(lambda p: method_of(config).learner.loss(p, task, KEY)[0])(params)
    assert float(loss) == pytest.approx(float(by_hand(params)), rel=1e-5)


def test_a_polynomial_is_fitted_exactly_where_energy_is_one():
    """Two coupled oscillators with a quartic term, from 30 points, in float64."""
    with enable_x64(True):
        degree, rng = 4, np.random.default_rng(0)

        def energy(s, _):
            return jnp.sum(s.p**2) / 2 + s.q[0, 0] ** 2 * s.q[0, 1] + jnp.sum(s.q**4) / 4

        states = Phase(*jnp.asarray(rng.normal(size=(2, 30, 1, 2))))
        rates = jax.jit(jax.vmap(symplectic_gradient(energy), (0, None)))(states, None)
        found = jax.jit(lambda s, r: fit_polynomial(s, r, degree, ridge=1e-14))(states, rates)
        fitted = jax.jit(symplectic_gradient(polynomial(1, 2, degree)))
        new = Phase(*jnp.asarray(rng.normal(size=(2, 1, 2))))
        wanted = symplectic_gradient(energy)(new, None)
        for one, other in zip(fitted(new, found), wanted, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_polynomial_of_a_spring_follows_it():
    """Springs are quadratic: the roll-out is as good as its integrator, energy exact."""
    config = replace(TINY, held_out="mass_spring", points=200, duration=4.0, shots=20)
    instances = new_instances(config, "mass_spring", 3)
    coordinates, energy, _ = fit_and_roll(instances, "mass_spring", 2, 20)
    assert coordinates.max() < 2e-3 and energy.max() <= 1e-4 * 1.01


def test_fewer_shots_are_the_first_of_more(task):
    """Masked points are no points: adapting to 4 of 6 equals a config of 4."""
    params = some_params(TINY, task)
    instances = new_instances(TINY, "pendulum", 2)
    method = method_of(TINY)
    masked = adapt_and_roll(TINY, method, params, instances, (0, 3), 4)
    fewer = adapt_and_roll(replace(TINY, shots=4), method, params, instances, (0, 3), 4)
    for one, other in zip(jax.tree.leaves(masked), jax.tree.leaves(fewer), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(masked.cka[:, 0], 1.0, atol=1e-5)
    with pytest.raises(ConfigError, match=r"shots.*1 to 6"):
        adapt_and_roll(TINY, method, params, instances, (0,), 0)


def test_a_seed_a_rate_or_how_it_was_trained_compiles_nothing_again(task, monkeypatch):
    """Nor does another number of systems to simulate; a rate that is not baked in still counts."""
    params = some_params(TINY, task)
    instances = new_instances(TINY, "pendulum", 2)
    traced = []
    cka = roll_out.cka
    monkeypatch.setattr(roll_out, "cka", lambda *given: traced.append(given) or cka(*given))
    monkeypatch.setattr(
        motions, "trajectory", lambda *given: pytest.fail("simulating was traced again")
    )
    short = replace(TINY, eval_steps=2)  # a program of this test's own
    by_rate = {}
    for seed, method, rate, shots in [
        (0, "maml", 0.1, 6),
        (1, "joint", 0.2, 6),
        (2, "first_order_maml", 1e-9, 5),
    ]:
        config = replace(short, seed=seed, method=method, steps=9, eval_lr=rate)
        if method != "joint":
            config = replace(config, inner_lr=rate, inner_steps=2, reduction="sum")
        by_rate[rate] = adapt_and_roll(config, method_of(config), params, instances, (0, 2), shots)
    assert len(traced) == 1
    losses = {rate: np.asarray(found.loss) for rate, found in by_rate.items()}
    assert (losses[0.2][:, 1] < losses[0.1][:, 1]).all()
    assert (losses[0.1][:, 1] < losses[0.1][:, 0]).all()
    np.testing.assert_allclose(losses[1e-9][:, 2], losses[1e-9][:, 0], rtol=1e-5)
    assert new_instances(TINY, "pendulum", 3).order.shape == (3, TINY.points)


def test_learned_rates_are_what_meta_sgd_adapts_by(task):
    """Half of every rate is half of the first step, whatever the evaluation's own rate."""
    config = replace(TINY, method="meta_sgd", inner_lr=0.01, eval_steps=1)
    method, instances = method_of(config), new_instances(TINY, "pendulum", 2)
    params = jax.jit(method.learner.init)(KEY, task)
    halved = params._replace(rates=jax.tree.map(lambda rate: rate / 2, params.rates))
    assert method.parts == method_of(replace(config, seed=5)).parts  # one program for both
    found = [
        np.asarray(adapt_and_roll(of, method_of(of), start, instances, (1,), 6).loss)
        for of, start in (
            (config, params),
            (replace(config, eval_lr=0.4), params),
            (replace(config, inner_lr=0.005), params),
            (config, halved),
        )
    ]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_allclose(found[2], found[3], rtol=1e-6)
    assert (found[0][:, 1] < found[3][:, 1]).all()


def test_geometric_means_are_over_time_then_over_systems():
    """Two systems of errors 1, 4 and 4, 16 along time: 2 and 8, so 4 with a factor for the ends."""
    found = summarise(np.array([[1.0, 4.0], [4.0, 16.0]]))
    factor = 4.0**0.98  # 1.96 standard errors of log 2 and log 8, each log 2 from their mean
    assert found.mean == pytest.approx([4.0])
    assert found.low == pytest.approx([4.0 / factor]) and found.high == pytest.approx([4 * factor])
    assert found.n == 2


def test_a_seed_draws_the_systems_that_are_trained_on_and_not_those_evaluated_on():
    drawn = [make_problem(TINY, Training(seed=seed)).tasks.parts[0].state.q for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.isclose(drawn[0][:, :, 0], drawn[2][:, :, 0]).all()
    first, other = (
        new_instances(replace(TINY, seed=seed), "pendulum", 2).true[0].q for seed in (0, 1)
    )
    np.testing.assert_array_equal(first, other)


def test_cka_does_not_see_rotations_and_scales():
    x = np.random.default_rng(0).normal(size=(40, 5))
    turned = 3.0 * x @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    other = np.random.default_rng(2).normal(size=(40, 5))
    with enable_x64(True):
        assert float(cka(jnp.asarray(x), jnp.asarray(turned + 7.0))) == pytest.approx(1.0)
        assert float(cka(jnp.asarray(x), jnp.asarray(other))) < 0.5


@pytest.mark.parametrize(
    ("points", "head"), [([0], ["solved"]), ([0, 5], ["gradient", "steps:", "n", "=", "0", "5"])]
)
def test_the_table_says_how_a_new_system_is_adapted_to(points, head):
    score = {"mean": [0.5] * len(points), "low": [0.4], "high": [0.6], "n": 3}
    evaluation = {
        "method": "some",
        "setting": "pendulum held out",
        "points": points,
        "rows": {"adapted": {"title": "adapted", **score}},
        "more": {"structure": "port", "adapted": {"coordinates_early": score, "energy": score}},
    }
    shown = get_system("hamiltonian").table(evaluation).splitlines()
    assert shown[0].split()[-len(head) :] == head
    assert ("gradient steps" in shown[0]) == (len(points) > 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        replace(BODIES, method="anil", held_out="two_body"),
        replace(TINY, method="meta_sgd", structure="port", noise=0.01),
        replace(TINY, method="joint", structure="direct"),
        replace(TINY, method="first_order_maml", eval_optimizer="adam"),
        replace(
            TINY,
            structure="driven",
            held_out="driven_pendulum",
            mechanics=("driven_spring", "driven_pendulum"),
        ),
    ],
    ids=lambda config: f"{config.method}-{config.structure}",
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
    assert evaluation["points"] == [0, 3]
    assert evaluation["rows"]["adapted"]["n"] == config.eval_tasks
    assert len(evaluation["rows"]["polynomial"]["mean"]) == 1
    baselines = [name for name, row in evaluation["rows"].items() if row["baseline"]]
    assert baselines == ["first_drawn", "polynomial"]
    unlike = evaluation["more"]["adapted"]["one_minus_cka_by_step"]
    assert unlike[0] == pytest.approx(0, abs=1e-5)
    system = get_system("hamiltonian")
    assert config.method in system.table(evaluation)
    for figure in system.figures(evaluation, result.history):
        figure.draw()
    check_non_finite(system, config, run, result.params, result.history)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("points", 60),
        ("mechanics", ("pendulum",)),
        ("mechanics", ("pendulum", "two_body", "two_body")),
        ("tasks_per_step", 7),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected(field, value):
    with pytest.raises(ConfigError) as raised:
        configure("hamiltonian", **{field: value})
    assert (raised.value.field, raised.value.value) == (field, value)


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("learner", "method", "joint"),
        ("systems", "mechanics", ["pendulum", "mass_spring"]),
        ("eval_instances", "eval_tasks", 7),
    ],
)
def test_older_words_are_answered_with_todays(old, new, value):
    """On the command line and in Python by name; in the config of an older run they are read."""
    system = get_system("hamiltonian")
    with pytest.raises(ConfigError, match=f"{new}, its new name"):
        configure("hamiltonian", **{old: value})
    words = [str(word) for word in (value if isinstance(value, list) else [value])]
    option = f"--{old.replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"--{new.replace('_', '-')} instead"):
        parse_train(system, "cpu", [option, *words])
    kept = {"tasks_per_step": 5, "inner_lr": 0.3, old: value}
    found = getattr(config_from_json(system, kept), new)
    assert (list(found) if isinstance(value, list) else found) == value


def test_a_polynomial_of_too_many_terms_is_rejected():
    with pytest.raises(ConfigError, match="degree"):
        polynomial(4, 2, 6)
