"""The examples of the reference pages run as they stand."""

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[3] / "docs" / "reference"


@pytest.mark.slow
@pytest.mark.parametrize(("page", "examples"), [("physics_pde.md", 3), ("physics_solver.md", 1)])
def test_the_examples_hold(page, examples):
    blocks = re.findall(r"```python\n(.*?)```", (PAGES / page).read_text(), flags=re.DOTALL)
    assert len(blocks) == examples
    exec(compile("\n".join(blocks), page, "exec"), {})
