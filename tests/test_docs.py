"""The examples of the README and of the docs run as they stand."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from metajax.systems import build, config_to_json, configure
from metajax.train import fit

ROOT = Path(__file__).parents[1]


def run(name: str, section: str = "") -> dict:
    """Run the Python blocks of a page, or of a section, one after the other; return their names."""
    # a block below a comment says why it is not run
    text = (ROOT / name).read_text()
    text = re.split(r"^## ", text.partition(section)[2], flags=re.MULTILINE)[0] if section else text
    blocks = re.findall(r"(?<! -->\n)```python\n(.*?)```", text, flags=re.DOTALL)
    names: dict = {}
    # a reader's JAX is not in strict mode, and optax's updates need the standard one
    with jax.numpy_dtype_promotion("standard"):
        exec(compile("\n".join(blocks), name, "exec"), names)
    return names


@pytest.mark.parametrize(
    "name", ["docs/nouns.md", pytest.param("README.md", marks=pytest.mark.slow)]
)
def test_the_example_learns(name, tmp_path, monkeypatch):
    """The block's own fit brings the loss below what it started at."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    history = run(name)["result"].history
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_the_weight_decays_find_the_weights_that_are_zero():
    """And the rate of the one long run finds its way up from the guess."""
    names = run("docs/hypergradients.md")
    decays = names["hparams"]["log_decay"]
    assert decays[4:].mean() > decays[:4].mean() + 0.5
    result = names["result"]
    assert result.params.hparams["log_lr"] > -8
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_the_features_of_an_energy_learn_to_predict_forces():
    """Far better than features as first drawn, whose head is solved for as well."""
    names = run("docs/solved_heads.md")
    learner, keys = names["learner"], jax.random.split(jax.random.key(5), 200)
    first = jax.jit(learner.init)(jax.random.key(0), names["task"])

    @jax.jit
    def error(params):
        losses = jax.vmap(lambda key: learner.loss(params, names["forces"](key), key)[0])(keys)
        return losses.mean()

    assert error(names["result"].params) < error(first) / 10


def test_a_small_table_is_predicted_without_training():
    assert run("docs/tables.md")["scores"].mean() > -0.2


def trained(folder, config, steps):
    """Train a run in a folder, as `metajax train` would."""
    setup = build(config)
    if setup.steps:
        fit(
            setup.algorithm,
            setup.example_tasks,
            steps=steps,
            tasks_per_step=setup.tasks_per_step,
            key=jax.random.key(0),
            workdir=folder,
            config=config_to_json(config.system, config),
            progress=False,
        )
    else:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config_to_json(config.system, config)))


def test_a_learner_of_ones_own_is_used_without_a_system():
    """Three digits that training never saw, from five images each (chance is 1/3)."""
    names = run("docs/using.md", "## With a learner of your own, without a system\n")
    found = names["own"].predict(names["unseen"][15:])
    assert (found.labels == names["words"][15:]).mean() > 0.8
    assert (names["wines"].predict(names["rows"]).labels == names["cultivars"]).mean() > 0.9


@pytest.mark.slow
def test_what_was_trained_is_used(tmp_path, monkeypatch):
    """By runs that are quick to make: kernel ridge, a solved head, an energy with a polynomial."""
    monkeypatch.chdir(tmp_path)
    runs = {
        "gpicl-digits-0": (configure("gpicl", "digits", "kernel_ridge"), 0),
        "fewshot-sinusoid-0": (configure("fewshot", "sinusoid", "ridge", learning_rate=0.01), 600),
        "hamiltonian-solved-0": (
            configure(
                "hamiltonian",
                "solved",
                width=8,
                trajectories=5,
                monomials=6,
                features=4,
                mechanics=("mass_spring", "pendulum"),
                tasks_per_step=1,
            ),
            1,
        ),
    }
    for name, (config, steps) in runs.items():
        trained(tmp_path / "runs" / name, config, steps)
    names = run("docs/using.md")
    right = np.repeat(names["names"], 10)
    assert (names["found"].labels == right).mean() > 0.7
    assert np.abs(names["curve"].predict([1.0])[0] - np.sin(1.0)) < 0.3
    assert names["motion"].error < 1e-3 and names["rolled"].energy.std() < 0.01
    assert np.abs(names["rolled"].q[-1, 0, 0] - np.cos(12)) < 0.05
    assert names["tuned"].loss.min() < names["tuned"].loss[0]
    outputs = names["function"](names["adapted"].encode(names["queries"]))
    np.testing.assert_allclose(outputs, names["found"].probabilities, rtol=1e-4, atol=1e-5)
