"""The examples of the reference page run as they stand."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("quick_compile")

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "physics_pde.md"


@pytest.mark.slow
def test_the_examples_hold():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    exec(compile("\n".join(blocks), PAGE.name, "exec"), {})
