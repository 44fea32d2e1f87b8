"""Trained hypernetworks as files."""

import json

import flax.serialization
import jax
import numpy as np
import pytest

from metajax.core import ConfigError, digest
from metajax.systems import config_from_json, configure, replace
from metajax.systems.hypino import SYSTEM, Model, load_model, save_model, shipped
from pdes import CONFIG, METHOD, quadratics


def made():
    key = jax.random.key(1)
    return Model(CONFIG, jax.jit(METHOD.learner.init)(key, quadratics(key)))


def test_a_model_is_the_same_when_read_again(tmp_path):
    model, path = made(), tmp_path / "model.msgpack"
    save_model(path, model)
    found = load_model(path)
    assert found.config == model.config
    assert digest(found.params) == digest(model.params)
    with pytest.raises(ConfigError, match=r"model\.msgpack"):
        save_model(path, model)


def older(config, method="weights", **more):
    """A config as a file held it when methods were decoders and all were trained alike."""
    names = ("optimizer", "schedule", "final_rate", "warmup_steps")
    kept = {name: value for name, value in vars(config).items() if name not in names}
    del kept["method"]
    return {**kept, "decoder": method, **more}


def test_a_file_of_an_older_version_is_read(tmp_path):
    model, path = made(), tmp_path / "model"
    state = {"config": json.dumps(older(CONFIG)), "params": jax.device_get(model.params)}
    path.write_bytes(flax.serialization.msgpack_serialize(state))
    found = load_model(path)
    assert found.config == CONFIG and found.config.optimizer == "adamw"
    assert digest(found.params) == digest(model.params)


def test_options_of_other_methods_in_an_older_config_are_left_out():
    config = config_from_json(SYSTEM, json.loads(json.dumps(older(CONFIG, "unet"))))
    assert config.method == "unet" and config.grid == CONFIG.grid
    assert not hasattr(config, "head_hidden")


def test_the_shipped_model_is_of_the_preset_it_was_trained_by():
    model = shipped()
    assert model.config == configure("hypino", "cpu")
    # the same learner each time, so that solving again compiles nothing
    assert model.learner is shipped().learner


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
    save_model(tmp_path / "model", Model(replace(CONFIG, head_hidden=5), model.params))
    with pytest.raises(ConfigError, match="shapes"):
        load_model(tmp_path / "model")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(model.params))
