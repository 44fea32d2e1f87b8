"""Architectures as conditions: what is drawn, what is rejected, and what is learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.systems import build, configure
from metajax.systems.weights.architectures.problem import Architectures
from small import fit_setup, tiny

RANDOM = "random_in_range"


@pytest.fixture(scope="module")
def setup():
    return build(tiny("weights", "graph_hypernetwork", eval_architectures=3))


def sizes(architectures):
    return [tuple(row) for row in np.asarray(architectures.widths).tolist()]


def test_measured_architectures_are_unseen_wider_and_deeper(setup):
    conditions = setup.problem.conditions
    assert isinstance(conditions, Architectures)

    def described(group):
        return set(zip(sizes(group), np.asarray(group.tanh).tolist(), strict=True))

    known, groups = described(conditions.pool), conditions.groups
    assert not known & set().union(*map(described, groups.values()))
    assert len(described(groups["in_range"])) == 3
    for row in [*sizes(conditions.pool), *sizes(groups["in_range"])]:
        assert row[3] == 0 and row[0] and {size for size in row if size} <= {2, 3, 4}
    assert {size for row in sizes(groups["wider"]) for size in row} <= {0, 5, 6}
    assert all(all(row) for row in sizes(groups["deeper"]))


def test_entries_that_an_architecture_lacks_have_no_gradient(setup):
    """So they stay zero in training, and the padded network trains as one of its own size."""
    problem, target = setup.problem, setup.problem.padded
    pool = problem.conditions.groups["deeper"]._replace(tanh=jnp.array([True, False, True]))
    pool = pool._replace(widths=pool.widths.at[2, 2:].set(0))

    @jax.jit
    def slopes(pool):
        def one(architecture):
            weights = target.random(jax.random.key(0), architecture)
            inputs = jnp.ones((2, problem.test.num_features))

            def total(weights):
                return jnp.sum(target.apply(weights, architecture, inputs)[:, 0])

            return jax.grad(total)(weights), target.masks(architecture)

        return jax.vmap(one)(pool)

    found, masks = slopes(pool)
    outside = jax.tree.map(lambda slope, mask: np.abs(slope * (1 - mask)).max(), found, masks)
    assert max(jax.tree.leaves(outside)) == 0
    assert min(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(found["head"])) > 0


@pytest.mark.parametrize(
    "values", [{"least_width": 5}, {"widest": 4}, {"start_steps": ()}, {"train_architectures": 0}]
)
def test_sizes_out_of_order_are_rejected_by_name(values):
    with pytest.raises(ConfigError) as raised:
        tiny("weights", "shared_table", **values)
    assert raised.value.field == next(iter(values))


@pytest.mark.slow
def test_a_graph_hypernetwork_gives_unseen_architectures_a_start():
    """And depths that it has not seen, where the shared table has nothing trained."""
    small = {"width": 32, "widest": 40, "train_architectures": 32, "start_steps": (20,)}
    scores = {}
    for method in ("graph_hypernetwork", "shared_table"):
        more = {"learning_rate": 2e-3, "steps": 300, "eval_every": 300, **small}
        setup = build(configure("weights", None, method, **more))
        result = fit_setup(setup)
        rows = setup.evaluate(result.params, False)["rows"]
        scores[method] = {name: rows[name]["mean"] for name in rows}
    found = scores["graph_hypernetwork"]
    assert found["in_range"][0] > 0.7 and found["deeper"][0] > 0.5
    assert found[RANDOM][0] < 0.3 and found["in_range"][1] > found[RANDOM][1] + 0.2
    assert scores["shared_table"]["deeper"][0] < found["deeper"][0] - 0.2
