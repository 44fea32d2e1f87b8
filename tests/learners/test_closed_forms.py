"""Learners on problems whose answer is known: quadratics, numpy's least squares, plain loops."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from few_shot import (
    KEY,
    THETA,
    WAYS,
    C,
    Q,
    V,
    classification_task,
    linear,
    quadratic_loss,
    quadratic_task,
    regression_task,
    smooth,
)
from metajax.bilevel import minibatches, neumann
from metajax.core import (
    ConfigError,
    MetaLearner,
    Network,
    all_finite,
    checked_learner,
    enable_x64,
    follow_of,
    gradient,
)
from metajax.learners import (
    adaptation_curve,
    anil,
    annealed_weights,
    cavia,
    cross_entropy,
    evolution,
    first_order_maml,
    imaml,
    maml,
    matching,
    mean_squared_error,
    meta_sgd,
    multi_step_gradient,
    paired,
    prototypical,
    reptile,
    ridge,
)

STEPS, LR = 4, 0.3
SGD = optax.sgd(LR)
PARAMS = {"w": jnp.asarray(THETA, jnp.float32)}


def grad_of(learner, task, params=PARAMS):
    return jax.jit(jax.grad(lambda p: learner.loss(p, task, KEY)[0]))(params)["w"]


def descended(start, steps, centre=C):
    """Where gradient descent on the quadratic is after so many steps."""
    return centre + (1 - LR * Q) ** steps * (start - centre)


def test_first_order_drops_the_known_factor_on_a_quadratic():
    """``d phi/d theta = (1 - lr q)^K``, and 1 in the first order."""
    task = quadratic_task()
    end = Q * (descended(THETA, STEPS) - V)
    first = grad_of(first_order_maml(linear, quadratic_loss, SGD, steps=STEPS), task)
    second = grad_of(maml(linear, quadratic_loss, SGD, steps=STEPS), task)
    np.testing.assert_allclose(first, end, rtol=1e-5)
    np.testing.assert_allclose(second, end * (1 - LR * Q) ** STEPS, rtol=1e-5)


def test_first_order_is_exact_where_the_inner_loss_is_linear():
    def loss(outputs, targets):  # linear on the support, whose targets are not V
        is_support = jnp.all(targets == jnp.asarray(C, jnp.float32)[None])
        return jnp.where(is_support, jnp.sum(outputs), jnp.sum((outputs - targets) ** 2))

    task = quadratic_task()
    first, second = (
        grad_of(make(linear, loss, SGD, steps=STEPS), task) for make in (first_order_maml, maml)
    )
    np.testing.assert_allclose(first, second, rtol=1e-6)
    np.testing.assert_allclose(first, 2 * (THETA - STEPS * LR - V), rtol=1e-5)


def test_an_inner_rate_may_be_traced_and_mapped():
    task = quadratic_task()

    @jax.jit
    @jax.vmap
    def grads(rate):
        learner = maml(linear, quadratic_loss, optax.sgd(rate), steps=STEPS)
        return jax.grad(lambda p: learner.loss(p, task, KEY)[0])(PARAMS)["w"]

    for rate, found in zip((0.1, LR), grads(jnp.array([0.1, LR])), strict=True):
        factor = (1 - rate * Q) ** STEPS
        np.testing.assert_allclose(found, factor * Q * (C + factor * (THETA - C) - V), rtol=1e-4)


def test_anil_leaves_the_body_alone():
    network, task = smooth(), regression_task(dtype=jnp.float32)
    learner = anil(network, mean_squared_error, SGD, steps=2, inner="layer_1")
    params = learner.init(KEY, task)
    adapted = jax.jit(learner.adapt)(params, task.support, KEY)
    assert set(adapted) == {"layer_1/kernel", "layer_1/bias"}
    whole = {
        **params,
        "layer_1": {"kernel": adapted["layer_1/kernel"], "bias": adapted["layer_1/bias"]},
    }
    found = jax.jit(learner.predict)(params, adapted, task.query.inputs)
    np.testing.assert_array_equal(found, jax.jit(network.apply)(whole, task.query.inputs))
    assert np.all(adapted["layer_1/kernel"] != params["layer_1"]["kernel"])


def test_the_inner_parameters_are_chosen_by_path():
    task = regression_task(dtype=jnp.float32)
    chosen = maml(
        smooth(), mean_squared_error, SGD, steps=1, inner=lambda path: path.endswith("bias")
    )
    params = chosen.init(KEY, task)
    assert set(jax.eval_shape(chosen.adapt, params, task.support, KEY)) == {
        "layer_0/bias",
        "layer_1/bias",
    }


@pytest.mark.parametrize("rates", ["fixed", "per_step"])
def test_the_curve_goes_on_beyond_the_steps_of_training(rates):
    task = quadratic_task()
    optimizer = optax.sgd(LR if rates == "fixed" else 1.0)
    learner = maml(linear, quadratic_loss, optimizer, steps=STEPS, rates=rates, rate=LR)
    params = PARAMS if rates == "fixed" else learner.init(KEY, task)
    curve = jax.jit(
        lambda params: adaptation_curve(learner, quadratic_loss, params, task, KEY, steps=STEPS + 3)
    )(params)
    expected = [np.sum(Q * (descended(THETA, k) - V) ** 2) / 2 for k in range(STEPS + 4)]
    np.testing.assert_allclose(curve["query_loss"], expected, rtol=1e-5)
    loss = jax.jit(lambda params: learner.loss(params, task, KEY)[0])
    np.testing.assert_allclose(loss(params), expected[STEPS], rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"remat_every": 2}], ids=str)
def test_followed_notes_are_of_adapting_in_so_many_steps(options):
    task, longer = quadratic_task(), STEPS + 2
    learner = maml(linear, quadratic_loss, SGD, steps=STEPS, **options)

    @jax.jit
    def everything(params, support):
        wanted = [
            maml(linear, quadratic_loss, SGD, steps=steps, **options).adapt(params, support, KEY)
            for steps in range(1, longer + 1)
        ]
        return learner.follow(params, support, KEY, longer, lambda a: a["w"]), wanted

    (adapted, notes), wanted = jax.device_get(everything(PARAMS, task.support))
    for steps, shorter in enumerate(wanted, 1):
        np.testing.assert_allclose(notes[steps], shorter["w"], rtol=1e-6)
    np.testing.assert_allclose(notes, [descended(THETA, k) for k in range(longer + 1)], rtol=1e-5)
    np.testing.assert_array_equal(adapted["w"], notes[-1])
    none, start = learner.follow(PARAMS, task.support, KEY, 0, lambda a: a["w"])
    np.testing.assert_array_equal(start, none["w"][None])


def test_adapt_takes_its_own_steps_alone():
    learner = maml(linear, quadratic_loss, SGD, steps=STEPS)
    for extra in ({"num_steps": 2}, {"note": lambda adapted: adapted}):
        with pytest.raises(TypeError):
            learner.adapt(PARAMS, quadratic_task().support, KEY, **extra)


@pytest.mark.parametrize(
    "make", [maml, imaml, first_order_maml, meta_sgd], ids=lambda m: m.__name__
)
def test_only_a_learner_that_takes_steps_is_followed(make):
    learner = make(linear, quadratic_loss, SGD, steps=STEPS)
    assert follow_of(learner) is learner.follow
    assert follow_of(checked_learner(learner)) is not None
    task = quadratic_task()
    for num_steps in (-1, 1.5):
        with pytest.raises(ConfigError, match="num_steps"):
            learner.follow(PARAMS, task.support, KEY, num_steps, lambda adapted: adapted)
    bare = checked_learner(learner._replace(follow=None))
    for ask in (
        lambda: follow_of(bare),
        lambda: adaptation_curve(bare, quadratic_loss, PARAMS, task, KEY, steps=1),
    ):
        with pytest.raises(ConfigError, match=r"learner = .* without follow.*adapts in steps"):
            ask()


def test_the_multi_step_loss_is_annealed_to_the_last():
    np.testing.assert_allclose(annealed_weights(0, 4, 10), np.full(4, 0.25))
    np.testing.assert_allclose(annealed_weights(5, 4, 10), [0.125, 0.125, 0.125, 0.625])
    for done in (10, 11):
        np.testing.assert_array_equal(annealed_weights(done, 4, 10), [0, 0, 0, 1])
    algorithm = multi_step_gradient(
        lambda weights: maml(linear, quadratic_loss, SGD, steps=STEPS, step_weights=weights),
        optax.sgd(0.0),
        steps=STEPS,
        anneal_steps=2,
    )
    tasks = jax.tree.map(lambda leaf: leaf[None], quadratic_task())
    state, update = algorithm.init(KEY, quadratic_task()), jax.jit(algorithm.update)
    after = [np.sum(Q * (descended(THETA, k) - V) ** 2) / 2 for k in range(1, STEPS + 1)]
    for done in range(4):
        state, metrics = update(state, tasks, KEY)
        expected = np.asarray(annealed_weights(done, STEPS, 2)) @ after
        np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
        np.testing.assert_allclose(metrics["query_loss"], after[-1], rtol=1e-5)


def test_implicit_maml_is_the_closed_form_of_the_regularised_quadratic():
    """``phi = (q c + s theta) / (q + s)``, so ``d phi/d theta = s / (q + s)``; s may be mapped."""
    task = quadratic_task()

    @jax.jit
    @jax.vmap
    def solved(strength):
        learner = imaml(linear, quadratic_loss, SGD, steps=100, strength=strength)
        adapted = learner.adapt(PARAMS, task.support, KEY)
        return adapted["w"], jax.grad(lambda p: learner.loss(p, task, KEY)[0])(PARAMS)["w"]

    strengths = np.array([0.5, 2.0])
    for strength, adapted, found in zip(strengths, *solved(jnp.float32(strengths)), strict=True):
        minimum = (Q * C + strength * THETA) / (Q + strength)
        np.testing.assert_allclose(adapted, minimum, rtol=1e-4)
        expected = strength / (Q + strength) * Q * (minimum - V)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_damping_of_implicit_maml_adds_to_the_eigenvalues():
    task, strength, damping = quadratic_task(), 2.0, 10.0
    found = grad_of(
        imaml(linear, quadratic_loss, SGD, steps=100, strength=strength, damping=damping), task
    )
    minimum = (Q * C + strength * THETA) / (Q + strength)
    expected = strength / (Q + strength + damping) * Q * (minimum - V)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_implicit_maml_takes_another_estimator():
    """A Neumann sum through the update itself arrives at the same gradient."""
    task = quadratic_task()
    conjugate, summed = (
        grad_of(imaml(linear, quadratic_loss, SGD, steps=100, estimator=estimator), task)
        for estimator in (None, neumann(terms=100))
    )
    np.testing.assert_allclose(conjugate, summed, rtol=1e-3, atol=1e-6)


def test_reptile_moves_its_share_of_the_way_to_the_tasks_mean():
    centres = np.stack([C, V, -C])
    tasks = jax.jit(jax.vmap(lambda c: quadratic_task(c)))(jnp.asarray(centres, jnp.float32))
    algorithm = reptile(linear, quadratic_loss, SGD, optax.sgd(0.4), steps=STEPS)
    state, metrics = jax.jit(algorithm.update)(algorithm.init(KEY, quadratic_task()), tasks, KEY)
    mean = np.mean([descended(THETA, STEPS, centre) for centre in centres], axis=0)
    np.testing.assert_allclose(state.params["w"], THETA + 0.4 * (mean - THETA), rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], np.linalg.norm(mean - THETA), rtol=1e-5)
    ends = [descended(THETA, STEPS, centre) - V for centre in centres]
    np.testing.assert_allclose(metrics["loss"], np.mean(ends * (Q * ends)) * 2, rtol=1e-5)


def test_reptile_keeps_the_inner_optimisers_state_where_it_is_asked_to():
    """One task and a rate of 1: two meta-steps are then one optimisation of twice the steps."""
    task, adam = quadratic_task(), optax.adam(0.1)
    tasks = jax.tree.map(lambda leaf: leaf[None], task)

    def after_two(keep):
        algorithm = reptile(
            linear, quadratic_loss, adam, optax.sgd(1.0), steps=3, keep_inner_state=keep
        )
        state, update = algorithm.init(KEY, task), jax.jit(algorithm.update)
        for _ in range(2):
            state, _ = update(state, tasks, KEY)
        return state.params["w"]

    params = PARAMS
    whole = maml(linear, quadratic_loss, adam, steps=6)
    once = jax.jit(whole.adapt)(params, task.support, KEY)["w"]
    np.testing.assert_allclose(after_two(True), once, rtol=1e-5)
    assert not np.allclose(after_two(False), once, rtol=1e-3)


def test_evolution_is_unbiased_and_differentiates_nothing():
    @jax.custom_jvp
    def opaque(x):
        return x

    @opaque.defjvp
    def refuse(primals, tangents):
        raise AssertionError("differentiated")

    def loss(params, task, key):
        assert key is not None
        return opaque(jnp.sum(jnp.asarray(Q, jnp.float32) * params["w"] ** 2)), {}

    learner = MetaLearner(lambda key, task: PARAMS, None, None, loss)
    algorithm = evolution(learner, optax.sgd(1.0), sigma=0.5, pairs=3, tasks_at_once=1)
    state, tasks = algorithm.init(KEY, ()), jnp.zeros((2, 1))

    @jax.jit
    @jax.vmap
    def estimates(key):
        return PARAMS["w"] - algorithm.update(state, tasks, key)[0].params["w"]

    found = np.asarray(estimates(jax.random.split(KEY, 2000)), np.float64)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.all(np.abs(found.mean(0) - 2 * Q * THETA) < 4 * error)
    assert np.all(error < 0.1 * np.abs(2 * Q * THETA))


def embedded(params, examples):
    """What `smooth` makes of inputs."""
    x = np.asarray(examples.inputs, np.float64)
    for layer in jax.device_get(params).values():
        x = np.tanh(x @ layer["kernel"] + layer["bias"])
    return x


def answered(learner, params, task):
    """What a learner adapts to, and its predictions."""

    @jax.jit
    def both(params, task):
        adapted = learner.adapt(params, task.support, KEY)
        return adapted, learner.predict(params, adapted, task.query.inputs)

    return jax.device_get(both(params, task))


def test_prototypes_are_class_means_and_logits_minus_squared_distances():
    network = smooth(3)
    with enable_x64(True):
        task = classification_task(shots=3)
        params = network.init(KEY, task.support.inputs)
        support, query = (embedded(params, part) for part in task)
        labels = np.asarray(task.support.targets)
        means = np.stack([support[labels == way].mean(0) for way in range(WAYS)])
        for distance in ("euclidean", "cosine"):
            learner = prototypical(network, ways=WAYS, distance=distance, scale=2.0)
            adapted, logits = answered(learner, params, task)
            np.testing.assert_allclose(adapted, means, rtol=1e-10)
            for i, way in np.ndindex(len(query), WAYS):
                a, b = query[i], means[way]
                expected = -np.sum((a - b) ** 2)
                if distance == "cosine":
                    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
                np.testing.assert_allclose(logits[i, way], 2 * expected, rtol=1e-10)


def test_matching_attends_over_cosines():
    network = smooth(3)
    with enable_x64(True):
        task = classification_task(shots=3)
        learner = matching(network, ways=WAYS, scale=5.0)
        params = learner.init(KEY, task)
        support, query = (embedded(params, part) for part in task)
        labels = np.asarray(task.support.targets)
        _, outputs = answered(learner, params, task)
        for x, found in zip(query, outputs, strict=True):
            cosines = support @ x / np.linalg.norm(support, axis=1) / np.linalg.norm(x)
            attention = np.exp(5 * cosines) / np.sum(np.exp(5 * cosines))
            expected = [attention[labels == way].sum() for way in range(WAYS)]
            np.testing.assert_allclose(np.exp(found), expected, rtol=1e-10)


@pytest.mark.parametrize("make", [prototypical, matching])
def test_comparing_learners_do_not_see_the_order_of_the_support(make):
    task = classification_task(shots=3, dtype=jnp.float32)
    learner = make(smooth(3), ways=WAYS)
    params = learner.init(KEY, task)
    order = np.random.default_rng(0).permutation(3 * WAYS)
    shuffled = task._replace(support=jax.tree.map(lambda leaf: leaf[order], task.support))
    score = jax.jit(learner.loss)
    (loss, metrics), (again, _) = (score(params, t, KEY) for t in (task, shuffled))
    np.testing.assert_allclose(loss, again, rtol=1e-5)
    assert 0 <= metrics["accuracy"] <= 1


def test_a_class_without_examples_stays_finite():
    task = classification_task(shots=3, dtype=jnp.float32)
    two = task.support._replace(targets=jnp.minimum(task.support.targets, 1))
    for make in (prototypical, matching):
        learner = make(smooth(3), ways=WAYS)
        params = learner.init(KEY, task)
        loss = jax.jit(jax.value_and_grad(learner.loss, has_aux=True))
        assert all_finite(loss(params, task._replace(support=two), KEY))


@pytest.mark.parametrize("width", [2, 20], ids=["many examples", "few examples"])
def test_the_ridge_head_is_the_least_squares_solution(width):
    """As ``numpy.linalg.lstsq`` finds it with a row of ``sqrt(strength)`` for every feature."""
    network, strength = smooth(width), 0.3
    with enable_x64(True):
        for ways, task in ((WAYS, classification_task()), (None, regression_task())):
            learner = ridge(
                network,
                cross_entropy if ways else mean_squared_error,
                ways=ways,
                log_strength=np.log(strength),
                scale=1.5,
            )
            params = learner.init(KEY, task)
            support, query = (
                np.pad(embedded(params.network, part), ((0, 0), (0, 1)), constant_values=1)
                for part in task
            )
            targets = np.eye(WAYS)[task.support.targets] if ways else task.support.targets
            rows = np.concatenate([support, np.sqrt(strength) * np.eye(width + 1)])
            expected = np.linalg.lstsq(rows, np.pad(targets, ((0, width + 1), (0, 0))))[0]
            head, found = answered(learner, params, task)
            np.testing.assert_allclose(head, expected, rtol=1e-5, atol=1e-7)  # a float32 strength
            np.testing.assert_allclose(found, 1.5 * query @ expected, rtol=1e-5, atol=1e-6)


def test_a_context_enters_as_the_user_says():
    """Here as a scale of a linear map's inputs, from which one step is known."""
    learner = cavia(
        linear,
        quadratic_loss,
        SGD,
        steps=1,
        context_size=4,
        attach=lambda context, inputs: (inputs * (1 + context)[None],),
    )
    adapted = jax.jit(learner.adapt)(PARAMS, quadratic_task().support, KEY)
    np.testing.assert_allclose(adapted, -LR * Q * (THETA - C) * THETA, rtol=1e-5)


def test_a_context_may_be_an_argument_of_its_own():
    """The same scale as above, in the network."""
    scaled = Network(
        lambda key, inputs, context: linear.init(key, inputs),
        lambda params, inputs, context: linear.apply(params, inputs * (1 + context)[None]),
    )
    learner = cavia(scaled, quadratic_loss, SGD, steps=1, context_size=4, attach=paired)
    adapted = jax.jit(learner.adapt)(PARAMS, quadratic_task().support, KEY)
    np.testing.assert_allclose(adapted, -LR * Q * (THETA - C) * THETA, rtol=1e-5)


def test_minibatches_are_drawn_from_the_key():
    task = regression_task(dtype=jnp.float32)
    learner = maml(smooth(), mean_squared_error, SGD, steps=2, batches=minibatches(2))
    params = learner.init(KEY, task)
    loss = jax.jit(learner.loss)
    first, again, other = (loss(params, task, key)[0] for key in (KEY, KEY, jax.random.key(1)))
    assert first == again != other


class TestMemory:
    @staticmethod
    def temporaries(steps, remat_every):
        task = jax.tree.map(
            lambda leaf: jnp.tile(leaf, (20, 1)), regression_task(dtype=jnp.float32)
        )
        learner = maml(
            smooth(),
            mean_squared_error,
            optax.sgd(0.01),
            steps=steps,
            remat_every=remat_every,
            unroll=1,
        )
        params = learner.init(KEY, task)
        grad = jax.grad(lambda p, task: learner.loss(p, task, KEY)[0])
        return jax.jit(grad).lower(params, task).compile().memory_analysis().temp_size_in_bytes

    def test_grows_with_the_root_of_the_steps_where_rematerialised(self):
        """Four times the steps: about twice the memory, and far less than keeping all."""
        many = self.temporaries(100, 10)
        assert many < 2.3 * self.temporaries(25, 5)
        assert many < 0.4 * self.temporaries(100, None)


NETWORK = smooth()


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("steps", lambda: maml(NETWORK, mean_squared_error, SGD, steps=0)),
        ("steps", lambda: imaml(NETWORK, mean_squared_error, SGD, steps=0)),
        ("steps", lambda: reptile(NETWORK, mean_squared_error, SGD, SGD, steps=0)),
        ("remat_every", lambda: maml(NETWORK, mean_squared_error, SGD, steps=1, remat_every=0)),
        ("unroll", lambda: maml(NETWORK, mean_squared_error, SGD, steps=1, unroll=0)),
        ("rates", lambda: maml(NETWORK, mean_squared_error, SGD, steps=1, rates="per_layer")),
        (
            "step_weights",
            lambda: meta_sgd(NETWORK, mean_squared_error, SGD, steps=2, step_weights=[1]),
        ),
        (
            "inner",
            lambda: anil(NETWORK, mean_squared_error, SGD, steps=1).init(
                KEY, regression_task(dtype=jnp.float32)
            ),
        ),
        ("anneal_steps", lambda: multi_step_gradient(None, SGD, steps=1, anneal_steps=0)),
        ("context_size", lambda: cavia(NETWORK, mean_squared_error, SGD, steps=1, context_size=0)),
        ("strength", lambda: imaml(NETWORK, mean_squared_error, SGD, steps=1, strength=0.0)),
        ("distance", lambda: prototypical(NETWORK, ways=2, distance="manhattan")),
        ("ways", lambda: prototypical(NETWORK, ways=1)),
        ("ways", lambda: matching(NETWORK, ways=1)),
        ("ways", lambda: ridge(NETWORK, mean_squared_error, ways=1)),
        ("sigma", lambda: evolution(None, SGD, sigma=0.0)),
        ("pairs", lambda: evolution(None, SGD, pairs=0)),
        ("tasks_at_once", lambda: evolution(None, SGD, tasks_at_once=0)),
        (
            "tasks_at_once",
            lambda: reptile(NETWORK, mean_squared_error, SGD, SGD, steps=2, tasks_at_once=0),
        ),
        (
            "learner",
            lambda: adaptation_curve(
                prototypical(NETWORK, ways=2), cross_entropy, {}, None, KEY, steps=1
            ),
        ),
    ],
)
def test_what_cannot_work_is_refused_by_name(field, make):
    with pytest.raises(ConfigError) as refused:
        make()
    assert refused.value.field == field


def test_gradient_makes_an_algorithm_of_them():
    """The names of the metrics do not collide with the algorithm's."""
    task = classification_task(dtype=jnp.float32)
    algorithm = gradient(prototypical(smooth(3), ways=WAYS), optax.sgd(0.1))
    tasks = jax.tree.map(lambda leaf: leaf[None], task)
    _, metrics = jax.jit(algorithm.update)(algorithm.init(KEY, task), tasks, KEY)
    assert set(metrics) == {"loss", "query_loss", "accuracy", "grad_norm"}
    assert metrics["loss"] == metrics["query_loss"]
