"""Trained runs on a person's own data: loaded, adapted, asked, exported."""

import csv
import dataclasses
import json
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import LogisticRegression

import metajax as mj
from metajax.bilevel import descend, tune
from metajax.cli.main import main
from metajax.core import digest
from metajax.data import sinusoid_tasks
from metajax.physics.pde import benchmark
from metajax.systems import build, config_to_json, configure, hypino, make_method, split
from metajax.systems.hamiltonian import Motion
from metajax.systems.hyperdistill.network import regress
from metajax.systems.setup import first_drawn
from metajax.systems.tables import InContextClassifier, InContextRegressor, shipped
from metajax.train import WorkdirError
from small import fit_setup, tiny

CLASSES = 3, 5, 8


def untrained(folder, config):
    """A folder as `metajax train` leaves it of a method that has nothing to train."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_to_json(config.system, config)))
    return folder


def drawn(config):
    """A run of weights as first drawn, made without any data set."""
    settings, training, _ = split(config)
    use = config.system.use_for(config)
    make = use.problem or (lambda settings: config.system.problem(settings, training, None))
    problem = make(settings)
    method = make_method(config, problem)
    tasks = problem.example_tasks
    tasks = getattr(tasks, "parts", (tasks,))[0]
    return mj.Run("drawn", config, method, first_drawn(method.learner, tasks, jax.random.key(0)), 0)


@pytest.fixture(scope="module")
def by_ridge(tmp_path_factory):
    """A run of in-context learning that is not trained: kernel ridge on 3 ways of 4 x 4 pixels."""
    folder = tmp_path_factory.mktemp("runs") / "ridge"
    return untrained(folder, configure("gpicl", "digits", "kernel_ridge"))


@pytest.fixture(scope="module")
def digits():
    """Labeled images of three digits, 8 of each, and 60 others; uint8, 8 x 8, labels as text."""
    found = load_digits()
    images = (found.images * (255 / 16)).astype(np.uint8)
    names = np.array([f"digit {label}" for label in found.target])
    places = [np.flatnonzero(found.target == label) for label in CLASSES]
    known, asked = (np.concatenate([p[part] for p in places]) for part in (slice(8), slice(50, 70)))
    return (images[known], names[known]), (images[asked], names[asked])


@pytest.fixture(scope="module")
def by_curves(tmp_path_factory):
    """A run of sinusoids, trained on eight devices."""
    folder, fast = tmp_path_factory.mktemp("runs") / "curves", {"learning_rate": 0.01}
    config = configure("fewshot", "sinusoid", "ridge", steps=600, tasks_per_step=8, **fast)
    setup = build(config)
    result = fit_setup(
        setup,
        config.seed,
        workdir=folder,
        config=config_to_json(config.system, config),
        parallel="jit",
    )
    return folder, result


def test_a_few_labeled_images_are_enough_to_name_others(by_ridge, digits):
    run = mj.load(by_ridge)
    assert run.step == 0 and run.config.method == "kernel_ridge" and "kernel_ridge" in repr(run)
    support, (images, names) = digits
    adapted = run.adapt(support)
    found = run.predict(adapted, images)
    assert list(found.classes) == ["digit 3", "digit 5", "digit 8"]
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (found.labels == names).mean() > 0.8  # chance is 1/3
    # each query is answered alone, and the scale of the pixels does not matter
    alone = adapted.predict(images[:1])
    np.testing.assert_allclose(alone.probabilities, found.probabilities[:1], atol=1e-5)
    small = adapted.encode(images) * 7 - 3
    other = run.adapt((adapted.encode(support[0]) * 7 - 3, support[1])).predict(small)
    np.testing.assert_allclose(other.probabilities, found.probabilities, atol=1e-3)


def test_images_of_a_network_with_batch_statistics_are_answered_alone(digits):
    """Prototypes of a network as first drawn tell digits apart, and each query by itself."""
    preset = {"ways": 3, "classes": (4, 3, 3), "channels": 16, "rotations": False}
    run = drawn(configure("fewshot", "digits", "prototypical", **preset))
    support, (images, names) = digits
    adapted = run.adapt(support)
    found = adapted.predict(images)
    assert (found.labels == names).mean() > 0.7
    np.testing.assert_allclose(
        adapted.predict(images[5:6]).probabilities, found.probabilities[5:6], atol=1e-5
    )


def test_rows_of_any_unit_are_told_apart(by_ridge):
    rows, labels = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    known, asked = order[:20], order[20:]
    run = mj.load(by_ridge)
    found = run.adapt((rows[known], labels[known])).predict(rows[asked])
    assert found.labels.dtype.kind == "i" and (found.labels == labels[asked]).mean() > 0.85
    other = run.adapt((rows[known] * [1, 100, 1, 0.01], labels[known]))
    again = other.predict(rows[asked] * [1, 100, 1, 0.01])
    np.testing.assert_allclose(again.probabilities, found.probabilities, atol=1e-3)


@pytest.mark.parametrize(
    ("support", "field", "expected"),
    [
        (5, "support", "a pair"),
        ((np.zeros((4, 8, 8)), [0, 1, 2, 0]), "support.inputs", r"\[examples, 4, 4, 1\]"),
        ((np.zeros((4, 3, 8, 8, 1)), [0, 1, 2, 0]), "support.inputs", "images"),
        ((np.zeros((4, 4, 4)), [0, 1, 2]), "support.targets", "4 labels"),
        ((np.zeros((4, 4, 4)), [0, 1, 2, 3]), "classes of the support", "2 to 3"),
        ((np.zeros((4, 4, 4)), [0, 0, 0, 0]), "classes of the support", "2 to 3"),
        ((np.zeros((4, 4, 4)), [0.5, 1.0, 2.0, 1.0]), "support.targets", "whole numbers or text"),
        (([[1, 2], [1]], [0, 1]), "support.inputs", "images"),
    ],
)
def test_data_that_do_not_fit_are_rejected_by_name(by_ridge, support, field, expected):
    run = mj.load(by_ridge)
    with pytest.raises(mj.ConfigError, match=expected) as raised:
        run.adapt(support)
    assert raised.value.field == field
    with pytest.raises(mj.ConfigError, match="no steps"):
        run.adapt((np.zeros((2, 16)), [0, 1]), steps=3)


def test_queries_of_another_shape_are_rejected_by_name(by_ridge, digits):
    adapted = mj.load(by_ridge).adapt(digits[0])
    for inputs in (np.zeros((2, 16)), np.zeros((0, 4, 4)), np.zeros((2, 5, 4))):
        with pytest.raises(mj.ConfigError) as raised:
            adapted.predict(inputs)
        assert raised.value.field == "inputs"


def test_own_points_make_a_curve(by_curves):
    """Ten points of a wave tell all of it, far better than their mean does (one wave, no noise)."""
    run = mj.load(by_curves[0])
    x = np.linspace(-4.5, 4.5, 10)
    at = np.linspace(-4.5, 4.5, 50)
    adapted = run.adapt((x, 2.5 * np.sin(x - 0.7)))
    found, true = adapted.predict(at), 2.5 * np.sin(at - 0.7)
    assert found.shape == at.shape
    assert np.mean((found - true) ** 2) < 0.1 * true.var()
    with pytest.raises(mj.ConfigError, match="one for each") as raised:
        run.adapt((x, x[:-1]))
    assert raised.value.field == "support.targets"
    with pytest.raises(mj.ConfigError, match="not finite"):
        run.adapt((x, np.full(10, np.inf)))


def test_a_run_is_scored_on_tasks(by_curves):
    run = mj.load(by_curves[0])
    found = run.evaluate(sinusoid_tasks(10, 20), 50)["loss"]
    assert found.n == 50 and found.low[0] < found.mean[0] < found.high[0] < 0.5
    tasks = [sinusoid_tasks(10, 20)(jax.random.key(seed)) for seed in range(3)]
    assert run.evaluate(tasks)["loss"].n == 3
    assert run.settings.shots == 10 and run.training.steps == 600 and "steps" not in run.options


def test_a_run_of_hyperdistill_fits_its_head_to_own_points_by_what_it_learned():
    """The steps of SGD with momentum, written out here, on the mean squared error of the points."""
    run = drawn(tiny("hyperdistill"))
    x, at = np.linspace(-4, 4, 7), np.linspace(-5, 5, 9)
    adapted = run.adapt((x, np.sin(x)))
    found = [adapted.predict(at), run.adapt((x, np.sin(x)), steps=0).predict(at)]
    body, head = run.params
    points, targets, asked = (
        jnp.asarray(each, jnp.float32)[:, None] for each in (x, np.sin(x), at)
    )

    @jax.jit
    def slope(head):
        return jax.grad(lambda head: jnp.mean((regress(body, head, points) - targets) ** 2))(head)

    np.testing.assert_allclose(found[1], regress(body, head, asked)[:, 0], rtol=1e-4, atol=1e-6)
    velocity = jax.tree.map(jnp.zeros_like, head)
    for _ in range(run.config.inner_steps):
        velocity = jax.tree.map(lambda v, g: run.config.momentum * v + g, velocity, slope(head))
        head = jax.tree.map(lambda w, v: w - run.config.inner_lr * v, head, velocity)
    expected = regress(body, head, asked)[:, 0]
    assert np.abs(expected - found[1]).max() > 1e-3
    np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=1e-5)


def test_own_inner_loss_becomes_hyperparameters_that_no_grid_passes():
    """Logistic regression of two digits, a fifth of the labels to fit wrong (seed 0).

    The tuned decay and rate have a lower loss on the data they were tuned by than any of a grid of
    15 x 15, and a lower one than the first guess on data that nobody saw.
    """
    images, digits = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero((digits == 3) | (digits == 8)))
    x = (images[chosen] / 16 - 0.5).astype(np.float32)
    y = np.where(digits[chosen] == 8, 1, -1).astype(np.float32)
    fit, held, new = slice(40), slice(40, 100), slice(100, None)
    wrong = y * np.where(np.arange(len(y)) % 5, 1, -1)

    def held_out_loss(w, hparams, batch):
        inputs, labels = batch
        return jnp.mean(jax.nn.softplus(-labels * (inputs @ w)))

    def fit_loss(w, hparams, batch):
        return held_out_loss(w, hparams, batch) + jnp.exp(hparams["decay"]) * jnp.sum(w**2)

    problem = descend(fit_loss, held_out_loss, lambda hparams: optax.sgd(jnp.exp(hparams["lr"])))
    guess = {"decay": jnp.float32(-7.0), "lr": jnp.float32(-1.0)}
    tuned = tune(
        problem,
        guess,
        jnp.zeros(64),
        train=(x[fit], wrong[fit]),
        validation=(x[held], y[held]),
        inner_steps=30,
        steps=100,
        optimizer=optax.adam(0.1),
    )

    @jax.jit
    def fitted(decay, lr):
        def step(_, w):
            hparams = {"decay": decay, "lr": lr}
            return w - jnp.exp(lr) * jax.grad(fit_loss)(w, hparams, (x[fit], wrong[fit]))

        return jax.lax.fori_loop(0, 30, step, jnp.zeros(64))

    grid = [(d, r) for d in np.linspace(-7, 0, 15) for r in np.linspace(-4, 1, 15)]
    losses = [float(held_out_loss(fitted(*pair), None, (x[held], y[held]))) for pair in grid]
    assert tuned.loss.min() < min(losses) < 0.95 * tuned.loss[0]
    np.testing.assert_allclose(tuned.params, fitted(*tuned.hparams.values()), rtol=1e-3, atol=1e-4)
    first, last = (
        held_out_loss(w, None, (x[new], y[new])) for w in (fitted(*guess.values()), tuned.params)
    )
    assert last < 0.95 * first


LOADED = """
import json, sys
import jax, numpy as np
import metajax as mj
from metajax.core import digest
run = mj.load(sys.argv[1])
x = np.linspace(-4, 4, 10)
found = run.adapt((x, np.sin(x))).predict(x)
print(json.dumps([jax.device_count(), digest(run.params), found.tolist()]))
"""


def test_a_run_of_eight_devices_is_loaded_on_one(by_curves, monkeypatch):
    folder, result = by_curves
    assert jax.device_count() == 8
    x = np.linspace(-4, 4, 10)
    here = mj.load(folder).adapt((x, np.sin(x))).predict(x)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    devices, found, there = json.loads(done.stdout.splitlines()[-1])
    assert devices == 1 and found == digest(result.params)
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-5)


EXPORTED = """
import json, sys
from pathlib import Path
import jax, numpy as np
from jax import export
found = []
for path in sys.argv[1:]:
    function = export.deserialize(bytearray(Path(path).read_bytes())).call
    arrays = np.load(path + ".npz")
    found.append(np.asarray(function(arrays["queries"])).tolist())
assert "metajax" not in sys.modules
print(json.dumps(found))
"""


def test_what_has_adapted_is_exported_as_a_function_of_jax_alone(
    by_ridge, by_curves, digits, tmp_path
):
    """In a process that knows nothing of metajax, for any number of queries."""
    x = np.linspace(-4, 4, 10)
    support, (images, _) = digits
    curve = mj.load(by_curves[0]).adapt((x, np.sin(x)))
    classes = mj.load(by_ridge)
    expected, paths = [], []
    written = classes.export(tmp_path / "classes.bin", support), curve.export(tmp_path / "c")
    used = (classes.adapt(support), images), (curve, x)
    for path, (one, inputs) in zip(written, used, strict=True):
        queries = one.encode(inputs)
        np.savez(f"{path}.npz", queries=queries)
        paths.append(str(path))
        expected.append(np.asarray(jax.jit(one.function)(one.state, queries)))
        here = mj.load_exported(path)
        np.testing.assert_allclose(here(queries[:3]), expected[-1][:3], rtol=1e-4, atol=1e-5)
    done = subprocess.run([sys.executable, "-c", EXPORTED, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for found, wanted in zip(json.loads(done.stdout), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(mj.ConfigError, match="does not exist yet"):
        curve.export(tmp_path / "c")
    (tmp_path / "broken").write_bytes(b"no program")
    for broken in ("broken", "nothing"):
        with pytest.raises(mj.ConfigError, match=r"Adapted\.export"):
            mj.load_exported(tmp_path / broken)


def test_a_reader_of_tables_says_what_the_classifier_says():
    model = shipped()
    method = make_method(model.config, model.config.system.problem(*split(model.config)[:2], None))
    run = mj.Run("shipped", model.config, method, model.params, 1)
    rows, labels = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    known, asked = rows[order[:30]], rows[order[30:]].copy()
    asked[:5, 2] = np.nan
    names = np.array(["a", "b", "c"])[labels[order]]
    found = run.adapt((known, names[:30])).predict(asked)
    likely = InContextClassifier().fit(known, names[:30]).predict_proba(asked)
    np.testing.assert_allclose(found.probabilities, likely, atol=1e-4)
    assert (found.labels == names[30:]).mean() > 0.85


def table_run(tmp_path_factory, method):
    return mj.load(untrained(tmp_path_factory.mktemp("tables"), configure("tables", None, method)))


@pytest.fixture(scope="module")
def flowers():
    """Thirty labeled rows of three kinds, and 120 others."""
    rows, labels = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    return (rows[order[:30]], labels[order[:30]]), (rows[order[30:]], labels[order[30:]])


def test_a_logistic_regression_of_tables_is_that_of_scikit_learn(tmp_path_factory, flowers):
    """Its constant is shrunk a little too, so that probabilities agree to a few thousandths."""
    run = table_run(tmp_path_factory, "logistic_regression")
    assert run.step == 0
    (known, labels), (asked, truth) = flowers
    found = run.adapt((known, labels)).predict(asked)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    model = LogisticRegression().fit((known - mean) / spread, labels)
    likely = model.predict_proba((asked - mean) / spread)
    np.testing.assert_allclose(found.probabilities, likely, atol=0.02)
    assert (found.labels == truth).mean() > 0.85


def test_frequencies_of_a_table_are_those_of_its_rows(tmp_path_factory, flowers):
    """Half a row is added to each class."""
    run = table_run(tmp_path_factory, "frequencies")
    (known, labels), (asked, _) = flowers
    found = run.adapt((known, labels)).predict(asked)
    shares = (np.bincount(labels) + 0.5) / 31.5
    np.testing.assert_allclose(found.probabilities, np.tile(shares, (120, 1)), rtol=1e-5)


def test_numbers_are_predicted_without_a_run(tmp_path_factory, tmp_path, flowers, capsys):
    """A run of tables names what does it; the command does it, as well as the estimator does."""
    run = table_run(tmp_path_factory, "frequencies")
    (known, labels), _ = flowers
    with pytest.raises(mj.ConfigError, match="InContextRegressor") as raised:
        run.adapt((known, labels.astype(float)))
    assert raised.value.field == "support.targets"
    rows, numbers = load_diabetes(return_X_y=True)
    cells = [[*row, "" if place >= 100 else numbers[place]] for place, row in enumerate(rows[:120])]
    lines = [",".join([*map(str, range(10)), "score"]), *(",".join(map(str, row)) for row in cells)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    words = [str(tmp_path / "d.csv"), "--target", "score"]
    assert main(["predict", str(run.workdir), *words]) == 2
    assert "score, of numbers" in capsys.readouterr().err
    assert main(["predict", "--shipped", *words, "--export", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "d-predicted.csv").exists()
    assert main(["predict", "--shipped", *words]) == 0
    said = capsys.readouterr().out
    assert "100 known rows" in said and "20 rows without a target" in said
    found = told(tmp_path / "d-predicted.csv")
    means, deviations = (
        [float(row[name]) for row in found[100:]] for name in ("predicted", "deviation")
    )
    model = InContextRegressor().fit(rows[:100], numbers[:100])
    np.testing.assert_allclose((means, deviations), model.predict(rows[100:120], True), rtol=1e-3)
    # known rows are predicted without themselves, and better than by the mean of the others
    likely = np.array([float(row["predicted"]) for row in found[:100]])
    assert 0.5 < np.mean((likely - numbers[:100]) ** 2) / numbers[:100].var() < 0.9
    assert (tmp_path / "d-predicted.png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def moving():
    """A run whose energy is a polynomial and features as first drawn: both are solved for."""
    config = configure("hamiltonian", "solved", width=8, features=4, monomials=6)
    return drawn(config)


@pytest.fixture(scope="module")
def swing():
    """A pendulum of mass, length and gravity 1, from 1.2 radians: its motion, and rates."""
    times = np.linspace(0, 10, 80)
    found = solve_ivp(
        lambda t, y: [y[1], -np.sin(y[0])],
        (0, 10),
        [1.2, 0.0],
        t_eval=times,
        rtol=1e-10,
        atol=1e-10,
    )
    return Motion(times, *found.y)


def test_own_motion_makes_an_energy_that_is_conserved_and_followed(moving, swing):
    adapted = moving.adapt(swing)
    assert 0 < adapted.error < 1e-3
    found = adapted.predict((swing.q, swing.p))
    np.testing.assert_allclose(found.q_rate[:, 0, 0], swing.p, atol=0.01)
    np.testing.assert_allclose(found.p_rate[:, 0, 0], -np.sin(swing.q), atol=0.01)
    assert found.energy.std() < 0.01 * (swing.p**2 / 2).max()
    rolled = adapted.roll_out(swing.q[0], swing.p[0], swing.times, substeps=2)
    assert rolled.succeeded and rolled.q.dtype == np.float64
    assert np.abs(rolled.q[:, 0, 0] - swing.q).max() < 0.05 * np.abs(swing.q).max()
    assert np.ptp(rolled.energy) < 1e-3 * (swing.p**2 / 2).max()
    # rates that are known are used as they are
    known = moving.adapt(swing._replace(q_rate=swing.p, p_rate=-np.sin(swing.q)))
    assert known.error == 0
    np.testing.assert_allclose(known.predict((swing.q, swing.p)).q_rate, found.q_rate, atol=0.01)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"q": np.zeros(5)}, "support.q"),
        ({"times": np.zeros(80)}, "times"),
        ({"q": np.full(80, np.nan)}, "support.q"),
        ({"q": np.zeros((80, 2, 3)), "p": np.zeros((80, 2, 3))}, "support.q"),
        ({"q_rate": np.zeros(80)}, "support"),
    ],
)
def test_motions_that_do_not_fit_are_rejected_by_name(moving, swing, changed, field):
    with pytest.raises(mj.ConfigError) as raised:
        moving.adapt(swing._replace(**changed))
    assert raised.value.field == field


@pytest.mark.parametrize(
    "method",
    ["joint", *(pytest.param(m, marks=pytest.mark.slow) for m in ("maml", "anil", "meta_sgd"))],
)
def test_energies_of_networks_are_those_that_move(method, swing):
    """Rates are the symplectic gradient of the energy that is told, after steps too."""
    run = drawn(tiny("hamiltonian", method))
    adapted = run.adapt(swing, steps=2)
    state = tuple(part[:3] for part in adapted.encode((swing.q, swing.p, swing.times)))
    _, q_rate, p_rate = adapted.function(adapted.state, state)

    def energy(q, p):
        return jnp.sum(adapted.function(adapted.state, (q, p, state[2]))[0])

    by_q, by_p = jax.grad(energy, (0, 1))(*map(jnp.asarray, state[:2]))
    np.testing.assert_allclose(q_rate, by_p, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(p_rate, -by_q, rtol=1e-4, atol=1e-5)
    unmoved = run.adapt(swing, steps=0)
    assert digest(unmoved.state) != digest(adapted.state)


@pytest.mark.slow
def test_a_hypernetwork_generates_the_solution_of_a_pde(tmp_path):
    """The very solution that `solve` has of the networks alone, also from a file."""
    model = hypino.shipped()
    run = mj.Run("shipped", model.config, model.method, model.params, 1)
    pde = benchmark("PS-C").pde
    adapted = run.adapt(pde)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = hypino.solve(pde, model=model, head=False, size=9)
    line = np.linspace(-1, 1, 9)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    inside = np.isfinite(found.u).reshape(-1)
    scale = np.nanmax(np.abs(found.u))
    np.testing.assert_allclose(
        adapted.predict(points)[inside], found.u.reshape(-1)[inside], atol=0.05 * scale
    )
    path = tmp_path / "problem.yaml"
    path.write_text("coefficients: {u_xx: 1, u_yy: 1}\nsource: 1\ndirichlet: 0\n")
    said = run.system.use_for(run.config).files(run, path, None, None)
    assert len(said.columns["u"]) == 65**2 and np.isfinite(said.columns["u"]).all()
    edge = np.maximum(np.abs(said.columns["x"]), np.abs(said.columns["y"])) == 1
    off = np.sqrt(np.mean(said.columns["u"][edge] ** 2))
    assert float(said.lines[1].split("by ")[1].split()[0]) == pytest.approx(off, rel=0.2)
    said.draw().savefig(tmp_path / "u.png")


def told(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_command_names_images_of_a_folder(by_ridge, digits, tmp_path, capsys):
    from PIL import Image

    (known, labels), (asked, names) = digits
    for number, (image, label) in enumerate(zip(known, labels, strict=True)):
        (tmp_path / "mine" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "mine" / label / f"{number}.png")
    words = ["predict", str(by_ridge), str(tmp_path / "mine")]
    assert main(words) == 2
    assert "images directly in it" in capsys.readouterr().err
    for number, image in enumerate(asked):
        Image.fromarray(image).save(tmp_path / "mine" / f"{number:03}.png")
    assert main([*words, "--export", str(tmp_path / "function")]) == 0
    assert "24 labeled examples of 3 classes; 60 queries" in capsys.readouterr().out
    rows = told(tmp_path / "mine-predicted.csv")
    assert rows[0]["query"] == "000.png"
    assert np.mean([row["predicted"] == name for row, name in zip(rows, names, strict=True)]) > 0.8
    assert (tmp_path / "mine-predicted.png").stat().st_size > 10_000
    assert (tmp_path / "function").stat().st_size > 100
    assert main(words) == 2
    assert "does not exist yet" in capsys.readouterr().err


def test_the_command_reads_arrays_and_tables(by_ridge, by_curves, digits, tmp_path, capsys):
    (known, labels), (asked, names) = digits
    np.savez(tmp_path / "d.npz", inputs=known, labels=labels, queries=asked)
    assert main(["predict", str(by_ridge), str(tmp_path / "d.npz")]) == 0
    rows = told(tmp_path / "d-predicted.csv")
    assert np.mean([row["predicted"] == name for row, name in zip(rows, names, strict=True)]) > 0.8
    np.savez(tmp_path / "bad.npz", images=known, labels=labels)
    assert main(["predict", str(by_ridge), str(tmp_path / "bad.npz")]) == 2
    assert "expected inputs, labels, queries" in capsys.readouterr().err
    rows, kinds = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    cells = [[*rows[i], "" if place >= 30 else f"kind{kinds[i]}"] for place, i in enumerate(order)]
    lines = ["a,b,c,d,kind", *(",".join(map(str, row)) for row in cells)]
    (tmp_path / "iris.csv").write_text("\n".join(lines))
    words = ["predict", str(by_ridge), str(tmp_path / "iris.csv")]
    assert main(words) == 2
    assert main([*words, "--target", "kind"]) == 0
    found = [row["predicted"] for row in told(tmp_path / "iris-predicted.csv")]
    assert np.mean(np.array(found) == [f"kind{kinds[i]}" for i in order[30:]]) > 0.85
    x = np.linspace(-4, 4, 10)
    lines = ["x,y", *(f"{a},{np.sin(a)}" for a in x), "0.5,", "1.5,"]
    (tmp_path / "wave.csv").write_text("\n".join(lines))
    assert main(["predict", str(by_curves[0]), str(tmp_path / "wave.csv")]) == 0
    found = [float(row["predicted"]) for row in told(tmp_path / "wave-predicted.csv")]
    np.testing.assert_allclose(found, np.sin([0.5, 1.5]), atol=0.4)


def test_a_motion_of_a_file_is_followed(moving, swing, tmp_path):
    files = moving.system.use_for(moving.config).files
    lines = ["t,q,p", *(f"{t},{q},{p}" for t, q, p in zip(*swing[:3], strict=True))]
    (tmp_path / "swing.csv").write_text("\n".join(lines))
    np.savez(tmp_path / "swing.npz", t=swing.times, q=swing.q, p=swing.p)
    found = [files(moving, tmp_path / f"swing.{kind}", None, None) for kind in ("csv", "npz")]
    np.testing.assert_allclose(found[0].columns["q1"], swing.q, atol=0.06)
    np.testing.assert_array_equal(found[0].columns["q1"], found[1].columns["q1"])
    assert "estimated" in found[0].lines[0]
    found[0].draw().savefig(tmp_path / "swing.png")
    (tmp_path / "odd.csv").write_text("t,q1,q2,q3,p1,p2,p3\n0,0,0,0,0,0,0")
    with pytest.raises(mj.ConfigError, match="two for each particle"):
        files(moving, tmp_path / "odd.csv", None, None)


def test_words_of_the_command_are_checked(by_ridge, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for words, said in (
        ([str(by_ridge)], "RUN and DATA"),
        ([str(by_ridge), str(tmp_path / "none.csv")], "an existing file"),
        (["--shipped", str(tmp_path / "a.csv")], "--target"),
        ([str(tmp_path / "none"), str(tmp_path / "a.csv")], "is not there"),
        ([str(by_ridge), str(tmp_path / "a.csv"), "--target", "b", "--seed", "-1"], "--seed"),
    ):
        assert main(["predict", *words]) in (1, 2)
        assert said in capsys.readouterr().err


def test_folders_that_are_no_runs_are_named(tmp_path):
    with pytest.raises(WorkdirError, match="is not there"):
        mj.load(tmp_path / "nothing")


def test_a_family_without_a_form_says_what_there_is(by_ridge):
    run = mj.load(by_ridge)
    config = dataclasses.replace(run.config)
    system = dataclasses.replace(run.system, use=None)
    object.__setattr__(config, "system", system)
    with pytest.raises(mj.ConfigError, match=r"run\.learner"):
        dataclasses.replace(run, config=config).adapt((np.zeros((2, 16)), [0, 1]))
