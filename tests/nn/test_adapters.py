"""Networks of other libraries keep their values, and bring no hidden arrays, keys or state."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from metajax.core import MetajaxError
from metajax.nn import from_equinox, from_linen, from_nnx

eqx = pytest.importorskip("equinox")


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


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
    """An MLP; ``setattr`` with string digits gives the nested names that a list would."""

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


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    return request.param()


def _equal(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: bool(jnp.array_equal(x, y)), a, b))


def test_values_are_those_of_the_library(case):
    network, own, x = case
    params = network.init(jax.random.key(0), x[0])
    np.testing.assert_allclose(network.apply(params, x[0]), own(jax.random.key(0), x[0]), atol=1e-6)


def test_params_are_a_plain_nested_dict_of_arrays(case):
    network, _, x = case

    def check(node):
        assert type(node) is dict and node
        for name, value in node.items():
            assert type(name) is str
            if not isinstance(value, jax.Array):
                check(value)

    check(network.init(jax.random.key(0), x[0]))


def test_init_depends_on_the_key_alone(case):
    network, _, x = case
    first = network.init(jax.random.key(0), x[0])
    assert _equal(first, network.init(jax.random.key(0), 2 * x[1]))
    assert _equal(first, network.init(jax.random.key(0), x[0]))
    assert not _equal(first, network.init(jax.random.key(1), x[0]))
    traced = jax.jit(network.init)(jax.random.key(0), x[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), first, traced)


def test_outputs_follow_the_params_given(case):
    network, own, x = case
    params = [network.init(jax.random.key(k), x[0]) for k in (0, 1)]
    outputs = [network.apply(p, x[0]) for p in (*params, params[0])]
    assert not jnp.allclose(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_compiled_mapped_gradients_reach_every_array(case):
    network, _, x = case

    def loss(params, x):
        return jnp.sum(network.apply(params, x) ** 2)

    params = network.init(jax.random.key(0), x[0])
    mapped = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(params, x)
    looped = [jax.grad(loss)(params, one) for one in x]
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves), *looped)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), mapped, looped
    )
    assert all(bool(jnp.any(g != 0)) for g in jax.tree.leaves(mapped))


def test_each_task_may_have_params_of_its_own(case):
    network, _, x = case
    keys = jax.random.split(jax.random.key(0), 4)
    params = jax.vmap(network.init, (0, None))(keys, x[0])
    mapped = jax.vmap(network.apply)(params, x)
    looped = [
        network.apply(jax.tree.map(lambda p, n=n: p[n], params), one) for n, one in enumerate(x)
    ]
    np.testing.assert_allclose(mapped, jnp.stack(looped), atol=1e-5)


def test_no_array_is_baked_in(case):
    network, _, x = case
    params = network.init(jax.random.key(0), x[0])
    assert jax.make_jaxpr(network.apply)(params, x[0]).consts == []
    assert jax.make_jaxpr(jax.grad(lambda p: network.apply(p, x[0]).sum()))(params).jaxpr.invars


def test_linen_collections_beside_the_params_are_refused():
    network = from_linen(LinenBatchNorm())
    with pytest.raises(MetajaxError, match=r"LinenBatchNorm .*batch_stats"):
        network.init(jax.random.key(0), jnp.ones((4, 5)))


def test_linen_dropout_left_on_is_refused():
    network = from_linen(LinenNet(), train=True)
    params = network.init(jax.random.key(0), jnp.ones((6, 6, 2)))
    with pytest.raises(MetajaxError, match="LinenNet draws random numbers"):
        network.apply(params, jnp.ones((6, 6, 2)))


def test_nnx_variables_beside_the_params_are_refused_by_kind():
    with pytest.raises(MetajaxError, match="BatchStat"):
        from_nnx(nnx.BatchNorm, 3)
    with pytest.raises(MetajaxError, match="RngCount, RngKey"):
        from_nnx(nnx.Dropout, 0.5)


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


def test_equinox_numpy_arrays_are_refused():
    class Mask(eqx.Module):
        weight: jax.Array
        mask: np.ndarray

        def __init__(self, key):
            self.weight = jax.random.normal(key, (3,))
            self.mask = np.ones(3)

    with pytest.raises(MetajaxError, match=r"Mask .*mask"):
        from_equinox(Mask)


def test_missing_equinox_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "equinox", None)
    with pytest.raises(MetajaxError, match="pip install equinox"):
        from_equinox(_eqx_net)
