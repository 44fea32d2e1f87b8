"""Every notebook runs, and its .ipynb holds the source of its .py twin."""

from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_holds_one_source(name):
    def cells(path):
        return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]

    assert cells(FOLDER / f"{name}.py") == cells(FOLDER / f"{name}.ipynb")


SLOW = ["gpicl", "hamiltonian", "hypergradients", "hypino", "maml"]


@pytest.mark.parametrize(
    "name", ["quickstart", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_the_notebook_runs(name, tmp_path, monkeypatch):
    """Its own assertions hold: the loss fell, the gains are what the text says."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=900, kernel_name="python3").execute(cwd=str(FOLDER))


def test_every_notebook_is_run():
    assert set(NAMES) == {"quickstart", *SLOW}
