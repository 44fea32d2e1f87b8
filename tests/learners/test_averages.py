"""The average of parameters over steps, compared with its closed form."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training_along import params_along

from metajax.core import ConfigError, MetaLearner, digest, gradient
from metajax.learners import with_average

LEARNER = MetaLearner(
    init=lambda key, task: {"a": jnp.float32(0.3), "b": jnp.arange(3.0)},
    adapt=lambda *_: (),
    predict=lambda *_: jnp.zeros(2),
    loss=lambda params, task, key: ((params["a"] - 1) ** 2 + params["b"] @ params["b"], {}),
)
ALGORITHM = gradient(LEARNER, optax.sgd(0.1))


def test_the_average_is_a_weighted_sum_of_the_parameters_since_its_start():
    plain = params_along(ALGORITHM, 7)
    found = params_along(with_average(ALGORITHM, 0.5, after=2), 7)
    for step in range(3):
        assert digest(found[step]) == digest(plain[step])
    # d = 2/11, 3/12, 4/13, 5/14 and 6/15 of the five steps: all below one half
    decays = [min(0.5, (1 + t) / (10 + t)) for t in range(1, 6)]
    shares = [np.prod(decays)]
    shares += [(1 - d) * np.prod(decays[at + 1 :]) for at, d in enumerate(decays)]
    assert sum(shares) == pytest.approx(1)
    for name in "ab":
        wanted = sum(share * np.float64(plain[2 + at][name]) for at, share in enumerate(shares))
        np.testing.assert_allclose(found[-1][name], wanted, rtol=1e-6)
    assert float(found[-1]["a"]) < float(plain[-1]["a"])


def test_after_many_steps_the_decay_is_the_one_that_is_asked_for():
    found, plain = params_along(with_average(ALGORITHM, 0.2), 6), params_along(ALGORITHM, 6)
    wanted = 0.2 * found[5]["b"] + 0.8 * plain[6]["b"]
    np.testing.assert_allclose(found[6]["b"], wanted, rtol=1e-6)


def test_a_decay_of_zero_changes_no_bit_and_one_out_of_range_is_rejected():
    for one, other in zip(
        params_along(with_average(ALGORITHM, 0.0), 3), params_along(ALGORITHM, 3), strict=True
    ):
        assert digest(one) == digest(other)
    for values in ({"decay": 1.0}, {"decay": -0.1}, {"decay": 0.5, "after": -1}):
        with pytest.raises(ConfigError) as raised:
            with_average(ALGORITHM, **values)
        assert raised.value.field == list(values)[-1]
