"""The examples of the README and of the docs run as they stand."""

import re
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]


def run(name: str) -> dict:
    """Run the Python blocks of a page, one after the other, and return their names."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
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
