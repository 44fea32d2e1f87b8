"""Experts by activity: which weights they share, what the router learns and what it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Examples, cross_entropy
from metajax.learners import (
    ActivatedExperts,
    activity_of_domains,
    domain_votes,
    hidden_activity,
    router_loss,
)
from metajax.units import mask_units, mlp_units

KEY = jax.random.key(5)
DOMAINS = 3
EXPERTS = ActivatedExperts((10, 8), (6, 4), 2, DOMAINS, 4)
DRAW = np.random.default_rng(1)
TASK = Examples(
    jnp.asarray(DRAW.normal(size=(12, 5)), jnp.float32), jnp.asarray(DRAW.integers(2, size=12))
)


UNITS = ("domain", "random", "all")


@pytest.fixture(scope="module")
def all_params():
    """By the choice of their units, by one program."""

    @jax.jit
    def make(key):
        params = EXPERTS.init(key, TASK.inputs)
        activity = activity_of_domains(params["dense"], TASK.inputs, DOMAINS)
        return {units: EXPERTS.choose(params, activity, key, units) for units in UNITS}

    return make(KEY)


@pytest.fixture(params=UNITS)
def units(request):
    return request.param


@pytest.fixture
def params(all_params, units):
    return all_params[units]


@jax.jit
def apply_all(params):
    """Masked networks, experts for all inputs each, weights of a route, and its outputs."""
    masked, routed = [], []
    for number in range(DOMAINS):
        masks = {name: mask[number] for name, mask in params["masks"].items()}
        dense = params["dense"]
        under = mask_units(dense, mlp_units(dense), masks)
        masked.append(EXPERTS.network.apply(under, TASK.inputs))
        to_one = jnp.tile(jax.nn.one_hot(number, DOMAINS)[None], (12, 1))
        routed.append(EXPERTS.apply(params, TASK.inputs, to_one))
    return masked, routed, EXPERTS.route(params, TASK.inputs), EXPERTS.apply(params, TASK.inputs)


def test_experts_are_the_trained_network_under_their_masks(params):
    """Before tuning, each for all inputs; and a route is the expert that it names."""
    masked, routed, weights, outputs = apply_all(params)
    np.testing.assert_allclose(routed, masked, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(np.sort(weights, axis=1), [[0, 0, 1]] * 12)
    expected = np.asarray(masked)[np.argmax(weights, axis=1), np.arange(12)]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)


def test_units_are_the_most_active_ones(params, units):
    hidden = jax.jit(hidden_activity)(params["dense"], TASK.inputs)
    activity = {
        name: values.reshape(4, DOMAINS, -1).mean(axis=0) for name, values in hidden.items()
    }
    for (name, values), size in zip(activity.items(), EXPERTS.sizes, strict=True):
        values = np.asarray(values)
        top = np.sort(np.argsort(values, axis=1)[:, -size:])
        masks, domains = (
            np.stack([np.flatnonzero(mask) for mask in params[part][name]])
            for part in ("masks", "domains")
        )
        np.testing.assert_array_equal(domains, top)
        if units == "all":
            top = [np.sort(np.argsort(values.mean(axis=0))[-size:])] * DOMAINS
        assert np.array_equal(masks, top) == (units != "random")


@jax.jit
def slopes_of(params):
    """Gradients of the whole loss, and of its parts."""

    def whole(params):
        return EXPERTS.learner().loss(params, TASK, KEY)[0]

    def routed(params):
        logits = EXPERTS.router.apply(params["router"], TASK.inputs)
        activity = hidden_activity(params["dense"], TASK.inputs)
        return router_loss(logits, activity, params["domains"])

    def classified(params):
        return cross_entropy(EXPERTS.apply(params, TASK.inputs), TASK.targets)

    return [jax.grad(each)(params) for each in (whole, routed, classified)]


def test_common_weights_are_one_array_and_routers_learn_from_votes_alone(params, units):
    """What votes and masks are has no gradient; classification has none in the router."""
    slopes, routed, classified = jax.tree.map(np.asarray, slopes_of(params))
    for part in ("dense", "masks", "domains"):
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(slopes[part])), part
    for part, other in (("router", routed), ("shared", classified), ("own", classified)):
        pairs = zip(jax.tree.leaves(slopes[part]), jax.tree.leaves(other[part]), strict=True)
        for one, two in pairs:
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(classified["router"]))
    first, second = (np.all(params["masks"][name], axis=0) for name in ("h0", "h1"))
    common = np.asarray(first)[:, None] & np.asarray(second)[None]
    assert not np.any(slopes["shared"]["Dense_1"]["kernel"][~common])
    if units == "all":
        assert common.sum() == 24 and not np.any(slopes["own"]["Dense_1"]["kernel"])
    else:
        assert np.any(slopes["own"]["Dense_1"]["kernel"])


def test_a_route_is_known_from_the_inputs_and_the_router(all_params):
    """Nothing that it is computed of is a parameter of the network or its experts."""
    params = all_params["domain"]
    program = jax.make_jaxpr(lambda params: EXPERTS.route(params, TASK.inputs))(params).jaxpr
    paths = [path for path, _ in jax.tree.leaves_with_path(params)]
    given = {id(var): path[0].key for var, path in zip(program.invars, paths, strict=True)}
    used = {given.get(id(var)) for step in program.eqns for var in step.invars}
    assert used == {"router", None}


def test_votes_are_those_of_units_above_five_levels():
    activity = np.maximum(DRAW.normal(size=(4, 10)), 0)
    masks = (DRAW.random((3, 10)) < 0.5).astype(float)
    expected = np.zeros((4, 3))
    for row, values in enumerate(activity):
        votes = np.zeros(10)
        for rank in (9, 8, 6, 4, 2):
            votes += values > np.sort(values)[rank - 1]
        expected[row] = masks @ votes / votes.sum()
    activity[3] = expected[3] = 0  # no unit is active
    found = jax.jit(domain_votes)(np.float32(activity), np.float32(masks))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_router_learns_smoothed_and_soft_votes_of_each_layer():
    logits = DRAW.normal(size=(4, 3))
    activity = {name: np.maximum(DRAW.normal(size=(4, 10)), 0) for name in ("h0", "h1")}
    masks = {name: (DRAW.random((3, 10)) < 0.5).astype(float) for name in activity}
    said = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = 0.0
    for name, values in activity.items():
        votes = jax.jit(domain_votes)(np.float32(values), np.float32(masks[name]))
        votes = 10 * np.asarray(votes, float)
        soft = np.exp(votes) / np.exp(votes).sum(axis=1, keepdims=True)
        hard = 0.5 * np.eye(3)[votes.argmax(axis=1)] + 0.5 / 3
        expected -= 0.75 * np.mean(np.sum(hard * said, axis=1))
        expected += 0.25 * np.mean(np.sum(soft * (np.log(soft) - said), axis=1))
    given = jax.tree.map(np.float32, (logits, activity, masks))
    assert float(jax.jit(router_loss)(*given)) == pytest.approx(expected, rel=1e-5)


def test_activity_is_a_mean_over_the_inputs_of_each_domain():
    """The domains take turns along the last axis but one."""
    params = EXPERTS.network.init(KEY, TASK.inputs)
    hidden = jax.jit(hidden_activity)(params, TASK.inputs)
    inputs = TASK.inputs.reshape(2, 6, 5)
    found = jax.jit(activity_of_domains, static_argnums=2)(params, inputs, DOMAINS)
    for name, values in hidden.items():
        assert np.min(values) == 0 < np.max(values)
        expected = [np.mean(np.asarray(values)[domain::DOMAINS], axis=0) for domain in range(3)]
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
    last = params["Dense_2"]
    outputs = hidden["h1"] @ last["kernel"] + last["bias"][None]
    np.testing.assert_allclose(outputs, EXPERTS.network.apply(params, TASK.inputs), rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: EXPERTS._replace(sizes=(11, 4)).init(KEY, TASK.inputs), "sizes"),
        (lambda: EXPERTS._replace(domains=0).init(KEY, TASK.inputs), "domains"),
        (lambda: EXPERTS.choose({}, {}, KEY, "none"), "units"),
        (lambda: activity_of_domains({}, TASK.inputs, 5), "domains"),
    ],
)
def test_what_does_not_fit_is_rejected(call, field):
    with pytest.raises(ConfigError) as raised:
        call()
    assert raised.value.field == field
