"""Stages of different networks: how many updates each takes, and what is handed on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, GradientState, MetaLearner, digest
from metajax.learners import (
    GrowthStage,
    even_parts,
    handed_over,
    in_growing_stages,
    predict_in_use,
    with_params,
)

PARTS = 3
TASK = Examples(jnp.ones((PARTS, 2, 1)), jnp.arange(2 * PARTS, dtype=jnp.float32).reshape(PARTS, 2))
TASKS = jax.tree.map(lambda leaf: leaf[None], TASK)


def falling(size, slope=1.0):
    """A learner of ``size`` numbers, each of which falls by the rate times a slope an update."""

    def loss(params, task, key):
        return slope * jnp.sum(params), {"targets": jnp.sum(task.targets)}

    return MetaLearner(
        lambda key, task: jnp.zeros(size), lambda *_: (), lambda *_: jnp.zeros(2), loss
    )


def doubled(before, own, key):
    """Twice as many numbers, and those of the stage's own state stay out of it."""
    return own._replace(params=jnp.concatenate([before.params, before.params]))


def run(stages, steps):
    algorithm = in_growing_stages(stages)
    state = algorithm.init(jax.random.key(0), TASK)
    update = jax.jit(algorithm.update)
    found = []
    for _ in range(steps):
        state, metrics = update(state, TASKS, jax.random.key(1))
        found.append((algorithm.params(state), metrics))
    return found


def stages(updates=PARTS):
    rate = optax.sgd(1.0)
    return [
        GrowthStage(lambda done: falling(1), rate, 2, updates),
        GrowthStage(lambda done: falling(2), rate, 2, change=doubled),
    ]


def test_a_stage_takes_its_updates_and_the_next_one_starts_from_its_end():
    found = run(stages(), 5)
    small = [float(params.networks[0][0]) for params, _ in found]
    assert small == [-3, -6, -6, -6, -6]
    large = [params.networks[1].tolist() for params, _ in found]
    assert large == [[0, 0], [0, 0], [-7, -7], [-8, -8], [-9, -9]]
    assert [int(params.stage) for params, _ in found] == [0, 0, 1, 1, 1]
    assert digest(found[4][0].networks[0]) == digest(found[1][0].networks[0])


def test_stages_may_start_from_the_same_one():
    """The third from the first one's end, not from the second's, and then on its own."""
    rate = optax.sgd(1.0)
    second, third = (
        GrowthStage(lambda done: falling(2), rate, 1, change=doubled, source=source)
        for source in (None, 0)
    )
    found = run([GrowthStage(lambda done: falling(1), rate, 2), second, third], 5)
    ends = [params.networks[-1].tolist() for params, _ in found]
    assert ends == [[0, 0]] * 3 + [[-3, -3], [-4, -4]]
    assert found[-1][0].networks[1].tolist() == [-3, -3]


def test_each_update_reads_a_part_of_its_own():
    """Targets of the parts add up to 1, 5 and 9; a stage with one update reads the first."""
    found = run(stages(), 3)
    np.testing.assert_allclose([metrics["targets"] for _, metrics in found], [5, 5, 1])


def test_a_schedule_counts_the_updates_of_its_stage():
    """Slopes are 0, 1, 2, ... in the first stage, and again in the second."""
    rate = optax.sgd(1.0)

    def counting(size):
        return lambda done: falling(size, done.astype(jnp.float32))

    found = run(
        [
            GrowthStage(counting(1), rate, 2, 2),
            GrowthStage(counting(1), rate, 2),
        ],
        4,
    )
    first = [float(params.networks[0][0]) for params, _ in found]
    second = [float(params.networks[1][0]) for params, _ in found]
    assert first == [-1, -6, -6, -6] and second == [0, 0, 0, -1]


def test_stages_that_do_not_fit_are_rejected():
    rate = optax.sgd(1.0)
    for wrong, field in (
        ([], "stages"),
        ([GrowthStage(lambda done: falling(1), rate, 0)] * 2, "steps"),
        ([GrowthStage(lambda done: falling(1), rate, 1, 0)], "updates"),
        ([GrowthStage(lambda done: falling(1), rate, 1, source=0)], "source"),
    ):
        with pytest.raises(ConfigError) as raised:
            in_growing_stages(wrong)
        assert raised.value.field == field
    with pytest.raises(ConfigError, match="updates"):
        run(stages(PARTS + 1), 1)


def test_a_stage_is_prepared_by_the_tasks_of_its_first_step():
    """After it was handed over; later tasks are not looked at."""

    def prepare(state, tasks, key, axis_name):
        assert axis_name is None
        return state._replace(params=state.params + jnp.max(tasks.targets))

    first, second = stages()
    found = run([first, second._replace(prepare=prepare)], 4)
    assert found[1][0].networks[1].tolist() == [0, 0]
    # the largest target is 5; the stage before ended at -6
    assert [params.networks[1].tolist() for params, _ in found[2:]] == [[-2, -2], [-3, -3]]


def test_the_network_in_use_is_that_of_the_last_step():
    """Learners predict their parameters times the inputs."""

    def learner(size):
        return falling(size)._replace(predict=lambda params, adapted, x: jnp.sum(params) * x)

    first, second = (
        stage._replace(learner=learner(size)) for stage, size in zip(stages(), (1, 2), strict=True)
    )
    found = run([first, second], 3)
    each = [float(predict_in_use([first, second], params, jnp.ones(()))) for params, _ in found]
    assert each == [-3, -6, -14]
    assert float(second.predict(jnp.array([1.0, 2.0]), jnp.ones(()))) == 3


def test_a_change_of_parameters_starts_the_optimizer_again():
    """Momentum of the stage before would move the parameters further."""
    rate = optax.sgd(1.0, momentum=0.5)
    added = with_params(lambda before, own, key: before + own)
    found = run(
        [GrowthStage(falling(1), rate, 2), GrowthStage(falling(1), rate, 1, change=added)], 3
    )
    assert float(found[1][0].networks[0][0]) == -2.5
    assert float(found[2][0].networks[1][0]) == -3.5


def test_parameters_are_handed_over_whole_or_as_an_entry():
    before, own = (GradientState(params, "fresh") for params in (1, {"a": 2, "b": 3}))
    assert handed_over()(before, own, None) == GradientState(1, "fresh")
    assert handed_over("a")(before, own, None) == GradientState({"a": 1, "b": 3}, "fresh")


@pytest.mark.parametrize(("total", "parts"), [(7, 3), (3, 3), (2, 3), (0, 2)])
def test_parts_are_as_equal_as_can_be(total, parts):
    found = even_parts(total, parts)
    assert (len(found), sum(found)) == (parts, total)
    assert max(found) - min(found) <= 1
