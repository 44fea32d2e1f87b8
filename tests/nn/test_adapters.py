"""Networks of other libraries keep their values, and bring no hidden arrays, keys or state."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from metajax.core import ConfigError, MetajaxError, Network
from metajax.nn import from_equinox, from_linen, from_nnx

eqx = pytest.importorskip("equinox")


class LinenNet(nn.Module):
    """Convolution, dropout that a keyword turns off, and dense layers."""

    @nn.compact
    def __call__(self, x, train=True):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3)(nn.tanh(nn.Dense(8)(x.reshape(*x.shape[:-3], -1))))


class LinenBatchNorm(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=False)(nn.Dense(3)(x))


class NNXNet(nnx.Module):
    """A plain two-layer MLP."""

    def __init__(self, width, *, rngs):
        self.first = nnx.Linear(5, width, rngs=rngs)
        self.second = nnx.Linear(width, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(jnp.tanh(self.first(x)))


def _eqx_net(key):
    return eqx.nn.MLP(5, 3, 8, 2, key=key)


def _linen_case():
    module, x = LinenNet(), jax.random.normal(jax.random.key(1), (4, 6, 6, 2))

    def own(key, x):
        return module.apply(module.init(key, x, train=False), x, train=False)

    return from_linen(module, train=False), own, x


def _nnx_case():
    x = jax.random.normal(jax.random.key(1), (4, 5))
    return from_nnx(NNXNet, 8), lambda key, x: NNXNet(8, rngs=nnx.Rngs(key))(x), x


def _nnx_sequential_case():
    def make(rngs):
        return nnx.Sequential(nnx.Linear(5, 8, rngs=rngs), jnp.tanh, nnx.Linear(8, 3, rngs=rngs))

    x = jax.random.normal(jax.random.key(1), (4, 5))
    return from_nnx(make), lambda key, x: make(rngs=nnx.Rngs(key))(x), x


def _equinox_case():
    x = jax.random.normal(jax.random.key(1), (4, 5))
    return from_equinox(_eqx_net), lambda key, x: _eqx_net(key)(x), x


CASES = {
    "linen": _linen_case,
    "nnx": _nnx_case,
    "nnx.Sequential": _nnx_sequential_case,
    "equinox": _equinox_case,
}


class Made(NamedTuple):
    """An adapted network, compiled, with what the library itself makes of the same key."""

    network: Network
    init: Callable
    apply: Callable
    own: Callable
    x: jax.Array
    params: Any


@pytest.fixture(params=CASES.values(), ids=CASES.keys(), scope="module")
def case(request):
    network, own, x = request.param()
    init, apply = jax.jit(network.init), jax.jit(network.apply)
    return Made(network, init, apply, jax.jit(own), x, init(jax.random.key(0), x[0]))


def _equal(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: np.array_equal(x, y), a, b))


def _close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5), a, b)


def test_values_are_those_of_the_library(case):
    for key, x in zip(jax.random.split(jax.random.key(3), 2), case.x[:2], strict=True):
        _close(case.apply(case.init(key, x), x), case.own(key, x))


def test_params_are_a_plain_nested_dict_of_arrays(case):
    def check(node):
        assert type(node) is dict and node
        for name, value in node.items():
            assert type(name) is str
            if not isinstance(value, jax.Array):
                check(value)

    check(case.params)


def test_init_depends_on_the_key_alone(case):
    assert _equal(case.params, case.init(jax.random.key(0), 2 * case.x[1]))
    assert not _equal(case.params, case.init(jax.random.key(1), case.x[0]))


def test_outputs_follow_the_params_given(case):
    other = case.init(jax.random.key(1), case.x[0])
    outputs = [case.apply(p, case.x[0]) for p in (case.params, other, case.params)]
    assert not np.allclose(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_compiled_mapped_gradients_reach_every_array(case):
    gradient = jax.grad(lambda params, x: jnp.sum(case.network.apply(params, x) ** 2))
    mapped = jax.jit(jax.vmap(gradient, (None, 0)))(case.params, case.x)
    compiled = jax.jit(gradient)
    looped = [compiled(case.params, x) for x in case.x]
    _close(mapped, jax.tree.map(lambda *leaves: np.stack(leaves), *looped))
    assert all(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(mapped))


def test_each_task_may_have_params_of_its_own(case):
    params = [case.init(jax.random.key(k), case.x[0]) for k in range(len(case.x))]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *params)
    mapped = jax.jit(jax.vmap(case.network.apply))(stacked, case.x)
    _close(mapped, np.stack([case.apply(p, x) for p, x in zip(params, case.x, strict=True)]))


def test_no_array_is_baked_in(case):
    """No constant is captured, and every parameter is read from the arguments."""
    jaxpr = jax.make_jaxpr(case.network.apply)(case.params, case.x[0])
    assert jaxpr.consts == []
    assert len(jaxpr.jaxpr.invars) == len(jax.tree.leaves(case.params)) + 1


def test_linen_collections_beside_the_params_are_refused():
    network = from_linen(LinenBatchNorm())
    with pytest.raises(MetajaxError, match=r"LinenBatchNorm .*batch_stats"):
        network.init(jax.random.key(0), jnp.ones((4, 5)))


def test_linen_dropout_left_on_is_refused():
    network = from_linen(LinenNet(), train=True)
    params = jax.jit(network.init)(jax.random.key(0), jnp.ones((6, 6, 2)))
    with pytest.raises(MetajaxError, match="LinenNet draws random numbers"):
        network.apply(params, jnp.ones((6, 6, 2)))


def test_nnx_variables_beside_the_params_are_refused_by_kind():
    with pytest.raises(MetajaxError, match="BatchStat"):
        from_nnx(nnx.BatchNorm, 3)
    with pytest.raises(MetajaxError, match="RngCount, RngKey"):
        from_nnx(nnx.Dropout, 0.5)


@pytest.mark.parametrize("ones", [jnp.ones, np.ones])
def test_nnx_arrays_that_are_not_variables_are_refused(ones):
    class Shifted(nnx.Linear):
        def __init__(self, *, rngs):
            super().__init__(2, 2, rngs=rngs)
            self.shift = ones(2)

    with pytest.raises(MetajaxError, match=r"Shifted .*plain array"):
        from_nnx(Shifted)


def test_nnx_layers_in_a_list_have_string_names():
    def make(rngs):
        return nnx.Sequential(nnx.Linear(2, 2, rngs=rngs), nnx.Linear(2, 2, rngs=rngs))

    params = jax.eval_shape(from_nnx(make).init, jax.random.key(0))
    assert set(params["layers"]) == {"0", "1"}


def test_nnx_construction_computes_nothing_before_init():
    seen = []

    def make(rngs):
        seen.append(rngs)
        module = nnx.Linear(2, 2, rngs=rngs)
        seen.append(isinstance(module.kernel[...], jax.core.Tracer))
        return module

    from_nnx(make)
    assert seen[1::2] == [True]


def test_equinox_state_and_integer_arrays_are_refused():
    class Table(eqx.Module):
        weight: jax.Array
        order: jax.Array

        def __init__(self, key):
            self.weight = jax.random.normal(key, (3,))
            self.order = jnp.arange(3)

    with pytest.raises(MetajaxError, match=r"Table .*order"):
        from_equinox(Table)
    with pytest.raises(MetajaxError, match="StateIndex"):
        from_equinox(lambda key: eqx.nn.BatchNorm(3, axis_name="batch", mode="ema"))


def test_equinox_numpy_floats_are_params_and_integers_refused():
    class Scale(eqx.Module):
        scale: np.ndarray

        def __init__(self, key, dtype=np.float32):
            self.scale = np.full(3, 2, dtype)

        def __call__(self, x):
            return self.scale * x

    network = from_equinox(Scale)
    params = network.init(jax.random.key(0))
    assert isinstance(params["scale"], jax.Array)
    np.testing.assert_array_equal(
        jax.grad(lambda p: network.apply(p, params["scale"]).sum())(params)["scale"], 2
    )
    with pytest.raises(MetajaxError, match="scale"):
        from_equinox(lambda key: Scale(key, np.int32))


def test_missing_equinox_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "equinox", None)
    with pytest.raises(MetajaxError, match="pip install equinox"):
        from_equinox(_eqx_net)


# modules of shapes alone: nothing is drawn when the tests are collected
LINEAR = nnx.eval_shape(lambda: nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
NET = nnx.eval_shape(lambda: NNXNet(4, rngs=nnx.Rngs(0)))
MLP = eqx.filter_eval_shape(_eqx_net, jax.random.key(0))


@pytest.mark.parametrize(
    ("adapter", "given", "said"),
    [
        (from_linen, LinenBatchNorm, "module = 'the class LinenBatchNorm'"),
        (from_linen, LINEAR, "module = 'a Flax NNX module Linear'"),
        (from_linen, MLP, "module = 'an Equinox module MLP'"),
        (from_linen, Network(len, len), "module = 'a Network'"),
        (from_nnx, NET, "constructor = 'a Flax NNX module NNXNet'"),
        (from_nnx, NNXNet, r"constructor = 'the class NNXNet'.*missing.*'width'"),
        (from_nnx, LinenNet(), "constructor = 'a Flax Linen module LinenNet'"),
        (from_nnx, lambda rngs: 3, "constructor = 'an int'"),
        (from_nnx, None, "constructor = 'None'"),
        (from_equinox, MLP, "constructor = 'an Equinox module MLP'"),
        (from_equinox, eqx.nn.MLP, r"constructor = 'the class MLP'.*missing"),
        (from_equinox, lambda: _eqx_net(jax.random.key(0)), r"constructor = .*too many"),
        (from_equinox, lambda key: LinenNet(), "constructor = 'a Flax Linen module LinenNet'"),
    ],
)
def test_what_an_adapter_is_not_made_for_is_named(adapter, given, said):
    with pytest.raises(ConfigError, match=said):
        adapter(given)
