"""Stages of meta-training: which parameters move, by which loss, and when."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_along import params_along

from metajax.core import ConfigError, MetaLearner, digest, prepare_optimizer
from metajax.learners import Stage, in_stages, moving_only, stage_lengths


def toward(goal):
    """A learner whose parameters both move to a goal."""

    def loss(params, task, key):
        return (params["a"] - goal) ** 2 + (params["b"] - goal) ** 2, {}

    def init(key, task):
        return {"a": jnp.float32(0.3), "b": jnp.float32(-0.7)}

    return MetaLearner(init, lambda *_: (), lambda *_: jnp.zeros(2), loss)


def only(*names):
    return lambda params: {name: name in names for name in params}


def run(stages, steps, optimizer=lambda stage: optax.adam(0.1)):
    return params_along(in_stages(stages, optimizer), steps)


def test_each_stage_moves_its_own_parameters_toward_its_own_goal():
    states = run([Stage(toward(1.0), 3, only("a")), Stage(toward(-2.0), 2, only("b"))], 5)
    first, middle, last = states[0], states[3], states[5]
    assert middle["a"] > first["a"] and digest(middle["b"]) == digest(first["b"])
    assert digest(last["a"]) == digest(middle["a"]) and last["b"] < middle["b"]


def test_adam_starts_again_in_a_stage_and_the_last_one_has_no_end():
    states = run([Stage(toward(1.0), 3, only("a", "b")), Stage(toward(-2.0), 1, only("a"))], 6)
    rule, at = prepare_optimizer(optax.adam(0.1), has_function=False), states[3]["a"]
    memory = rule.init(at)
    for step in range(3):
        updates, memory = rule.update(2 * (at + 2.0), memory)
        at = at + updates
        np.testing.assert_allclose(states[4 + step]["a"], at, rtol=1e-6)


def test_no_momentum_nor_decay_moves_what_a_stage_does_not_train():
    stages = [Stage(toward(1.0), 2, only("a", "b")), Stage(toward(1.0), 2, only("a"))]
    states = run(stages, 4, lambda stage: optax.adamw(0.1, weight_decay=0.5))
    assert digest(states[4]["b"]) == digest(states[2]["b"]) != digest(states[1]["b"])


def test_stages_without_steps_are_rejected():
    with pytest.raises(ConfigError, match="stages"):
        in_stages([], lambda stage: optax.adam(0.1))
    empty = Stage(toward(1.0), 0, only("a"))
    with pytest.raises(ConfigError, match="steps = 0"):
        in_stages([empty, empty], lambda stage: optax.adam(0.1))


def test_an_optimizer_moves_what_is_named_and_leaves_the_rest():
    """By the names of entries as by a function; weight decay does not reach the others."""
    params = {"a": {"x": jnp.ones(2), "y": jnp.ones(1)}, "b": jnp.ones(3)}
    decay, found = optax.chain(optax.add_decayed_weights(1.0), optax.sgd(0.1)), []
    for moves in (["a"], lambda params: {"a": True, "b": False}):
        rule = moving_only(decay, moves)
        updates, _ = rule.update(jax.tree.map(jnp.zeros_like, params), rule.init(params), params)
        found.append(updates)
    np.testing.assert_array_equal(found[0]["b"], 0)
    assert float(found[0]["a"]["x"][0]) < 0
    jax.tree.map(np.testing.assert_array_equal, *found)


def halved(params):
    return {**params, "b": params["b"] / 2}


def test_a_stage_is_finished_once_after_its_last_step():
    first, second = Stage(toward(1.0), 2, only("a")), Stage(toward(-2.0), 2, only("a"))
    plain, found = run([first, second], 4), run([first._replace(finish=halved), second], 4)
    for step, (one, other) in enumerate(zip(plain, found, strict=True)):
        assert digest(one["a"]) == digest(other["a"])
        assert float(other["b"]) == float(one["b"]) / (2 if step >= 2 else 1)
    with pytest.raises(ConfigError) as raised:
        in_stages([first, second._replace(finish=halved)], lambda stage: optax.adam(0.1))
    assert raised.value.field == "finish"


@pytest.mark.parametrize("steps", [1, 3, 10, 101])
@pytest.mark.parametrize("shares", [(), (0.2,), (0.25, 0.5)])
def test_the_lengths_of_stages_are_all_steps(steps, shares):
    *before, last = stage_lengths(steps, shares)
    assert sum(before) + last == steps and all(number >= 1 for number in before)
    assert all(
        abs(number - share * steps) <= 1 for number, share in zip(before, shares, strict=True)
    )
