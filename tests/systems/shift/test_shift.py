"""The family of test-time adaptation: its settings, and what its evaluation measures."""

import jax
import numpy as np
import pytest

from metajax.continual import frozen, run_stream
from metajax.core import ConfigError, digest
from metajax.systems import build, replace
from metajax.systems.shift.evaluate import STREAM_KEY, shares
from small import tiny


def drawn(config):
    setup = build(config)
    key = jax.random.key(config.seed)
    made = jax.jit(lambda tasks, key: setup.algorithm.init(key, tasks(key)).params)
    return setup, made(setup.example_tasks, key)


def test_methods_of_a_seed_start_from_one_source_network():
    _, plain = drawn(tiny("shift", "source"))
    _, with_meta = drawn(tiny("shift", "ecotta"))
    assert digest(plain.network) == digest(with_meta.network)
    assert not plain.meta and with_meta.meta.keys() == {"part_0", "part_1"}


@pytest.mark.slow
def test_the_evaluation_is_the_stream_by_round_and_by_kind():
    setup, params = drawn(tiny("shift", "batch_statistics"))
    found = setup.evaluate(params, False)
    online = frozen(setup.problem.network, True)
    _, streamed = jax.jit(lambda params, stream, key: run_stream(online, params, stream, key))(
        params, setup.problem.stream, jax.random.key(STREAM_KEY)
    )
    values, more = np.asarray(streamed.before_update, float), found["more"]
    np.testing.assert_allclose(more["before_update"], values, atol=1e-6)
    np.testing.assert_allclose(found["rows"]["stream"]["mean"], values.mean((1, 2)), atol=1e-6)
    np.testing.assert_allclose(more["by_kind"]["stream"], values.mean(2), atol=1e-6)
    assert more["clean"]["stream"] == pytest.approx(float(np.mean(streamed.clean)))
    assert found["rows"]["stream"]["mean"] == found["rows"]["batch_statistics"]["mean"]
    assert found["rows"]["stream"]["n"] == 16 * 8


def test_intervals_are_those_of_shares_of_images():
    found = shares(np.array([[0.5, 0.7], [1.0, 1.0]]), 50)
    assert found.mean == pytest.approx([0.6, 1.0]) and found.n == 100
    half = 1.96 * (0.6 * 0.4 / 100) ** 0.5
    assert found.high[0] - found.mean[0] == pytest.approx(half) and found.high[1] == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("warm_steps", {"steps": 4, "warm_steps": 4}),
        ("images_per_shift", {"images_per_shift": 7}),
        ("images_per_shift", {"images_per_shift": 10_000}),
        ("test_split", {"test_split": "nowhere"}),
    ],
)
def test_settings_that_do_not_fit_are_rejected_by_name(field, values):
    with pytest.raises(ConfigError) as raised:
        build(replace(tiny("shift", "source"), **values))
    assert raised.value.field == field
