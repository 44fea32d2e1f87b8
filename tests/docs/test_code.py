"""Every Python block of the docs runs, or says why not; test_commands reads shell commands."""

import re
from pathlib import Path

import jax
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^(?:<!-- not run: (.+?) -->\n)?```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

BY_OTHER_TESTS = {
    "hypergradients.md",
    "nouns.md",
    "solved_heads.md",
    "tables.md",
    "using.md",
    "reference/physics_pde.md",
    "reference/physics_solver.md",
}
SLOW = {
    "solve_parametric.md",
    "data.md",
    "reference/hypernet.md",
    "reference/continual.md",
    "start.md",
    "units.md",
    "families.md",
    "howto/devices.md",
    "howto/memory.md",
    "howto/nans.md",
    "howto/precision.md",
    "howto/resume.md",
    "reference/physics.md",
    "reference/vision.md",
}
PAGES = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for path in sorted(DOCS.rglob("*.md"))
    if (name := path.relative_to(DOCS).as_posix()) not in BY_OTHER_TESTS
    and BLOCK.search(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_the_page_runs(name, tmp_path, monkeypatch):
    """Its own assertions hold. The blocks of a page share their names."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    blocks = BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))
    assert blocks
    code = "\n".join(block for reason, block in blocks if not reason)
    # a reader's JAX is not in strict mode
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        exec(compile(code, name, "exec"), {"__name__": "page"})


def test_every_block_is_found():
    """None escapes by another way of writing its fence, but with a reason in a line before it."""
    for path in DOCS.rglob("*.md"):
        text = re.sub(r"<!-- not run.*? -->\n```py\n", "", path.read_text(encoding="utf-8"))
        fences = re.findall(r"^\s*`{3,}\s*\{?\s*\.?py", text, re.MULTILINE)
        assert len(BLOCK.findall(text)) == len(fences), path
