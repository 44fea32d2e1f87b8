"""Units taken, masked and permuted: laws that hold for every network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import make_cases, some_slow

from metajax.core import ConfigError
from metajax.nn import mlp
from metajax.units import (
    Axis,
    mask_units,
    mlp_units,
    permute_units,
    reads,
    slice_units,
    take_units,
    transformer_units,
    unit_norms,
    unit_sizes,
)

CASES = make_cases()
SIZES = {
    "mlp": {"h0": 6, "h1": 5},
    "conv": {"c0": 4, "c1": 4},
    "transformer": {"width": 8, "heads0": 2, "ffn0": 16},
    "graph": {"state0": 4, "message0": 4, "state1": 4, "readout": 4},
}
SMALLER = {
    "mlp": {"h0": 3, "h1": 2},
    "conv": {"c0": 3, "c1": 1},
    "transformer": {"heads0": 1, "ffn0": 8},
    "graph": {"state0": 3, "message0": 2, "state1": 3, "readout": 3},
}


@pytest.mark.parametrize("name", CASES)
def test_every_unit_of_a_network_has_a_name(name):
    case = CASES[name]
    assert unit_sizes(case.params, case.units) == SIZES[name]


@pytest.mark.parametrize("name", some_slow(CASES, "graph"))
def test_sliced_is_masked_and_the_order_does_not_matter(name):
    """Sliced networks have the shapes of networks made at these sizes."""
    case, sizes, draw = CASES[name], SMALLER[name], np.random.default_rng(2)
    masks = {unit: np.arange(SIZES[name][unit]) < size for unit, size in sizes.items()}
    orders = {unit: draw.permutation(size) for unit, size in SIZES[name].items()}

    @jax.jit
    def run(params, masks, orders):
        whole, part = case.make().apply, case.make(**sizes).apply
        permuted = permute_units(params, case.units, orders)
        return permuted, [
            network(changed, *case.inputs)
            for network, changed in (
                (whole, params),
                (whole, permuted),
                (whole, mask_units(params, case.units, masks)),
                (part, slice_units(params, case.units, sizes)),
            )
        ]

    permuted, (usual, ordered, masked, sliced) = run(case.params, masks, orders)
    np.testing.assert_allclose(ordered, usual, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sliced, masked, rtol=1e-4, atol=1e-5)
    assert np.max(np.abs(sliced - usual)) > 0.1
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(*map(jax.tree.leaves, (permuted, case.params)), strict=True)
    ]
    assert sum(moved) >= len(moved) / 2


def test_any_units_are_taken_as_masked():
    """Not the first ones alone; traced indices and masks, mapped over sub-networks."""
    case = CASES["mlp"]
    rows = jnp.array([[0, 4, 5], [1, 2, 3]])

    @jax.jit
    @jax.vmap
    def both(rows):
        mask = jnp.zeros(6, bool).at[rows].set(True)
        compact = take_units(case.params, case.units, {"h0": rows})
        masked = mask_units(case.params, case.units, {"h0": mask})
        return case.make(h0=3).apply(compact, *case.inputs), case.make().apply(masked, *case.inputs)

    compact, masked = both(rows)
    np.testing.assert_allclose(compact, masked, rtol=1e-5, atol=1e-5)


def test_norms_are_those_of_all_weights_that_a_unit_touches():
    """What masking one unit takes away. There is no masking the units of a normalization."""
    case = CASES["transformer"]

    @jax.jit
    def run(params):
        def taken(name, mask):
            masked = mask_units(params, case.units, {name: mask})
            gone = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), params, masked)
            return jax.tree.reduce(jnp.add, gone)

        names = {"heads0": 2, "ffn0": 16}
        gone = {
            name: jax.vmap(lambda m, n=name: taken(n, m))(1 - jnp.eye(n))
            for name, n in names.items()
        }
        return unit_norms(params, case.units), gone

    norms, gone = run(case.params)
    for name, squares in gone.items():
        np.testing.assert_allclose(norms[name] ** 2, squares, rtol=1e-4)
    assert norms["width"].shape == (8,)


def test_parts_of_an_axis_are_told_apart():
    """A layer that reads two layers and three inputs at once."""
    units = {"a": ("a",), "b": ("b",), "both": ((reads("a"), 3, reads("b", each=2)), None)}
    params = {"a": np.arange(2.0), "b": np.arange(2.0), "both": np.arange(9.0)[:, None]}
    params = jax.tree.map(np.float32, params)
    found = take_units(params, units, {"b": np.array([1])})
    assert found["both"][:, 0].tolist() == [0, 1, 2, 3, 4, 7, 8]
    masked = jax.jit(lambda p: mask_units(p, units, {"a": np.array([1.0, 0.0])}))(params)
    assert masked["both"][:, 0].tolist() == [0, 0, 2, 3, 4, 5, 6, 7, 8]


def test_traced_indices_out_of_range_are_nan():
    case = CASES["mlp"]
    found = jax.jit(lambda rows: take_units(case.params, case.units, {"h0": rows}))(
        jnp.array([0, 6, -1])
    )
    bad = np.isnan(found["Dense_1"]["kernel"]).all(axis=1)
    assert bad.tolist() == [False, True, True]


PARAMS = mlp([3], 2).init(jax.random.key(0), jnp.zeros((1, 2)))
UNITS = mlp_units(PARAMS)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: take_units(PARAMS, UNITS, {"h1": jnp.arange(2)}), "indices = 'h1'"),
        (lambda: take_units(PARAMS, UNITS, {"h0": jnp.array([3])}), "0 to 2"),
        (lambda: take_units(PARAMS, UNITS, {"h0": jnp.ones(2)}), "whole numbers"),
        (lambda: slice_units(PARAMS, UNITS, {"h0": 4}), "size of h0 = 4"),
        (lambda: slice_units(PARAMS, UNITS, {"h0": 0}), "1 to 3"),
        (lambda: permute_units(PARAMS, UNITS, {"h0": np.array([0, 0, 1])}), "each of 0 to 2 once"),
        (lambda: mask_units(PARAMS, UNITS, {"h0": jnp.ones(2)}), "mask of h0"),
        (lambda: unit_sizes(PARAMS, {"Dense_0": UNITS["Dense_0"]}), "tree like the parameters"),
        (lambda: unit_sizes({"a": jnp.ones(2)}, {"a": ("h", None)}), "each of the 1 axes of a"),
        (lambda: unit_sizes({"a": jnp.ones((2, 3))}, {"a": ("h", "h")}), "with {'h': 2}"),
        (lambda: unit_sizes({"a": jnp.ones(3)}, {"a": (Axis("h", times=2),)}), "a = 3"),
        (lambda: unit_sizes({"a": jnp.ones(3)}, {"a": ((Axis("h"), Axis("g")),)}), "axis of its"),
        (lambda: unit_sizes({"a": jnp.ones(3)}, {"a": (1.5,)}), "a name, an Axis"),
        (lambda: mlp_units({"kernel": jnp.ones(3)}), "Dense_0"),
        (lambda: transformer_units(CASES["transformer"].params, 4), "heads = 4"),
        (
            lambda: mask_units(*CASES["transformer"][1:3], {"width": jnp.ones(8)}),
            "not normalized together",
        ),
    ],
)
def test_what_does_not_fit_is_rejected_by_name(call, words):
    with pytest.raises(ConfigError) as error:
        call()
    assert words in str(error.value)
