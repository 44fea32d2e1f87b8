"""Unseen domains: what runs are compared by, and which settings do not fit together."""

import jax
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import build
from metajax.systems.domains.evaluate import evaluate
from small import tiny


@pytest.mark.parametrize(
    ("method", "values", "field"),
    [
        ("meta_dmoe", {"steps": 2}, "steps"),
        ("aggregated_experts", {"steps": 1}, "steps"),
        ("aggregated_experts", {"steps": 4, "expert_share": 0.9}, "expert_share"),
        ("meta_dmoe", {"expert_share": 0.5, "aggregator_share": 0.5}, "aggregator_share"),
        ("meta_dmoe", {"aggregator_width": 5}, "aggregator_width"),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected(method, values, field):
    with pytest.raises(ConfigError) as raised:
        tiny("domains", method, **values)
    assert raised.value.field == field


def test_a_support_of_all_held_out_images_is_rejected():
    with pytest.raises(ConfigError) as raised:
        build(tiny("domains", shots=5000))
    assert raised.value.field == "shots"


def test_runs_are_compared_by_the_accuracy_after_their_own_images():
    setup = build(tiny("domains", "context_student"))
    params = setup.method.learner.init(jax.random.key(0), setup.tasks(jax.random.key(1)))
    found = evaluate(setup.problem, setup.method, params, setup.config, False)
    assert list(found.rows) == ["own", "opposite", "nearest_mean", "chance"]
    own, opposite = (np.array(found.more["by_domain"][name]) for name in ("own", "opposite"))
    assert found.rows["own"].score.mean[0] == pytest.approx(own.mean())
    assert found.more["own_over_opposite"]["mean"][0] == pytest.approx((own - opposite).mean())
