"""Stages of experts: what they start from, what moves in each, and what they are compared with."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, digest
from metajax.learners import (
    ActivatedExperts,
    activity_of_domains,
    compare_activated,
    compare_upcycled,
    feed_forward_blocks,
    in_growing_stages,
    read_me,
    upcycling,
)

KEY = jax.random.key(0)
DOMAINS = 2
DRAW = np.random.default_rng(0)
TASK = Examples(
    jnp.asarray(DRAW.normal(size=(1, 12, 5)), jnp.float32),
    jnp.asarray(DRAW.integers(3, size=(1, 12)), jnp.int32),
)
NETWORK = feed_forward_blocks(4, 8, 2, 3)
EXPERTS = ActivatedExperts((6, 6), (3, 3), 3, DOMAINS, 4)


def decaying(steps):
    """What has no gradient would move by the decay."""
    return optax.adamw(0.05, weight_decay=0.1)


def trained(stages, steps):
    """The parameters of all stages after each step."""
    algorithm = in_growing_stages(stages)
    state, update = jax.jit(algorithm.init)(KEY, TASK), jax.jit(algorithm.update)
    tasks = jax.tree.map(lambda leaf: leaf[None], TASK)
    found = []
    for _ in range(steps):
        state, _ = update(state, tasks, KEY)
        found.append(algorithm.params(state).networks)
    return found


def test_experts_of_a_trained_network_start_as_it_is():
    """At a rate at which nothing moves; then the difference is that of rounding."""
    stages = upcycling(NETWORK, 2, 2, (2, 1), lambda steps: optax.adam(1e-12))
    networks = trained(stages, 3)[-1]
    dense, tuned = (
        stage.predict(params, TASK.inputs[0])
        for stage, params in zip(stages, networks, strict=True)
    )
    np.testing.assert_allclose(tuned, dense, rtol=1e-4, atol=1e-6)
    compare = jax.jit(compare_upcycled, static_argnums=(0, 3, 4, 5))
    found = compare(NETWORK, networks, TASK.inputs[0], 2, 2)
    np.testing.assert_allclose(found.start, dense, rtol=1e-4, atol=1e-6)
    assert float(found.changed) < 1e-5 < float(found.largest) == float(jnp.max(jnp.abs(dense)))
    # two experts of each input in each block, and both are of one copy
    assert found.used_together.shape == (2, 4, 4)
    np.testing.assert_allclose(jnp.trace(found.used_together, axis1=1, axis2=2), 2, rtol=1e-6)
    assert float(jnp.max(jnp.abs(found.used_together[:, :2, 2:]))) == 0
    random = compare(NETWORK, networks, TASK.inputs[0], 2, 2, "random")
    assert float(random.changed) > 1e-3


@pytest.fixture(scope="module")
def found():
    """The parameters of the three stages of Read-ME, two steps each."""
    return trained(read_me(EXPERTS, (2, 2, 2), decaying), 6)


def test_each_stage_of_read_me_moves_its_own_parts(found):
    """The network is handed over; the units are those of the first inputs that follow."""
    dense = digest(found[1][0])
    assert digest(found[0][0]) != dense
    assert all(digest(networks[0]) == dense for networks in found[1:])
    routed, tuned = found[3][1], found[5][2]
    for params in (found[2][1], routed, found[4][2], tuned):
        assert digest(params["dense"]) == dense
        assert digest(params["masks"]) == digest(routed["masks"])
    activity = activity_of_domains(found[1][0], TASK.inputs, DOMAINS)
    for number in range(2):
        for domain, mask in enumerate(routed["masks"][f"h{number}"]):
            most = np.sort(np.argsort(activity[f"h{number}"][domain])[-3:])
            np.testing.assert_array_equal(np.flatnonzero(mask), most)
    assert digest(routed["shared"]) == dense
    moved = {name for name in routed if digest(found[2][1][name]) != digest(routed[name])}
    assert moved == {"router"}
    moved = {name for name in tuned if digest(routed[name]) != digest(tuned[name])}
    assert moved == {"router", "shared", "own"}


def test_experts_are_compared_by_the_domain_of_each_input(found):
    networks, inputs = found[-1], TASK.inputs[0]
    compared = jax.jit(lambda *given: compare_activated(EXPERTS, *given))(networks, inputs)
    apply = jax.jit(EXPERTS.apply)
    for domain, part in enumerate((slice(6), slice(6, None))):
        own = jnp.zeros((6, DOMAINS)).at[:, domain].set(1)
        for outputs, params in zip(compared[:2], networks[1:], strict=True):
            expected = apply(params, inputs[part], own)
            np.testing.assert_allclose(outputs[part], expected, rtol=1e-5, atol=1e-6)
        shares = jnp.mean(EXPERTS.route(networks[2], inputs[part]), axis=0)
        np.testing.assert_allclose(compared.routes[domain], shares, rtol=1e-6)


def test_steps_of_other_stages_are_rejected():
    for make in (
        lambda: upcycling(NETWORK, 2, 2, (1, 1, 1), decaying),
        lambda: read_me(EXPERTS, (1, 1), decaying),
    ):
        with pytest.raises(ConfigError) as raised:
            make()
        assert raised.value.field == "steps"
