"""The examples of the README and of the docs run as they stand."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "name", ["docs/nouns.md", pytest.param("README.md", marks=pytest.mark.slow)]
)
def test_the_example_learns(name, tmp_path, monkeypatch):
    """The block's own fit brings the loss below what it started at."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)
    names: dict = {}
    exec(compile(block, name, "exec"), names)
    history = names["result"].history
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
