"""Features that are meta-learned through the solve of a linear head."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

import metajax as mj
from metajax.core import ConfigError, Examples, Task, digest, enable_x64, gradient
from metajax.learners import (
    LinearHeadParams,
    adapt_in_float64,
    linear_head,
    mean_squared_error,
)

KEY = jax.random.key(0)
WIDTH, POINTS = 12, 10


def init(key, task):
    scale, shift = jax.random.normal(key, (2, 1, WIDTH))
    return {"scale": 3 * scale, "shift": shift}


def design(params, inputs):
    """Features ``sin(a x + b)``, and a constant."""
    features = jnp.sin(inputs @ params["scale"] + params["shift"])
    return jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=1)


def slopes(params, inputs):
    """Values at the points, and derivatives there: two equations an example."""

    def at(x):
        return design(params, x[None])[0]

    values = jax.vmap(at)(inputs)
    return jnp.concatenate([values, jax.vmap(jax.jacfwd(at))(inputs)[..., 0]])


def waves(key):
    """``a sin(x + b)`` at ten points, and at ten more."""
    draw = jax.random.uniform(key, (2 * POINTS + 2,), minval=-1.0)
    inputs = 3 * draw[2:, None]
    targets = (1.5 + draw[0]) * jnp.sin(inputs + 3 * draw[1])
    return Task(*(Examples(inputs[i::2], targets[i::2]) for i in (0, 1)))


TASKS = Partial(waves)
DRAW = np.random.default_rng(0).uniform(-3, 3, (2, POINTS, 1)).astype(np.float32)
DRAWN = Task(*(Examples(x, np.float32(1.7) * np.sin(x + np.float32(0.4))) for x in DRAW))
"""One of the tasks, which compiles nothing."""


@pytest.fixture(scope="module")
def learner():
    return linear_head(init, design, mean_squared_error)


def train(learner, steps, **options):
    options = {"tasks_per_step": 8, "key": KEY, "progress": False} | options
    return mj.fit(gradient(learner, optax.adam(0.02)), TASKS, steps=steps, **options)


def error(learner, params):
    """Mean squared error over 200 new tasks, and what a constant 0 leaves."""
    keys = jax.random.split(jax.random.key(1), 200)

    @jax.jit
    def losses(keys):
        def one(key):
            task = waves(key)
            return learner.loss(params, task, key)[0], jnp.mean(task.query.targets**2)

        return jax.vmap(one)(keys)

    return [float(np.mean(part)) for part in losses(keys)]


def test_adapting_is_numpys_least_squares_of_values_and_slopes():
    """Rows of both kinds with weights of their own, some of them masked, in float64."""
    mask, weights = np.arange(2 * POINTS) % 3 > 0, np.linspace(0.5, 2, 2 * POINTS)

    def wanted(support):
        return jnp.concatenate([support.targets, jnp.cos(support.inputs)])

    with enable_x64(True):
        task = jax.tree.map(np.float64, DRAWN)
        learner = linear_head(
            init,
            slopes,
            mean_squared_error,
            targets=wanted,
            predict=lambda params, head, inputs: design(params, inputs) @ head,
            weights=lambda support: jnp.asarray(weights),
            mask=lambda support: jnp.asarray(mask),
            log_ridge=-6.0,
        )

        @jax.jit
        def solved(task):
            params = learner.init(KEY, task)
            head = learner.adapt(params, task.support, KEY)
            outputs = learner.predict(params, head, task.query.inputs)
            equations = slopes(params.features, task.support.inputs)
            return head, outputs, equations, design(params.features, task.query.inputs)

        head, outputs, equations, answers = map(np.asarray, solved(task))
        rows = np.sqrt(weights * mask)[:, None] * equations
        damping = np.exp(-3) * np.diag(np.linalg.norm(rows, axis=0))
        targets = np.sqrt(weights * mask)[:, None] * wanted(task.support)
        stacked = np.concatenate([rows, damping]), np.pad(targets, ((0, WIDTH + 1), (0, 0)))
        expected = np.linalg.lstsq(*stacked, rcond=None)[0]
        np.testing.assert_allclose(head, expected, rtol=1e-6)  # a ridge from float32
        np.testing.assert_allclose(outputs, answers @ expected, rtol=1e-5)


def test_learned_features_beat_those_first_drawn(learner):
    """And both a constant: .02, .8 and 1.2 here."""
    params = jax.jit(learner.init)(KEY, DRAWN)
    first, trivial = error(learner, params)
    learned, _ = error(learner, train(learner, 300).params)
    assert learned < 0.2 * first < 0.2 * trivial


@pytest.fixture(scope="module")
def whole(learner):
    return train(learner, 6)


def test_it_resumes_to_the_same_bits(learner, whole, tmp_path):
    train(learner, 3, workdir=tmp_path)
    assert digest(train(learner, 6, workdir=tmp_path).state) == digest(whole.state)


@pytest.mark.parametrize("parallel", ["jit", pytest.param("pmap", marks=pytest.mark.slow)])
def test_eight_devices_agree_with_one(learner, whole, parallel):
    found = train(learner, 6, parallel=parallel)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        found.params,
        whole.params,
    )


def test_a_fixed_ridge_has_no_gradient(learner):
    fixed = linear_head(init, design, mean_squared_error, learn_ridge=False)
    task, params = DRAWN, jax.jit(learner.init)(KEY, DRAWN)
    slope, none = (
        jax.jit(jax.grad(lambda p, of=of: of.loss(p, task, KEY)[0]))(params).log_ridge
        for of in (learner, fixed)
    )
    assert slope != 0
    assert none == 0


@pytest.mark.parametrize(
    "choose",
    ["generalized_cross_validation", pytest.param("leave_one_out", marks=pytest.mark.slow)],
)
def test_a_ridge_chosen_on_the_support_suits_more_kinds_of_noise_than_any_fixed_one(choose):
    """By the worst of four levels: error over that of the ridge that is best at the level."""
    ridges = tuple(float(np.exp(power)) for power in range(-12, 3, 2))
    fixed = linear_head(init, design, mean_squared_error)
    chosen = linear_head(init, design, mean_squared_error, choose=choose, ridges=ridges)
    params = jax.jit(chosen.init)(KEY, DRAWN)

    def losses(key, noise):
        task = waves(key)
        noisy = task.support.targets + noise * jax.random.normal(key, task.support.targets.shape)
        task = task._replace(support=task.support._replace(targets=noisy))

        def at(log_ridge):
            return fixed.loss(LinearHeadParams(params.features, log_ridge), task, key)[0]

        return chosen.loss(params, task, key)[0], jax.vmap(at)(jnp.log(jnp.array(ridges)))

    levels = jnp.array([0.0, 0.1, 0.3, 1.0])
    each_level = jax.vmap(jax.vmap(losses, (0, None)), (None, 0))
    found, every = jax.jit(each_level)(jax.random.split(KEY, 300), levels)
    found, every = np.median(found, axis=1), np.median(every, axis=1)
    best = every.min(axis=1)
    assert np.max(found / best) < np.min(np.max(every / best[:, None], axis=0))


def test_16_bit_features_are_solved_in_float32(learner):
    algorithm = gradient(learner, optax.sgd(0.1), compute_dtype=jnp.bfloat16)
    tasks = jax.jit(jax.vmap(waves))(jax.random.split(KEY, 2))
    start = jax.jit(algorithm.init)(KEY, DRAWN)
    state, metrics = jax.jit(algorithm.update)(start, tasks, KEY)
    assert metrics["loss"].dtype == jnp.float32
    assert np.isfinite(metrics["grad_norm"])
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state.params))
    narrow = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, jnp.bfloat16), (state.params, DRAWN.support)
    )
    assert jax.eval_shape(learner.adapt, *narrow, KEY).dtype == jnp.float32


def test_float64_reaches_what_float32_does_not(learner):
    """Targets that the features give exactly, and a ridge far below float32's rounding."""
    task = DRAWN
    params = jax.jit(learner.init)(KEY, task)._replace(log_ridge=jnp.float32(-40))
    with enable_x64(True):
        precise = jax.tree.map(np.float64, (params.features, task.support.inputs))
        rows = np.asarray(jax.jit(design)(*precise))
        targets = rows @ np.ones((WIDTH + 1, 1))
    left = []
    for adapt in (learner.adapt, None):
        support = task.support._replace(targets=jnp.asarray(targets, jnp.float32))
        if adapt is None:
            head = adapt_in_float64(learner, params, support._replace(targets=targets))
            assert head.dtype == np.float64
        else:
            head = jax.jit(adapt)(params, support, KEY)
        left.append(np.max(abs(rows @ np.float64(head) - targets)))
    assert left[1] < 1e-9 < 1e-7 < left[0]


def test_what_does_not_fit_is_named(learner):
    for options, name in (
        ({"choose": "best"}, "choose"),
        ({"choose": "leave_one_out", "ridges": (1.0, 0.0)}, "ridges"),
        ({"choose": "leave_one_out", "ridges": ()}, "ridges"),
    ):
        with pytest.raises(ConfigError, match=f"^{name} = "):
            linear_head(init, design, mean_squared_error, **options)
    task, params = DRAWN, jax.jit(learner.init)(KEY, DRAWN)
    for targets in (task.support.targets[:3], task.support.targets[:, 0]):
        with pytest.raises(ConfigError, match=r"^design = .*equations, F"):
            learner.adapt(params, task.support._replace(targets=targets), KEY)
    with pytest.raises(ConfigError, match=r"^params"):
        learner.adapt(params.features, task.support, KEY)
