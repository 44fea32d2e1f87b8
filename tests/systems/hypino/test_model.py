"""Trained hypernetworks as files."""

import dataclasses

import flax.serialization
import jax
import numpy as np
import pytest

from metajax.core import ConfigError, digest
from metajax.systems.hypino import Model, load_model, make_network, save_model
from pdes import CONFIG, quadratics

pytestmark = pytest.mark.usefixtures("quick_compile")


def made(config=CONFIG):
    key = jax.random.key(1)
    init = jax.jit(make_network(config).init)
    return Model(config, init(key, quadratics(key).support))


def test_a_model_is_the_same_when_read_again(tmp_path):
    model, path = made(), tmp_path / "model.msgpack"
    save_model(path, model)
    found = load_model(path)
    assert found.config == model.config
    assert digest(found.params) == digest(model.params)
    with pytest.raises(ConfigError, match=r"model\.msgpack"):
        save_model(path, model)


def test_files_that_are_no_model_are_refused(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(ConfigError, match="model"):
        load_model(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ConfigError, match="model"):
        load_model(path)
    for odd in (
        {"config": "{}", "params": {}},
        {"config": "{}", "params": 3},
        {"config": "[" * 10**5, "params": {}},
        {"config": 3, "params": {}},
        [],
    ):
        path.write_bytes(flax.serialization.msgpack_serialize(odd))
        with pytest.raises(ConfigError, match=r"model|config"):
            load_model(path)


def test_parameters_of_another_config_are_refused(tmp_path):
    model = made()
    save_model(tmp_path / "model", Model(dataclasses.replace(CONFIG, head_hidden=5), model.params))
    with pytest.raises(ConfigError, match="shapes"):
        load_model(tmp_path / "model")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model.params))
